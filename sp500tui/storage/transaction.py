"""Transactions that leave no state in the session, which a connection pooler may share with other programs.

Every statement runs inside an explicit transaction with its own timeouts (`SET LOCAL`), read-only if the
connection is. A pooler in transaction mode (PgBouncer) assigns a session for one transaction; a session setting would
reach the next program. Values are received in binary format, which no session setting affects.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from sp500tui.storage.queries import QUERIES

Arguments = Mapping[str, object] | Sequence[object] | None
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_SETTINGS = QUERIES["transaction_settings"]
_RAW_SETTINGS = _SETTINGS.replace("%s", "$1").encode()
_PREPARE_INDEX = 2
"""Index of the result of preparing the statement, if it is prepared."""
_MIN_RESULTS = 4
"""Minimum number of commands that `_send` sends."""
_END_WAIT = 1000
"""Milliseconds to wait for the end of the connection after the last message of a session that the server ends."""
_MAX_IDLE_READS = 16
"""More reads than needed for the last messages of a session that the server ends."""
# When a statement of a pipeline fails, psycopg raises its error and also warns about the commands skipped.
logging.getLogger("psycopg").setLevel(logging.ERROR)
_IN_TRANSACTION = (TransactionStatus.INERROR, TransactionStatus.INTRANS)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection in autocommit mode; statements are executed by `run`, `run_raw` or in `transaction`."""

    statement_timeout: float = 0
    """Timeout of a statement, in seconds; 0 for none."""
    prepared: set[str]
    """Names of the statements that `run_raw` has prepared."""


def has_ended(connection: Connection) -> bool:
    """Whether an idle connection is closed: by this program, or by the server or a pooler in the meantime.

    They do so after `idle_session_timeout` or a similar limit. A statement on it would fail as in an outage.
    """
    if connection.closed:
        return True
    pgconn = connection.pgconn
    poller = select.poll()
    wait = 0
    try:
        poller.register(pgconn.socket, select.POLLIN)
        for _ in range(_MAX_IDLE_READS):
            if not poller.poll(wait):
                break
            pgconn.consume_input()
            wait = _END_WAIT
    except psycopg.OperationalError:
        return True
    return connection.closed


