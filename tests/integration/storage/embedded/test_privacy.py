"""The embedded server accepts no other user and opens nothing to others."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sp500tui.errors import ConfigurationError, DatabaseError, Sp500tuiError
from sp500tui.storage.connection import connect
from sp500tui.storage.embedded.binaries import bin_folder
from sp500tui.storage.embedded.process import Postmaster, find_running
from sp500tui.storage.embedded.server import EmbeddedServer
from tests.support.parameters import rest_thorough
from tests.support.postgres.server import answers, end_server, public_folder

AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="needs root to act as several users")


@pytest.fixture
def server(made_dir: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer.start(made_dir)
    yield server
    server.stop()


class TestPrivacy:
    def test_other_users_cannot_read_its_files(self, made_dir: Path, server: EmbeddedServer) -> None:
        for path in (made_dir, *made_dir.iterdir()):
            assert not stat.S_IMODE(path.stat().st_mode) & 0o067, path
        assert stat.S_IMODE((made_dir / "pgdata").stat().st_mode) == 0o700

    def test_it_listens_on_no_tcp_port(self, made_dir: Path, server: EmbeddedServer) -> None:
        process = find_running(made_dir / "pgdata")
        assert process is not None
        assert process.net_connections("inet") == []

    def test_it_has_the_default_durability_of_postgresql(self, server: EmbeddedServer) -> None:
        with connect(server.url, application_name="test") as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                assert connection.execute(f"SHOW {name}").fetchone() == ("on",)

    def test_the_environment_of_the_user_does_not_affect_it(
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

    @pytest.mark.parametrize("name", rest_thorough(["long" * 40, "a,b"]), ids=["long", "comma"])
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

        # A program with another folder for temporary files still finds it.
        with monkeypatch.context() as changed:
            changed.setattr(tempfile, "tempdir", str(data_dir))
            other = EmbeddedServer.start(data_dir / name)
            assert other.url == server.url
            other.stop()

        server.stop()
        assert not postmaster.sockets.exists()

        # A file that another user put in place of the folder is not used.
        postmaster.sockets.symlink_to(data_dir)
        with pytest.raises(ConfigurationError, match="belongs to another user"):
            EmbeddedServer.start(data_dir / name)
        postmaster.sockets.unlink()

    def test_a_file_in_its_place_is_refused(self, data_dir: Path) -> None:
        data_dir.write_text("")
        with pytest.raises(ConfigurationError, match="Not a directory; choose another with --data-dir"):
            EmbeddedServer.start(data_dir)
        with pytest.raises(ConfigurationError, match="Not a directory"):
            EmbeddedServer.start(data_dir / "below")

    def test_something_else_in_its_place_is_not_changed(self, data_dir: Path) -> None:
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

    def test_a_log_that_cannot_be_written_is_reported(self, made_dir: Path) -> None:
        (made_dir / "postgres.log").unlink()
        (made_dir / "postgres.log").mkdir()
        with pytest.raises(DatabaseError, match=r"could not be started: .*postgres\.log: Is a directory"):
            EmbeddedServer.start(made_dir)
        (made_dir / "postgres.log").rmdir()

    def test_data_of_another_version_is_refused(self, data_dir: Path) -> None:
        (data_dir / "pgdata").mkdir(parents=True)
        (data_dir / "pgdata" / "PG_VERSION").write_text("15\n")
        with pytest.raises(ConfigurationError, match="created by PostgreSQL 15, not 18"):
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

    def test_the_folder_of_another_user_is_refused(self) -> None:
        folder = public_folder()
        (folder / "theirs").mkdir(mode=0o700)
        os.chown(folder / "theirs", pwd.getpwnam("nobody").pw_uid, -1)
        with pytest.raises(ConfigurationError, match="private folder"):
            EmbeddedServer.start(folder / "theirs")
        assert stat.S_IMODE((folder / "theirs").stat().st_mode) == 0o700
        shutil.rmtree(folder)

    def test_roots_home_is_refused(self) -> None:
        home = Path("~root").expanduser()
        mode = home.stat().st_mode
        with pytest.raises(ConfigurationError, match=f"private folder '{home}'"):
            EmbeddedServer.start(home / ".local/share/sp500tui-test")
        assert home.stat().st_mode == mode

    def test_programs_in_a_private_folder_are_copied(
        self, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        private = data_dir.parent / "private"
        private.mkdir(mode=0o700)
        package = bin_folder().parents[1]
        for name in (package.name, f"{package.name}.libs"):
            (private / name).symlink_to(package.with_name(name))
        monkeypatch.setattr(
            "sp500tui.storage.embedded.binaries.bin_folder",
            lambda: private / package.name / "pginstall18" / "bin",
        )

        server = EmbeddedServer.start(data_dir)

        process = find_running(data_dir / "pgdata")
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

    def test_an_ordinary_user_is_refused_the_folder_of_another(self, data_dir: Path) -> None:
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
    """Call a function as another user in a forked process; returns the project's error, or an empty text."""
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
