"""Paths: the folders of a run, their modes, and the errors when they cannot be created."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sp500tui.config.paths import (
    Paths,
    current_folder,
    default_data_folder,
    default_log_folder,
    user_folder,
)
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError
from tests.support.environment import ordinary_user, remove_home
from tests.support.postgres.server import public_folder


@pytest.fixture
def a_public_folder() -> Iterator[Path]:
    """A folder that every user may enter, as well as its parents."""
    folder = public_folder()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_live_and_demo_share_neither_data_nor_cache(tmp_path: Path) -> None:
    live = Paths.of(Settings(data_dir=tmp_path))
    demo = Paths.of(Settings(data_dir=tmp_path, demo=True))

    assert (live.data, demo.data) == (tmp_path / "live", tmp_path / "demo")
    for name in ("data", "journal", "dead_letters", "cache"):
        assert getattr(live, name) != getattr(demo, name)


def test_a_folder_whose_name_is_no_text_is_refused_for_the_embedded_server(tmp_path: Path) -> None:
    # given a name with bytes that are invalid in the encoding of the locale
    folder = tmp_path / "caf\udce9"
    # when the embedded server is to use it, then it is refused before anything is created
    with pytest.raises(ConfigurationError, match="not text in the encoding of the locale; set LC_ALL"):
        Paths.of(Settings(data_dir=folder)).prepare()
    assert not folder.exists()


@pytest.mark.parametrize("user", [0, 1000])
def test_a_path_that_is_too_long_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    paths = Paths.of(Settings(data_dir=Path("/nonexistent", *["folder"] * 1000)))
    with pytest.raises(ConfigurationError, match="cannot be created: File name too long; name another"):
        paths.prepare()


class TestADeletedCurrentDirectory:
    @pytest.fixture(autouse=True)
    def _deleted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "deleted"
        folder.mkdir()
        monkeypatch.chdir(folder)
        folder.rmdir()

    def test_a_relative_data_folder_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(
            ConfigurationError, match=r"data folder relative lies in the current directory, .* in full"
        ):
            Paths.of(Settings(data_dir=Path("relative")))

    def test_nothing_else_needs_it(self, tmp_path: Path) -> None:
        paths = Paths.of(Settings(data_dir=tmp_path))
        assert (paths.base, current_folder()) == (tmp_path, None)


@pytest.mark.parametrize(("user", "public"), [(1000, False), (0, True)])
def test_data_is_private_but_roots_server_can_traverse_its_folder(
    a_public_folder: Path, monkeypatch: pytest.MonkeyPatch, user: int, public: bool
) -> None:
    # given
    monkeypatch.setattr(os, "geteuid", lambda: user)
    made = Paths.of(Settings(data_dir=a_public_folder / "data"))

    # when
    made.prepare()
    made.prepare()

    # then no other user can read any of it
    assert mode(made.base) == mode(made.data) == (0o711 if public else 0o700)
    assert mode(made.journal) == mode(made.cache) == 0o700


def test_root_is_refused_a_private_parent_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "private").mkdir(mode=0o700)
    wanted = tmp_path / "private" / "data"

    with pytest.raises(ConfigurationError, match=r"private folder .*--data-dir /var/lib/sp500tui"):
        Paths.of(Settings(data_dir=wanted)).prepare()
    assert not wanted.exists()

    Paths.of(Settings(data_dir=wanted, database="postgresql://h/x")).prepare()
    assert wanted.exists()


def test_root_has_a_data_folder_outside_its_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_folder() == Path("/var/lib/sp500tui")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_data_folder() == tmp_path / "data" / "sp500tui"


def test_an_existing_folder_keeps_its_mode(a_public_folder: Path) -> None:
    a_public_folder.chmod(0o755)
    Paths.of(Settings(data_dir=a_public_folder)).prepare()
    assert mode(a_public_folder) == 0o755


def test_a_folder_that_cannot_be_created_is_named_with_the_remedy(a_public_folder: Path) -> None:
    (a_public_folder / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"data folder .*file/x cannot be created: .*--data-dir DIR"):
        Paths.of(Settings(data_dir=a_public_folder / "file" / "x")).prepare()


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(
    a_public_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda folder, *_, **__: folder != a_public_folder)
    with pytest.raises(ConfigurationError, match=r"cannot be written: Permission denied; .*--data-dir DIR"):
        Paths.of(Settings(data_dir=a_public_folder)).prepare()


@pytest.mark.parametrize("obstacle", ["a file", "a folder of another user"])
def test_a_cache_folder_that_cannot_be_written_is_replaced_with_a_warning(
    a_public_folder: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    # given a user cache folder that cannot be created
    cache = a_public_folder / "cache"
    if obstacle == "a file":
        cache.write_text("")
    else:
        cache.mkdir(mode=0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    data = a_public_folder / "data"
    a_public_folder.chmod(0o777)

    with ordinary_user():
        made = Paths.of(Settings(data_dir=data))
        made.prepare()

    # then the cache is in the data folder
    assert made.cache == data / "cache" / "live"
    assert mode(made.cache) == 0o700
    (warning,) = made.warnings
    assert str(cache) in warning
    assert "XDG_CACHE_HOME" in warning


class TestUnknownHome:
    def test_nothing_of_it_is_needed_when_the_data_folder_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remove_home(monkeypatch)
        paths = Paths.of(Settings(data_dir=tmp_path / "data"))
        paths.prepare()
        assert paths.cache == tmp_path / "data" / "cache" / "live"
        assert mode(paths.base) == mode(paths.cache) == 0o700

    def test_only_the_cache_can_be_created_in_the_data_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remove_home(monkeypatch)
        paths = Paths.of(Settings(data_dir=tmp_path / "data"))
        paths.prepare_cache()
        assert mode(paths.base) == mode(paths.cache) == 0o700
        assert not paths.data.exists()

    @pytest.mark.parametrize(
        ("default", "remedy"),
        [
            (default_data_folder, "give --data-dir DIR and --log-file FILE"),
            (default_log_folder, "give --log-file FILE"),
        ],
    )
    def test_what_to_set_is_named(
        self, monkeypatch: pytest.MonkeyPatch, default: Callable[[], Path], remedy: str
    ) -> None:
        remove_home(monkeypatch)
        with pytest.raises(ConfigurationError, match=f"home directory is unknown: .*set HOME, or {remedy}"):
            default()

    @pytest.mark.parametrize("home", ["", "relative", "~"])
    def test_a_home_that_is_no_absolute_path_is_unknown(
        self, monkeypatch: pytest.MonkeyPatch, home: str
    ) -> None:
        remove_home(monkeypatch)
        monkeypatch.setenv("HOME", home)
        assert user_folder("config") is None
