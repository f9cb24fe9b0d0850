"""Paths: where things lie, who may read them, and what is said when they cannot be made."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sp500tui.domain import ConfigurationError
from sp500tui.paths import Paths, default_data_folder
from sp500tui.settings import Settings


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_live_and_demo_share_neither_data_nor_cache(tmp_path: Path) -> None:
    live = Paths.of(Settings(data_dir=tmp_path))
    demo = Paths.of(Settings(data_dir=tmp_path, demo=True))

    assert (live.data, demo.data) == (tmp_path / "live", tmp_path / "demo")
    for name in ("data", "pgdata", "journal", "dead_letters", "cache"):
        assert getattr(live, name) != getattr(demo, name)
    assert (live.logs, live.config_file) == (demo.logs, demo.config_file)


@pytest.mark.parametrize(("user", "public"), [(1000, False), (0, True)])
def test_data_is_private_except_for_the_passage_that_roots_server_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, public: bool
) -> None:
    # given
    monkeypatch.setattr(os, "geteuid", lambda: user)
    made = Paths.of(Settings(data_dir=tmp_path / "data"))

    # when
    made.prepare()
    made.prepare()

    # then nobody else can read any of it
    assert mode(made.base) == mode(made.data) == (0o711 if public else 0o700)
    assert mode(made.journal) == mode(made.cache) == 0o700


def test_root_has_a_data_folder_outside_its_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_folder() == Path("/var/lib/sp500tui")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_data_folder() == tmp_path / "data" / "sp500tui"


def test_a_folder_of_somebody_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    Paths.of(Settings(data_dir=tmp_path / "data")).prepare()
    assert mode(tmp_path / "data") == 0o755


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"data folder .*file/x cannot be created: .*--data-dir DIR"):
        Paths.of(Settings(data_dir=tmp_path / "file" / "x")).prepare()


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda folder, _: folder != tmp_path)
    with pytest.raises(ConfigurationError, match=r"cannot be written: Permission denied; .*--data-dir DIR"):
        Paths.of(Settings(data_dir=tmp_path)).prepare()
