"""Repeating a statement that the server itself asks to be with_retry."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

T = TypeVar("T")

_RETRY_SQLSTATES = frozenset({"40001", "40P01"})
"""SQLSTATE `serialization_failure`, ordinary in CockroachDB and on replicas, and `deadlock_detected`."""
_MAX_ATTEMPTS = 6
_MAX_PAUSE = 0.5


def with_retry(statement: Callable[[], T], pause: Callable[[float], object] = time.sleep) -> T:
    """What the statement returns, asked again up to five times where it lost against another transaction.

    Such a statement has changed nothing, so that repeating it is harmless (PostgreSQL documentation, 13.5).

    Args:
        statement: One statement, or one transaction, that commits by itself.
        pause: Waits so many seconds.

    Raises:
        psycopg.Error: of the last attempt, or any other at once.
    """
    for attempt in range(_MAX_ATTEMPTS - 1):
        try:
            return statement()
        except psycopg.Error as error:
            if error.sqlstate not in _RETRY_SQLSTATES:
                raise
            pause(random.uniform(0, min(_MAX_PAUSE, 0.02 * 2**attempt)))  # noqa: S311
    return statement()
