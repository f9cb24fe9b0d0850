"""Garbage from a real terminal: the dashboard continues, answers the next key and ends on request."""

from __future__ import annotations

import os
import random
import selectors
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.parameters import rest_thorough
from tests.support.tui.real_terminal import PROGRAM, Terminal
from tests.support.tui.terminal_garbage import garbage

COLOURS = b"\x1b]11;rgb:1010/1414/1a1a\x1b\\\x1b]10;rgb:d3d3/d9d9/e2e2\x07"
ANSWERS = COLOURS + b"\x1b[?62;22c\x1b[>41;390;0c\x1b[?31u\x1bP>|xterm(390)\x1b\\\x1b[?2026;2$y\x1b[?2048;2$y"
"""Replies to queries about colours, attributes, the keyboard, the version and the modes."""


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A dashboard that keys cannot end, with a fake pipeline and its first complete frame on the screen."""
    yield from dashboard_in(tmp_path, monkeypatch, "stay")


@pytest.fixture
def leaving_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A dashboard that `q` ends."""
    yield from dashboard_in(tmp_path, monkeypatch)


def dashboard_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> Iterator[Terminal]:
    # Files written by keys in the garbage must be in the test's folder.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("XDG_DOWNLOAD_DIR", str(folder))
    monkeypatch.chdir(folder)
    program = [PROGRAM[0], "-m", "tests.support.tui.fake_dashboard"]
    made = Terminal([str(folder), *options], folder, program=program)
    made.wait_for("pipeline ·", "adds up", "prices ·")
    yield made
    made.child.close(force=True)


def send(terminal: Terminal, data: bytes) -> None:
    """Write everything while reading the program's output, for which it would otherwise wait."""
    with selectors.DefaultSelector() as selector:
        selector.register(terminal.child.child_fd, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while data:
            for _, mask in selector.select(1):
                if mask & selectors.EVENT_READ:
                    assert terminal.read(), f"the program ended:\n{terminal.text}"
                if mask & selectors.EVENT_WRITE:
                    data = data[os.write(terminal.child.child_fd, data[:256]) :]


def pour(terminal: Terminal, seed: int, seconds: float) -> None:
    """Send garbage for a time, in windows of changing size."""
    rng = random.Random(seed)
    print(f"seed {seed}")  # noqa: T201
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        send(terminal, garbage(rng))
        if rng.random() < 0.01:
            terminal.child.setwinsize(rng.choice((1, 5, 24, 40, 60)), rng.choice((1, 20, 80, 120, 200)))
        if rng.random() < 0.2:
            assert terminal.read(), f"the program ended:\n{terminal.text}"


def settle(terminal: Terminal) -> None:
    """Wait out an unfinished sequence and return to the main screen."""
    terminal.child.setwinsize(40, 120)
    deadline = time.monotonic() + 60
    settled = False
    while not settled:
        assert time.monotonic() < deadline, terminal.text
        quiet = time.monotonic() + 1.5
        while time.monotonic() < quiet:
            assert terminal.read(), f"the program ended:\n{terminal.text}"
        send(terminal, b"\x1b")
        terminal.read()
        send(terminal, b"1")
        terminal.read()
        settled = "pipeline ·" in terminal.text and "prices ·" in terminal.text and "F1" not in terminal.text


def answers_a_key(terminal: Terminal) -> None:
    settle(terminal)
    send(terminal, b"2")
    terminal.wait_for("latest rows")


def troubles(folder: Path) -> list[str]:
    """Log lines with a level above warning."""
    log = (folder / "app.log").read_text(encoding="utf-8", errors="replace")
    return [
        line for line in log.splitlines() if any(word in line for word in ("ERROR", "CRITICAL", "Traceback"))
    ]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "data",
    [b"\x1b\x5b\x4d\x23\x82\x30", b"\xff", b"\xe6\xbc", b"\x1b[1114112;1;1114112u", b"\x1b[97:65;2u"],
    ids=repr,
)
def test_meaningless_bytes_do_not_end_it(terminal: Terminal, tmp_path: Path, data: bytes) -> None:
    send(terminal, data)
    answers_a_key(terminal)
    assert troubles(tmp_path) == []


@pytest.mark.thorough
@pytest.mark.parametrize("seconds", [4.0, 30.0])
def test_garbage_does_not_end_it(terminal: Terminal, tmp_path: Path, seconds: float) -> None:
    # given a dashboard in a real terminal, and a seed that reproduces a failure
    seed = int(os.environ.get("SP500TUI_GARBAGE_SEED", "10"))
    # when garbage of every kind arrives
    pour(terminal, seed, seconds)
    # then it still runs, responds to a key, logs nothing above a warning, and a signal ends it
    answers_a_key(terminal)
    assert troubles(tmp_path) == []
    terminal.child.kill(signal.SIGTERM)
    assert terminal.end() == 143


@pytest.mark.slow
@pytest.mark.parametrize(
    "pieces",
    rest_thorough(
        [[bytes([byte]) for byte in ANSWERS], [ANSWERS], [COLOURS] * 50, [COLOURS[:9], COLOURS[9:] + ANSWERS]]
    ),
    ids=["torn", "at once", "repeatedly", "in two"],
)
def test_answers_of_the_terminal_are_no_keys(leaving_terminal: Terminal, pieces: list[bytes]) -> None:
    # given a terminal that replies to queries about its colours and capabilities
    for piece in pieces:
        send(leaving_terminal, piece)
    # when q is pressed
    send(leaving_terminal, b"q")
    # then no part of the replies was typed into the filter, and q quits
    assert leaving_terminal.end() == 0
    assert "rgb:" not in leaving_terminal.text


@pytest.mark.thorough
def test_answers_that_arrive_before_the_first_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    program = [PROGRAM[0], "-m", "tests.support.tui.fake_dashboard"]
    terminal = Terminal([str(tmp_path)], tmp_path, program=program)
    try:
        send(terminal, ANSWERS)
        terminal.wait_for("adds up")
        send(terminal, b"q")
        assert terminal.end() == 0
    finally:
        terminal.child.close(force=True)
