"""The user's environment as the program sees it: variables, home directory, user id."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from sp500tui.logs import setup as logs

ORDINARY_USER = 65_534
"""`nobody`: the user that tests run by root switch to if permissions matter."""
FOLDER_VARIABLES = tuple(f"XDG_{kind}_HOME" for kind in ("CACHE", "CONFIG", "DATA", "STATE"))


def isolate_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Use `home` with its folders `cache`, `config`, `data` and `state`, and unset the user's variables."""
    for name in [name for name in os.environ if name.startswith("SP500TUI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for name in FOLDER_VARIABLES:
        monkeypatch.setenv(name, str(home / name.split("_")[1].lower()))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test of the importing folder a separate home, and close the log that it configures."""
    isolate_home(monkeypatch, tmp_path)
    yield tmp_path
    if (configuration := logs.current()) is not None:
        configuration.close()


def remove_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the home directory unknown: no variable has it, and the user id is not in the user database."""

    def no_entry(uid: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", *FOLDER_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Run the block with an ordinary user's permissions; as the current user if that is not root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(ORDINARY_USER)
    try:
        yield
    finally:
        os.seteuid(0)
