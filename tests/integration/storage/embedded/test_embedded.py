"""The embedded server is shared by programs, and restarted after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import connect
from sp500tui.storage.embedded import server as embedded
from sp500tui.storage.embedded import watchdog as watchdog_module
from sp500tui.storage.embedded.process import find_running
from sp500tui.storage.embedded.server import EmbeddedServer
from tests.support.postgres.server import answers, kill_server, runs

PROGRAM = """
import sys
from pathlib import Path
from sp500tui.storage.database import Database
database = Database.open(None, Path(sys.argv[1]))
print(database.url, flush=True)
sys.stdin.readline()
database.close()
"""


class Program:
    """Another program that uses the embedded server until it is stopped."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate("\n", timeout=30)
        assert self.process.returncode == 0

    def kill(self, *, watchdog: bool = False) -> None:
        """`kill -9`, optionally of the server's watchdog too."""
        if watchdog:
            self.watchdog().kill()
        self.process.kill()
        self.process.communicate(timeout=30)

    def watchdog(self) -> psutil.Process:
        children = psutil.Process(self.process.pid).children()
        (found,) = [child for child in children if "sp500tui.storage.embedded.watchdog" in child.cmdline()]
        return found


@pytest.fixture
def server(made_dir: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer.start(made_dir)
    yield server
    server.stop()


def remember(server: EmbeddedServer) -> None:
    """Store a row that must survive everything that happens to the server."""
    with connect(server.url, application_name="test") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer")


def recall(server: EmbeddedServer) -> object:
    with connect(server.url, application_name="test") as connection:
        return connection.execute("SELECT answer FROM kept").fetchone()


class TestSharing:
    def test_the_last_user_stops_it(self, made_dir: Path) -> None:
        first, second = EmbeddedServer.start(made_dir), EmbeddedServer.start(made_dir)
        assert first.url == second.url

        first.stop()
        first.stop()
        assert second.alive()
        second.stop()

        assert not second.alive()
        assert find_running(made_dir / "pgdata") is None

    @pytest.mark.slow
    def test_two_programs_that_start_at_once_share_one(self, data_dir: Path) -> None:
        first, second = Program(data_dir), Program(data_dir)
        url = first.url()
        assert second.url() == url
        first.leave()
        assert answers(url)
        second.leave()
        assert not answers(url)

    def test_one_left_by_a_killed_program_is_used_and_then_stopped(self, made_dir: Path) -> None:
        program = Program(made_dir)
        url = program.url()
        process = find_running(made_dir / "pgdata")
        program.kill(watchdog=True)
        assert answers(url)

        server = EmbeddedServer.start(made_dir)

        assert find_running(made_dir / "pgdata") == process
        server.stop()
        assert not answers(url)

    def test_one_left_by_a_killed_program_ends_by_itself(
        self, made_dir: Path, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        program = Program(made_dir)
        program.url()
        watchdog, postmaster = program.watchdog(), find_running(made_dir / "pgdata")
        assert postmaster is not None
        program.kill()
        eventually(lambda: not runs(postmaster) and not runs(watchdog))
        assert not (made_dir / "pgdata" / "postmaster.pid").exists(), "it was shut down in order"

    @pytest.mark.thorough
    def test_one_in_use_continues_when_the_program_that_started_it_is_killed(
        self, made_dir: Path, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        starter = Program(made_dir)
        url = starter.url()
        watchdog = starter.watchdog()
        user = Program(made_dir)
        assert user.url() == url
        starter.kill()
        looked = threading.Event()
        assert not looked.wait(3 * watchdog_module.POLL_INTERVAL)
        assert runs(watchdog)
        assert answers(url)
        user.leave()
        assert not answers(url)
        eventually(lambda: not runs(watchdog))

    def test_a_clean_shutdown_leaves_no_watchdog(self, made_dir: Path) -> None:
        program = Program(made_dir)
        program.url()
        watchdog = program.watchdog()
        program.leave()
        assert not runs(watchdog)

    def test_a_killed_program_counts_as_ended(self, made_dir: Path, server: EmbeddedServer) -> None:
        program = Program(made_dir)
        program.url()
        program.kill()
        server.stop()
        assert not server.alive()

    def test_it_can_be_left_running(self, made_dir: Path) -> None:
        server = EmbeddedServer.start(made_dir)
        server.stop(keep_running=True)
        assert server.alive()

    def test_a_start_blocked_by_another_program_is_reported(
        self, made_dir: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded, "START_TIMEOUT", 0.05)
        with server._exclusively(), pytest.raises(DatabaseError, match="another program has been starting"):
            EmbeddedServer.start(made_dir)


class TestRevival:
    def test_after_a_kill_nothing_is_lost(self, made_dir: Path, server: EmbeddedServer) -> None:
        remember(server)
        kill_server(made_dir / "pgdata")
        assert not server.alive()
        assert server.restart_if_dead()
        assert recall(server) == (42,)
        assert not server.restart_if_dead()

    def test_a_zombie_is_not_taken_for_a_server(self, made_dir: Path, server: EmbeddedServer) -> None:
        kill_server(made_dir / "pgdata")
        # The dead child has not been waited for, so that its process id is still in use.
        other = EmbeddedServer.start(made_dir)
        assert other.alive()
        other.stop()

    def test_a_process_id_used_again_is_not_taken_for_a_server(self, made_dir: Path) -> None:
        server = EmbeddedServer.start(made_dir)
        remember(server)
        kill_server(made_dir / "pgdata")
        pid_file = made_dir / "pgdata" / "postmaster.pid"
        _, _, rest = pid_file.read_text().partition("\n")
        pid_file.write_text(f"{os.getpid()}\n{rest}")

        again = EmbeddedServer.start(made_dir)

        assert recall(again) == (42,)
        again.stop()
        server.stop()

    @pytest.mark.parametrize("text", ["12", "12\n/data\n1700000000\n5432\n\n"])
    def test_a_truncated_pid_file_is_ignored(self, made_dir: Path, server: EmbeddedServer, text: str) -> None:
        kill_server(made_dir / "pgdata")
        (made_dir / "pgdata" / "postmaster.pid").write_text(text)
        assert server.restart_if_dead()
        assert server.alive()

    def test_it_is_stopped_although_its_lock_file_was_removed(self, made_dir: Path) -> None:
        server = EmbeddedServer.start(made_dir)
        process = find_running(made_dir / "pgdata")
        assert process is not None
        (made_dir / "pgdata" / "postmaster.pid").unlink()

        server.stop()

        assert not process.is_running()

    def test_sessions_that_outlive_the_server_are_ended(
        self, made_dir: Path, server: EmbeddedServer, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        remember(server)
        with ThreadPoolExecutor(1) as pool:
            # A session that computes does not detect the end of its server.
            busy = pool.submit(self._compute, server.url)
            process = find_running(made_dir / "pgdata")
            assert process is not None
            eventually(lambda: self._sessions(process))
            orphan = self._sessions(process)[0]
            process.kill()

            assert server.restart_if_dead()
            assert recall(server) == (42,)
            assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
            assert isinstance(busy.exception(), psycopg.Error)

    @staticmethod
    def _compute(url: str) -> None:
        with connect(url, application_name="busy") as connection:
            connection.execute(
                "SELECT count(*) FROM generate_series(1, 20000) a, generate_series(1, 20000) b"
            )

    @staticmethod
    def _sessions(process: psutil.Process) -> list[psutil.Process]:
        found = []
        for child in process.children():
            with suppress(psutil.NoSuchProcess):  # a worker that has ended, or is a zombie
                if "SELECT" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def test_a_full_server_is_alive(self, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "_probe", lambda: "53300")
        assert server.alive()
        assert not server.restart_if_dead()

    def test_it_is_waited_for_while_it_recovers(
        self, made_dir: Path, server: EmbeddedServer, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        with connect(server.url, application_name="test") as connection:
            backend = psutil.Process(connection.info.backend_pid)
            backend.send_signal(signal.SIGKILL)
            eventually(lambda: not backend.is_running())
        server.restart_if_dead()
        assert server.alive()

    @pytest.mark.thorough
    def test_a_server_that_hangs_is_reported(
        self, made_dir: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = find_running(made_dir / "pgdata")
        assert process is not None
        monkeypatch.setattr(embedded, "READY_TIMEOUT", 0.05)
        monkeypatch.setattr(server, "alive", lambda: False)
        process.suspend()
        try:
            with pytest.raises(DatabaseError, match="does not answer after"):
                server.restart_if_dead()
        finally:
            process.resume()

    def test_an_incomplete_data_directory_is_created_again(self, data_dir: Path) -> None:
        data_dir.mkdir()
        (data_dir / "pgdata.partial").mkdir()
        (data_dir / "pgdata.partial" / "PG_VERSION").write_text("18\n")
        server = EmbeddedServer.start(data_dir)
        assert server.alive()
        server.stop()

    def test_a_dropped_database_is_created_again(self, server: EmbeddedServer, made_dir: Path) -> None:
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE sp500tui")
        other = EmbeddedServer.start(made_dir)
        assert other.alive()
        other.stop()

    def test_the_reason_of_a_failed_start_is_reported(self, made_dir: Path) -> None:
        control = made_dir / "pgdata" / "global" / "pg_control"
        control.rename(control.with_suffix(".away"))
        with pytest.raises(DatabaseError, match=r"did not start: .*could not find the database system"):
            EmbeddedServer.start(made_dir)
        control.with_suffix(".away").rename(control)

    def test_its_log_is_bounded(self, made_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "_LOG_LIMIT", 10)
        EmbeddedServer.start(made_dir).stop()
        EmbeddedServer.start(made_dir).stop()
        assert (made_dir / "postgres.log.1").exists()

    def test_its_log_is_bounded_while_it_runs(
        self, server: EmbeddedServer, made_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a running server whose log is too long
        monkeypatch.setattr(embedded, "_LOG_LIMIT", 100_000)
        log, older = made_dir / "postgres.log", made_dir / "postgres.log.1"
        with log.open("a") as file:
            file.write("an error of yesterday\n" * 10_000)
        size = log.stat().st_size
        # when it is checked the next time, and then reports an error
        assert not server.restart_if_dead()
        with connect(server.url, application_name="test") as connection, pytest.raises(psycopg.Error):
            connection.execute("SELECT 1 / 0")
        # then the log has the new messages, and the rotated file the previous ones
        assert "division by zero" in log.read_text()
        assert log.stat().st_size < 10_000
        assert older.stat().st_size >= size
        assert older.stat().st_mode & 0o777 == 0o600
        assert older.stat().st_uid == log.stat().st_uid
