"""The dashboard under `textual serve`: the driver is named in the environment, stdin and stdout are pipes."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.parameters import rest_thorough
from tests.support.tui.real_terminal import TIMEOUT, environment

WEB_DRIVER = "textual.drivers.web_driver:WebDriver"


class Browser:
    """The server's end of the program: packets of a type, a length and their content, in both directions."""

    def __init__(self, home: Path, *arguments: str) -> None:
        own = {"TEXTUAL_DRIVER": WEB_DRIVER, "COLUMNS": "120", "ROWS": "40"}
        self.program = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**environment(home), **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.text = b""

    def send(self, kind: bytes, content: bytes) -> None:
        assert self.program.stdin is not None
        self.program.stdin.write(kind + len(content).to_bytes(4, "big") + content)
        self.program.stdin.flush()

    def resize(self, width: object, height: object) -> None:
        self.send(b"M", json.dumps({"type": "resize", "width": width, "height": height}).encode())

    def wait_for(self, words: bytes) -> None:
        """Read until `words` have arrived since the last call."""
        assert self.program.stdout is not None
        deadline = time.monotonic() + TIMEOUT
        with selectors.DefaultSelector() as selector:
            selector.register(self.program.stdout, selectors.EVENT_READ)
            while words not in self.text:
                assert time.monotonic() < deadline, self.text[-3000:]
                if selector.select(0.2):
                    read = os.read(self.program.stdout.fileno(), 65_536)
                    assert read, self.program.communicate()[1]
                    self.text += read
        self.text = self.text.partition(words)[2]

    def end(self) -> int:
        """Read output until the program has ended, with stdin open; returns its exit code."""
        assert self.program.stdout is not None
        deadline = time.monotonic() + TIMEOUT
        with selectors.DefaultSelector() as selector:
            selector.register(self.program.stdout, selectors.EVENT_READ)
            while not selector.select(0.2) or os.read(self.program.stdout.fileno(), 65_536):
                assert time.monotonic() < deadline
        return self.program.wait(TIMEOUT)

    def close(self) -> None:
        if self.program.poll() is None:
            self.program.kill()
            self.program.communicate()


@pytest.fixture
def browser(home: Path) -> Iterator[Browser]:
    """The dashboard over a fake pipeline, with its first picture sent."""
    made = Browser(home, "tests.support.tui.fake_dashboard", str(home))
    made.wait_for(b"__GANGLION__")
    made.wait_for(b"20,923")
    yield made
    made.close()


def troubles(home: Path) -> list[str]:
    """Log lines with a level above warning."""
    log = (home / "app.log").read_text(encoding="utf-8", errors="replace")
    return [
        line for line in log.splitlines() if any(word in line for word in ("ERROR", "CRITICAL", "Traceback"))
    ]


@pytest.mark.thorough
def test_it_starts_draws_and_answers_a_key(home: Path) -> None:
    # given a browser that shows the dashboard
    browser = Browser(home, "sp500tui", "--demo", "--data-dir", str(home / "data"))
    try:
        browser.wait_for(b"__GANGLION__")
        browser.wait_for(b"running")
        # when its window is resized and a key is pressed
        browser.resize(140, 45)
        browser.send(b"D", b"2")
        # then the key has its effect, and q drains and quits
        browser.wait_for(b"latest rows")
        browser.send(b"D", b"q")
        assert browser.end() == 0
    finally:
        browser.close()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)]
)
def test_a_signal_drains(browser: Browser, home: Path, number: signal.Signals, code: int) -> None:
    browser.program.send_signal(number)
    assert browser.end() == code
    assert troubles(home) == []


@pytest.mark.thorough
def test_a_second_signal_does_not_cut_the_drain_short(home: Path) -> None:
    # given a pipeline that stops only when its workers are killed
    browser = Browser(home, "tests.support.tui.fake_dashboard", str(home), "slow")
    try:
        browser.wait_for(b"20,923")
        # when signals follow each other
        for expected in (b"Draining", b"Spooling"):
            browser.program.send_signal(signal.SIGTERM)
            browser.wait_for(expected)
        browser.program.send_signal(signal.SIGTERM)
        # then each one takes the next step of the shutdown
        assert browser.end() == 143
    finally:
        browser.close()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "data",
    [b"\xff", b"\xe6\xbc", b"\x1b[1114112;1;1114112u", b"\x1b[M#\x82\x30"],
    ids=repr,
)
def test_malformed_input_does_not_end_it(browser: Browser, home: Path, data: bytes) -> None:
    browser.send(b"D", data)
    browser.send(b"D", b"2")
    browser.wait_for(b"latest rows")
    browser.send(b"D", b"q")
    assert browser.end() == 0
    assert troubles(home) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    rest_thorough([b'{"type":"resize","width":"x","height":null}', b"{", b"[]", b"\xff"]),
    ids=repr,
)
def test_a_malformed_packet_does_not_end_it(browser: Browser, home: Path, content: bytes) -> None:
    browser.send(b"M", content)
    browser.resize(10**9, -1)
    browser.resize(120, 40)
    browser.send(b"D", b"2")
    browser.wait_for(b"latest rows")
    browser.send(b"D", b"q")
    assert browser.end() == 0
    assert troubles(home) == []


@pytest.mark.slow
def test_a_closed_browser_drains(browser: Browser, home: Path) -> None:
    assert browser.program.stdin is not None
    browser.program.stdin.close()
    assert browser.program.wait(TIMEOUT) == 143
    assert troubles(home) == []


@pytest.mark.thorough
def test_a_server_that_does_not_read_blocks_nothing(browser: Browser) -> None:
    # given a dashboard that sends much more than a pipe can buffer, to a server that does not read
    browser.send(b"D", b"z" * 200)
    # when a signal ends it
    browser.program.send_signal(signal.SIGTERM)
    # then it still drains
    assert browser.program.wait(TIMEOUT) == 143
