"""Reads the coverage of sessions as last determined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import psycopg

from sp500tui.model import MarketState, TradingSession
from sp500tui.storage.connection import query_error
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.transaction import Connection, run


@dataclass(frozen=True, slots=True)
class CoverageCell:
    """One session of one symbol."""

    symbol: str
    session_date: date
    expected: int
    """Bars that it should have."""
    present: int
    state: str
    attempts: int
    """How often the missing bars were requested."""
    asked_at: datetime | None

    @property
    def missing(self) -> int:
        """Bars that are not stored."""
        return max(0, self.expected - self.present)


@dataclass(frozen=True, slots=True)
class StoredCoverage:
    """The coverage at one resolution."""

    resolution: str
    """Empty if nothing was determined yet."""
    resolutions: tuple[str, ...]
    """All resolutions with a coverage, most recently checked first."""
    checked_at: datetime | None
    cells: tuple[CoverageCell, ...]
    """By symbol and date."""


def read_coverage(connection: Connection, resolution: str, days: int) -> StoredCoverage:
    """The coverage of the latest dates; of the most recently checked resolution if there is none of the given one.

    Raises:
        DatabaseError: the database cannot be read.
    """
    try:
        known: dict[str, datetime] = dict(run(connection, QUERIES["coverage_resolutions"]).fetchall())
        if not known:
            return StoredCoverage("", (), None, ())
        shown = resolution if resolution in known else next(iter(known))
        rows = run(connection, QUERIES["coverage_cells"], {"resolution": shown, "days": days})
        cells = tuple(CoverageCell(*row) for row in rows)
    except psycopg.Error as error:
        raise query_error("the coverage cannot be read", error) from None
    return StoredCoverage(shown, tuple(known), known[shown], cells)


def sessions_on(connection: Connection, day: date) -> tuple[tuple[TradingSession, ...], ...]:
    """The regular sessions of a date, those of each market together.

    Raises:
        DatabaseError: the database cannot be read.
    """
    try:
        rows: Sequence[tuple[str, datetime, datetime]] = run(
            connection, QUERIES["sessions_on"], {"day": day}
        ).fetchall()
    except psycopg.Error as error:
        raise query_error("the sessions cannot be read", error) from None
    return tuple(
        tuple(TradingSession(market, day, MarketState.REGULAR, start, end) for _, start, end in group)
        for market, group in groupby(rows, key=lambda row: row[0])
    )
