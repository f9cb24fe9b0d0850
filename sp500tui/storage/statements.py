"""Statements, retried after serialization failures and deadlocks; their errors name what failed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from sp500tui.storage.connection import query_error, read_error
from sp500tui.storage.queries import extension_query
from sp500tui.storage.transaction import Arguments, Connection, run

T = TypeVar("T")

_RETRY_SQLSTATES = frozenset({"40001", "40P01"})
"""SQLSTATE `serialization_failure`, ordinary in CockroachDB and on replicas, and `deadlock_detected`."""
_MAX_ATTEMPTS = 6
_MAX_PAUSE = 0.5


def with_retry(statement: Callable[[], T], pause: Callable[[float], object] = time.sleep) -> T:
    """Run a statement, retrying up to five times after a serialization failure or a deadlock.

    A statement that fails in this way has changed nothing and can be retried (PostgreSQL documentation, 13.5).

    Args:
        statement: runs one statement or transaction, which commits by itself.
        pause: sleeps for the given number of seconds.

    Raises:
        psycopg.Error: the last attempt's error, or any other error immediately.
    """
    for attempt in range(_MAX_ATTEMPTS - 1):
        try:
            return statement()
        except psycopg.Error as error:
            if error.sqlstate not in _RETRY_SQLSTATES:
                raise
            pause(random.uniform(0, min(_MAX_PAUSE, 0.02 * 2**attempt)))  # noqa: S311
    return statement()


def execute(failure: str, statement: Callable[[], T]) -> T:
    """Run a statement as `with_retry` does.

    Raises:
        DatabaseError: `failure` and the server's message, with the SQLSTATE.
    """
    try:
        return with_retry(statement)
    except psycopg.Error as error:
        raise query_error(failure, error) from None


def fetch_rows(
    connection: Connection, query: str, arguments: Arguments = None, *, schema: str = ""
) -> list[tuple[Any, ...]]:
    """The rows of a query of `QUERIES`, given by name; one for an extension needs its `schema`.

    Raises:
        DatabaseError: With its SQLSTATE.
    """
    text = extension_query(query, schema)
    try:
        return with_retry(lambda: run(connection, text, arguments).fetchall())
    except psycopg.Error as error:
        raise read_error(f"the database did not answer the query {query}", error) from None
