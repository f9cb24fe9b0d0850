"""The real program in a real terminal: from its start over the keys to `q`, and the rows in its database."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

COLUMNS, LINES = 120, 40
_PATIENCE = 60.0
_PROGRAM = [sys.executable, "-m", "sp500tui"]


class Terminal:
    """A terminal of 120x40 and the program in it."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.Stream(self.screen)
        self.child: pexpect.spawn[str] = pexpect.spawn(
            _PROGRAM[0],
            [*_PROGRAM[1:], *arguments],
            dimensions=(LINES, COLUMNS),
            env=environment,
            encoding="utf-8",
        )

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait_for(self, *words: str) -> str:
        """Read on until all of `words` are on the screen at once."""
        deadline = time.monotonic() + _PATIENCE
        while not all(word in self.text for word in words):
            if time.monotonic() > deadline:
                raise AssertionError(f"{words} did not come:\n{self.text}")
            self._read()
        return self.text

    def end(self) -> int | None:
        """Read on until the program has ended; the result is its exit code."""
        deadline = time.monotonic() + _PATIENCE
        while self._read():
            assert time.monotonic() < deadline, f"the program did not end:\n{self.text}"
        self.child.close()
        return self.child.exitstatus

    def _read(self) -> bool:
        try:
            self._stream.feed(self.child.read_nonblocking(65_536, timeout=0.2))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True


@pytest.fixture
def home() -> Iterator[Path]:
    """A short folder that the server's own user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="sp500tui-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stored(arguments: list[str], environment: dict[str, str]) -> dict[str, int]:
    """Rows and symbols in the database, as `sp500tui database psql` finds them."""
    question = (
        "select json_build_object('rows', count(*), 'symbols', count(distinct symbol)) from public.prices"
    )
    answer = subprocess.run(
        [*_PROGRAM, "database", "psql", *arguments, "-At", "-c", question],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=True,
    )
    found: dict[str, int] = json.loads(answer.stdout.splitlines()[-1])
    return found


def test_from_the_start_to_q(home: Path) -> None:
    environment = {**os.environ, "HOME": str(home), "TERM": "xterm-256color", "SP500TUI_MARKET_SEED": "7"}
    environment |= {"XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}
    arguments = ["--demo", "--data-dir", str(home / "data")]
    # given the program in a terminal of its own
    terminal = Terminal(arguments, environment)
    try:
        # when it has started, every panel is there, and the whole index has been stored at least once
        terminal.wait_for("pipeline ·", "workers ·", "prices ·", "log ·")
        terminal.wait_for("● running", "503/503", "all 503", "cycle 1 finished")
        # then + adds a worker, and the symbol screen shows what was stored
        terminal.child.send("+")
        terminal.wait_for("price workers 12 → 13", "×13")
        terminal.child.send("\r")
        terminal.wait_for("newest rows in PostgreSQL", "SEC CIK")
        # when q is pressed, it drains, leaves with 0 and gives the terminal back
        terminal.child.send("q")
        assert terminal.end() == 0
    finally:
        terminal.child.close(force=True)
    found = stored(arguments, environment)
    assert found["symbols"] == 503
    assert found["rows"] >= 503
