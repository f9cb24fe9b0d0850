"""The status of the database, as `sp500tui database status` reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import connect, read_error
from sp500tui.storage.database import Database
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.reads import LatestTrade, Statistics, latest_trade, read_distributed, statistics
from sp500tui.storage.transaction import Connection, run

_UNDEFINED_TABLE = "42P01"
_COUNTED_BARS = 2_000_000
"""Maximum estimated number of bars up to which they are counted; above it the estimate is reported."""


@dataclass(frozen=True, slots=True)
class HistoryTotals:
    """The numbers of rows of the history tables."""

    bars: int
    bars_exact: bool
    """Counted; otherwise the server's estimate."""
    sessions: int
    coverage: int
    corporate_actions: int
    memberships: int


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The server, the schema and the stored data at one moment."""

    masked_url: str
    embedded: bool
    server_version: str
    schema_version: int | None
    """None before the first run has created the tables; the fields below are then also None."""
    statistics: Statistics | None = None
    latest_trade: LatestTrade | None = None
    constituents: int | None = None
    history: HistoryTotals | None = None
    """Also None for a database of a version without these tables."""


def read_status(database: Database) -> DatabaseStatus:
    """Read the status in a read-only session.

    Raises:
        DatabaseError: the database cannot be reached or read.
    """
    with connect(
        database.url, application_name="sp500tui status", statement_timeout=30, read_only=True
    ) as connection:
        version = connection.info.parameter_status("server_version") or "of unknown version"
        schema = _schema_version(connection)
        if schema is None:
            return DatabaseStatus(database.masked_url, database.embedded, version, None)
        return DatabaseStatus(
            database.masked_url,
            database.embedded,
            version,
            schema,
            statistics(connection),
            latest_trade(connection),
            _number(connection, "current_constituents"),
            _history_totals(connection),
        )


def _history_totals(connection: Connection) -> HistoryTotals | None:
    try:
        estimate = _number(connection, "bars_estimate") or 0
    except DatabaseError as error:
        if error.sqlstate == _UNDEFINED_TABLE:
            return None
        raise
    if distributed := read_distributed(connection, "bars_estimate"):
        estimate = distributed[0] or 0
    exact = estimate <= _COUNTED_BARS
    bars = (_number(connection, "bars_count") or 0) if exact else estimate
    return HistoryTotals(bars, exact, *_row(connection, "history_counts"))


def _schema_version(connection: Connection) -> int | None:
    try:
        return _number(connection, "schema_version")
    except DatabaseError as error:
        if error.sqlstate == _UNDEFINED_TABLE:
            return None
        raise


def _number(connection: Connection, query: str) -> int | None:
    row = _row(connection, query)
    return row[0] if row else None


def _row(connection: Connection, query: str) -> tuple[Any, ...]:
    try:
        return run(connection, QUERIES[query]).fetchone() or ()
    except psycopg.Error as error:
        raise read_error(f"the query {query} failed", error) from None
