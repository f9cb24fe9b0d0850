"""Reads and writes of the history: sessions, corporate actions, and what is stored of each session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from sp500tui.model import CorporateAction, MarketState, TradingSession
from sp500tui.storage.connection import query_error
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.retry import with_retry
from sp500tui.storage.transaction import Connection, fetch_raw, run, run_raw, run_together

QUOTES = "quotes"
"""The resolution under which the coverage of collected prices is stored."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often one session of a symbol was requested."""

    count: int
    asked_at: datetime | None
    """The last time, UTC."""


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One row of `coverage` to be stored."""

    symbol: str
    session_date: date
    expected: int
    present: int
    state: str
    asked: int = 0
    """Requests made for it since it was last stored."""


def store_sessions(connection: Connection, sessions: Iterable[TradingSession], fetched_at: datetime) -> None:
    """Store sessions, in place of those of the same market and kind that they overlap, in one transaction.

    Raises:
        DatabaseError: With its SQLSTATE, as in every function of this module.
    """
    listed = {(each.market, each.kind.value, each.start_time): each for each in sessions}
    if not listed:
        return
    rows = [
        (market, kind, start, each.end_time, each.session_date)
        for (market, kind, start), each in sorted(listed.items(), key=lambda item: item[0])
    ]
    columns = _columns(("market", "kind", "start_time", "end_time", "session_date"), rows)
    arguments = {**columns, "fetched_at": fetched_at}
    try:
        with_retry(
            lambda: run_together(connection, ("delete_replaced_sessions", "upsert_sessions"), arguments)
        )
    except psycopg.Error as error:
        raise query_error("the database did not store the sessions", error) from None


def stored_sessions(
    connection: Connection, market: str, start: datetime, end: datetime
) -> tuple[TradingSession, ...]:
    """The regular sessions of a market that start in a window, in order."""
    rows = _rows(connection, "sessions_between", {"market": market, "start": start, "end": end})
    return tuple(
        TradingSession(
            market=market, session_date=day, kind=MarketState.REGULAR, start_time=opened, end_time=closed
        )
        for day, opened, closed in rows
    )


def store_actions(connection: Connection, actions: Sequence[CorporateAction]) -> None:
    """Store corporate actions; known ones are left unchanged."""
    names = (
        "symbol",
        "effective_date",
        "kind",
        "numerator",
        "denominator",
        "amount",
        "currency",
        "effective_time",
        "fetched_at",
    )
    if actions:
        rows = [tuple(getattr(action, name) for name in names) for action in actions]
        _execute(connection, "insert_actions", _columns(names, rows))


def store_coverage(
    connection: Connection, resolution: str, rows: Sequence[CoverageRow], now: datetime
) -> None:
    """Store the coverage of sessions of symbols; `asked` is added to the number of attempts."""
    if rows:
        ordered = sorted(rows, key=lambda row: (row.symbol, row.session_date))
        names = ("symbol", "session_date", "expected", "present", "state", "asked")
        columns = ([str(getattr(row, name)) for row in ordered] for name in names)
        parameters = [_texts(column) for column in columns]
        parameters += [resolution.encode(), now.isoformat().encode()]
        try:
            with_retry(lambda: run_raw(connection, "upsert_coverage", parameters))
        except psycopg.Error as error:
            raise query_error("the database did not store the coverage", error) from None


def present_by_day(
    connection: Connection,
    resolution: str,
    symbols: Sequence[str],
    openings: Mapping[date, datetime],
    end: datetime,
) -> dict[tuple[str, date], int]:
    """The number of bars by symbol and day; with the resolution `quotes`, of minutes with a price.

    `openings`: when each day opens, in order. A session of a fast demo market may end on the next date of the exchange.
    """
    days = list(openings)
    arguments = {
        "resolution": resolution,
        "symbols": list(symbols),
        "openings": list(openings.values()),
        "end": end,
    }
    query = "quotes_by_day" if resolution == QUOTES else "bars_by_day"
    rows = _rows(connection, query, arguments)
    return {(symbol, days[number - 1]): present for symbol, number, present in rows}


def attempts_by_day(
    connection: Connection, resolution: str, symbols: Sequence[str], first: date, last: date
) -> dict[tuple[str, date], Attempts]:
    """The sessions of symbols that were requested."""
    arguments = {"resolution": resolution, "symbols": list(symbols), "first": first, "last": last}
    rows = _rows(connection, "coverage_attempts", arguments)
    return {(symbol, day): Attempts(count, asked_at) for symbol, day, count, asked_at in rows}


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """What is stored of consecutive sessions of a symbol."""

    bars: tuple[int, ...]
    """By session."""
    held: int
    """Of all sessions, without those that were named as absent."""


def bars_by_session(
    connection: Connection,
    symbol: str,
    resolution: str,
    openings: Sequence[datetime],
    end: datetime,
    absent: Sequence[datetime] = (),
) -> SessionCounts:
    """How many bars of a symbol each session has; `end` is when the last one ends, `absent` are bars not to count."""
    parameters = [symbol.encode(), resolution.encode(), _times((*openings, end)), _times(absent)]
    try:
        rows = with_retry(lambda: fetch_raw(connection, "bars_by_session", parameters))
    except psycopg.Error as error:
        raise query_error("the database did not count the bars of a symbol", error) from None
    bars = {int(number or 0): (int(count or 0), int(held or 0)) for number, count, held in rows}
    counts = [bars.get(number, (0, 0)) for number in range(1, len(openings) + 1)]
    return SessionCounts(tuple(count for count, _ in counts), sum(held for _, held in counts))


def bar_starts(
    connection: Connection, symbol: str, resolution: str, start: datetime, end: datetime
) -> frozenset[datetime]:
    """When the stored bars of a symbol start, UTC."""
    arguments = {"symbol": symbol, "resolution": resolution, "start": start, "end": end}
    return frozenset(row[0] for row in _rows(connection, "bar_starts", arguments))


def listed_symbols(connection: Connection) -> tuple[str, ...]:
    """The symbols of the stored constituents that are in the index."""
    return tuple(row[0] for row in _rows(connection, "listed_symbols", {}))


def created_at(connection: Connection) -> datetime:
    """When the tables were created, UTC: nothing was collected before."""
    created: datetime = _rows(connection, "created_at", {})[0][0]
    return created


def _texts(values: Iterable[str]) -> bytes:
    """An array literal."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return b"{%s}" % ",".join(f'"{value}"' for value in quoted).encode()


def _times(times: Iterable[datetime]) -> bytes:
    """An array literal."""
    return b"{%s}" % ",".join(map(datetime.isoformat, times)).encode()


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, object]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _rows(connection: Connection, query: str, arguments: Mapping[str, object]) -> list[tuple[Any, ...]]:
    try:
        return with_retry(lambda: run(connection, QUERIES[query], arguments).fetchall())
    except psycopg.Error as error:
        raise query_error(f"the database did not answer the query {query}", error) from None


def _execute(connection: Connection, query: str, arguments: Mapping[str, object]) -> None:
    try:
        with_retry(lambda: run(connection, QUERIES[query], arguments))
    except psycopg.Error as error:
        raise query_error(f"the database did not run {query}", error) from None
