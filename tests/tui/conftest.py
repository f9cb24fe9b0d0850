"""Fixtures of the dashboard's tests: a fake pipeline, a clock that moves only when set, no animation."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence, Sized
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen

from sp500tui.config.settings import Settings
from sp500tui.logs.setup import LogLine
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.dashboard import screen as dashboard_screen
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.nodes import screen as nodes_screen
from sp500tui.tui.shell import base_screen
from sp500tui.tui.shell.key_bar import KeyBar
from tests.support.tui import shared_styles
from tests.support.tui.fake_pipeline import NOON, FakePipeline

shared_styles.install()


class CannedLog:
    """A log to which tests add lines."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def say(self, message: str, level: int = 20, worker: str = "main") -> None:
        self.lines.append(LogLine(len(self.lines) + 1, NOON, level, worker, message))

    def since(self, seq: int) -> tuple[int, Sequence[LogLine], int]:
        return len(self.lines), self.lines[seq:], 0


async def until(
    pilot: Pilot[Any], condition: Callable[[], object], what: str = "the condition", seconds: float = 30.0
) -> None:
    """Let the app run until `condition` holds; AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"timed out after {seconds:g} s waiting for {what}"
        await pilot.pause(0.01)


async def until_shown(pilot: Pilot[Any]) -> None:
    """Let the app run until it shows the newest snapshot of its fake pipeline."""
    app = pilot.app
    assert isinstance(app, DashboardApp)
    await until(
        pilot,
        lambda: app.feed.pipeline is not None and app.snapshot is app.feed.pipeline.snapshot(),
        "the snapshot on the screen",
    )


async def nothing_ready() -> None:
    """Let the app run until it waits only for timers, threads and files.

    Textual's pilot takes it for idle as soon as it uses little of a processor, as it does on a busy machine.
    """
    ready: Sized = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    for _ in range(10_000):
        await asyncio.sleep(0)
        if not ready:
            return


class _ResizingError(AssertionError):
    """The screen has not been laid out for the new size of the terminal yet."""


class Driven:
    """A running dashboard, with methods that press keys and read the screen."""

    def __init__(self, app: DashboardApp, pilot: Pilot[int], pipeline: FakePipeline) -> None:
        self.app = app
        self.pilot = pilot
        self.pipeline = pipeline

    @property
    def main(self) -> MainScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    @property
    def said(self) -> str:
        """The message about the last key on the main screen."""
        return self.main.strip.message

    @property
    def result(self) -> int | None:
        """The exit code, once the app is about to exit."""
        return self.app.return_value

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()
        await nothing_ready()

    async def until(self, condition: Callable[[], object], what: str = "the condition") -> None:
        """Let the app run until a condition holds; one on the text is checked once the screen has its new size."""

        def holds() -> object:
            try:
                return condition()
            except _ResizingError:
                return False

        await until(self.pilot, holds, what)

    def show(self, snapshot: Snapshot) -> None:
        """Have the pipeline return this snapshot from now on."""
        self.pipeline.now_shows = snapshot
        self.app.refresh_data()

    def text(self) -> str:
        """The screen as lines of text."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        if len(strips) != height:
            raise _ResizingError(f"{len(strips)} lines of a screen of {height}")
        return "\n".join(strip.text.ljust(width) for strip in strips)


Drive = Callable[..., AbstractAsyncContextManager[Driven]]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short path that the server's user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="sp500tui-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No animation, no inherited theme or colour setting, times in UTC, messages that do not expire."""
    monkeypatch.setenv("TZ", "UTC")
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    time.tzset()
    for module, name in (
        (base_screen, "MESSAGE_SECONDS"),
        (dashboard_screen, "MESSAGE_SECONDS"),
        (nodes_screen, "_MESSAGE_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 600.0)


@pytest.fixture
def log() -> CannedLog:
    """An empty log."""
    return CannedLog()


@pytest.fixture
def pipeline() -> FakePipeline:
    """A calm run."""
    return FakePipeline()


@pytest.fixture
def build(log: CannedLog, tmp_path: Path) -> Callable[..., DashboardApp]:
    """Creates a dashboard with a fake pipeline."""

    def make(
        pipeline: FakePipeline, *, clock: Callable[[], datetime] = lambda: NOON, **settings: Any
    ) -> DashboardApp:
        return DashboardApp(
            lambda: pipeline,
            Settings(**{"demo": True, "data_dir": tmp_path, **settings}),
            log=log,
            state_file=tmp_path / "state" / "dashboard.json",
            export_folder=tmp_path,
            clock=clock,
        )

    return make


@pytest.fixture
def drive(build: Callable[..., DashboardApp]) -> Drive:
    """Runs a dashboard with a fake pipeline, once it shows its first real snapshot."""

    @asynccontextmanager
    async def run(
        pipeline: FakePipeline | None = None,
        size: tuple[int, int] = (120, 40),
        hook: Callable[[Message], None] | None = None,
        **settings: Any,
    ) -> AsyncIterator[Driven]:
        fake = pipeline or FakePipeline()
        app = build(fake, **settings)
        async with app.run_test(size=size, message_hook=hook) as pilot:
            driven = Driven(app, pilot, fake)
            await driven.until(
                lambda: app.snapshot.taken_at and app.snapshot is fake.now_shows, "the first look"
            )
            await pilot.pause()
            yield driven

    return run


def top_of(app: DashboardApp) -> type[Screen[object]]:
    return type(app.screen)


def notes(app: DashboardApp) -> str:
    """The messages on the screen: in the border of the pipeline panel, or in the key bars of other screens."""
    main, *others = app.screen_stack
    assert isinstance(main, MainScreen)
    bars = [bar for screen in others for bar in screen.query(KeyBar)]
    return "\n".join(text for text in (main.strip.message, *(bar.message for bar in bars)) if text)
