"""The dashboard under textual-serve: the driver is named in the environment, stdin and stdout are pipes."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tui.real_terminal import PATIENCE, environment

WEB_DRIVER = "textual.drivers.web_driver:WebDriver"


class Browser:
    """The program behind a web page: packets of a type, a length and their content, in both directions."""

    def __init__(self, folder: Path) -> None:
        self.program = subprocess.Popen(
            [sys.executable, "-m", "sp500tui", "--demo", "--data-dir", str(folder / "data")],
            env={**environment(folder), "TEXTUAL_DRIVER": WEB_DRIVER, "COLUMNS": "120", "ROWS": "40"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.text = b""

    def send(self, kind: bytes, content: bytes) -> None:
        assert self.program.stdin is not None
        self.program.stdin.write(kind + len(content).to_bytes(4, "big") + content)
        self.program.stdin.flush()

    def wait_for(self, words: bytes) -> None:
        assert self.program.stdout is not None
        deadline = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(self.program.stdout, selectors.EVENT_READ)
            while words not in self.text:
                assert time.monotonic() < deadline, self.text[-3000:]
                if selector.select(0.2):
                    read = os.read(self.program.stdout.fileno(), 65_536)
                    assert read, self.program.communicate()[1]
                    self.text += read

    def end(self) -> int:
        self.program.communicate(timeout=PATIENCE)
        return self.program.returncode


@pytest.fixture
def browser() -> Iterator[Browser]:
    # A short folder that the server's own user may enter.
    folder = Path(tempfile.mkdtemp(prefix="sp500tui-"))
    folder.chmod(0o755)
    made = Browser(folder)
    yield made
    if made.program.poll() is None:
        made.program.kill()
        made.program.communicate()
    shutil.rmtree(folder, ignore_errors=True)


def test_it_starts_draws_and_answers_a_key(browser: Browser) -> None:
    # given a browser that shows the dashboard
    browser.wait_for(b"__GANGLION__")
    browser.wait_for(b"pipeline \xc2\xb7")
    browser.wait_for(b"running")
    # when its window changes and a key is pressed
    browser.send(b"M", json.dumps({"type": "resize", "width": 140, "height": 45}).encode())
    browser.send(b"D", b"2")
    # then the key is answered, and q leaves in good order
    browser.wait_for(b"newest rows")
    browser.send(b"D", b"q")
    assert browser.end() == 0
