"""The app's life cycle: opens a pipeline, polls it a few times a second and shuts it down."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from textual import on
from textual._context import active_message_pump
from textual.app import ScreenStackError
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.message_pump import MessagePump
from textual.timer import Timer
from textual.widget import MountError, Widget
from textual.worker import Worker, WorkerState

from sp500tui.config.keys import KEYS_BY_ID
from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.logs.setup import LogSource
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
from sp500tui.tui.polling import PipelineFeed, Update
from sp500tui.tui.quit.screen import StopScreen
from sp500tui.tui.quit.shutdown import ShutdownController, remaining_cluster_message
from sp500tui.tui.render.formats import clean
from sp500tui.tui.startup import PipelineLoader, starting_snapshot
from sp500tui.tui.terminal.diff import DiffingApp
from sp500tui.tui.terminal.driver import driver_class

LOG = logging.getLogger(__name__)
UNFOCUSED_RATE = 1.0
"""Maximum refreshes per second while another window has the focus."""
_REPEAT_AFTER = 30.0
"""Seconds before a notification of the same error is repeated."""
_RECENT = 30.0
"""Maximum age in seconds of an event that is notified."""
_EVENTS = 200
"""Events kept."""
_NOTIFIED = (EventKind.NODE_JOINED, EventKind.NODE_LEFT, EventKind.NODE_LOST, EventKind.SCHEDULER)
"""Kinds notified at every level: they change which nodes do the work."""


class PipelineApp(DiffingApp[int]):
    """Owns the refresh timer, the feed and the shutdown; its result is the exit code.

    Args:
        open_pipeline: Builds the pipeline; called on its own thread after the first frame.
        log: Source of the log panel's lines.
        signals: Each one takes the next step of the shutdown; without them the app handles none.
        clock: Returns the current time, UTC.
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
        self.ascii_only = settings.ascii
        """Whether only ASCII is written to the terminal."""
        self.clock = clock
        self.loader = PipelineLoader(open_pipeline, self.post_message)
        self.shutdown = ShutdownController(settings.drain_timeout)
        self.refresh_rate = settings.refresh_rate
        self._signals = signals
        self._events: deque[PipelineEvent] = deque(maxlen=_EVENTS)
        self.crashed = ""
        """Why the dashboard itself failed."""
        self._failure: BaseException | None = None
        self.snapshot: Snapshot = self._starting()
        """The latest one."""
        self.feed = PipelineFeed(self._starting, log, clock)
        self._timer: Timer | None = None
        self._skipped = 0
        self._has_left = False
        """Whether the exit has begun: widgets are being removed while some still receive messages."""
        self._notified = ("", 0.0)

    def _starting(self) -> Snapshot:
        return starting_snapshot(self.settings, self.clock(), self.loader.seconds, self._failure)

    # Life cycle

    def on_mount(self) -> None:
        """Draw the first frame, then load the pipeline and start polling it."""
        self._follow_signals()
        self.start_refreshing()
        self.call_after_refresh(self.loader.start)
        self.refresh_data()

    def _follow_signals(self) -> None:
        if self._signals is not None:
            asyncio.get_running_loop().add_reader(self._signals.fileno(), self._on_signals)

    def _on_signals(self) -> None:
        """Take one step of the shutdown for each signal received."""
        assert self._signals is not None  # noqa: S101  # the caller
        self._signals.sleep(0)
        while (number := self._signals.take()) is not None:
            if number is signal.SIGHUP:
                # The terminal is closed; the drain continues without a screen.
                self.leave()
            else:
                self.action_request_stop()

    def report(self) -> RunReport:
        """The state of the run, available even before the pipeline is open."""
        pipeline = self.loader.pipeline
        report = RunReport.from_snapshot(self._starting()) if pipeline is None else pipeline.outcome()
        if self.crashed:
            report = report.with_failure(Sp500tuiError(f"the dashboard failed ({self.crashed})"))
        elif isinstance(self._failure, Sp500tuiError) and not report.failure:
            report = report.with_failure(self._failure)
        if self._signals is not None and self._signals.first is not None:
            report = report.with_signal(self._signals.first)
        return report

    def start_refreshing(self) -> None:
        """Poll the pipeline `refresh_rate` times a second."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(1 / self.refresh_rate, self.refresh_data)

    def leave(self) -> None:
        """Exit with the code of the current state."""
        self._has_left = True
        code = exit_code(self.report())
        self.exit(int(code), return_code=int(code), message=remaining_cluster_message(self.snapshot) or None)

    def failed(self, error: Exception) -> None:
        """Record a failure of the dashboard itself; the first one is reported."""
        LOG.critical("the dashboard failed", exc_info=error)
        self.crashed = self.crashed or clean(f"{type(error).__name__}: {error}")

    def _handle_exception(self, error: Exception) -> None:
        # IndexError: Textual's palette reads the screen below it once it is mounted.
        if isinstance(error, NoMatches | MountError | ScreenStackError | IndexError) and (
            self._has_left or self._is_removed(active_message_pump.get(None))
        ):
            LOG.debug("a message found its widgets removed: %s", error)
            return
        self.failed(error)
        super()._handle_exception(error)
        # Printed in one line after the terminal is restored, instead of as a traceback.
        self._exit_renderables.clear()

    def _is_removed(self, node: MessagePump | None) -> bool:
        """Whether a widget is on no open screen. Widgets of a closed screen handle messages until they are removed."""
        return isinstance(node, Widget) and not any(
            each in self.screen_stack for each in node.ancestors_with_self
        )

    @property
    def events(self) -> Sequence[PipelineEvent]:
        """The latest events, oldest first."""
        return self._events

    def get_key_display(self, binding: Binding) -> str:
        """The key as it is printed: its sign, or its name where the terminal has no Unicode."""
        shown = super().get_key_display(binding)
        return shown if shown.isascii() or not self.ascii_only else binding.key

    def key_label(self, key: str) -> str:
        """A key as it is printed: `esc` for `escape`."""
        return self.get_key_display(Binding(key.strip(), "", ""))

    def key_of(self, key_id: str) -> str:
        """The first key of a binding as configured, by the id of the binding: `esc`."""
        keys = self.settings.keymap.get(key_id) or KEYS_BY_ID[key_id].keys
        return self.key_label(keys.partition(",")[0])

    # Refreshing

    def refresh_data(self) -> None:
        """Poll the pipeline and pass updates to the screens."""
        # The timer still runs while the screens are being removed.
        if not self.is_running or (not self.app_focus and not self._due_while_unfocused()):
            return
        update = self.feed.poll()
        self.snapshot = update.snapshot
        # The main screen collects every update; the one below a dialog or the palette is still visible.
        for screen in {*self.screen_stack[:1], *self.screen_stack[-2:]}:
            self._post_updates(update, screen.post_message)
        if self.shutdown.escalated:
            self._follow_shutdown()

    def _due_while_unfocused(self) -> bool:
        self._skipped = (self._skipped + 1) % max(1, round(self.refresh_rate / UNFOCUSED_RATE))
        return self._skipped == 0

    def _post_updates(self, update: Update, post: Callable[..., bool]) -> None:
        """Post one message for each kind of update."""
        if update.constituents is not None:
            post(ConstituentsChanged(update.constituents))
        if update.prices:
            post(PricesChanged(update.prices, update.now))
        if update.lines:
            post(LogLinesAdded(update.lines))
        post(SnapshotTaken(update.snapshot))

    @on(PipelineOpened)
    def attach(self, message: PipelineOpened) -> None:
        """Poll the opened pipeline from now on."""
        self.feed.pipeline = message.pipeline
        message.pipeline.subscribe(self._on_pipeline_event)

    def _on_pipeline_event(self, event: PipelineEvent) -> None:
        """Called on a pipeline thread."""
        self.post_message(PipelineEventReceived(event))

    @on(PipelineFailed)
    def show_failure(self, message: PipelineFailed) -> None:
        """Show the error in the status bar; the dashboard stays open."""
        LOG.error("the pipeline could not be opened: %s", message.error)
        self._failure = message.error

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Log an unexpected error of a background thread of the app."""
        if event.state is WorkerState.ERROR:
            LOG.error("a background thread failed", exc_info=event.worker.error)

    @on(PipelineEventReceived)
    def show_event(self, message: PipelineEventReceived) -> None:
        """Keep the event, and notify errors and changes of the cluster."""
        event = message.event
        self._events.append(event)
        if (self.clock() - event.at).total_seconds() > _RECENT:
            return  # from before this viewer was attached
        text, now = clean(event.message), time.monotonic()
        if event.level >= logging.ERROR and (
            text != self._notified[0] or now - self._notified[1] > _REPEAT_AFTER
        ):
            self._notified = (text, now)
            self.notify(text, title=str(event.kind), severity="error", markup=False)
        elif event.kind in _NOTIFIED:
            severity: Literal["warning", "information"] = (
                "warning" if event.level >= logging.WARNING else "information"
            )
            self.notify(text, title=str(event.kind), severity=severity, markup=False)

    # Shutdown

    async def action_quit(self) -> None:
        """Quit from the command palette: the same as the key."""
        self.action_request_stop()

    def action_request_stop(self) -> None:
        """Take the next step of the shutdown."""
        pipeline = self.feed.pipeline
        if pipeline is None or self.snapshot.phase is Phase.STOPPED:
            self.leave()
            return
        self.shutdown.escalate(pipeline, self.snapshot)
        if self.is_running and not isinstance(self.screen, StopScreen):
            self.push_screen(StopScreen())
        self.refresh_data()

    def _follow_shutdown(self) -> None:
        """Exit once the pipeline has stopped or the last step has timed out."""
        pipeline = self.feed.pipeline
        if pipeline is None or pipeline.join(0) or self.shutdown.is_expired:
            self.leave()
        elif isinstance(self.screen, StopScreen):
            self.screen.show(self.shutdown.status, self.snapshot)
