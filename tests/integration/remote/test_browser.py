"""The dashboard in a real Chromium: rows, keys, two sessions, and no request to another host."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from sp500tui.cli import main as cli
from sp500tui.cli.commands.running.serve import viewer_command
from sp500tui.config.loader import Configuration, default_file
from sp500tui.config.settings import Settings
from sp500tui.errors import ExitCode
from sp500tui.remote.browser.server import is_allowed
from tests.support.remote.control_socket import Serve, Served
from tests.support.tui.fake_pipeline import FakePipeline
from tests.support.tui.real_terminal import TIMEOUT, environment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Web:
    """A running `sp500tui serve`."""

    def __init__(self, data: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sp500tui", "serve", "--port=0", f"--data-dir={data.parent}", *options],
            env=environment(data.parent),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said = ""
        while "serving " not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
        self.url = self.said.split("serving ")[-1].strip()

    def viewers(self) -> list[psutil.Process]:
        """The running viewers."""
        return [
            each
            for each in psutil.Process(self.process.pid).children(recursive=True)
            if "attach" in _command(each)
        ]

    def close(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.process.communicate()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


Start = Callable[..., tuple[Web, Served]]


@pytest.fixture
def web(serve: Serve, data: Path) -> Iterator[Start]:
    """Serves a fake pipeline on the web."""
    started: list[Web] = []

    def start(*options: str) -> tuple[Web, Served]:
        served = serve(FakePipeline())
        started.append(Web(data, *options))
        return started[-1], served

    yield start
    for each in started:
        if each.process.poll() is None:
            each.close()


@pytest.fixture
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield made
        made.close()


class Tab:
    """A tab with the dashboard, and the data received by its terminal."""

    def __init__(self, browser: Any, url: str) -> None:
        self.received = ""
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": 1600, "height": 1000})
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", self._listen)
        self.page.goto(url)

    def _listen(self, socket: Any) -> None:
        self.asked.append(socket.url)
        socket.on("framereceived", self._receive)

    def _receive(self, payload: str | bytes) -> None:
        self.received += payload if isinstance(payload, str) else payload.decode("utf-8", "replace")

    def press(self, key: str) -> None:
        """Press a key in the terminal."""
        self.page.locator("#terminal textarea").focus()
        self.page.keyboard.press(key)

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while words not in self.received:
            assert time.monotonic() < deadline, f"{words!r} did not come: {self.received[-500:]!r}"
            self.page.wait_for_timeout(50)


@pytest.mark.thorough
def test_sessions_are_viewers_of_one_pipeline(web: Start, browser: Any) -> None:
    # given a served pipeline that may be controlled
    server, served = web("--allow-steering")
    first = Tab(browser, server.url)
    # when a browser opens the page, then the rows of the whole index appear
    first.wait_for("all 503")
    first.wait_for("21,126")
    assert first.page.evaluate("document.body.classList.contains('-first-byte')")
    # and a key works
    first.press("+")
    first.wait_for("price workers 8 → 9")
    assert ("scale", "price", 9) in served.pipeline.calls
    # and a second session shows the same
    second = Tab(browser, server.url)
    second.wait_for("21,126")
    second.wait_for("all 503")
    assert len(server.viewers()) == 2
    # and nothing is requested from another host
    assert {urlsplit(url).hostname for url in first.asked + second.asked} <= {"127.0.0.1", None}
    # when a tab is closed, then its viewer ends, and the other one continues
    second.page.close()
    deadline = time.monotonic() + TIMEOUT
    while len(server.viewers()) != 1:
        assert time.monotonic() < deadline, "the viewer of the closed tab did not end"
        first.page.wait_for_timeout(50)
    first.press("+")
    first.wait_for("price workers 9 → 10")
    # when the server is stopped, then its viewers end with it, and the pipeline continues
    viewers = server.viewers()
    assert server.close() == 143
    _, alive = psutil.wait_procs(viewers, 30)
    assert alive == []
    assert ("stop", 1) not in served.pipeline.calls


@pytest.mark.thorough
def test_sessions_are_read_only_by_default(web: Start, browser: Any) -> None:
    server, served = web()
    tab = Tab(browser, server.url)
    tab.wait_for("all 503")
    tab.press("+")
    tab.wait_for("read-only")
    assert served.pipeline.calls == []


def test_requests_of_other_pages_are_refused(web: Start) -> None:
    server, _ = web()
    port = urlsplit(server.url).port
    for headers, code in (
        ({}, 200),
        ({"Host": f"localhost:{port}"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ):
        request = urllib.request.Request(server.url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found, policy = answer.status, answer.headers["Content-Security-Policy"]
                page = answer.read().decode()
                assert "default-src 'none'" in policy
                assert "https://" not in page
        except urllib.error.HTTPError as error:
            found = error.code
        assert found == code, headers


@pytest.mark.parametrize(
    ("host", "origin", "public", "allowed"),
    [
        ("127.0.0.1:8573", None, False, True),
        ("localhost:8573", "http://localhost:8573", False, True),
        ("[::1]:8573", "http://[::1]:8573", False, True),
        ("127.0.0.1:8573", "http://127.0.0.1:9000", False, False),
        ("localhost.evil.example:8573", None, False, False),
        ("box.example:8573", "http://box.example:8573", False, False),
        ("box.example:8573", "http://box.example:8573", True, True),
        ("box.example:8573", "http://evil.example", True, False),
    ],
)
def test_which_requests_are_answered(host: str, origin: str | None, public: bool, allowed: bool) -> None:
    assert is_allowed(host, origin, public=public) is allowed


def test_a_viewer_reads_the_configuration_file_that_was_named(tmp_path: Path) -> None:
    named = Configuration(Settings(), {}, tmp_path / "own.toml")
    default = Configuration(Settings(), {}, default_file())
    assert f"--config={tmp_path / 'own.toml'}" in viewer_command(named, steering=False)
    assert not [each for each in viewer_command(default, steering=False) if each.startswith("--config")]


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--port", "http"], "--port 'http' is not a port; give a number from 1 to 65535"),
            (["--port", "65536"], "is not a port"),
            (["--port=-1"], "is not a port"),
            ([], "no pipeline runs on data folder"),
        ],
    )
    def test_one_line(
        self, data: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
    ) -> None:
        assert cli.main(["serve", f"--data-dir={data.parent}", *options]) == ExitCode.USAGE
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1

    def test_without_the_extra(
        self, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "sp500tui.remote.browser.server", raising=False)
        monkeypatch.setitem(sys.modules, "textual_serve", None)
        monkeypatch.setitem(sys.modules, "textual_serve.server", None)
        assert cli.main(["serve", f"--data-dir={data.parent}"]) == ExitCode.USAGE
        assert "pip install 'sp500tui[web]'" in capsys.readouterr().err

    @pytest.mark.thorough
    def test_a_port_in_use(self, web: Start, data: Path) -> None:
        server, _ = web()
        port = urlsplit(server.url).port
        done = subprocess.run(
            [sys.executable, "-m", "sp500tui", "serve", f"--port={port}", f"--data-dir={data.parent}"],
            env=environment(data.parent),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == ExitCode.USAGE
        assert done.stderr == f"sp500tui: port {port} is in use; name another with --port N\n"

    def test_all_addresses_cost_a_warning(self, web: Start) -> None:
        server, _ = web("--public", "--allow-steering")
        assert "there is no log-in" in server.said
        assert server.url.startswith("http://0.0.0.0:")
