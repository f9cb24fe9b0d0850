"""Classification of PostgreSQL errors by SQLSTATE (PostgreSQL documentation, appendix A)."""

from __future__ import annotations

_TRANSIENT_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
"""Connection, rollback, resources, object state, operator intervention, system error."""
_TRANSIENT = frozenset({"25006", "25P03", "25P04"})
"""Read-only transaction; session ended by `idle_in_transaction_session_timeout` or `transaction_timeout`."""
_BAD_ROW_CLASSES = frozenset({"22", "23"})
"""Data exception, integrity constraint violation."""
_SERVER_CLASSES = frozenset(
    # Classes raised by the server itself; errors of all other classes are raised by code in the database.
    "01 02 03 0A 0B 0F 0L 0P 0Z 20 24 25 26 28 2B 2D 2F 34 3B 3D 3F 42 54 72 F0 HV XX".split()  # noqa: SIM905
)
TOO_MANY_CONNECTIONS = "53300"
_OWN = frozenset({TOO_MANY_CONNECTIONS, "57014", "57P05"})
"""No free connection; statement cancelled; session ended by `idle_session_timeout`: other sessions are not affected."""
_OUTAGE_CLASSES = frozenset({"08", "53", "57", "58"})


def is_transient(sqlstate: str | None) -> bool:
    """Whether the same batch may succeed later without a change to it or to the schema.

    A missing SQLSTATE means that the connection broke.
    """
    return sqlstate is None or sqlstate in _TRANSIENT or sqlstate[:2] in _TRANSIENT_CLASSES


def is_outage(sqlstate: str | None) -> bool:
    """Whether an error of one session means that the others cannot use the database either."""
    if sqlstate is None or sqlstate == "25006":
        return True
    return sqlstate[:2] in _OUTAGE_CLASSES and sqlstate not in _OWN


def is_bad_row(sqlstate: str | None) -> bool:
    """Whether a row of the batch caused the error; the remaining rows can be stored without it."""
    return sqlstate is not None and sqlstate[:2] in _BAD_ROW_CLASSES


def may_be_bad_row(sqlstate: str | None) -> bool:
    """Whether code in the database, such as a trigger, raised the error: for one row, or for every row.

    `RAISE EXCEPTION` reports P0001 unless it names another SQLSTATE, which may be of any class.
    """
    return not (is_transient(sqlstate) or is_bad_row(sqlstate) or (sqlstate or "")[:2] in _SERVER_CLASSES)
