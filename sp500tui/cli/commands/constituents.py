"""`sp500tui constituents`: the companies of the S&P 500, as Wikipedia lists them."""

from __future__ import annotations

from argparse import Namespace

from sp500tui.cli.context import configuration_of, opened_sources
from sp500tui.cli.output import as_columns
from sp500tui.export import Table, as_csv, as_json
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_json, write_message, write_output
from sp500tui.model import Constituent


def run(namespace: Namespace) -> int:
    """Print the list. A warning on stderr reports a list that is not current."""
    configuration = configuration_of(namespace)
    with opened_sources(configuration) as sources:
        found = sources.wikipedia.load()
    if found.warning:
        write_message(plain(found.warning))
    table = Table("constituents", Constituent, found.constituents)
    if namespace.csv:
        # The lines may go to a terminal, so control characters are shown as escapes.
        cleaned = [
            {name: plain(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in table.rows()
        ]
        write_output(as_csv(table.columns(), cleaned, line_end="\n"))
    elif configuration.settings.json_output:
        write_json(as_json(table.rows()))
    else:
        rows = [(each.symbol, each.name, each.sector, each.sub_industry) for each in found.constituents]
        write_output(as_columns(rows))
    return 0
