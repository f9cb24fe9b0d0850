"""PgBouncer in front of the test server, if it is installed."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.ports import free_port
from tests.support.postgres.server import TcpPostgres, public_folder

_PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
logfile = {folder}/pgbouncer.log
pool_mode = {mode}
default_pool_size = {size}
{extra}
"""


@dataclass
class PgBouncer:
    """A running pooler."""

    server: TcpPostgres
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The test's database through the pooler."""
        return self.server.url.replace(f":{self.server.port}/", f":{self.port}/")

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        """Run statements like another program using the same pool; returns the rows of the last one."""
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def started(server: TcpPostgres, mode: str, size: int, extra: str) -> Iterator[PgBouncer]:
    """PgBouncer with a pool mode and a pool size; skips the test if it is not installed."""
    if _PROGRAM is None:
        pytest.skip("pgbouncer is not installed")
    folder = public_folder()
    port = free_port()
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        _CONFIGURATION.format(server=server.port, port=port, folder=folder, mode=mode, size=size, extra=extra)
    )
    password = server.password.replace('"', '""')
    (folder / "users").write_text(f'"admin" "{password}"\n"reader" "look"\n')
    # It refuses to run as root, like the server.
    server.account.chown(folder)
    process = subprocess.Popen(
        [_PROGRAM, str(configuration)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **server.account.popen_arguments(),
    )
    pooler = PgBouncer(server, port, process)
    try:
        _await(pooler, folder / "pgbouncer.log")
        yield pooler
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _await(pooler: PgBouncer, log: Path) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            psycopg.connect(pooler.url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if pooler.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{error}\n{log.read_text() if log.exists() else ''}") from error
            time.sleep(0.02)
        else:
            return


@pytest.fixture
def start_pgbouncer(tcp_postgres: TcpPostgres) -> Iterator[Callable[..., PgBouncer]]:
    """Start PgBouncer in front of `tcp_postgres`; a single session for all, by default."""
    with ExitStack() as running:

        def start(mode: str = "transaction", size: int = 1, extra: str = "") -> PgBouncer:
            return running.enter_context(started(tcp_postgres, mode, size, extra))

        yield start
