"""Opens the database, applies migrations, syncs constituents and restarts a crashed embedded server."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sp500tui.errors import ConfigurationError, DatabaseError, Sp500tuiError
from sp500tui.logs.redaction import redact_url
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.sources.wikipedia.memberships import SOURCE as WIKIPEDIA
from sp500tui.sources.wikipedia.memberships import derive_memberships
from sp500tui.storage.connection import KeptConnection, connect
from sp500tui.storage.database import Database
from sp500tui.storage.errors import is_outage
from sp500tui.storage.history.memberships import observe_memberships, store_memberships
from sp500tui.storage.reads import row_count
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import Connection
from sp500tui.storage.writes import upsert_constituents, upsert_symbols

_log = logging.getLogger(__name__)

_POLL_INTERVAL = 1.0
"""Seconds between two checks of the server."""
_COUNT_INTERVAL = 5.0
"""Seconds between two counts of the rows."""
_MAX_COUNT_AGE = 30.0
"""Seconds after which the rows are counted even if a batch is being committed."""
_REFUSED_INTERVAL = 30.0
"""Seconds until the next attempt after an error that affects only the monitor's own work."""
_STATEMENT_TIMEOUT = 30.0
"""Lock timeout in seconds: a table locked by another session must delay neither the checks nor the end of the run."""
_LAST_STATEMENT_TIMEOUT = 10.0
"""The same at the end of the run."""
_JOIN_TIMEOUT = 10.0
"""Seconds that the end of the run waits for a statement of the monitor."""
_MAX_OPEN_ATTEMPTS = 5
"""Unexpected errors in a row after which a run that waits for its database fails."""
_UNDEFINED_TABLE = "42P01"
"""SQLSTATE of a database that was recreated while the program runs."""
_PERMANENT = ("28", "3D", "3F", "42", "25006", "0A")
"""SQLSTATE prefixes of permanent errors: authentication, unknown database, privileges, read-only, unsupported."""


def is_permanent(error: Sp500tuiError) -> bool:
    """Whether an error is permanent: retrying will not help."""
    if isinstance(error, ConfigurationError):
        return True
    return isinstance(error, DatabaseError) and (error.sqlstate or "").startswith(_PERMANENT)


def _unexpected_error_message(error: BaseException) -> str:
    return f"the database cannot be used: unexpected {type(error).__name__}: {error}"


def _connect(url: str, statement_timeout: float) -> Connection:
    return connect(url, application_name="sp500tui monitor", statement_timeout=statement_timeout)


