"""`sp500tui constituents`: the companies of the S&P 500, as Wikipedia lists them, today or on an earlier day."""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress
from datetime import UTC, date, datetime

from sp500tui.cli.commands.data.window import is_date
from sp500tui.cli.context import configuration_of, opened_sources
from sp500tui.cli.interruptible import interruptible
from sp500tui.cli.output import as_columns
from sp500tui.config.loader import Configuration
from sp500tui.config.paths import Paths
from sp500tui.errors import ConfigurationError, DatabaseError, SourceError
from sp500tui.export import Table, as_csv, as_json
from sp500tui.logs.redaction import plain, shown_value
from sp500tui.logs.standard_streams import write_json, write_message, write_output
from sp500tui.model import Constituent, Membership
from sp500tui.sources.wikipedia.client import ConstituentList
from sp500tui.sources.wikipedia.memberships import FIRST_DAY, derive_memberships, members_on


def run(namespace: Namespace) -> int:
    """Print the list. A warning on stderr reports a list that is not current, or is not complete."""
    day = None if namespace.as_of is None else parse_day_option(namespace.as_of, datetime.now(UTC).date())
    configuration = configuration_of(namespace)
    with opened_sources(configuration) as sources:
        found = interruptible(sources.wikipedia.load)()
    if found.warning:
        write_message(plain(found.warning))
    if day is None:
        table = Table("constituents", Constituent, found.constituents)
        shown: list[tuple[str, ...]] = [
            (each.symbol, each.name, each.sector, each.sub_industry) for each in found.constituents
        ]
    else:
        members = _members(configuration, found, day)
        table = Table("constituents", Membership, members)
        shown = [
            (one.symbol, one.cik, f"{one.valid_from}", f"{one.valid_to or ''}", one.source) for one in members
        ]
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
        write_output(as_columns(shown))
    return 0


def parse_day_option(text: str, today: date) -> date:
    """The day of `--as-of`.

    Raises:
        ConfigurationError: it is not a date, is in the future, or is before the index had 500 companies.
    """
    day: date | None = None
    with suppress(ValueError):
        day = date.fromisoformat(text.strip()) if is_date(text) else None
    if day is None:
        raise ConfigurationError(f"--as-of '{shown_value(text)}' is not a date; write 2024-05-31")
    if day > today:
        raise ConfigurationError(f"--as-of {day} is in the future; give a day up to {today}")
    if day < FIRST_DAY:
        raise ConfigurationError(f"--as-of {day} is before the index had 500 companies, on {FIRST_DAY}")
    return day


def _members(configuration: Configuration, found: ConstituentList, day: date) -> tuple[Membership, ...]:
    """The members of a day, from the changes that Wikipedia lists and those observed by the database."""
    if not found.changes:
        raise SourceError("the members of an earlier day are not known, because there is no list of changes")
    oldest = min(change.effective_date for change in found.changes)
    if day < oldest:
        write_message(f"Wikipedia lists changes since {oldest}; the list of {day} is far from complete")
    stated = derive_memberships(found.constituents, found.changes)
    return members_on(stated, _observed(configuration), day)


def _observed(configuration: Configuration) -> list[Membership]:
    """The observed memberships of the configured database; none if the embedded one does not exist yet."""
    settings = configuration.settings
    paths = Paths.of(settings)
    from sp500tui.storage.connection import connect
    from sp500tui.storage.database import Database
    from sp500tui.storage.history.memberships import OBSERVED, read_memberships

    if not Database.exists(settings.database, paths.data):
        return []
    try:
        with (
            Database.open(settings.database, paths.data) as database,
            connect(database.url, application_name="sp500tui constituents", read_only=True) as connection,
        ):
            return [one for one in read_memberships(connection) if one.source == OBSERVED]
    except DatabaseError as error:
        write_message(f"without the memberships observed by the database, because {plain(str(error))}")
        return []
