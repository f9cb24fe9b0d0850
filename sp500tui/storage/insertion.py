"""Writing: price rows in batches, the list of constituents, and the symbols asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from weakref import WeakSet

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from sp500tui.domain import Constituent
from sp500tui.storage.connection import Connection, failure
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.repetition import repeated
from sp500tui.storage.rows import parameters

_INSERT = QUERIES["insert_prices"].encode()
_NAME = b"insert_prices"
_UNKNOWN_STATEMENT, _KNOWN_STATEMENT = b"26000", b"42P05"
"""SQLSTATE `invalid_sql_statement_name`, `duplicate_prepared_statement`."""
_prepared: WeakSet[Connection] = WeakSet()
"""The connections whose session knows the statement."""


def insert(connection: Connection, payload: bytes) -> int:
    """Store one batch in one atomic statement; returns how many of its rows were new.

    When it returns, the rows are committed. When it raises, none is, or, where the connection broke, all may be:
    sending the batch again is harmless. One thread at a time may use the connection.

    Raises:
        DatabaseError: with its SQLSTATE, for `is_transient` and `is_bad_row`.
    """
    columns = parameters(payload)
    try:
        if connection not in _prepared:
            _prepare(connection.pgconn)
            _prepared.add(connection)
        return repeated(lambda: _execute(connection.pgconn, columns))
    except psycopg.Error as error:
        raise failure("the database did not store a batch", error) from None


def _execute(pgconn: PGconn, columns: Sequence[bytes]) -> int:
    # Below psycopg's cursor: the columns go out as they lie there, at half the cost a row.
    result = pgconn.exec_prepared(_NAME, columns)
    if result.error_field(DiagnosticField.SQLSTATE) == _UNKNOWN_STATEMENT:
        # A pooler has put another session behind this connection.
        result = pgconn.exec_params(_INSERT, columns)
    return result.command_tuples or _done(result)


def _prepare(pgconn: PGconn) -> None:
    result = pgconn.prepare(_NAME, _INSERT)
    if result.error_field(DiagnosticField.SQLSTATE) != _KNOWN_STATEMENT:
        _done(result)


def _done(result: PGresult) -> int:
    """0 for a success; the error of a failure is raised."""
    if result.status != ExecStatus.COMMAND_OK:
        raise error_from_result(result, "utf-8")
    return 0


def upsert_constituents(
    connection: Connection, constituents: Iterable[Constituent], seen_at: datetime
) -> None:
    """Record the list of constituents as seen at `seen_at`; a known one keeps its first_seen.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    listed = sorted({(one.symbol, one.cik): one for one in constituents}.items())
    columns = ("symbol", "cik", "name", "sector", "sub_industry", "headquarters", "founded", "date_added")
    values: dict[str, object] = {column: [getattr(one, column) for _, one in listed] for column in columns}
    _store(connection, "upsert_constituents", {**values, "seen_at": seen_at})


def note_symbols(connection: Connection, symbols: Iterable[str]) -> None:
    """Record the symbols that prices are asked for, listed or not.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    _store(connection, "note_symbols", {"symbols": sorted(set(symbols))})


def _store(connection: Connection, query: str, values: Mapping[str, object]) -> None:
    try:
        repeated(lambda: connection.execute(QUERIES[query], values))
    except psycopg.Error as error:
        raise failure("the database did not store the list of constituents", error) from None
