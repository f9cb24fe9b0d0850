"""`sp500tui constituents`: the companies of the index, as Wikipedia lists them."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from sp500tui.cli.context import configuration_of, opened_sources
from sp500tui.cli.output import as_columns, as_csv, as_json
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_json, write_message, write_output


def run(namespace: Namespace) -> int:
    """Print the list; where it is not today's, a warning on stderr says which it is."""
    configuration = configuration_of(namespace)
    with opened_sources(configuration) as sources:
        found = sources.wikipedia.load()
    if found.warning:
        write_message(f"{plain(found.warning)}")
    records = [asdict(constituent) for constituent in found.constituents]
    if namespace.csv:
        write_output(as_csv(records))
    elif configuration.settings.json_output:
        write_json(as_json(records))
    else:
        rows = [(each.symbol, each.name, each.sector, each.sub_industry) for each in found.constituents]
        write_output(as_columns(rows))
    return 0
