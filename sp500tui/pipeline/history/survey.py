"""Compares the stored bars of some symbols with those that the source's sessions require."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sp500tui.pipeline.history.calendar import FetchChart, market_days
from sp500tui.pipeline.history.coverage import DayCoverage, coverage_of
from sp500tui.storage.history.sessions import attempts_by_day, present_by_day, replaced_by_day, store_coverage
from sp500tui.storage.transaction import Connection

_SYMBOLS_AT_ONCE = 50
"""Symbols whose coverage is read and stored by one statement."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The coverage of symbols in a window."""

    coverage: tuple[DayCoverage, ...]
    """By symbol and date."""
    warnings: tuple[str, ...]
    """Why trading days may be missing."""
    unknown: tuple[str, ...] = ()
    """Symbols that for this reason have no trading day."""


def survey(
    connection: Connection,
    fetch: FetchChart,
    symbols: Sequence[str],
    resolution: str,
    window: tuple[datetime, datetime],
    now: datetime,
    replaced_before: datetime | None = None,
) -> Survey:
    """Determine the coverage of every symbol and trading day of a window, and store it.

    `replaced_before`: see `replaced_by_day`.

    Raises:
        DatabaseError: the database cannot be read or written.
    """
    coverage: list[DayCoverage] = []
    warnings: list[str] = []
    unknown: list[str] = []
    for market in market_days(connection, fetch, symbols, window, now):
        if market.warning:
            warnings.append(market.warning)
        if not market.days:
            unknown += market.symbols if market.warning else ()
            continue
        days = [day.settled(now) for day in market.days]
        first, last = days[0].session_date, days[-1].session_date
        sessions = [session for day in days for session in day.sessions]
        for index in range(0, len(market.symbols), _SYMBOLS_AT_ONCE):
            some = market.symbols[index : index + _SYMBOLS_AT_ONCE]
            present = present_by_day(connection, resolution, some, sessions)
            replaced = replaced_by_day(connection, resolution, some, sessions, replaced_before)
            attempts = attempts_by_day(connection, resolution, some, first, last)
            found = coverage_of(some, resolution, days, present, attempts, now, replaced)
            store_coverage(connection, resolution, [each.row() for each in found], now)
            coverage.extend(found)
    return Survey(tuple(coverage), tuple(dict.fromkeys(warnings)), tuple(unknown))
