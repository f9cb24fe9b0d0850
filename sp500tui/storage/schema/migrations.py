"""Schema migrations: SQL files of this folder, each applied once, in order."""

from __future__ import annotations

import random
import re
import time
from collections import defaultdict
from functools import cache
from pathlib import Path

import psycopg

from sp500tui.errors import DatabaseError
from sp500tui.logs.redaction import redact_url
from sp500tui.storage.connection import connect, query_error, read_error
from sp500tui.storage.errors import is_transient
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.transaction import Connection, run, transaction

_FOLDER = Path(__file__).parent
_MAX_ATTEMPTS = 20
_CONCURRENT_DDL_SQLSTATES = frozenset({"23505", "42P07", "42710", "XX000"})
"""Errors of a concurrent CREATE … IF NOT EXISTS: unique violation, duplicate table or object, tuple updated."""
_NO_SCHEMA = "3F000"
_UNDEFINED_COLUMN = "42703"
_UNDEFINED_TABLE = "42P01"
_NAME_TAKEN_SQLSTATES = frozenset({"42710", "42809", "42P07", "42P16"})
"""Errors for an existing object of another kind or definition than a migration would create."""
_READ_ONLY_SQLSTATES = frozenset({"42501", "25006"})
_CREATED_TABLE = re.compile(
    r"^CREATE TABLE IF NOT EXISTS public\.(\w+) \(\n(.*?)\n\)", re.MULTILINE | re.DOTALL
)
_COLUMN = re.compile(r"^    ([a-z_]+) ", re.MULTILINE)

_CREATE_VERSIONS = """
CREATE TABLE IF NOT EXISTS public.schema_version (
    version    integer     NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_CLAIM = "INSERT INTO public.schema_version (version, name) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING version"


def apply_schema(url: str) -> bool:
    """Migrate the database to this version's schema and check that it can be written; returns whether it was outdated.

    Programs that start concurrently apply each file once: the row of its version in `schema_version` is the lock. A
    database that is up to date requires no CREATE privilege.

    Raises:
        ConfigurationError: the URL is malformed.
        DatabaseError: the database cannot be reached, or its user may not create or write the tables.
    """
    with connect(url, application_name="sp500tui schema") as connection:
        for attempt in range(_MAX_ATTEMPTS):
            try:
                _check_writable(connection, url)
                _check_table_ownership(connection, url)
                migrated = _apply_pending(connection)
                _check_write_access(connection, url)
            except psycopg.Error as error:
                if attempt + 1 == _MAX_ATTEMPTS or connection.broken or not _is_retryable(error):
                    raise _describe_error(url, error) from None
                time.sleep(random.uniform(0.01, 0.1))  # noqa: S311
            else:
                return migrated
    return False


def is_migrated(connection: Connection) -> bool:
    """Whether all migrations of this version were applied.

    Raises:
        psycopg.Error: the database does not answer.
    """
    return _files().keys() <= _applied_versions(connection)


def _files() -> dict[int, Path]:
    """The migrations by version, in their order."""
    return {int(path.name.partition("_")[0]): path for path in sorted(_FOLDER.glob("*.sql"))}


def _apply_pending(connection: Connection) -> bool:
    applied = _applied_versions(connection)
    files = _files()
    if applied and max(applied) > max(files):
        raise DatabaseError(
            "the database was created by a newer version of sp500tui; update this one or use another database"
        )
    missing = {version: path for version, path in files.items() if version not in applied}
    if not missing:
        return False
    run(connection, _CREATE_VERSIONS)
    for version, path in missing.items():
        with transaction(connection):
            if connection.execute(_CLAIM, (version, path.stem)).fetchone():
                connection.execute(path.read_text("utf-8"))
    return True


def _applied_versions(connection: Connection) -> set[int]:
    try:
        return {row[0] for row in run(connection, "SELECT version FROM public.schema_version")}
    except psycopg.errors.UndefinedTable:
        return set()


@cache
def _created_tables() -> dict[str, frozenset[str]]:
    """The tables that the migrations create, with their initial columns."""
    scripts = "\n".join([_CREATE_VERSIONS, *(path.read_text("utf-8") for path in _FOLDER.glob("*.sql"))])
    return {table: frozenset(_COLUMN.findall(columns)) for table, columns in _CREATED_TABLE.findall(scripts)}


def _check_table_ownership(connection: Connection, url: str) -> None:
    """Fail if a relation with the name of a table exists that lacks one of its columns."""
    tables = _created_tables()
    present: defaultdict[str, set[str]] = defaultdict(set)
    for table, column in run(connection, QUERIES["columns_of_tables"], (list(tables),)):
        present[table].add(column)
    for table, columns in present.items():
        if lacking := sorted(tables[table] - columns):
            raise DatabaseError(
                f"the database {redact_url(url)} has a table public.{table} of another program, without the column "
                f"{lacking[0]}; use another database",
                _UNDEFINED_COLUMN,
            )


def _check_writable(connection: Connection, url: str) -> None:
    """Fail if the server or the session is read-only."""
    standby, read_only = run(connection, QUERIES["read_only"]).fetchone() or (False, False)
    if standby:
        raise DatabaseError(
            f"the database {redact_url(url)} is a standby, which is read-only; use the address of its primary",
            "25006",
        )
    if read_only:
        raise DatabaseError(
            f"the database {redact_url(url)} is read-only: default_transaction_read_only is on for the server, the "
            "database, the role or the session; turn it off, or use another user",
            "25006",
        )


def _check_write_access(connection: Connection, url: str) -> None:
    if not all(run(connection, QUERIES["may_write"]).fetchone() or (False,)):
        raise _missing_privileges(url, "42501")


def _is_retryable(error: psycopg.Error) -> bool:
    return error.sqlstate in _CONCURRENT_DDL_SQLSTATES or (
        is_transient(error.sqlstate) and error.sqlstate not in _READ_ONLY_SQLSTATES
    )


def _describe_error(url: str, error: psycopg.Error) -> DatabaseError:
    if error.sqlstate in _READ_ONLY_SQLSTATES:
        return _missing_privileges(url, error.sqlstate or "42501")
    if error.sqlstate == _NO_SCHEMA:
        return DatabaseError(
            f"the database {redact_url(url)} has no schema public, which holds the tables; "
            "run CREATE SCHEMA public in it",
            error.sqlstate,
        )
    if error.sqlstate == _UNDEFINED_TABLE:
        return read_error(f"the database {redact_url(url)} lacks a table that was created before", error)
    shared = (
        ", which another program uses; use another one" if error.sqlstate in _NAME_TAKEN_SQLSTATES else ""
    )
    return query_error(f"the tables could not be created in the database {redact_url(url)}{shared}", error)


def _missing_privileges(url: str, sqlstate: str) -> DatabaseError:
    return DatabaseError(
        f"the user of the database {redact_url(url)} may only read it; "
        "grant it CREATE on the schema public (first run) or INSERT and UPDATE on its tables, or use another user",
        sqlstate,
    )
