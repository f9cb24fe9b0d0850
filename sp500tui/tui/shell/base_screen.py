"""The base of all screens except the main one: status bar, key bar, and queries on a background thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import ClassVar, cast

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.timer import Timer
from textual.worker import Worker, WorkerState

from sp500tui.errors import Sp500tuiError
from sp500tui.model import Resolution
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.messages import SnapshotTaken, TimeChanged
from sp500tui.tui.render.formats import clean
from sp500tui.tui.shell.background import run_in_background
from sp500tui.tui.shell.breakpoints import HEIGHTS, WIDTHS, too_small_notice
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.shell.key_bar import KeyBar
from sp500tui.tui.shell.status_bar import StatusBar, View
from sp500tui.tui.widgets.bindings import bind

LOG = logging.getLogger(__name__)
READ_EVERY = 2.0
"""Seconds between two queries while the screen is shown."""
MESSAGE_SECONDS = 5.0
"""Seconds for which a message about a key's effect is shown."""
_GROUP = "reading"
_NO_PIPELINE = "The pipeline has not started yet"
_NO_HISTORY = "This pipeline fetches no history now: it is stopping, or a node without the history stage"


class BaseScreen(ClosableScreen[None]):
    """A screen with a status bar and a slow query that is repeated every two seconds while it is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("screen.back", "back", "Back"),
    ]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    status = getters.query_one(StatusBar)

    @dataclass
    class QuerySucceeded(Message, bubble=False):
        """The result of the query."""

        answer: object
        generation: int
        """The screen's generation when the query began; see `BaseScreen.read_at_another_time`."""

    @dataclass
    class QueryFailed(Message, bubble=False):
        """Why the query failed, in one line."""

        reason: str
        generation: int
        """See `QuerySucceeded.generation`."""

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        self._message_timer: Timer | None = None
        self._query_running: Worker[None] | None = None
        self._generation = 0
        """Number of times that the time shown was changed."""
        self.failure = ""
        """Why the last query failed; empty once one has succeeded."""

    @property
    def dashboard(self) -> DashboardContext:
        """The app."""
        return cast("DashboardContext", self.app)

    def database_url(self) -> str | None:
        """URL of the database; None before it is open. Called on background threads too."""
        pipeline = self.dashboard.feed.pipeline
        return None if pipeline is None else pipeline.database_url

    def compose(self) -> ComposeResult:
        """The panels between the status bar and the keys."""
        yield StatusBar()
        yield from self.compose_panels()
        keys = self.dashboard.key_of
        yield too_small_notice(keys("quit"), keys("screen.back"))
        yield KeyBar()

    def compose_panels(self) -> ComposeResult:
        """The panels of the screen."""
        yield from ()

    def on_mount(self) -> None:
        """Show the latest snapshot."""
        self.call_after_refresh(self._show, self.dashboard.snapshot)

    @on(SnapshotTaken)
    def follow(self, message: SnapshotTaken) -> None:
        """Show a new snapshot."""
        self._show(message.snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        self.status.show(snapshot, View.of(self.dashboard))
        self.show_snapshot(snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show a snapshot in the panels."""

    def show_message(self, text: str) -> None:
        """Show the effect of a key in the key bar for a few seconds."""
        bar = next(iter(self.query(KeyBar)), None)
        if bar is None:
            return  # the screen is being closed
        bar.show_message(text)
        if self._message_timer is not None:
            self._message_timer.stop()
        self._message_timer = self.set_timer(MESSAGE_SECONDS, lambda: bar.show_message(""))

    def action_back(self) -> None:
        """Close the screen."""
        self.dismiss()

    # Queries

    def current_query(self) -> Callable[[], object] | None:
        """The query, called on a background thread; None if there is nothing to read."""
        return None

    def on_screen_resume(self) -> None:
        """Query now, and repeatedly while the screen is shown."""
        self.run_query()
        if self._timer is None:
            self._timer = self.set_interval(READ_EVERY, self.run_query_if_idle)
        else:
            self._timer.resume()

    def on_screen_suspend(self) -> None:
        """Stop querying while another screen is shown."""
        if self._timer is not None:
            self._timer.pause()

    def run_query_if_idle(self) -> None:
        """Query now, unless a query is running."""
        if self._query_running is None or self._query_running.is_finished:
            self.run_query()

    def run_query(self) -> None:
        """Query now; the result of an earlier query is discarded."""
        query = self.current_query()
        if query is not None:
            self._query_running = self.run_worker(
                partial(self._fetch, query), exclusive=True, group=_GROUP, exit_on_error=False
            )

    @on(TimeChanged)
    def read_at_another_time(self) -> None:
        """Drop the results, and query those of the time that is now shown."""
        self._generation += 1
        self.failure = ""
        self.forget_answers()
        self.draw_panels()
        if self.is_current:
            self.run_query()

    @on(QuerySucceeded)
    def keep_answer(self, message: QuerySucceeded) -> None:
        """Show the result of a query, unless the time shown has changed since it began."""
        if message.generation == self._generation:
            self.show_answer(message.answer)

    @on(QueryFailed)
    def keep_failure(self, message: QueryFailed) -> None:
        """Keep the last result and show the error."""
        if message.generation == self._generation:
            self.failure = message.reason
            self.draw_panels()

    def show_answer(self, answer: object) -> None:
        """Show the result of a query."""

    def forget_answers(self) -> None:
        """Drop the results of all queries, because another time is now shown."""

    @property
    def replayed(self) -> ReplayedPipeline | None:
        """The recording shown, which may be that of a live pipeline's last minutes; None at the present."""
        pipeline = self.dashboard.feed.pipeline
        return pipeline if isinstance(pipeline, ReplayedPipeline) else None

    def draw_panels(self) -> None:
        """Draw what was read, or the error."""

    async def _fetch(self, query: Callable[[], object]) -> None:
        """Post the outcome of a query that runs on a background thread."""
        generation = self._generation
        try:
            answer = await run_in_background("screen-query", query)
            message: Message = self.QuerySucceeded(answer, generation)
        except Sp500tuiError as error:
            message = self.QueryFailed(clean(str(error)), generation)
        self.post_message(message)

    # Bars that are not stored

    def request_bars(
        self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str], what: str
    ) -> None:
        """Have the pipeline fetch the missing bars of these symbols, all if none are given; `what` is their name."""
        pipeline = self.dashboard.feed.pipeline
        if pipeline is None:
            self.show_message(_NO_PIPELINE)
            return
        request = partial(pipeline.heal, resolution, start, end, symbols)
        self.send_history_request(request, f"Fetching in the background: {what}")

    def send_history_request(self, request: Callable[[], bool], accepted: str) -> None:
        """Send a request to the history stage in the background; `accepted` is the message if it is accepted."""
        self.run_worker(self._request_history(request, accepted), group="history", exit_on_error=False)

    async def _request_history(self, request: Callable[[], bool], message: str) -> None:
        try:
            accepted = await run_in_background("history-request", request)
        except Sp500tuiError as error:
            self.bars_requested(clean(str(error)), accepted=False)
            return
        self.bars_requested(message if accepted else _NO_HISTORY, accepted=accepted)
        if accepted:
            self.run_query()

    def bars_requested(self, message: str, *, accepted: bool) -> None:
        """Show that the pipeline accepted a request for bars, or why it did not."""
        del accepted  # the message contains it
        self.show_message(message)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Report an unexpected error as a failed query instead of ending the program."""
        if event.state is WorkerState.ERROR:
            LOG.error("%s: a background thread failed", self, exc_info=event.worker.error)
            reason = clean(f"unexpected error: {event.worker.error}; see the log")
            self.post_message(self.QueryFailed(reason, self._generation))
