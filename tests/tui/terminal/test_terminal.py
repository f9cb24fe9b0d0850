"""The dashboard in a real terminal: it draws, ends in every way, and restores the terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from tests.support.parameters import rest_thorough
from tests.support.tui.real_terminal import hang_up

LEFT_SCREEN = "\x1b[?1049l"
_START = 60
_END = 60

Start = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the dashboard in a terminal of 120x40 and waits for its first complete frame."""
    children: list[pexpect.spawn[str]] = []

    def run(*options: str) -> pexpect.spawn[str]:
        # A size in the environment would take precedence over the terminal's.
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        own = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm-256color"}
        child = pexpect.spawn(
            sys.executable,
            ["-m", "tests.support.tui.fake_dashboard", str(tmp_path), *options],
            dimensions=(40, 120),
            env=kept | own,
            encoding="utf-8",
            timeout=_START,
        )
        children.append(child)
        return child

    yield run
    for child in children:
        if not child.closed:
            child.close(force=True)


def ended(child: pexpect.spawn[str]) -> int | None:
    """The exit code, once the whole output has been read."""
    child.expect(pexpect.EOF, timeout=_END)
    child.close()
    return child.exitstatus


def test_q_exits_with_zero_and_restores_the_terminal(start: Start) -> None:
    child = start()
    child.expect("adds up")
    child.send("q")
    assert ended(child) == 0
    assert LEFT_SCREEN in (child.before or "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), rest_thorough([(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)])
)
def test_a_signal_drains_and_restores_the_terminal(start: Start, number: signal.Signals, code: int) -> None:
    child = start()
    child.expect("adds up")
    child.kill(number)
    assert ended(child) == code
    assert LEFT_SCREEN in (child.before or "")


@pytest.mark.slow
def test_a_closed_terminal_ends_the_program(start: Start) -> None:
    # given a dashboard on the screen
    child = start()
    child.expect("adds up")
    # when its terminal is closed
    hang_up(child)
    # then it ends by itself and reports that a signal ended it
    assert psutil.Process(child.pid).wait(_END) == 143


@pytest.mark.slow
def test_a_crash_restores_the_terminal_and_names_the_log(start: Start, tmp_path: Path) -> None:
    child = start("crash")
    child.expect("the dashboard failed")
    shown = child.before or ""
    assert LEFT_SCREEN in shown
    assert "Traceback" not in shown
    assert ended(child) == 1
    rest = child.before or ""
    assert "ValueError" in rest
    assert "app.log" in rest.replace("\r\n", "")
    assert "Traceback" in (tmp_path / "app.log").read_text()


@pytest.mark.slow
def test_a_terminal_that_is_not_read_does_not_delay_the_end(start: Start) -> None:
    # given a dashboard that draws much more than its terminal buffers, which is not read
    child = start()
    child.expect("adds up")
    child.send("z" * 200)
    # when a signal stops it
    child.kill(signal.SIGTERM)
    # then it ends
    assert psutil.Process(child.pid).wait(_END) == 143
    hang_up(child)
