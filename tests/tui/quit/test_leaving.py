"""The real program ended in every way: the last line, the exit code, and no remaining process."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.tui.real_terminal import TIMEOUT, Terminal

pytestmark = pytest.mark.thorough
LEFT_SCREEN = "\x1b[?1049l"
_GONE = 3.0
"""Seconds after the end within which every process of the run must have ended, as guaranteed."""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder with a short path that the server's user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="sp500tui-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    """The program after its first cycle, long before the next one."""
    made = Terminal(["--demo", "--data-dir", str(home / "data"), "--interval", "600"], home)
    try:
        made.wait_for("● running", "503/503", "cycle 1 finished", "queued   0")
        yield made
    finally:
        if not made.child.closed:
            made.child.close(force=True)


def descendants(terminal: Terminal) -> list[psutil.Process]:
    """All descendants of the program: writers, the demo market, the processes of the server."""
    return psutil.Process(terminal.child.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    assert processes, "a run has processes"
    _, alive = psutil.wait_procs(processes, _GONE)
    # Ended processes that were reparented only wait to be reaped by the first process.
    alive = [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert not alive, [process.as_dict(["pid", "cmdline"]) for process in alive]


def test_q_three_times_kills_and_reports_what_is_in_the_journal(terminal: Terminal, home: Path) -> None:
    # given hung writers, and a cycle that they do not store
    processes = descendants(terminal)
    for writer in processes:
        if "sp500tui.pipeline.writer.process" in writer.cmdline():
            writer.suspend()
    terminal.child.send("r")
    terminal.wait_for("fetched 1,006 = stored 503")
    # when all shutdown steps are taken
    terminal.child.send("q")
    terminal.wait_for("Draining: storing everything already fetched")
    terminal.child.send("qq")
    # then it exits with 1, restores the terminal, prints the rows left in the journal, and leaves no process
    assert terminal.end() == 1
    assert LEFT_SCREEN in terminal.written
    assert "in the journal, to be stored at the next start" in terminal.written
    assert any(path.stat().st_size for path in (home / "data").rglob("*.journal"))
    assert_gone(processes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains(terminal: Terminal, number: signal.Signals) -> None:
    processes = descendants(terminal)
    terminal.child.kill(number)
    assert terminal.end() == 143
    assert LEFT_SCREEN in terminal.written
    assert "Traceback" not in terminal.written
    assert_gone(processes)


def test_a_closed_terminal_drains(terminal: Terminal) -> None:
    program = psutil.Process(terminal.child.pid)
    processes = descendants(terminal)
    terminal.close_window()
    assert program.wait(TIMEOUT) == 143
    assert_gone(processes)
