"""An app that opens a pipeline, looks at it a few times a second and leaves by the stop ladder."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from textual import on
from textual.timer import Timer
from textual.worker import Worker, WorkerState

from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import Phase, Snapshot
from sp500tui.pipeline.report import RunReport, exit_code
from sp500tui.pipeline.runtime.stop_signals import StopSignals
from sp500tui.tui.messages import (
    ConstituentsChanged,
    LogLinesAdded,
    PipelineEventReceived,
    PipelineFailed,
    PipelineOpened,
    PricesChanged,
    SnapshotTaken,
)
from sp500tui.tui.polling import LogSource, PipelineFeed, Update
from sp500tui.tui.quit.cluster_text import remaining_cluster_message
from sp500tui.tui.quit.screen import StopScreen
from sp500tui.tui.quit.shutdown import ShutdownController
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.terminal_diff import DiffingApp
from sp500tui.tui.shell.driver import driver_class
from sp500tui.tui.startup import PipelineLoader, starting_snapshot

LOG = logging.getLogger(__name__)
UNFOCUSED_RATE = 1.0
"""Looks a second, at most, while another window has the keyboard."""
_REPEAT_AFTER = 30.0
"""Seconds before the same trouble is noted again."""
_EVENTS = 200
"""Events remembered."""
_CLUSTER_NEWS = (EventKind.NODE_JOINED, EventKind.NODE_LEFT, EventKind.NODE_LOST, EventKind.SCHEDULER)
"""Told as notes whatever their level: they change who does the work."""


class PipelineApp(DiffingApp[int]):
    """Owns the one timer, the feed and the stop ladder; its result is the exit code.

    Args:
        open_pipeline: Loads and builds the pipeline; called on a thread of its own after the first frame.
        log: The lines of the log view.
        signals: The signals that climb the stop ladder; without them the app hears of none.
        clock: Gives the present moment, UTC.
    """

    def __init__(
        self,
        open_pipeline: Callable[[], PipelineControl],
        settings: Settings,
        *,
        log: LogSource,
        clock: Callable[[], datetime],
        signals: StopSignals | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class())
        self.settings = settings
        self.clock = clock
        self.opener = PipelineLoader(open_pipeline, self.post_message)
        self.shutdown_controller = ShutdownController(settings.drain_timeout)
        self.refresh_rate = settings.refresh_rate
        self._signals = signals
        self.events: deque[PipelineEvent] = deque(maxlen=_EVENTS)
        """The last ones, oldest first."""
        self.crashed = ""
        """Why the dashboard itself failed."""
        self._failure: BaseException | None = None
        self.snapshot: Snapshot = self._opening()
        """The newest one."""
        self.feed = PipelineFeed(self._opening, log, clock)
        self._timer: Timer | None = None
        self._skipped = 0
        self._noted = ("", 0.0)

    def _opening(self) -> Snapshot:
        return starting_snapshot(self.settings, self.clock(), self.opener.seconds, self._failure)

    # Life

    def on_mount(self) -> None:
        """Draw first; then load the pipeline and start looking at it."""
        self._follow_signals()
        self.start_refreshing()
        self.call_after_refresh(self.opener.start)
        self.refresh_data()

    def _follow_signals(self) -> None:
        if self._signals is not None:
            asyncio.get_running_loop().add_reader(self._signals.fileno(), self._on_signals)

    def _on_signals(self) -> None:
        """Climb the stop ladder by one step for each signal that has arrived."""
        assert self._signals is not None  # noqa: S101  # they have called this
        self._signals.sleep(0)
        while (number := self._signals.take()) is not None:
            if number is signal.SIGHUP:
                # The terminal is gone: drawing to it would block, so the drain goes on without a screen.
                self.leave()
            else:
                self.action_request_stop()

    def report(self) -> RunReport:
        """How the run stands now, whether or not there ever was a pipeline."""
        pipeline = self.opener.pipeline
        report = RunReport.from_snapshot(self._opening()) if pipeline is None else pipeline.outcome()
        if self.crashed:
            report = report.with_failure(Sp500tuiError(f"the dashboard failed ({self.crashed})"))
        elif isinstance(self._failure, Sp500tuiError) and not report.failure:
            report = report.with_failure(self._failure)
        if self._signals is not None and self._signals.first is not None:
            report = report.with_signal(self._signals.first)
        return report

    def start_refreshing(self) -> None:
        """Look at the pipeline `refresh_rate` times a second."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(1 / self.refresh_rate, self.refresh_data)

    def leave(self) -> None:
        """End the dashboard with the exit code of the present moment."""
        code = exit_code(self.report())
        self.exit(int(code), return_code=int(code), message=remaining_cluster_message(self.snapshot) or None)

    def failed(self, error: Exception) -> None:
        """Note that the dashboard itself failed; the first failure is reported."""
        LOG.critical("the dashboard failed", exc_info=error)
        self.crashed = self.crashed or clean(f"{type(error).__name__}: {error}")

    def _handle_exception(self, error: Exception) -> None:
        self.failed(error)
        super()._handle_exception(error)
        # What happened is told in one line once the terminal is an ordinary one again.
        self._exit_renderables.clear()

    # The look at the pipeline

    def refresh_data(self) -> None:
        """Take what is new and hand it to the screens."""
        if not self.app_focus and not self._due_while_blurred():
            return
        news = self.feed.take()
        self.snapshot = news.snapshot
        # The main screen keeps what arrives, and the one below a note or the palette can still be seen.
        for screen in {*self.screen_stack[:1], *self.screen_stack[-2:]}:
            self._deliver(news, screen.post_message)
        if self.shutdown_controller.escalated:
            self._follow_stop()

    def _due_while_blurred(self) -> bool:
        self._skipped = (self._skipped + 1) % max(1, round(self.refresh_rate / UNFOCUSED_RATE))
        return self._skipped == 0

    def _deliver(self, news: Update, post: Callable[..., bool]) -> None:
        """One message for each kind of news."""
        if news.constituents is not None:
            post(ConstituentsChanged(news.constituents))
        if news.prices:
            post(PricesChanged(news.prices, news.now))
        if news.lines:
            post(LogLinesAdded(news.lines))
        post(SnapshotTaken(news.snapshot))

    @on(PipelineOpened)
    def attach(self, message: PipelineOpened) -> None:
        """Look at the real pipeline from now on."""
        self.feed.pipeline = message.pipeline
        message.pipeline.subscribe(self._on_pipeline_event)

    def _on_pipeline_event(self, event: PipelineEvent) -> None:
        """Called on a thread of the pipeline."""
        self.post_message(PipelineEventReceived(event))

    @on(PipelineFailed)
    def show_failure(self, message: PipelineFailed) -> None:
        """Keep the screen and say what failed."""
        LOG.error("the pipeline could not be opened: %s", message.error)
        self._failure = message.error

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Log what a background thread of the app itself, such as the closing of a connection, did not foresee."""
        if event.state is WorkerState.ERROR:
            LOG.error("a background thread failed", exc_info=event.worker.error)

    @on(PipelineEventReceived)
    def show_event(self, message: PipelineEventReceived) -> None:
        """Remember it, and show what went wrong or changed the cluster as a note; the log has everything."""
        event = message.event
        self.events.append(event)
        words, now = clean(event.message), time.monotonic()
        if event.level >= logging.ERROR and (words != self._noted[0] or now - self._noted[1] > _REPEAT_AFTER):
            self._noted = (words, now)
            self.notify(words, title=str(event.kind), severity="error", markup=False)
        elif event.kind in _CLUSTER_NEWS:
            severity: Literal["warning", "information"] = (
                "warning" if event.level >= logging.WARNING else "information"
            )
            self.notify(words, title=str(event.kind), severity=severity, markup=False)

    # Stopping

    async def action_quit(self) -> None:
        """The palette's way to quit is the ladder too."""
        self.action_request_stop()

    def action_request_stop(self) -> None:
        """Climb the stop ladder by one step."""
        pipeline = self.feed.pipeline
        if pipeline is None or self.snapshot.phase is Phase.STOPPED:
            self.leave()
            return
        self.shutdown_controller.escalate_shutdown(pipeline, self.snapshot)
        if not isinstance(self.screen, StopScreen):
            self.push_screen(StopScreen())
        self.refresh_data()

    def _follow_stop(self) -> None:
        """Leave once the pipeline has ended, or once waiting makes no sense any more."""
        pipeline = self.feed.pipeline
        if pipeline is None or pipeline.join(0) or self.shutdown_controller.is_expired:
            self.leave()
        elif isinstance(self.screen, StopScreen):
            self.screen.show(self.shutdown_controller.stopping, self.snapshot)
