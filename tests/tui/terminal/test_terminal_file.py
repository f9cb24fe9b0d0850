"""Writing to a terminal that does not read or is closed never blocks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from textual.driver import Driver

from sp500tui.tui.terminal.driver import BrowserDriver, NonBlockingWriter, TerminalDriver, driver_class

_PIPE = 1 << 20


class Pipe:
    """A file that accepts text until its pipe is full, and the reading end."""

    def __init__(self) -> None:
        self.out, into = os.pipe()
        self.file = os.fdopen(into, "w")

    def read(self, size: int) -> str:
        return os.read(self.out, size).decode()

    def read_until(self, end: str) -> str:
        text = ""
        while not text.endswith(end):
            text += self.read(65_536)
        return text


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    with suppress(OSError):
        os.close(made.out)
    made.file.close()


def test_text_arrives_in_order(pipe: Pipe) -> None:
    terminal = NonBlockingWriter(pipe.file.fileno(), lambda: None)
    for number in range(200):
        terminal.write(f"{number};")
    terminal.flush()
    assert terminal.drain(5)
    assert pipe.read(65_536) == "".join(f"{number};" for number in range(200))
    assert terminal.fileno() == pipe.file.fileno()
    assert not terminal.isatty()


def test_a_terminal_that_does_not_read_blocks_nothing_and_is_repainted_later(pipe: Pipe) -> None:
    # given a terminal that has stopped reading
    on_recovered = threading.Event()
    terminal = NonBlockingWriter(pipe.file.fileno(), on_recovered.set, max_pending=1000)
    terminal.write("a" * _PIPE + "|")
    assert pipe.read(1) == "a"

    # when much more is written than may be pending
    for number in range(5000):
        terminal.write(f"frame {number}.")

    # then no write has blocked, and the pending output is bounded
    assert not terminal.drain(0.01)
    assert terminal.pending <= 1000
    assert not on_recovered.is_set()

    # and when it reads again, complete frames arrive, the newest last, and a repaint is requested
    text = pipe.read_until("frame 4999.").partition("|")[2]
    frames = text.split(".")[:-1]
    assert frames == [f"frame {number}" for number in range(5000 - len(frames), 5000)]
    assert on_recovered.wait(30)
    assert terminal.drain(5)


def test_what_is_written_last_reaches_a_slow_terminal(pipe: Pipe) -> None:
    # given a terminal with a long frame being written and others pending
    terminal = NonBlockingWriter(pipe.file.fileno(), lambda: None)
    terminal.write("a" * 2 * _PIPE + "|")
    assert pipe.read(1) == "a"
    for _ in range(100):
        terminal.write("picture.")

    # when the driver stops
    terminal.discard_pending()
    terminal.write("restored!")
    read: list[str] = []

    def read_slowly() -> None:
        while not read or not read[-1].endswith("!"):
            time.sleep(0.02)
            read.append(pipe.read(65_536))

    reader = threading.Thread(target=read_slowly)
    reader.start()

    # then only the started frame precedes it, and draining continues while there is progress
    assert terminal.drain(5)
    reader.join()
    assert "".join(read).endswith("a|restored!")


def test_output_to_a_closed_terminal_is_dropped(pipe: Pipe) -> None:
    terminal = NonBlockingWriter(pipe.file.fileno(), lambda: None)
    os.close(pipe.out)
    terminal.write("first")
    assert terminal.drain(5)
    for _ in range(1000):
        terminal.write("second")
    assert terminal.drain(0)
    assert terminal.pending == 0


@pytest.mark.parametrize(
    ("named", "driver"),
    [
        (None, TerminalDriver),
        ("", TerminalDriver),
        ("textual.drivers.web_driver:WebDriver", BrowserDriver),
        ("textual.drivers.linux_inline_driver:LinuxInlineDriver", None),
    ],
)
def test_the_environment_names_the_driver(
    monkeypatch: pytest.MonkeyPatch, named: str | None, driver: type[Driver] | None
) -> None:
    if named is None:
        monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    else:
        monkeypatch.setenv("TEXTUAL_DRIVER", named)
    assert driver_class() is driver
