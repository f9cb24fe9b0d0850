"""Looks after the database: opens it, applies the schema, keeps the list in it, restarts a dead embedded server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from sp500tui.errors import ConfigurationError, DatabaseError, Sp500tuiError
from sp500tui.logs.redaction import redact_url
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot
from sp500tui.pipeline.stages.scraper import CurrentConstituents
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.storage.connection import connect
from sp500tui.storage.database import Database
from sp500tui.storage.reads import row_count
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import Connection
from sp500tui.storage.writes import upsert_constituents, upsert_symbols

_log = logging.getLogger(__name__)

_ROUND = 1.0
"""Seconds between two looks at the server."""
_COUNT_EVERY = 5.0
_ATTEMPTS_TO_OPEN = 5
"""Unforeseen errors in a row after which a run that waits for its database fails all the same."""
_LASTING = ("28", "3D", "3F", "42", "25006", "0A")
"""SQLSTATE classes that waiting does not mend: authentication, unknown database, privileges, read-only."""


def is_permanent(error: Sp500tuiError) -> bool:
    """Whether a failure to open the database needs a person, not patience."""
    if isinstance(error, ConfigurationError):
        return True
    return isinstance(error, DatabaseError) and (error.sqlstate or "").startswith(_LASTING)


def _unexpected_error_message(error: BaseException) -> str:
    return f"the database cannot be used: unforeseen {type(error).__name__}: {error}"


class DatabaseMonitor:
    """One thread, one connection, the life of the database.

    An unforeseen error fails the run as long as the database has not been opened: at once where the run ends by
    itself, else after five in a row. Later it is retried without end: the writers have connections of their own.
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
    ) -> None:
        self._url = url
        self._data_dir = data_dir
        self._health = health
        self._roster = current_constituents
        self._patient = retry_forever
        self._on_fatal = on_fatal
        self.first_attempt_done = threading.Event()
        """Set after the first attempt to open the database, whatever came of it."""
        self._database: Database | None = None
        self._connection: Connection | None = None
        self._upserted = 0
        self._rows_total: int | None = None
        self._counted_at = 0.0
        self._stopped_until = 0.0
        self._unhealthy = False
        self.thread = ServiceThread(
            "database-keeper",
            self._step,
            attempts=_ATTEMPTS_TO_OPEN if retry_forever else 1,
            on_failure=self._failed,
            on_exit=self._finish,
        )

    @property
    def url(self) -> str:
        """Where the writers connect to. Only after `state.ready`."""
        if self._database is None:
            raise DatabaseError("the database has not been opened yet")
        return self._database.url

    def _step(self) -> float | None:
        """Go one round; returns the seconds to the next, None when the database will never be opened."""
        try:
            self._tick()
        except Sp500tuiError as error:
            if not self._health.ready.is_set() and (is_permanent(error) or not self._patient):
                self._health.mark_failed(str(error), getattr(error, "sqlstate", None))
                self._on_fatal(error)
                return None
            self._disconnect()
            self._unhealthy = True
            self._health.record_failure(str(error), getattr(error, "sqlstate", None))
        except BaseException as error:
            self._disconnect()
            if not self._health.ready.is_set():
                self._health.record_failure(_unexpected_error_message(error), None)
                if self._patient:
                    self.first_attempt_done.set()
            raise
        self.first_attempt_done.set()
        return self._health.retry_in or _ROUND

    def _failed(self, error: BaseException) -> None:
        failure = DatabaseError(_unexpected_error_message(error))
        self._health.mark_failed(str(failure), None)
        self._on_fatal(failure)

    def _finish(self) -> None:
        self.first_attempt_done.set()
        self._disconnect()

    def _tick(self) -> None:
        """Open it if it is not open, else see that it lives; then bring the list and the count up to date."""
        if (away := self._stopped_until - time.monotonic()) > 0:
            raise DatabaseError(
                f"the database was stopped as a demonstration; it is started again in {away:.0f} s", "57P01"
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
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._database.url, application_name="sp500tui keeper")
        self._sync_constituents(self._connection)
        if time.monotonic() - self._counted_at >= _COUNT_EVERY:
            self._count()
        if self._unhealthy:
            # It answers again, so the writers need not wait out their pause. What a writer was refused is for a
            # writer to try: a full or read-only database answers too.
            self._unhealthy = False
            self._health.record_success()

    def _sync_constituents(self, connection: Connection) -> None:
        """Bring the table of constituents to the list in force."""
        changes = self._roster.revision
        if self._upserted != changes and self._roster.listed:
            upsert_constituents(connection, self._roster.listed, datetime.now(UTC))
            upsert_symbols(connection, self._roster.symbols)
            self._upserted = changes

    def _count(self) -> None:
        if self._connection is not None:
            self._rows_total = row_count(self._connection)
            self._counted_at = time.monotonic()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def snapshot(self) -> DatabaseSnapshot:
        """How the database does."""
        health, database = self._health, self._database
        return DatabaseSnapshot(
            health=health.status,
            message=health.message,
            url=database.masked_url if database else redact_url(self._url) if self._url else "",
            embedded=self._url is None,
            retry_in=health.retry_in,
            commit=health.commit.latency(),
            rows_total=self._rows_total,
        )

    def stop_server(self, seconds: float) -> bool:
        """Stop the embedded server, as a fault would, and start it again no sooner than after `seconds`."""
        if self._database is None or not self._database.embedded:
            return False
        self._stopped_until = time.monotonic() + seconds
        self._database.stop_server()
        return True

    def abandon(self) -> None:
        """Forget the count: after a kill nobody looks again, and an older number would pass for the end's."""
        self.thread.stop()
        self._rows_total = None

    def close(self) -> None:
        """Bring list and count up to date a last time, and let the database go."""
        self.thread.stop()
        self.thread.join(10.0)
        if self._database is None:
            return
        try:
            if self._health.ready.is_set() and not self._health.down:
                self._bring_up_to_date(self._database.url)
        finally:
            self._database.close()

    def _bring_up_to_date(self, url: str) -> None:
        """Store the list in force and count the rows a last time."""
        try:
            self._connection = connect(url, application_name="sp500tui keeper")
            self._sync_constituents(self._connection)
            self._count()
        except DatabaseError as error:
            _log.warning("could not look at the database at the end: %s", error)
        except Exception as error:  # noqa: BLE001  # the database is closed all the same
            _log.error("could not look at the database at the end: %s", error, exc_info=error)
        finally:
            self._disconnect()
