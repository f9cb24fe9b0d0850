"""Connections to PostgreSQL, and one-line error messages."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sp500tui.errors import DatabaseError
from sp500tui.logs.redaction import one_line, redact_url
from sp500tui.storage.adaptation import register_loaders
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.transaction import Connection, has_ended, transaction
from sp500tui.storage.url import NO_PASSFILE, check_url, invalid_value_message, unusable_passfile

_log = logging.getLogger(__name__)

_MAX_LENGTH = 300
_KEEPALIVE = {
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Detects a vanished peer within about 30 s; in seconds, `tcp_user_timeout` in milliseconds."""
_SQL_ASCII = "SQL_ASCII"
_PREPARE_THRESHOLD = 5
"""Executions after which a statement is prepared by name; psycopg's default."""
_NO_PRIVILEGE = "42501"
_UNDEFINED_TABLE = "42P01"
_AMBIGUOUS_SQLSTATES = (None, "08P01")
"""SQLSTATEs that do not identify the cause: libpq sets none before log-in, PgBouncer 08P01 for every error."""

_CAUSES = (
    (
        "transaction blocks not allowed in statement pooling",
        "0A000",
        "is behind a pooler in statement mode; set pool_mode = transaction (or session) for it",
    ),
    (
        "unsupported startup parameter",
        "0A000",
        "is behind a pooler that refuses a parameter of the URL or PGOPTIONS; see its ignore_startup_parameters",
    ),
    (
        "conversion between .* is not supported",
        "0A000",
        "has an encoding that cannot be converted to UTF-8; use a database with another encoding",
    ),
    (
        'for parameter "|configuration parameter|invalid command-line|cannot be changed|set parameter|requires a ',
        "08001",
        "refuses a setting of the session; correct PGOPTIONS, PGTZ, PGDATESTYLE, PGGEQO or options= in the URL",
    ),
    (
        "service .* not found|service file|service specifications",
        "08001",
        "is named by a service that cannot be read; correct PGSERVICE, PGSERVICEFILE or service= in the URL",
    ),
    (
        "(password|SASL) authentication failed",
        "28P01",
        "refuses the password; correct it in the URL, PGPASSWORD or .pgpass",
    ),
    (
        "no password supplied",
        "28P01",
        "requires a password; give it in the URL, PGPASSWORD, .pgpass or ?passfile=",
    ),
    ("no pg_hba.conf entry", "28000", "rejects connections from this host; add an entry to its pg_hba.conf"),
    ("peer authentication failed", "28000", "accepts only its owner; run as that user"),
    (
        "too many (clients|connections)|no more connections allowed",
        "53300",
        "has no connection left; raise its limit or use fewer writers",
    ),
    ("connection slots", "53300", "has no connection left; raise its limit or use fewer writers"),
    (
        "local user with ID .* does not exist",
        "28000",
        "needs a user name, since this user id has none: write postgresql://user@host:5432/database",
    ),
    ('role ".*" does not exist|no such user', "28000", "does not know the user; correct the URL"),
    (
        'database ".*" does not exist|no such database',
        "3D000",
        "has no such database; create it or correct the URL",
    ),
    (
        "starting up|not yet accepting|in recovery mode",
        "57P03",
        "is starting up or recovering; try again in a moment",
    ),
    ("shutting down", "57P03", "is shutting down; try again later"),
    (
        "translate host name|resolve host|name or service",
        "08001",
        "has an unknown host name; correct the URL",
    ),
    (
        "refused|no such file",
        "08001",
        "does not answer: no server listens there; start it or correct the URL",
    ),
    ("timeout", "08001", "does not answer in time; check host, port and firewall"),
    ("certificate", "08001", "has a certificate that cannot be verified; correct sslrootcert in the URL"),
    ("server does not support SSL", "08001", "does not support TLS; correct sslmode in the URL"),
)
"""Pattern in libpq's message → SQLSTATE (libpq sets none before log-in) and message with remedy."""


