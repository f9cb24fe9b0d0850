"""PostgreSQL for the tests: a shared embedded server, separate data directories, a server with TCP and password."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import connect
from sp500tui.storage.embedded import initdb as cluster
from sp500tui.storage.embedded.account import Account
from sp500tui.storage.embedded.binaries import bin_folder_for
from sp500tui.storage.embedded.process import clear_stale_lock_files, find_running, stop
from sp500tui.storage.embedded.server import EmbeddedServer
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import Connection
from tests.support.ports import free_port

_MEMORY = "/dev/shm"
_MEMORY_NEEDED = 6 << 30
"""Bytes that must be free to keep servers in memory: about five servers of 150 MB for each of eight workers."""


def _in_memory() -> str | None:
    """The folder of an in-memory file system with room for the servers of all workers; None without one.

    A database is 300 files. ext4 looks at every inode deleted in the last minutes before it uses another one, so that
    creating and dropping databases there takes a quarter of the processor time of all tests with a server.
    """
    try:
        status = os.statvfs(_MEMORY)
    except (AttributeError, OSError):
        return None
    # For root the server's programs are copied into the folder, which in a container is often mounted noexec.
    if status.f_flag & getattr(os, "ST_NOEXEC", 0) or not os.access(_MEMORY, os.W_OK):
        return None
    return _MEMORY if status.f_bavail * status.f_frsize >= _MEMORY_NEEDED else None


_public_folders: list[Path] = []
_CREATE_DATABASE = f"CREATE DATABASE {{}} STRATEGY {'FILE_COPY' if _in_memory() else 'WAL_LOG'}"
"""Copying the files takes half the time of logging their pages, unless they have to be synced to a disk."""


def public_folder() -> Path:
    """A new temporary folder that the server's account can enter when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="sp500tui-test-", dir=_in_memory()))
    _public_folders.append(folder)
    if os.geteuid() == 0:
        folder.chmod(0o711)
    return folder


def pytest_sessionfinish() -> None:
    """Remove the public folders of this process, which may occupy memory."""
    for folder in _public_folders:
        shutil.rmtree(folder, ignore_errors=True)


def end_server(pgdata: Path) -> None:
    """End a server that is left in this data directory."""
    process = find_running(pgdata)
    if process is not None:
        assert stop(process, lambda: None)


def kill_server(pgdata: Path) -> psutil.Process:
    """`kill -9` of the postmaster, and wait until it and its sessions are gone or zombies."""
    process = find_running(pgdata)
    assert process is not None
    family = [process, *process.children(recursive=True)]
    process.kill()
    deadline = time.monotonic() + 30
    while any(runs(member) for member in family):
        assert time.monotonic() < deadline, "the server's processes outlived it"
    return process


