"""Reads the coverage for the screen, on its own connection and on background threads only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from sp500tui.tui.shell.price_reader import PostgresReader

if TYPE_CHECKING:
    from sp500tui.storage.history.coverage import CoverageCell, StoredCoverage
    from sp500tui.storage.transaction import Connection

Holes = list[tuple[datetime, datetime]]
"""Ranges without bars: start of the first missing bar, end of the last missing bar."""


class CoverageReader(Protocol):
    """The queries of the screen; a call may take seconds and raises DatabaseError."""

    def read(self, resolution: str, days: int) -> StoredCoverage:
        """The coverage of the latest dates, at the given resolution if there is one."""

    def holes(self, resolution: str, cell: CoverageCell) -> Holes:
        """The ranges of a session without bars; none if its times are not known."""

    def close(self) -> None:
        """Close the connection."""


class PostgresCoverageReader:
    """Reads from PostgreSQL.

    Args:
        url: Returns the URL of the database, or None before it is open.
    """

    def __init__(self, url: Callable[[], str | None]) -> None:
        self._reader = PostgresReader(url)

    def read(self, resolution: str, days: int) -> StoredCoverage:
        """See `CoverageReader.read`."""
        from sp500tui.storage.history.coverage import read_coverage

        return self._reader.query(lambda connection: read_coverage(connection, resolution, days))

    def holes(self, resolution: str, cell: CoverageCell) -> Holes:
        """See `CoverageReader.holes`."""
        return self._reader.query(lambda connection: _holes(connection, resolution, cell))

    def close(self) -> None:
        """See `CoverageReader.close`."""
        self._reader.close()


def _holes(connection: Connection, resolution: str, cell: CoverageCell) -> Holes:
    from sp500tui.pipeline.history.coverage import TradingDay, holes
    from sp500tui.storage.history.coverage import sessions_on
    from sp500tui.storage.history.sessions import QUOTES, bar_starts

    if resolution == QUOTES:
        return []
    # The market of a symbol is not stored; markets whose sessions differ in length expect other numbers of bars. Of a
    # date with several sessions, those were counted that had ended.
    days = (
        TradingDay(cell.session_date, sessions[:number])
        for sessions in sessions_on(connection, cell.session_date)
        for number in range(1, len(sessions) + 1)
    )
    day = next((day for day in days if len(day.slots(resolution)) == cell.expected), None)
    if day is None:
        return []
    stored = bar_starts(connection, cell.symbol, resolution, day.start_time, day.end_time)
    return holes(day, resolution, stored)