def run(connection: Connection, query: str, arguments: Arguments = None) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run one statement in its own transaction, in one round trip.

    Args:
        connection: the connection, outside a transaction.
        query: one SQL statement.
        arguments: its parameters.

    Raises:
        psycopg.Error: nothing was changed; after a broken connection, the statement may have been committed.
    """
    mode = " READ ONLY" if connection.read_only else ""
    cursor = connection.cursor(binary=True)
    try:
        with connection.pipeline():
            connection.execute(f"{_BEGIN}{mode}")
            _apply_settings(connection)
            cursor.execute(query, arguments)
            connection.execute("COMMIT")
    finally:
        # A failed statement aborts the COMMIT after it in the pipeline.
        if connection.info.transaction_status in _IN_TRANSACTION:
            connection.rollback()
    return cursor


@contextmanager
def transaction(connection: Connection, *, repeatable: bool = False) -> Iterator[None]:
    """Run the statements of the block in one transaction.

    `repeatable`: they all see the rows that were committed before the first one, and fail with SQLSTATE 40001 if they
    would change rows committed later.
    """
    with connection.transaction():
        if repeatable:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _apply_settings(connection)
        yield


def run_together(connection: Connection, queries: Sequence[str], arguments: Arguments) -> None:
    """Run statements of `QUERIES`, given by name, in one transaction, all with the same parameters.

    Raises:
        psycopg.Error: see `run`.
    """
    with transaction(connection):
        for query in queries:
            connection.execute(QUERIES[query], arguments)


def run_raw(connection: Connection, name: str, parameters: Sequence[bytes]) -> int:
    """Run a statement of `QUERIES` like `run`, at a third of its cost; returns the number of affected rows.

    Uses libpq directly: the parameters are sent unchanged, in text format, for the placeholders `$1`, `$2`, ...

    Raises:
        psycopg.Error: see `run`.
    """
    return _retried_raw(connection, name, parameters).command_tuples or 0


def fetch_raw(
    connection: Connection, name: str, parameters: Sequence[bytes]
) -> list[tuple[bytes | None, ...]]:
    """Run a statement like `run_raw`; returns its rows, in text format.

    Raises:
        psycopg.Error: see `run`.
    """
    result = _retried_raw(connection, name, parameters)
    columns = range(result.nfields)
    return [tuple(result.get_value(row, column) for column in columns) for row in range(result.ntuples)]


def _retried_raw(connection: Connection, name: str, parameters: Sequence[bytes]) -> PGresult:
    try:
        return _run_raw(connection, name, parameters)
    except (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement):
        # Another program uses this session too: a pooler that forwards backend process ids.
        connection.prepare_threshold = None
        connection.prepared.clear()
        return _run_raw(connection, name, parameters)


def _run_raw(connection: Connection, name: str, parameters: Sequence[bytes]) -> PGresult:
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    try:
        prepares = _send(connection, name, parameters)
        results = _results(pgconn)
    finally:
        with suppress(psycopg.OperationalError):
            pgconn.exit_pipeline_mode()
        if pgconn.transaction_status in _IN_TRANSACTION:
            pgconn.exec_(b"ROLLBACK")
    for index, result in enumerate(results):
        raise_on_error(result)
        if prepares and index == _PREPARE_INDEX:
            # A prepared statement outlives its transaction, even a failed one.
            connection.prepared.add(name)
    if len(results) < _MIN_RESULTS:
        raise psycopg.OperationalError(pgconn.get_error_message())
    return results[-2]


def _send(connection: Connection, name: str, parameters: Sequence[bytes]) -> bool:
    """Send the commands of the transaction; returns whether the statement is prepared by one of them."""
    pgconn, statement = connection.pgconn, QUERIES[name].encode()
    prepares = connection.prepare_threshold is not None and name not in connection.prepared
    pgconn.send_query_params(_BEGIN.encode(), None)
    pgconn.send_query_params(_RAW_SETTINGS, [_milliseconds(connection).encode()])
    if prepares:
        # After the settings, because parsing waits for locks too.
        pgconn.send_prepare(name.encode(), statement)
    if prepares or name in connection.prepared:
        pgconn.send_query_prepared(name.encode(), parameters)
    else:
        pgconn.send_query_params(statement, parameters)
    pgconn.send_query_params(b"COMMIT", None)
    pgconn.pipeline_sync()
    return prepares


def _results(pgconn: PGconn) -> list[PGresult]:
    """The results up to the pipeline's synchronization point."""
    results: list[PGresult] = []
    while (result := _next_result(pgconn)) is None or result.status != ExecStatus.PIPELINE_SYNC:
        if result is not None:
            results.append(result)
        elif pgconn.status != ConnStatus.OK:
            break
    return results


def _next_result(pgconn: PGconn) -> PGresult | None:
    """The next result; None after those of a command.

    `get_result` would wait for it with the interpreter lock held: the program would block until the server answers, and
    forever if the server waits for another transaction of this program.
    """
    with suppress(psycopg.OperationalError):  # a broken connection is reported by the result
        while (unsent := bool(pgconn.flush())) or pgconn.is_busy():
            poller = select.poll()
            poller.register(pgconn.socket, select.POLLIN | select.POLLOUT if unsent else select.POLLIN)
            poller.poll()
            pgconn.consume_input()
    return pgconn.get_result()


def raise_on_error(result: PGresult) -> None:
    """Raise the error of a failed command.

    Raises:
        psycopg.Error: the class of its SQLSTATE.
    """
    if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        raise error_from_result(result, "utf-8")


def _apply_settings(connection: Connection) -> None:
    connection.execute(_SETTINGS, (_milliseconds(connection),))


def _milliseconds(connection: Connection) -> str:
    return str(round(connection.statement_timeout * 1000))
