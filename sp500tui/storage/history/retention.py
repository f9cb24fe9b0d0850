"""Replaces old prices by 1-minute bars, and old 1-minute bars by 15-minute bars."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import query_error
from sp500tui.storage.queries import QUERIES, extension_query
from sp500tui.storage.statements import with_retry
from sp500tui.storage.transaction import Connection, run, transaction

_log = logging.getLogger(__name__)

_PORTION = timedelta(days=1)
"""Longest time range of one symbol replaced by one transaction."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """How the old rows of one table are replaced."""

    rows: str
    """`prices` or `bars`; the suffix of its query names."""
    oldest: str
    width: timedelta
    """Length of the bars that replace them."""


PRICES = Replacement("prices", "oldest_price", timedelta(minutes=1))
MINUTE_BARS = Replacement("bars", "oldest_bar", timedelta(minutes=15))


def replace_old(
    connection: Connection,
    replacement: Replacement,
    cutoff: datetime,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Replace every row before `cutoff` by bars; returns the number of rows deleted.

    One transaction stores the bars of one symbol and day and deletes the rows from which they were made, so no row is
    deleted without its bar. `cancelled` is called between transactions. With TimescaleDB, the emptied chunks of prices
    are dropped at the end; those of bars also contain the longer bars of their time range.

    Raises:
        DatabaseError: with its SQLSTATE; earlier replacements remain.
    """
    # A bar is made from all of its rows at once.
    cutoff = datetime.fromtimestamp(
        cutoff.timestamp() // replacement.width.total_seconds() * replacement.width.total_seconds(),
        cutoff.tzinfo,
    )
    deleted = 0
    try:
        hypertable_schema = _hypertable_schema(connection) if replacement is PRICES else None
        symbols = f"symbols_with_{replacement.rows}{'_timescaledb' if hypertable_schema else ''}"
        for (symbol,) in _rows(connection, symbols, {"cutoff": cutoff}):
            kept: datetime | None = None
            while not cancelled():
                found = _rows(connection, replacement.oldest, {"symbol": symbol})
                if not found or found[0][0] >= cutoff:
                    break
                oldest = found[0][0]
                if oldest == kept:
                    raise _not_deleted(replacement, symbol)
                replaced = _replace_portion(connection, replacement, symbol, oldest, cutoff)
                # If another program has deleted them concurrently, the oldest rows have changed.
                kept = None if replaced else oldest
                deleted += replaced
        if deleted and hypertable_schema:
            _drop_chunks(connection, hypertable_schema, cutoff)
    except psycopg.Error as error:
        raise query_error(f"old {replacement.rows} could not be replaced by bars", error) from None
    return deleted


def _not_deleted(replacement: Replacement, symbol: str) -> DatabaseError:
    return DatabaseError(
        f"old {replacement.rows} of {symbol} were not deleted; check for a trigger or a row policy of the database "
        "that keeps them"
    )


def _replace_portion(
    connection: Connection, replacement: Replacement, symbol: str, oldest: datetime, cutoff: datetime
) -> int:
    start = oldest.replace(hour=0, minute=0, second=0, microsecond=0)
    arguments = {"symbol": symbol, "start": start, "end": min(start + _PORTION, cutoff)}

    def once() -> int:
        # Deletes no row that was committed after the bars were made.
        with transaction(connection, repeatable=True):
            connection.execute(QUERIES[f"roll_up_{replacement.rows}"], arguments)
            return connection.execute(QUERIES[f"delete_{replacement.rows}"], arguments).rowcount

    return with_retry(once)


def _hypertable_schema(connection: Connection) -> str | None:
    """The schema of TimescaleDB's functions where prices are a hypertable, otherwise None."""
    schema: str | None = dict(_rows(connection, "extensions")).get("timescaledb")
    if schema and ("prices",) in _rows(connection, "distributed_tables_timescaledb"):
        return schema
    return None


def _drop_chunks(connection: Connection, schema: str, cutoff: datetime) -> None:
    """Drop the emptied chunks of a hypertable.

    None if a price arrived late, which the next run replaces first, or while a query reads one of the chunks: writers
    would wait for its end.
    """

    def once() -> None:
        with transaction(connection):
            connection.execute(QUERIES["limit_lock_wait"])
            connection.execute(QUERIES["lock_prices"])
            older = connection.execute(QUERIES["has_older_prices"], {"cutoff": cutoff}).fetchone()
            if older == (False,):
                connection.execute(extension_query("drop_chunks_prices", schema), {"cutoff": cutoff})

    try:
        with_retry(once)
    except psycopg.errors.LockNotAvailable:
        _log.info(
            "the emptied chunks of prices are used by another session; they are dropped at a later time"
        )


def _rows(
    connection: Connection, query: str, arguments: dict[str, object] | None = None
) -> list[tuple[Any, ...]]:
    return with_retry(lambda: run(connection, QUERIES[query], arguments).fetchall())
