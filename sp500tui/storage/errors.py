"""Classification of PostgreSQL errors by SQLSTATE (PostgreSQL documentation, appendix A)."""

from __future__ import annotations

_TRANSIENT_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
"""Connection, rollback, resources, object state, operator intervention, system error."""
_TRANSIENT = frozenset({"25006", "25P03", "25P04"})
"""Read-only transaction; session ended by `idle_in_transaction_session_timeout` or `transaction_timeout`."""
_BAD_ROW_CLASSES = frozenset({"22", "23", "P0"})
"""Data exception, integrity constraint violation, exception raised by a trigger in PL/pgSQL."""


def is_transient(sqlstate: str | None) -> bool:
    """Whether the same batch may succeed later without a change to it or to the schema.

    A missing SQLSTATE means that the connection broke.
    """
    return sqlstate is None or sqlstate in _TRANSIENT or sqlstate[:2] in _TRANSIENT_CLASSES


def is_bad_row(sqlstate: str | None) -> bool:
    """Whether a row of the batch caused the error; the remaining rows can be stored without it."""
    return sqlstate is not None and sqlstate[:2] in _BAD_ROW_CLASSES