def end_session(url: str, application_name: str) -> None:
    """Terminate a session of the database like an administrator, and wait until its process is gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = %s AND datname = current_database()",
            (application_name,),
        ).fetchone()
    assert ended is not None
    deadline = time.monotonic() + 30
    while psutil.pid_exists(ended[0]):
        assert time.monotonic() < deadline, "the session outlived its end"
        time.sleep(0.001)


def runs(process: psutil.Process) -> bool:
    """Whether the process is running; a zombie is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(url: str) -> bool:
    """Whether the server accepts connections."""
    try:
        connect(url, application_name="test").close()
    except DatabaseError:
        return False
    return True


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A separate data directory for an embedded server; no server outlives the test."""
    # The data directory of a single test need not survive a power failure.
    monkeypatch.setattr(cluster, "INITDB_OPTIONS", (*cluster.INITDB_OPTIONS, "--no-sync"))
    folder = public_folder()
    yield folder / "data"
    for pgdata in folder.rglob("pgdata"):
        end_server(pgdata)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shared_dir() -> Iterator[Path]:
    """A data directory shared by tests that leave it intact, because creating one takes a second."""
    folder = public_folder()
    EmbeddedServer.start(folder / "data").stop()
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def made_dir(shared_dir: Path) -> Iterator[Path]:
    """An initialized data directory without a running server; no server outlives the test."""
    yield shared_dir
    end_server(shared_dir / "pgdata")


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedServer]:
    """An embedded server shared by all tests that only need one of its databases."""
    folder = public_folder()
    server = EmbeddedServer.start(folder / "data")
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def database_url(embedded_server: EmbeddedServer) -> Iterator[str]:
    """The URL of a fresh, empty database on the shared embedded server."""
    with _new_database(embedded_server, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def _migrated(embedded_server: EmbeddedServer) -> str:
    """The name of a database with the program's tables: copying it takes a fraction of the time of creating them."""
    name = "migrated"
    with psycopg.connect(embedded_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    apply_schema(embedded_server.url_of(name))
    return name


@pytest.fixture
def migrated_url(embedded_server: EmbeddedServer, _migrated: str) -> Iterator[str]:
    """The URL of a fresh database whose tables are empty."""
    with _new_database(embedded_server, _migrated) as url:
        yield url


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    """A connection to a fresh database whose tables are empty."""
    with connect(migrated_url, application_name="test") as connection:
        yield connection


@contextmanager
def _new_database(server: EmbeddedServer, template: str) -> Iterator[str]:
    """The URL of a copy of another database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"{_CREATE_DATABASE.format(name)} TEMPLATE {template}")
    yield server.url_of(name)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class TcpPostgres:
    """A server on 127.0.0.1 that requires passwords; it can be stopped, started and killed."""

    folder: Path
    port: int
    password: str = "s3cret/pass word"
    """Password of the superuser `admin`; it deliberately needs escaping in a URL."""
    database: str = "postgres"
    """The database in `url`."""
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account.of(self.pgdata)
        self.programs = bin_folder_for(self.account, self.folder)

    @property
    def pgdata(self) -> Path:
        return self.folder / "tcp"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def url(self) -> str:
        return self.url_for("admin", self.password)

    def url_for(self, user: str, password: str | None, database: str | None = None) -> str:
        """A URL of this server for a user; without a password if that is None."""
        secret = "" if password is None else ":" + password.replace("/", "%2F").replace(" ", "%20")
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database or self.database}"

    def create(self) -> None:
        """Create the data directory."""
        self.pgdata.mkdir(mode=0o700)
        self.account.chown(self.pgdata)
        pwfile = self.folder / "password"
        pwfile.write_text(self.password)
        self.account.chown(pwfile)
        subprocess.run(
            [
                *(str(self.programs / "initdb"), "-D", str(self.pgdata), "-U", "admin", "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={pwfile}", "--encoding=UTF8", "--locale=C"),
            ],
            **self._popen_arguments(),
            check=True,
        )

    def start(self) -> None:
        """Start it and wait until it accepts the superuser."""
        process = self._launch()
        deadline = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(self.url_for("admin", self.password, "postgres"), connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    log = self.log.read_text(errors="replace")[-2000:]
                    raise AssertionError(f"the server does not start: {error}\n{log}") from None
                if process.poll() is not None:
                    # A killed server's children may briefly hold its shared memory, and another program its port.
                    process = self._launch()
            else:
                return

    def _launch(self) -> subprocess.Popen[bytes]:
        clear_stale_lock_files(self.pgdata, self.pgdata)
        options = (
            *("-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}"),
            *("-c", f"unix_socket_directories={self.pgdata}", "-c", "timezone=UTC"),
        )
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.pgdata), *options],
                **self._popen_arguments() | {"stdout": log, "stderr": log},
            )

    def stop(self) -> None:
        """Stop it with a fast shutdown; its sessions end with 57P01."""
        end_server(self.pgdata)

    def kill(self) -> None:
        """`kill -9` of the postmaster."""
        kill_server(self.pgdata)

    def alive(self) -> bool:
        return find_running(self.pgdata) is not None

    def execute(self, *statements: str) -> None:
        """Run statements as the superuser in the database of `url`."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def _popen_arguments(self) -> dict[str, Any]:
        return {
            "cwd": "/",
            "env": {"LC_ALL": "C", "PATH": os.defpath},
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "start_new_session": True,
            **self.account.popen_arguments(),
        }


@pytest.fixture(scope="session")
def tcp_server() -> Iterator[TcpPostgres]:
    """The server of `tcp_postgres`, created once."""
    folder = public_folder()
    server = TcpPostgres(folder, free_port())
    server.create()
    yield server
    end_server(server.pgdata)
    shutil.rmtree(folder)


@pytest.fixture
def tcp_postgres(tcp_server: TcpPostgres) -> Iterator[TcpPostgres]:
    """A running server with TCP and password and a fresh database; the test's changes to it are undone."""
    if not tcp_server.alive():
        tcp_server.start()
    name = f"test_{uuid.uuid4().hex[:12]}"
    tcp_server.execute(_CREATE_DATABASE.format(name))
    tcp_server.database = name
    yield tcp_server
    tcp_server.database = "postgres"
    if not tcp_server.alive():
        tcp_server.start()
    tcp_server.execute(
        "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()", f"DROP DATABASE {name} WITH (FORCE)"
    )
