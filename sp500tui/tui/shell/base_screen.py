"""What the screens beside the main one share: the status bar, the keys, and reading on a background thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, cast

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.worker import Worker, WorkerState

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.messages import SnapshotTaken
from sp500tui.tui.render.formats import clean
from sp500tui.tui.shell.background import run_in_background
from sp500tui.tui.shell.breakpoints import HEIGHTS, WIDTHS, too_small_notice
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.shell.key_bar import KeyBar
from sp500tui.tui.shell.status_bar import StatusBar, View

LOG = logging.getLogger(__name__)
READ_EVERY = 2.0
"""Seconds between two readings of a screen that is shown."""
_GROUP = "reading"


class BaseScreen(ClosableScreen[None]):
    """A screen under the status bar that asks somebody slow every two seconds while it is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape", "back", "Back", id="screen.back", tooltip="Back to the pipeline, its prices and its log"
        ),
    ]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    status = getters.query_one(StatusBar)

    @dataclass
    class QuerySucceeded(Message, bubble=False):
        """What was asked on the background thread."""

        answer: object

    @dataclass
    class QueryFailed(Message, bubble=False):
        """Why it could not be had, in one line."""

        reason: str

    def __init__(self) -> None:
        super().__init__()
        self._rhythm: Timer | None = None
        self._query_running: Worker[None] | None = None

    @property
    def dashboard(self) -> DashboardContext:
        """The app."""
        return cast("DashboardContext", self.app)

    def database_url(self) -> str | None:
        """Where the stored data are; None before the database is open. Called on background threads too."""
        pipeline = self.dashboard.feed.pipeline
        return None if pipeline is None else pipeline.database_url

    def compose(self) -> ComposeResult:
        """The panels between the status bar and the keys."""
        yield StatusBar()
        yield from self.compose_panels()
        yield too_small_notice(can_go_back=True)
        yield KeyBar()

    def compose_panels(self) -> ComposeResult:
        """What is special to a screen."""
        yield from ()

    def on_mount(self) -> None:
        """Show the pipeline as it was a moment ago."""
        self.call_after_refresh(self._show, self.dashboard.snapshot)

    @on(SnapshotTaken)
    def follow(self, message: SnapshotTaken) -> None:
        """Bring the screen to the pipeline of this moment."""
        self._show(message.snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        now = self.dashboard.clock()
        self.status.show(snapshot, View(f"{now.astimezone():%H:%M:%S}", now))
        self.show_snapshot(snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring the panels to the pipeline of this moment."""

    def action_back(self) -> None:
        """Leave the screen."""
        self.dismiss()

    # Asking

    def question(self) -> Callable[[], object] | None:
        """What to ask now, to be called on a background thread; None for nothing."""
        return None

    def on_screen_resume(self) -> None:
        """Ask at once, and again while the screen is shown."""
        self.ask()
        if self._rhythm is None:
            self._rhythm = self.set_interval(READ_EVERY, self._ask_if_idle)
        else:
            self._rhythm.resume()

    def on_screen_suspend(self) -> None:
        """Stop asking while something else is shown."""
        if self._rhythm is not None:
            self._rhythm.pause()

    def _ask_if_idle(self) -> None:
        if self._query_running is None or self._query_running.is_finished:
            self.ask()

    def ask(self) -> None:
        """Ask now; the answer to an earlier question is not wanted any more."""
        question = self.question()
        if question is not None:
            self._query_running = self.run_worker(
                partial(self._fetch, question), exclusive=True, group=_GROUP, exit_on_error=False
            )

    async def _fetch(self, question: Callable[[], object]) -> None:
        """Post the outcome of a question that is asked on a background thread."""
        try:
            message: Message = self.QuerySucceeded(await run_in_background("screen-query", question))
        except Sp500tuiError as error:
            message = self.QueryFailed(clean(str(error)))
        self.post_message(message)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say that something unforeseen happened instead of ending the program for it."""
        if event.state is WorkerState.ERROR:
            LOG.error("%s: a background thread failed", self, exc_info=event.worker.error)
            self.post_message(self.QueryFailed(clean(f"unforeseen: {event.worker.error}; see the log")))
