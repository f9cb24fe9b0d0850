"""The embedded server: shared, revived, private."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from sp500tui.domain import ConfigurationError, DatabaseError, Sp500tuiError
from sp500tui.storage import embedded
from sp500tui.storage.binaries import bin_folder
from sp500tui.storage.database import connect
from sp500tui.storage.embedded import EmbeddedServer
from sp500tui.storage.postmaster import Postmaster, live_process
from tests.fixtures.postgres import end_server, kill_server, public_folder

AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="needs root to act as several users")

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
    """Another program that uses the embedded server until it is told to leave."""

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

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def shared_dir() -> Iterator[Path]:
    """A data directory for the tests that leave it whole, since making one takes a second."""
    folder = public_folder()
    EmbeddedServer.start(folder / "data").stop()
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def made_dir(shared_dir: Path) -> Iterator[Path]:
    """A data directory with a stopped server in it; no server outlives the test."""
    yield shared_dir
    end_server(shared_dir / "pgdata")


@pytest.fixture
def server(made_dir: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer.start(made_dir)
    yield server
    server.stop()


def answers(url: str) -> bool:
    try:
        connect(url, application_name="test").close()
    except DatabaseError:
        return False
    return True


def remember(server: EmbeddedServer) -> None:
    """Leave a row that must survive whatever happens to the server."""
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
        assert live_process(made_dir / "pgdata") is None

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
        process = live_process(made_dir / "pgdata")
        program.kill()
        assert answers(url)

        server = EmbeddedServer.start(made_dir)

        assert live_process(made_dir / "pgdata") == process
        server.stop()
        assert not answers(url)

    def test_a_killed_program_counts_as_gone(self, made_dir: Path, server: EmbeddedServer) -> None:
        program = Program(made_dir)
        program.url()
        program.kill()
        server.stop()
        assert not server.alive()

    def test_it_can_be_left_running(self, made_dir: Path) -> None:
        server = EmbeddedServer.start(made_dir)
        server.stop(keep_running=True)
        assert server.alive()

    def test_whoever_cannot_get_in_says_so(
        self, made_dir: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded, "_PATIENCE", 0.05)
        with server._starting(), pytest.raises(DatabaseError, match="another program has been starting"):
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

    def test_a_torn_pid_file_is_no_obstacle(self, made_dir: Path, server: EmbeddedServer) -> None:
        kill_server(made_dir / "pgdata")
        (made_dir / "pgdata" / "postmaster.pid").write_text("12")
        assert server.restart_if_dead()
        assert server.alive()

    def test_sessions_that_outlive_the_server_are_ended(
        self, made_dir: Path, server: EmbeddedServer, eventually: Callable[[Callable[[], object]], None]
    ) -> None:
        remember(server)
        with ThreadPoolExecutor(1) as pool:
            # A session that computes does not notice the death of its server.
            busy = pool.submit(self._compute, server.url)
            process = live_process(made_dir / "pgdata")
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
        return [child for child in process.children() if "SELECT" in " ".join(child.cmdline())]

    def test_a_full_server_is_alive(self, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "_answer", lambda: "53300")
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

    def test_one_that_hangs_is_told(
        self, made_dir: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = live_process(made_dir / "pgdata")
        assert process is not None
        monkeypatch.setattr(embedded, "_SILENCE", 0.05)
        monkeypatch.setattr(server, "alive", lambda: False)
        process.suspend()
        try:
            with pytest.raises(DatabaseError, match="does not answer after"):
                server.restart_if_dead()
        finally:
            process.resume()

    def test_half_made_data_is_made_again(self, data_dir: Path) -> None:
        data_dir.mkdir()
        (data_dir / "pgdata.partial").mkdir()
        (data_dir / "pgdata.partial" / "PG_VERSION").write_text("18\n")
        server = EmbeddedServer.start(data_dir)
        assert server.alive()
        server.stop()

    def test_a_dropped_database_is_made_again(self, server: EmbeddedServer, made_dir: Path) -> None:
        with psycopg.connect(server._url("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE sp500tui")
        other = EmbeddedServer.start(made_dir)
        assert other.alive()
        other.stop()

    def test_why_it_does_not_start_is_told(self, made_dir: Path) -> None:
        control = made_dir / "pgdata" / "global" / "pg_control"
        control.rename(control.with_suffix(".away"))
        with pytest.raises(DatabaseError, match=r"did not start: .*(FATAL|PANIC)"):
            EmbeddedServer.start(made_dir)
        control.with_suffix(".away").rename(control)

    def test_its_log_does_not_grow_for_ever(self, made_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "_LOG_LIMIT", 10)
        EmbeddedServer.start(made_dir).stop()
        EmbeddedServer.start(made_dir).stop()
        assert (made_dir / "postgres.log.1").exists()


class TestPrivacy:
    def test_nobody_else_reads_its_files(self, made_dir: Path, server: EmbeddedServer) -> None:
        for path in (made_dir, *made_dir.iterdir()):
            assert not stat.S_IMODE(path.stat().st_mode) & 0o067, path
        assert stat.S_IMODE((made_dir / "pgdata").stat().st_mode) == 0o700

    def test_it_listens_on_no_tcp_port(self, made_dir: Path, server: EmbeddedServer) -> None:
        process = live_process(made_dir / "pgdata")
        assert process is not None
        assert process.net_connections("inet") == []

    def test_it_is_as_durable_as_postgresql_comes(self, server: EmbeddedServer) -> None:
        with connect(server.url, application_name="test") as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                assert connection.execute(f"SHOW {name}").fetchone() == ("on",)

    def test_the_environment_of_the_user_does_not_lead_it_astray(
        self, made_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {"PGPORT": "1", "PGHOST": "nowhere", "PGDATA": "/", "PGDATABASE": "x"}.items():
            monkeypatch.setenv(name, value)
        server = EmbeddedServer.start(made_dir)
        assert server.alive()
        server.stop()

    @only_root
    def test_another_user_is_refused_even_at_an_open_socket(
        self, made_dir: Path, server: EmbeddedServer
    ) -> None:
        for folder in (made_dir, made_dir / "pgdata"):
            folder.chmod(0o755)
        (made_dir / "pgdata" / ".s.PGSQL.5432").chmod(0o777)
        psql = bin_folder() / "psql"
        result = subprocess.run(
            ["runuser", "-u", "nobody", "--", str(psql), server.url, "-c", "SELECT 1"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        for folder in (made_dir, made_dir / "pgdata"):
            folder.chmod(0o710 if folder == made_dir else 0o700)
        assert result.returncode == 2
        assert "Peer authentication failed" in result.stderr


class TestFolders:
    def test_an_odd_name_is_no_obstacle(self, data_dir: Path) -> None:
        server = EmbeddedServer.start(data_dir / 'a "b" %41 ü')
        assert server.alive()
        server.stop()

    @pytest.mark.parametrize("name", ["long" * 40, "a,b"], ids=["long", "comma"])
    def test_a_name_that_no_socket_can_have_puts_it_elsewhere(
        self, data_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = EmbeddedServer.start(data_dir / name)
        postmaster = Postmaster.read(data_dir / name / "pgdata")
        assert postmaster is not None
        assert answers(server.url)
        assert stat.S_IMODE(postmaster.sockets.stat().st_mode) == 0o700

        server.shut_down()
        assert server.restart_if_dead()

        # A program with another folder for temporary files finds it all the same.
        with monkeypatch.context() as changed:
            changed.setattr(tempfile, "tempdir", str(data_dir))
            other = EmbeddedServer.start(data_dir / name)
            assert other.url == server.url
            other.stop()

        server.stop()
        assert not postmaster.sockets.exists()

        # What somebody else put in the folder's place is not used.
        postmaster.sockets.symlink_to(data_dir)
        with pytest.raises(ConfigurationError, match="belongs to somebody else"):
            EmbeddedServer.start(data_dir / name)
        postmaster.sockets.unlink()

    def test_a_file_in_its_place_is_refused(self, data_dir: Path) -> None:
        data_dir.write_text("")
        with pytest.raises(ConfigurationError, match="Not a directory; choose another with --data-dir"):
            EmbeddedServer.start(data_dir)
        with pytest.raises(ConfigurationError, match="Not a directory"):
            EmbeddedServer.start(data_dir / "below")

    def test_something_else_in_its_place_is_left_alone(self, data_dir: Path) -> None:
        (data_dir / "pgdata").mkdir(parents=True)
        (data_dir / "pgdata" / "precious").write_text("")
        with pytest.raises(ConfigurationError, match="Directory not empty"):
            EmbeddedServer.start(data_dir)
        assert (data_dir / "pgdata" / "precious").exists()

    def test_a_lock_file_that_is_a_link_is_not_followed(self, data_dir: Path) -> None:
        data_dir.mkdir()
        (data_dir / "postgres.starting").symlink_to(data_dir.parent / "elsewhere")
        with pytest.raises(ConfigurationError, match=r"lock file .* cannot be used"):
            EmbeddedServer.start(data_dir)
        assert not (data_dir.parent / "elsewhere").exists()

    def test_a_log_that_cannot_be_written_is_told(self, made_dir: Path) -> None:
        (made_dir / "postgres.log").unlink()
        (made_dir / "postgres.log").mkdir()
        with pytest.raises(DatabaseError, match=r"could not be started: .*postgres\.log: Is a directory"):
            EmbeddedServer.start(made_dir)
        (made_dir / "postgres.log").rmdir()

    def test_data_of_another_version_is_refused(self, data_dir: Path) -> None:
        (data_dir / "pgdata").mkdir(parents=True)
        (data_dir / "pgdata" / "PG_VERSION").write_text("15\n")
        with pytest.raises(ConfigurationError, match="made by PostgreSQL 15, not 18"):
            EmbeddedServer.start(data_dir)


@only_root
class TestAsRoot:
    def test_a_private_parent_is_refused_and_stays_private(self) -> None:
        folder = public_folder()
        private = folder / "private"
        private.mkdir(mode=0o700)
        data_dir = private / "sub" / "data"
        with pytest.raises(ConfigurationError, match="--data-dir /var/lib/sp500tui") as caught:
            EmbeddedServer.start(data_dir)
        assert f"private folder '{private}'" in str(caught.value)
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert list(private.iterdir()) == []
        shutil.rmtree(folder)

    def test_somebodys_folder_is_refused(self) -> None:
        folder = public_folder()
        (folder / "theirs").mkdir(mode=0o700)
        os.chown(folder / "theirs", pwd.getpwnam("nobody").pw_uid, -1)
        with pytest.raises(ConfigurationError, match="private folder"):
            EmbeddedServer.start(folder / "theirs")
        assert stat.S_IMODE((folder / "theirs").stat().st_mode) == 0o700
        shutil.rmtree(folder)

    def test_roots_home_is_refused(self) -> None:
        mode = Path("/root").stat().st_mode
        with pytest.raises(ConfigurationError, match="private folder '/root'"):
            EmbeddedServer.start(Path("/root/.local/share/sp500tui-test"))
        assert Path("/root").stat().st_mode == mode

    def test_programs_in_a_private_folder_are_copied(
        self, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        private = data_dir.parent / "private"
        private.mkdir(mode=0o700)
        package = bin_folder().parents[1]
        for name in (package.name, f"{package.name}.libs"):
            (private / name).symlink_to(package.with_name(name))
        monkeypatch.setattr(
            "sp500tui.storage.binaries.bin_folder", lambda: private / package.name / "pginstall18" / "bin"
        )

        server = EmbeddedServer.start(data_dir)

        process = live_process(data_dir / "pgdata")
        assert process is not None
        assert Path(process.exe()).is_relative_to(data_dir)
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        server.stop()

    def test_an_ordinary_users_data_stays_theirs(self) -> None:
        folder = public_folder()
        nobody = pwd.getpwnam("nobody")
        (folder / "home").mkdir(mode=0o700)
        os.chown(folder / "home", nobody.pw_uid, nobody.pw_gid)
        data_dir = folder / "home" / "data"
        run_as("nobody", lambda: use_once(data_dir))

        server = EmbeddedServer.start(data_dir)
        assert server.alive()
        server.stop()

        assert {path.stat().st_uid for path in data_dir.iterdir()} == {nobody.pw_uid}
        run_as("nobody", lambda: use_once(data_dir))
        shutil.rmtree(folder)

    def test_an_ordinary_user_is_refused_what_is_not_theirs(self, data_dir: Path) -> None:
        EmbeddedServer.start(data_dir).stop()
        message = run_as("nobody", lambda: use_once(data_dir))
        assert "cannot be written: Permission denied; choose another with --data-dir" in message
        data_dir.chmod(0o777)
        message = run_as("nobody", lambda: use_once(data_dir))
        assert "Permission denied" in message
        locked = data_dir.parent / "locked"
        locked.mkdir(mode=0o755)
        message = run_as("nobody", lambda: use_once(locked / "data"))
        assert "Permission denied" in message


def use_once(data_dir: Path) -> None:
    server = EmbeddedServer.start(data_dir)
    try:
        assert server.alive()
    finally:
        server.stop()
        end_server(data_dir / "pgdata")


def run_as(name: str, act: Callable[[], None]) -> str:
    """Do something as another user in a forked process; returns the project's error, empty for none."""
    entry = pwd.getpwnam(name)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        message = "ended unexpectedly"
        try:
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            act()
            message = ""
        except Sp500tuiError as error:
            message = str(error)
        except BaseException as error:  # noqa: BLE001
            message = repr(error)
        finally:
            os.write(writing, message.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()
