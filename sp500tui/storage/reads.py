"""Read queries of the screens and of `database status`; their SQL is in `queries/read`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sp500tui.errors import DatabaseError
from sp500tui.model import ConvertedQuote, Quote
from sp500tui.storage.statements import fetch_rows
from sp500tui.storage.transaction import Connection

_NO_SUCH_FUNCTION = "42883"
MAX_POINTS = 2000
MAX_ROWS = 200
COUNTED_BYTES = 256 * 2**20
"""Maximum size in bytes of a table whose rows are counted, not estimated: about 1.5 million rows, 0.1 s."""


@dataclass(frozen=True, slots=True)
class PricePoint:
    """One point of a symbol's price chart."""

    time: datetime
    """Time of the trade, UTC."""
    price: Decimal
    converted_price: Decimal | None
    volume: int | None
    market_state: str


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of `prices` as stored; times in UTC."""

    symbol: str
    quote_time: datetime
    price: Decimal
    change: Decimal | None
    percent_change: Decimal | None
    currency: str
    converted_price: Decimal | None
    converted_currency: str
    fx_rate: Decimal | None
    market_state: str
    volume: int | None
    fetched_at: datetime
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class RowTotal:
    """The size of `prices`."""

    rows: int
    exact: bool
    """Counted; otherwise the server's estimate."""
    bytes: int | None
    """On disk, index included; None if the server does not report it."""
    distributed: bool = False
    """Whether the table is sharded or partitioned by an extension, so that the server's own counters miss its rows."""


@dataclass(frozen=True, slots=True)
class LatestTrade:
    """The newest stored trade."""

    symbols: int
    """Symbols with at least one price."""
    quote_time: datetime | None
    """Newest trade, UTC."""
    stored_at: datetime | None
    """When the newest row was stored, by the server's clock, UTC."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The server and the table at one moment."""

    total: RowTotal
    version: str
    taken_at: datetime
    """By the server's clock, UTC."""
    connections: int
    max_connections: int
    inserted: int | None
    """Rows inserted since the statistics were reset; lags by up to a second.

    None if the server does not count them: on a replica, or in a distributed table.
    """


@dataclass(frozen=True, slots=True)
class LatestRows:
    """The latest row of each of some symbols, as values of the pipeline."""

    rows: tuple[ConvertedQuote, ...]
    stored_at: datetime | None
    """When the last of them was stored, by the server's clock, UTC; None without rows."""


def history(
    connection: Connection, symbol: str, since: datetime, points: int = MAX_POINTS
) -> tuple[PricePoint, ...]:
    """A symbol's prices since `since`, oldest first, thinned evenly to `points` (at most 2000).

    Raises:
        DatabaseError: with its SQLSTATE, as in every function of this module.
    """
    arguments = {"symbol": symbol, "since": since, "points": max(1, min(points, MAX_POINTS))}
    return tuple(PricePoint(*row) for row in fetch_rows(connection, "history", arguments))


def last_rows(connection: Connection, symbol: str | None, limit: int) -> tuple[StoredRow, ...]:
    """The newest rows, of one symbol or of all, newest trade first; at most 200."""
    arguments: dict[str, object] = {"limit": max(1, min(limit, MAX_ROWS))}
    if symbol is None:
        rows = fetch_rows(connection, "last_rows", arguments)
    else:
        rows = fetch_rows(connection, "last_rows_of_symbol", {**arguments, "symbol": symbol})
    return tuple(StoredRow(*row) for row in rows)


def row_total(connection: Connection) -> RowTotal:
    """The number of rows: counted while the table is small, otherwise estimated from the server's last ANALYZE."""
    try:
        table, with_key, estimate = fetch_rows(connection, "table_size")[0]
    except DatabaseError as error:
        if error.sqlstate != _NO_SUCH_FUNCTION:
            raise
        # A PostgreSQL-compatible database without the size functions.
        return RowTotal(fetch_rows(connection, "row_count")[0][0], exact=True, bytes=None)
    distributed = read_distributed(connection, "table_size")
    if distributed is not None:
        table, with_key, estimate = distributed
    counted = table <= COUNTED_BYTES or estimate is None
    rows = fetch_rows(connection, "row_count")[0][0] if counted else estimate
    return RowTotal(rows, exact=counted, bytes=with_key, distributed=distributed is not None)


def read_distributed(connection: Connection, query: str) -> tuple[Any, ...] | None:
    """The row of a query for a table that an extension distributes or partitions; None if no extension does.

    The server's own catalog describes such a table without its rows, which are in shards or chunks.
    """
    for extension, schema in fetch_rows(connection, "extensions"):
        for row in fetch_rows(connection, f"{query}_{extension}", schema=schema):
            return row
    return None


def row_count(connection: Connection) -> int:
    """The number of rows, estimated for a large table."""
    return row_total(connection).rows


def latest_trade(connection: Connection) -> LatestTrade:
    """The newest trade and the number of symbols that have a price."""
    return LatestTrade(*fetch_rows(connection, "latest_trade")[0])


def statistics(connection: Connection) -> Statistics:
    """The current statistics of the server and the table."""
    version, taken_at, connections, most, inserted = fetch_rows(connection, "server")[0]
    total = row_total(connection)
    counts = not total.distributed and not fetch_rows(connection, "is_replica")[0][0]
    return Statistics(total, version, taken_at, connections, most, inserted if counts else None)


def price_keys(connection: Connection, since: datetime) -> tuple[int, int]:
    """The numbers of rows and of distinct keys stored at `since` or later."""
    rows, keys = fetch_rows(connection, "price_keys", {"since": since})[0]
    return rows, keys


def latest_since(connection: Connection, since: datetime) -> LatestRows:
    """The latest row of each symbol that was stored at `since` or later."""
    found = fetch_rows(connection, "latest_since", {"since": since})
    stored_at = max((row[-1] for row in found), default=None)
    return LatestRows(tuple(_converted_quote(row) for row in found), stored_at)


def insert_rate(earlier: Statistics, later: Statistics) -> float | None:
    """Rows inserted per second between two readings; None if it cannot be computed."""
    seconds = (later.taken_at - earlier.taken_at).total_seconds()
    if (
        earlier.inserted is None
        or later.inserted is None
        or seconds <= 0
        or later.inserted < earlier.inserted
    ):
        return None
    return (later.inserted - earlier.inserted) / seconds


def _converted_quote(row: Sequence[Any]) -> ConvertedQuote:
    symbol, price, change, percent, currency, time, state, volume, fetched_at, *converted, _ = row
    quote = Quote(symbol, price, change, percent, currency, time, state, volume, fetched_at)
    converted_price, converted_currency, rate, rate_time = converted
    return ConvertedQuote(quote, converted_price, converted_currency, rate, rate_time)