class DatabaseMonitor:
    """A thread with its own connection that monitors the database.

    Until the database is open, an unexpected error fails the run: the first one if the run is bounded, else the fifth
    in a row. Afterwards errors are retried without limit, since the writers have their own connections.
    """

    def __init__(
        self,
        url: str | None,
        data_dir: Path,
        *,
        health: DatabaseHealth,
        current_constituents: CurrentConstituents,
        retry_forever: bool,
        on_fatal: Callable[[Sp500tuiError], None],
        stored: Callable[[], int] = lambda: 0,
        writing: Callable[[], bool] = lambda: False,
    ) -> None:
        """Create the monitor of the database at `url`.

        Args:
            url: of the database; None for the embedded server in `data_dir`.
            data_dir: folder of the embedded server.
            health: shared with the writers.
            current_constituents: stored whenever they change.
            retry_forever: whether a failure to open the database is retried.
            on_fatal: called with an error after which the run cannot continue.
            stored: returns the rows that this run has stored, which are added to the counted ones until the next count.
            writing: returns whether a batch is being committed, whose rows may or may not be counted.
        """
        self._stored = stored
        self._writing = writing
        self._stored_when_counted = 0
        self._url = url
        self._data_dir = data_dir
        self._health = health
        self._current_constituents = current_constituents
        self._retry_forever = retry_forever
        self._on_fatal = on_fatal
        self.first_attempt_done = threading.Event()
        """Set after the first attempt to open the database, successful or not."""
        self._database: Database | None = None
        self._connection = KeptConnection(lambda: _connect(self.url, _STATEMENT_TIMEOUT))
        self._upserted = 0
        self._rows_total: int | None = None
        self._counted_at = -math.inf
        self._stopped_until = 0.0
        self._refused_until: dict[str, float] = {}
        """Work that the database refused → monotonic time of its next attempt."""
        self._schema_error = ""
        """The last error of an attempt to create missing tables."""
        self._stopping = threading.Event()
        """Set while the server is being stopped as a demonstration: until it has stopped, it still commits."""
        self._unhealthy = False
        self.thread = ServiceThread(
            "database-monitor",
            self._step,
            attempts=_MAX_OPEN_ATTEMPTS if retry_forever else 1,
            on_failure=self._failed,
            on_exit=self._finish,
        )

    @property
    def url(self) -> str:
        """The URL that the writers connect to; available once `DatabaseHealth.ready` is set."""
        if self._database is None:
            raise DatabaseError("the database has not been opened yet")
        return self._database.url

    @property
    def waiting_message(self) -> str:
        """What the first attempt to open the database may wait for, in one line."""
        if self._url is None:
            return f"the embedded server in {self._data_dir} is not ready yet; postgres.log there shows why"
        return (
            f"the database {redact_url(self._url)} is not open yet: a lock of another session, or a change of its "
            "tables, takes long; pg_stat_activity shows which"
        )

    def _step(self) -> float | None:
        """Check the database; returns the seconds to the next check, None after a permanent failure."""
        try:
            self._tick()
        except Sp500tuiError as error:
            if not self._health.ready.is_set() and (is_permanent(error) or not self._retry_forever):
                self._health.mark_failed(str(error), getattr(error, "sqlstate", None))
                self._on_fatal(error)
                return None
            self._connection.close()
            self._unhealthy = True
            self._health.record_failure(str(error), getattr(error, "sqlstate", None))
        except BaseException as error:
            self._connection.close()
            if not self._health.ready.is_set():
                self._health.record_failure(_unexpected_error_message(error), None)
                if self._retry_forever:
                    self.first_attempt_done.set()
            raise
        self.first_attempt_done.set()
        return self._health.retry_in or _POLL_INTERVAL

    def _failed(self, error: BaseException) -> None:
        failure = DatabaseError(_unexpected_error_message(error))
        self._health.mark_failed(str(failure), None)
        self._on_fatal(failure)

    def _finish(self) -> None:
        self.first_attempt_done.set()
        self._connection.close()

    def _tick(self) -> None:
        """Open the database or check that it is alive, then sync the constituents and the row count."""
        if self._stopping.is_set():
            return
        if (remaining := self._stopped_until - time.monotonic()) > 0:
            raise DatabaseError(
                f"stopped for a demonstration, starts again in {remaining:.0f} s",
                "57P01",
            )
        if self._database is None:
            self._database = Database.open(self._url, self._data_dir)
        else:
            self._database.ensure_alive()
        if not self._health.ready.is_set():
            apply_schema(self._database.url)
            self._health.ready.set()
            self.thread.attempts = None
            self._health.record_success()
        elif self._health.sqlstate == _UNDEFINED_TABLE:
            self._create_tables_again(self._database.url)
        for act in (self._sync_constituents, self._count_regularly):
            self._unless_refused(act)
        if self._unhealthy and self._connection.is_open:
            # It answers again, which ends the writers' back-off. Not after an error of a writer: a full or
            # read-only database answers too.
            self._unhealthy = False
            self._health.record_success()

    def _create_tables_again(self, url: str) -> None:
        """Apply the schema to a database that lacks a table; an error more specific than the writers' is logged."""
        try:
            created = apply_schema(url)
        except DatabaseError as error:
            if str(error) != self._schema_error:
                self._schema_error = str(error)
                _log.warning("%s", error)
            raise
        if created:
            self._schema_error = ""
            self._upserted = 0
            self._refused_until.clear()
            self._health.record_success()

    def _unless_refused(self, act: Callable[[Connection], None]) -> None:
        """Call `act`; a refusal that is not an outage is logged, and `act` is not called again for a while.

        Such a refusal does not mark the database as down: the writers have their own connections and statements.
        """
        if self._database is None or time.monotonic() < self._refused_until.get(act.__name__, 0.0):
            return
        try:
            act(self._connection.get())
        except DatabaseError as error:
            if is_outage(error.sqlstate):
                raise
            self._connection.close()
            self._refused_until[act.__name__] = time.monotonic() + _REFUSED_INTERVAL
            _log.warning("%s; next attempt in %.0f s", error, _REFUSED_INTERVAL)

    def _sync_constituents(self, connection: Connection) -> None:
        """Store the current constituents if they have changed."""
        changes = self._current_constituents.revision
        if self._upserted != changes and self._current_constituents.listed:
            upsert_constituents(connection, self._current_constituents.listed, datetime.now(UTC))
            upsert_symbols(connection, self._current_constituents.symbols)
            self._store_memberships(connection)
            self._upserted = changes

    def _store_memberships(self, connection: Connection) -> None:
        """Store the current members of the index; a fallback list may be outdated and is not stored."""
        current = self._current_constituents
        if not current.confirmed:
            return
        if current.changes:
            store_memberships(connection, derive_memberships(current.listed, current.changes), WIKIPEDIA)
        observe_memberships(connection, current.listed, current.changes, datetime.now(UTC).date())

    def _count_regularly(self, connection: Connection) -> None:
        if time.monotonic() - self._counted_at >= _COUNT_INTERVAL:
            self._count(connection)

    def _count(self, connection: Connection) -> None:
        """Count the rows at a moment without a commit, or after `_MAX_COUNT_AGE` at any moment."""
        busy, before = self._writing(), self._stored()
        rows, now = row_count(connection), time.monotonic()
        stored = self._stored()
        if busy or self._writing() or stored != before:
            recent = self._rows_total is not None and now - self._counted_at < _MAX_COUNT_AGE
            if recent and not self.thread.stopping:
                return
        self._rows_total, self._stored_when_counted, self._counted_at = rows, stored, now

    def snapshot(self, stored: int = 0) -> DatabaseSnapshot:
        """The state of the database once this run has stored `stored` rows."""
        health, database = self._health, self._database
        counted = self._rows_total
        return DatabaseSnapshot(
            health=health.status,
            message=health.message,
            url=database.masked_url if database else redact_url(self._url) if self._url else "",
            embedded=self._url is None,
            retry_in=health.retry_in,
            commit=health.commit.latency(),
            rows_total=None if counted is None else counted + max(0, stored - self._stored_when_counted),
        )

    def stop_server(self, seconds: float) -> bool:
        """Stop the embedded server, like a fault, for at least `seconds`; False for another server."""
        if self._database is None or not self._database.embedded:
            return False
        self._stopping.set()
        try:
            self._database.stop_server()
            self._stopped_until = time.monotonic() + seconds
        finally:
            self._stopping.clear()
        self.thread.wake()
        return True

    def abandon(self) -> None:
        """Stop without closing, after a kill; drops the row count, which would be out of date."""
        self.thread.stop()
        self._rows_total = None

    def close(self) -> None:
        """Sync constituents and row count a last time, and close the database."""
        self.thread.stop()
        # A thread that does not end is waiting for the database, which would not answer a second connection either.
        idle = self.thread.join(_JOIN_TIMEOUT)
        if self._database is None:
            return
        try:
            if self._health.ready.is_set() and not self._health.down:
                if idle:
                    self._bring_up_to_date(self._database.url)
                elif self._upserted != self._current_constituents.revision:
                    _log.warning(
                        "the list of constituents is not stored: a statement waits for the database, such as for a "
                        "lock of another session; the next run stores it"
                    )
        finally:
            self._database.close()

    def _bring_up_to_date(self, url: str) -> None:
        """Store the current constituents and count the rows."""
        try:
            with _connect(url, _LAST_STATEMENT_TIMEOUT) as connection:
                self._count(connection)
                self._sync_constituents(connection)
        except DatabaseError as error:
            _log.warning("could not update the database before closing it: %s", error)
        except Exception as error:  # noqa: BLE001  # the database is closed in any case
            _log.error("could not update the database before closing it: %s", error, exc_info=error)
