"""What `sp500tui database status` reports, read from the database."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import connect, query_error
from sp500tui.storage.database import Database
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.reads import LatestTrade, Statistics, latest_trade, statistics
from sp500tui.storage.transaction import Connection, run

_UNDEFINED_TABLE = "42P01"


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The server, the schema and the stored data at one moment."""

    masked_url: str
    embedded: bool
    server_version: str
    schema_version: int | None
    """None before the first run has created the tables; the fields below are None too then."""
    statistics: Statistics | None = None
    latest_trade: LatestTrade | None = None
    constituents: int | None = None


def read_status(database: Database) -> DatabaseStatus:
    """Read the status in a read-only session.

    Raises:
        DatabaseError: The database cannot be reached or read.
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
        )


def _schema_version(connection: Connection) -> int | None:
    try:
        return _number(connection, "schema_version")
    except DatabaseError as error:
        if error.sqlstate == _UNDEFINED_TABLE:
            return None
        raise


def _number(connection: Connection, query: str) -> int | None:
    try:
        row = run(connection, QUERIES[query]).fetchone()
    except psycopg.Error as error:
        raise query_error(f"the query {query} failed", error) from None
    return row[0] if row else None
