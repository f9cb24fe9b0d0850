"""Paths: where things lie, who may read them, and what is said when they cannot be made."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sp500tui.config.paths import Paths, default_data_folder
from sp500tui.config.settings import Settings
from sp500tui.model import ConfigurationError
from tests.support.postgres import public_folder


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@pytest.fixture
def a_public_folder() -> Iterator[Path]:
    """One that everybody may pass through, all the way down."""
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
    assert (live.logs, live.config_file) == (demo.logs, demo.config_file)


@pytest.mark.parametrize(("user", "public"), [(1000, False), (0, True)])
def test_data_is_private_except_for_the_passage_that_roots_server_needs(
    a_public_folder: Path, monkeypatch: pytest.MonkeyPatch, user: int, public: bool
) -> None:
    # given
    monkeypatch.setattr(os, "geteuid", lambda: user)
    made = Paths.of(Settings(data_dir=a_public_folder / "data"))

    # when
    made.prepare()
    made.prepare()

    # then nobody else can read any of it
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


def test_a_folder_of_somebody_keeps_its_mode(a_public_folder: Path) -> None:
    a_public_folder.chmod(0o755)
    Paths.of(Settings(data_dir=a_public_folder)).prepare()
    assert mode(a_public_folder) == 0o755


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(a_public_folder: Path) -> None:
    (a_public_folder / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"data folder .*file/x cannot be created: .*--data-dir DIR"):
        Paths.of(Settings(data_dir=a_public_folder / "file" / "x")).prepare()


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(
    a_public_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda folder, _: folder != a_public_folder)
    with pytest.raises(ConfigurationError, match=r"cannot be written: Permission denied; .*--data-dir DIR"):
        Paths.of(Settings(data_dir=a_public_folder)).prepare()
