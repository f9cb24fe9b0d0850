"""The real program in a separate terminal, whose screen is read."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pexpect
import pyte

COLUMNS, LINES = 120, 40
TIMEOUT = 60.0
"""Time-out in seconds, sufficient on a busy machine."""
PROGRAM = [sys.executable, "-m", "sp500tui"]


def environment(home: Path) -> dict[str, str]:
    """An environment with all data below `home` and always the same demo market."""
    # A size in the environment would take precedence over the terminal's.
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return {
        **kept,
        "HOME": str(home),
        "TERM": "xterm-256color",
        "SP500TUI_MARKET_SEED": "7",
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }


def hang_up(child: pexpect.spawn[str]) -> None:
    """Close a terminal like its window."""
    # Through the object that owns the descriptor: it would close the number a second time when it is collected, and
    # by then the number may be another terminal's.
    child.ptyproc.fileobj.close()  # type: ignore[attr-defined]  # the stubs leave it out
    child.closed = True


class Terminal:
    """A terminal of 120x40 and the program in it."""

    def __init__(self, arguments: list[str], home: Path, program: list[str] = PROGRAM) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.written = ""
        """The program's whole output."""
        self._stream = pyte.Stream(self.screen)
        self.child: pexpect.spawn[str] = pexpect.spawn(
            program[0],
            [*program[1:], *arguments],
            dimensions=(LINES, COLUMNS),
            env=environment(home),
            encoding="utf-8",
            codec_errors="replace",
        )

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait_for(self, *words: str) -> str:
        """Read output until all of `words` are on the screen at once."""
        deadline = time.monotonic() + TIMEOUT
        while not all(word in self.text for word in words):
            if time.monotonic() > deadline:
                raise AssertionError(f"{words} did not come:\n{self.text}")
            assert self.read(), f"the program ended before {words} came:\n{self.text}"
        return self.text

    def read_for(self, seconds: float) -> None:
        """Read output for a number of seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.read(), f"the program ended:\n{self.text}"

    def end(self) -> int | None:
        """Read output until the program has ended; returns its exit code."""
        deadline = time.monotonic() + TIMEOUT
        while self.read():
            assert time.monotonic() < deadline, f"the program did not end:\n{self.text}"
        self.child.close()
        return self.child.exitstatus

    def close_window(self) -> None:
        """Close the program's terminal."""
        hang_up(self.child)

    def read(self) -> bool:
        """Read the available output; False once the program has ended."""
        try:
            text = self.child.read_nonblocking(65_536, timeout=0.2)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.written += text
        self._stream.feed(text)
        return True