def connect(
    url: str,
    *,
    application_name: str,
    connect_timeout: float = 5,
    statement_timeout: float = 0,
    read_only: bool = False,
) -> Connection:
    """Connect and verify that the server answers. Changes no session setting, so that a pooler may share the session.

    Passwords come from libpq's sources: the URL, `PGPASSWORD`, `.pgpass`, `?passfile=`.

    Args:
        url: PostgreSQL URL; its own `connect_timeout` and keep-alive parameters take precedence.
        application_name: name shown in `pg_stat_activity`.
        connect_timeout: timeout of connecting, in seconds.
        statement_timeout: timeout of a statement, in seconds; 0 for none.
        read_only: make every transaction read-only.

    Raises:
        ConfigurationError: the URL is malformed.
        DatabaseError: with the cause, the masked URL and the remedy.
    """
    check_url(url)
    defaults: dict[str, str | int] = {
        "application_name": application_name,
        "connect_timeout": max(2, round(connect_timeout)),
        **_KEEPALIVE,
    }
    given = conninfo_to_dict(url)
    options = {name: value for name, value in defaults.items() if name not in given}
    if not {"password", "passfile"} & given.keys() and not os.environ.get("PGPASSWORD"):
        options |= _passfile_option()
    connection = _open(url, options, "UTF8")
    if connection.info.parameter_status("server_encoding") == _SQL_ASCII:
        # Such a server validates its output against the client encoding; with SQL_ASCII it sends any bytes.
        connection.close()
        connection = _open(url, options, _SQL_ASCII)
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    connection.read_only = read_only or None
    connection.statement_timeout = statement_timeout
    connection.prepared = set()
    register_loaders(connection)
    try:
        _detect_pooler(connection)
    except psycopg.Error as error:
        connection.close()
        raise connection_error(url, error) from None
    return connection


class KeptConnection:
    """A connection that is opened on demand, and reopened after it has ended. Not thread-safe."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """`connect` opens a connection."""
        self._connect = connect
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection; the server may have ended it."""
        return self._connection is not None

    def get(self) -> Connection:
        """The connection.

        Raises:
            DatabaseError: it cannot be opened.
        """
        if self._connection is None or has_ended(self._connection):
            self.close()
            self._connection = self._connect()
        return self._connection

    def close(self) -> None:
        """Close the connection, if there is one; `get` opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()


def _passfile_option() -> dict[str, str]:
    """Disable a password file that libpq would ignore anyway, printing a line to stderr at each connection."""
    unusable = unusable_passfile()
    if unusable is None:
        return {}
    _report_passfile(*unusable)
    return {"passfile": NO_PASSFILE}


@cache
def _report_passfile(path: Path, reason: str) -> None:
    if str(path) != os.devnull:
        _log.warning("the password file %s is not used, because %s", path, reason)


def _open(url: str, options: Mapping[str, str | int], encoding: str) -> Connection:
    """Connect with this client encoding, which overrides the one in the URL and PGCLIENTENCODING."""
    try:
        # No prepared statements until `_detect_pooler` has ruled out a pooler.
        return Connection.connect(
            make_conninfo(url, **options, client_encoding=encoding), autocommit=True, prepare_threshold=None
        )
    except psycopg.Error as error:
        raise connection_error(url, error) from None


def _detect_pooler(connection: Connection) -> None:
    """Enable prepared statements unless a pooler is in between.

    A pooler in statement mode closes the connection at this transaction of several messages; `run`, which sends only
    one, would not reveal it.
    """
    with transaction(connection):
        row = connection.execute(QUERIES["backend_pid"]).fetchone()
    if row is not None and row[0] == connection.info.backend_pid:
        connection.prepare_threshold = _PREPARE_THRESHOLD


def connection_error(url: str, error: psycopg.Error) -> DatabaseError:
    """The error for a failed connection attempt, with its cause and remedy."""
    text = str(error)
    for pattern, sqlstate, remedy in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            reported = None if error.sqlstate in _AMBIGUOUS_SQLSTATES else error.sqlstate
            return DatabaseError(f"the database {redact_url(url)} {remedy}", reported or sqlstate)
    if found := invalid_value_message(text):
        return DatabaseError(f"the database {redact_url(url)} cannot be reached: {found}", "08001")
    # libpq quotes text that it cannot parse, which may be part of the password.
    reason = "libpq cannot use its parameters" if "invalid" in text else _first_line(text)
    return DatabaseError(
        f"the database {redact_url(url)} cannot be reached: {reason}", error.sqlstate or "08001"
    )


def query_error(what: str, error: psycopg.Error) -> DatabaseError:
    """The error for a failed query, with the server's message and its SQLSTATE (08006 if the connection broke)."""
    reason = _first_line(error.diag.message_primary or str(error) or type(error).__name__)
    if error.sqlstate == _NO_PRIVILEGE:
        reason += "; grant the privilege to this user, or use another user"
    sqlstate = error.sqlstate or ("22021" if isinstance(error, psycopg.DataError) else "08006")
    return DatabaseError(f"{what}: {reason}", sqlstate)


def read_error(what: str, error: psycopg.Error) -> DatabaseError:
    """As `query_error`, for a query on a migrated database: a table or view that it lacks was dropped."""
    failure = query_error(what, error)
    if error.sqlstate != _UNDEFINED_TABLE:
        return failure
    return DatabaseError(
        f"{failure}; restore it, or run DROP TABLE public.schema_version, after which `sp500tui database prepare` "
        "creates what is missing",
        failure.sqlstate,
    )


def _first_line(text: str) -> str:
    return one_line(text.strip().partition("\n")[0], _MAX_LENGTH)
