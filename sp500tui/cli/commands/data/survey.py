"""Shared by `gaps` and `backfill`: the symbols, the window, and the survey of what is stored."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sp500tui.cli.commands.data.export import symbols_of
from sp500tui.cli.commands.data.window import EARLIEST, parse_window
from sp500tui.cli.context import start
from sp500tui.cli.interruptible import interruptible
from sp500tui.config.paths import Paths
from sp500tui.errors import ConfigurationError, SourceError
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_message

if TYPE_CHECKING:
    from sp500tui.config.loader import Configuration
    from sp500tui.pipeline.history.survey import Survey
    from sp500tui.pipeline.runtime.sources import Sources
    from sp500tui.storage.database import Database
    from sp500tui.storage.transaction import Connection

_DEFAULT_DAYS = 365
"""Days of daily bars without `--from`; shorter bars begin where the source's begin."""


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The request of a command line."""

    symbols: tuple[str, ...]
    """As listed; empty for the index."""
    resolution: str
    start: datetime
    end: datetime
    """UTC, exclusive, not after `now`."""
    now: datetime
    replaced_before: datetime | None
    """Start of the bars that longer bars have not replaced; None if none were replaced."""


def history_request(namespace: Namespace, configuration: Configuration, now: datetime) -> HistoryRequest:
    """Parse the options; without `--from` the window begins where the source's bars begin.

    Raises:
        ConfigurationError: a date or a symbol is malformed, or the window is in the future.
    """
    from sp500tui.model import Resolution
    from sp500tui.pipeline.history.coverage import replaced_before
    from sp500tui.sources.yahoo.chart_limits import oldest_start

    first, end = parse_window(namespace.start, namespace.end)
    if first > now:
        raise ConfigurationError(f"--from {namespace.start} is in the future; give a date in the past")
    resolution = namespace.resolution
    symbols = symbols_of(namespace.only_symbols) or configuration.settings.symbols
    if first == EARLIEST:
        width = Resolution.MINUTE if resolution == "quotes" else Resolution(resolution)
        daily = now - timedelta(days=_DEFAULT_DAYS)
        first = daily if width is Resolution.DAY else oldest_start(width, now)
    if first >= end:
        raise ConfigurationError(
            f"--to {namespace.end} is before {first:%Y-%m-%d}, where the window begins without --from; give --from"
        )
    kept_since = replaced_before(configuration.settings, resolution, now)
    return HistoryRequest(symbols, resolution, first, min(end, now), now, kept_since)


def surveyed(connection: Connection, sources: Sources, request: HistoryRequest) -> Survey:
    """Survey the symbols of a request; those of the index come from the database, or else from Wikipedia.

    Raises:
        SourceError: there is no list of constituents, or the trading days of no symbol are known.
        DatabaseError: the database cannot be read or written.
    """
    from sp500tui.pipeline.history.survey import survey
    from sp500tui.storage.history.sessions import listed_symbols

    symbols: Sequence[str] = request.symbols or listed_symbols(connection)
    if not symbols:
        symbols = [each.symbol for each in interruptible(sources.wikipedia.load)().constituents]
    window = (request.start, request.end)
    fetch = interruptible(sources.yahoo.chart)
    found = survey(
        connection, fetch, symbols, request.resolution, window, request.now, request.replaced_before
    )
    if found.warnings and not found.coverage:
        raise SourceError(found.warnings[0])
    for warning in found.warnings:
        write_message(plain(warning))
    return found


@contextmanager
def opened(configuration: Configuration) -> Iterator[tuple[Sources, Database, Paths]]:
    """The data sources and the database with migrated tables, for the duration of the block.

    Raises:
        DatabaseError: the database cannot be used.
        SourceError: the demo market did not start.
    """
    from sp500tui.pipeline.runtime.sources import Sources
    from sp500tui.sources.throttle import Throttle
    from sp500tui.storage.database import Database
    from sp500tui.storage.schema.migrations import apply_schema

    settings = configuration.settings
    paths = start(configuration, Paths.prepare)
    with Database.open(settings.database, paths.data) as database:
        apply_schema(database.url)
        sources = Sources.open(settings, paths, Throttle(settings.requests_per_second))
        try:
            yield sources, database, paths
        finally:
            sources.close()


def utc_now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)
