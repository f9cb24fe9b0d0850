"""The way to the terminal: nobody waits for one that does not read or is gone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from textual.drivers.linux_driver import LinuxDriver

from sp500tui.tui.shell.driver import NonBlockingWriter, TerminalDriver, driver_class

_PIPE = 1 << 20


class Pipe:
    """A file that takes text until its pipe is full, and the end that reads it."""

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
    terminal = NonBlockingWriter(pipe.file, lambda: None)
    for number in range(200):
        terminal.write(f"{number};")
    terminal.flush()
    assert terminal.drain(5)
    assert pipe.read(65_536) == "".join(f"{number};" for number in range(200))
    assert terminal.fileno() == pipe.file.fileno()
    assert not terminal.isatty()


def test_a_terminal_that_does_not_read_holds_nobody_up_and_is_told_everything_anew(pipe: Pipe) -> None:
    # given a terminal that has stopped reading
    on_recovered = threading.Event()
    terminal = NonBlockingWriter(pipe.file, on_recovered.set, most_kept=1000)
    terminal.write("a" * _PIPE + "|")
    assert pipe.read(1) == "a"

    # when far more is written than may be kept
    for number in range(5000):
        terminal.write(f"frame {number}.")

    # then nobody has waited, and what is kept is bounded
    assert not terminal.drain(0.01)
    assert terminal._pending <= 1000
    assert not on_recovered.is_set()

    # and when it reads again, whole frames come, the newest last, and a full picture is asked for
    text = pipe.read_until("frame 4999.").partition("|")[2]
    frames = text.split(".")[:-1]
    assert frames == [f"frame {number}" for number in range(5000 - len(frames), 5000)]
    assert on_recovered.wait(5)
    assert terminal.drain(5)


def test_a_slow_terminal_hears_the_last_words(pipe: Pipe) -> None:
    # given a terminal with a long picture on the way and others that wait
    terminal = NonBlockingWriter(pipe.file, lambda: None)
    terminal.write("a" * 2 * _PIPE + "|")
    assert pipe.read(1) == "a"
    for _ in range(100):
        terminal.write("picture.")

    # when the end is near
    terminal.discard_pending()
    terminal.write("farewell!")
    read: list[str] = []

    def read_slowly() -> None:
        while not read or not read[-1].endswith("!"):
            time.sleep(0.02)
            read.append(pipe.read(65_536))

    reader = threading.Thread(target=read_slowly)
    reader.start()

    # then only what was begun comes before the last words, and they are waited for while anything is taken
    assert terminal.drain(0.3)
    reader.join()
    assert "".join(read).endswith("a|farewell!")


def test_a_terminal_that_is_gone_swallows_everything(pipe: Pipe) -> None:
    terminal = NonBlockingWriter(pipe.file, lambda: None)
    os.close(pipe.out)
    terminal.write("anybody?")
    assert terminal.drain(5)
    for _ in range(1000):
        terminal.write("nobody")
    assert terminal.drain(0)
    assert terminal._pending == 0


def test_another_driver_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    assert driver_class() is TerminalDriver
    assert issubclass(TerminalDriver, LinuxDriver)
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.web_driver:WebDriver")
    assert driver_class() is None
