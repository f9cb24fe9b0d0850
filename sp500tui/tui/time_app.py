"""The app's time: the present of its pipeline, or a time of a recording, with the time bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from textual.widgets import Input

from sp500tui.config.settings import Settings
from sp500tui.logs.setup import LogSource
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.runtime.stop_signals import StopSignals
from sp500tui.tui.base_app import PipelineApp
from sp500tui.tui.messages import TimeChanged
from sp500tui.tui.replay.controls import TimeControls
from sp500tui.tui.replay.time_bar import TimeBar
from sp500tui.tui.shell.key_bar import KeyBar


class TimeApp(PipelineApp):
    """Shows a time other than the present on request, while the pipeline continues.

    Args:
        time_controls: Determines the time shown.
    """

    def __init__(
        self,
        open_pipeline: Callable[[], PipelineControl],
        settings: Settings,
        *,
        log: LogSource,
        clock: Callable[[], datetime],
        signals: StopSignals | None,
        time_controls: TimeControls,
    ) -> None:
        self._present, self._live_log = clock, log
        self.time_controls = time_controls
        self._generation = 0
        self._has_bars = False
        super().__init__(open_pipeline, settings, log=log, clock=self._time_shown, signals=signals)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let lists and text inputs have the key `end` while the present is shown."""
        if action == "time_end":
            return self.time_controls.replayed is not None and not isinstance(self.focused, Input)
        return super().check_action(action, parameters)

    def show_message(self, text: str) -> None:
        """Show the effect of a key."""
        raise NotImplementedError

    def change_time(self, change: Callable[[TimeControls], str]) -> None:
        """Change the time shown, and show everything of it; events of the previous time are no longer announced."""
        before = self.time_controls.replayed
        self.show_message(change(self.time_controls))
        if self.time_controls.replayed is not before:
            self._show_from_beginning()
        self.refresh_data()

    def _time_shown(self) -> datetime:
        """The present, or the time shown of a recording, UTC."""
        replayed = self.time_controls.replayed
        return self._present() if replayed is None else replayed.now

    @property
    def events(self) -> Sequence[PipelineEvent]:
        """The latest events of the time shown, oldest first."""
        replayed = self.time_controls.replayed
        return super().events if replayed is None else replayed.events_since(0)[1]

    def action_time_step(self, direction: int) -> None:
        """Go backward or forward in time."""
        self.change_time(lambda controls: controls.step(direction))

    def action_time_minute(self, direction: int) -> None:
        """Go one minute backward or forward."""
        self.change_time(lambda controls: controls.minute(direction))

    def action_time_event(self, direction: int) -> None:
        """Go to the previous or next event."""
        self.change_time(lambda controls: controls.event(direction))

    def action_time_error(self, direction: int) -> None:
        """Go to the previous or next error."""
        self.change_time(lambda controls: controls.error(direction))

    def action_time_end(self) -> None:
        """Return to the present, or go to the end of a replay."""
        self.change_time(TimeControls.end)

    def _show_from_beginning(self) -> None:
        """Discard what was shown and read everything of the new time."""
        replayed = self.time_controls.replayed
        if replayed is not None:
            self._generation = replayed.generation
            self.feed.show(replayed, replayed)
        elif self.loader.pipeline is not None:
            self.feed.show(self.loader.pipeline, self._live_log)
        for screen in self.screen_stack:
            screen.post_message(TimeChanged())
        self.refresh_bindings()

    def refresh_data(self) -> None:
        """Poll the pipeline or the recording, and update the time bar."""
        replayed = self.time_controls.replayed
        if replayed is not None:
            replayed.snapshot()
            if replayed.generation != self._generation:
                self._show_from_beginning()
        super().refresh_data()
        self._update_time_bars()

    def _update_time_bars(self) -> None:
        """Show one bar above the keys of every screen that has keys; none at the present."""
        replayed = self.time_controls.replayed
        if replayed is None and not self._has_bars:
            return
        self._has_bars = replayed is not None
        for screen in self.screen_stack:
            bars = screen.query(TimeBar)
            if replayed is None:
                bars.remove()
            elif not bars and screen.is_attached and screen.query(KeyBar):
                bar = TimeBar(self.key_of("time.end"))
                screen.mount(bar, before=screen.query_one(KeyBar))
                self.call_after_refresh(self._update_time_bars)
            for bar in bars:
                if replayed is not None:
                    bar.show(replayed, is_replay=self.time_controls.is_replay)

    def action_request_stop(self) -> None:
        """Return to the present and take the next step of the shutdown."""
        if not self.time_controls.is_replay and self.time_controls.replayed is not None:
            self.action_time_end()
        super().action_request_stop()
