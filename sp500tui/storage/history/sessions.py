"""Reads and writes of the history: sessions, corporate actions, and coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sp500tui.model import CorporateAction, MarketState, Resolution, TradingSession
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.statements import execute, fetch_rows
from sp500tui.storage.transaction import Connection, fetch_raw, run, run_raw, run_together

QUOTES = "quotes"
"""The resolution under which the coverage of collected prices is stored."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often one session of a symbol was requested."""

    count: int
    asked_at: datetime | None
    """The last time, UTC."""
    final: bool = False
    """Whether the source does not have the rest, by its own statement or after many answers."""


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One row of `coverage` to be stored."""

    symbol: str
    session_date: date
    expected: int
    present: int
    state: str
    requests: int = 0
    """Requests made for it since it was last stored."""


def store_sessions(connection: Connection, sessions: Iterable[TradingSession], fetched_at: datetime) -> None:
    """Store sessions, replacing overlapping ones of the same market and kind, in one transaction.

    Raises:
        DatabaseError: with its SQLSTATE, as in every function of this module.
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
    execute(
        "the database did not store the sessions",
        lambda: run_together(connection, ("delete_replaced_sessions", "upsert_sessions"), arguments),
    )


def stored_sessions(
    connection: Connection, market: str, start: datetime, end: datetime
) -> tuple[TradingSession, ...]:
    """The regular sessions of a market that start in a window, in order."""
    rows = fetch_rows(connection, "sessions_between", {"market": market, "start": start, "end": end})
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
        execute(
            "the database did not run insert_actions",
            lambda: run(connection, QUERIES["insert_actions"], _columns(names, rows)),
        )


def store_coverage(
    connection: Connection, resolution: str, rows: Sequence[CoverageRow], now: datetime
) -> None:
    """Store the coverage of sessions of symbols; `requests` is added to the number of attempts."""
    if rows:
        ordered = sorted(rows, key=lambda row: (row.symbol, row.session_date))
        names = ("symbol", "session_date", "expected", "present", "state", "requests")
        columns = ([str(getattr(row, name)) for row in ordered] for name in names)
        parameters = [_texts(column) for column in columns]
        parameters += [resolution.encode(), now.isoformat().encode()]
        execute(
            "the database did not store the coverage",
            lambda: run_raw(connection, "upsert_coverage", parameters),
        )


def present_by_day(
    connection: Connection, resolution: str, symbols: Sequence[str], sessions: Sequence[TradingSession]
) -> dict[tuple[str, date], int]:
    """The number of bars in the sessions, by symbol and date; with the resolution `quotes`, of minutes with a price.

    The sessions are in order. A session of a fast demo market may end on the exchange's next date.
    """
    query = "quotes_by_day" if resolution == QUOTES else "bars_by_day"
    return _counts_by_day(connection, query, symbols, sessions, {"resolution": resolution})


def replaced_by_day(
    connection: Connection,
    resolution: str,
    symbols: Sequence[str],
    sessions: Sequence[TradingSession],
    replaced_before: datetime | None,
) -> dict[tuple[str, date], int]:
    """Number of 1-minute bars, or minutes with a collected price, replaced by longer bars, by symbol and date.

    `replaced_before`: start of those that are kept; None if all are. Other resolutions are never replaced.
    """
    queries = {QUOTES: "replaced_quotes_by_day", Resolution.MINUTE: "replaced_bars_by_day"}
    if resolution not in queries:
        return {}
    return _counts_by_day(
        connection, queries[resolution], symbols, sessions, {"replaced_before": replaced_before}
    )


def _counts_by_day(
    connection: Connection,
    query: str,
    symbols: Sequence[str],
    sessions: Sequence[TradingSession],
    more: Mapping[str, object],
) -> dict[tuple[str, date], int]:
    """The counts of a query between the edges of sessions, by symbol and date."""
    edges = _edges(sessions)
    arguments = {"symbols": list(symbols), "edges": edges, "start": edges[0], "end": edges[-1], **more}
    counts: Counter[tuple[str, date]] = Counter()
    for symbol, number, count in fetch_rows(connection, query, arguments):
        if (session := _session_at(number, sessions)) is not None:
            counts[symbol, session.session_date] += count
    return counts


def _edges(sessions: Sequence[TradingSession]) -> list[datetime]:
    """Start and end of each session in order; one that overlaps the next ends where that starts."""
    edges: list[datetime] = []
    for number, each in enumerate(sessions, start=1):
        after = sessions[number].start_time if number < len(sessions) else each.end_time
        edges += [each.start_time, min(each.end_time, after)]
    return edges


def _session_at(number: int, sessions: Sequence[TradingSession]) -> TradingSession | None:
    """The session that begins at the edge of this number, from 1; None for an edge that ends a session."""
    return sessions[number // 2] if number % 2 else None


def attempts_by_day(
    connection: Connection, resolution: str, symbols: Sequence[str], first: date, last: date
) -> dict[tuple[str, date], Attempts]:
    """The sessions of symbols that were requested."""
    arguments = {"resolution": resolution, "symbols": list(symbols), "first": first, "last": last}
    rows = fetch_rows(connection, "coverage_attempts", arguments)
    return {(symbol, day): Attempts(count, asked_at, final) for symbol, day, count, asked_at, final in rows}


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """The numbers of stored bars in the sessions of a symbol."""

    bars: Mapping[date, int]
    """Bars within the sessions, by date; dates without bars are absent."""
    held: int
    """From the first opening to the last close, excluding those passed as absent."""


def bars_by_session(
    connection: Connection,
    symbol: str,
    resolution: str,
    sessions: Sequence[TradingSession],
    absent: Sequence[datetime] = (),
) -> SessionCounts:
    """The number of bars of a symbol in sessions, given in order; `absent` are starts of bars not to count."""
    parameters = [symbol.encode(), resolution.encode(), _times(_edges(sessions)), _times(absent)]
    rows = execute(
        "the database did not count the bars of a symbol",
        lambda: fetch_raw(connection, "bars_by_session", parameters),
    )
    bars: Counter[date] = Counter()
    held = 0
    for number, count, present in rows:
        held += int(present or 0)
        if (session := _session_at(int(number or 0), sessions)) is not None:
            bars[session.session_date] += int(count or 0)
    return SessionCounts(bars, held)


def bar_starts(
    connection: Connection, symbol: str, resolution: str, start: datetime, end: datetime
) -> frozenset[datetime]:
    """The starts of the stored bars of a symbol, UTC."""
    arguments = {"symbol": symbol, "resolution": resolution, "start": start, "end": end}
    return frozenset(row[0] for row in fetch_rows(connection, "bar_starts", arguments))


def listed_symbols(connection: Connection) -> tuple[str, ...]:
    """The symbols of the stored constituents that are in the index."""
    return tuple(row[0] for row in fetch_rows(connection, "listed_symbols", {}))


def created_at(connection: Connection) -> datetime:
    """When the tables were created, UTC: nothing was collected before."""
    created: datetime = fetch_rows(connection, "created_at", {})[0][0]
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
