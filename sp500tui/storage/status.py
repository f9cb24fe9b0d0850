"""`sp500tui database status` and `psql`: the database in words, and the client that opens it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sp500tui.config.child_processes import find_program
from sp500tui.errors import ConfigurationError, DatabaseError
from sp500tui.storage.connection import connect, failure
from sp500tui.storage.database import Database
from sp500tui.storage.embedded.binaries import bin_folder
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.reads import LatestTrade, Statistics, newest, statistics
from sp500tui.storage.transaction import Connection, run

_NO_TABLE = "42P01"


@dataclass(frozen=True, slots=True)
class Status:
    """The database at one moment."""

    masked_url: str
    embedded: bool
    server_version: str
    schema_version: int | None
    """None where the tables have not been made yet; the fields below are None too then."""
    statistics: Statistics | None = None
    newest: LatestTrade | None = None
    constituents: int | None = None

    def lines(self) -> list[str]:
        """The status in words, one fact a line."""
        kind = "embedded" if self.embedded else "by URL"
        lines = [
            f"database      {self.masked_url}",
            f"server        PostgreSQL {self.server_version}, {kind}",
        ]
        if self.statistics is None or self.newest is None:
            return [*lines, "tables        none yet: the first run makes them"]
        total = self.statistics.total
        size = "" if total.bytes is None else f", {total.bytes / 1e6:,.1f} MB"
        when = self.newest.quote_time
        return [
            *lines,
            f"schema        version {self.schema_version}",
            f"prices        {'' if total.exact else 'about '}{total.rows:,} rows{size}",
            f"symbols       {self.newest.symbols:,} with a price",
            f"newest trade  {when:%Y-%m-%d %H:%M:%S} UTC" if when else "newest trade  none",
            f"constituents  {self.constituents:,}",
            f"connections   {self.statistics.connections} of {self.statistics.max_connections}",
        ]

    def as_json(self) -> dict[str, object]:
        """The status as one object; what is not known is null, times are ISO 8601 in UTC."""
        statistics, newest = self.statistics, self.newest
        return {
            "url": self.masked_url,
            "embedded": self.embedded,
            "server_version": self.server_version,
            "schema_version": self.schema_version,
            "rows": statistics.total.rows if statistics else None,
            "rows_exact": statistics.total.exact if statistics else None,
            "bytes": statistics.total.bytes if statistics else None,
            "distributed": statistics.total.distributed if statistics else None,
            "symbols": newest.symbols if newest else None,
            "newest_trade": newest.quote_time.isoformat() if newest and newest.quote_time else None,
            "constituents": self.constituents,
            "connections": statistics.connections if statistics else None,
            "max_connections": statistics.max_connections if statistics else None,
        }


def status(database: Database) -> Status:
    """Look at the database without changing anything.

    Raises:
        DatabaseError: where it cannot be reached or read.
    """
    with connect(
        database.url, application_name="sp500tui status", statement_timeout=30, read_only=True
    ) as connection:
        version = connection.info.parameter_status("server_version") or "of unknown version"
        schema = _schema_version(connection)
        if schema is None:
            return Status(database.masked_url, database.embedded, version, None)
        return Status(
            database.masked_url,
            database.embedded,
            version,
            schema,
            statistics(connection),
            newest(connection),
            _number(connection, "constituents_in_force"),
        )


def psql_command(database: Database, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command line of `psql` for this database and its environment; the password is in the latter alone.

    Raises:
        ConfigurationError: where there is no `psql`.
    """
    parameters = conninfo_to_dict(database.url)
    password = parameters.pop("password", None)
    # psql asks for the password of a client key itself.
    parameters.pop("sslpassword", None)
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    return [_psql(), "-d", make_conninfo("", **parameters), *arguments], environment


def _psql() -> str:
    found = find_program("psql")
    if found:
        return found
    try:
        bundled = bin_folder() / "psql"
    except ConfigurationError:
        bundled = None
    if bundled is None or not bundled.exists():
        raise ConfigurationError("there is no psql on PATH; install PostgreSQL's client (postgresql-client)")
    return str(bundled)


def _schema_version(connection: Connection) -> int | None:
    try:
        return _number(connection, "schema_version")
    except DatabaseError as error:
        if error.sqlstate == _NO_TABLE:
            return None
        raise


def _number(connection: Connection, query: str) -> int | None:
    try:
        row = run(connection, QUERIES[query]).fetchone()
    except psycopg.Error as error:
        raise failure(f"the database did not answer the query {query}", error) from None
    return row[0] if row else None
