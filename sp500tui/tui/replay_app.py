"""The dashboard of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import Input

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ExitCode
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_last_message
from sp500tui.pipeline.report import exit_code
from sp500tui.pipeline.runtime.stop_signals import StopSignals
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.replay.controls import TimeControls
from sp500tui.tui.replay.time_bar import REPLAY_BINDINGS, TIME_BINDINGS
from sp500tui.tui.run import dashboard_files
from sp500tui.tui.widgets.bindings import bind

_TITLES: Mapping[str | None, str] = {"time.end": "Last moment"}
"""Key titles that differ in a recording, which has no present."""


class ReplayApp(DashboardApp):
    """Shows a recording, which can be played, stopped and moved in time; nothing can be controlled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("quit", "request_stop", "Leave", explanation="Leave the recording"),
        *(
            replace(binding, show=True, description=_TITLES.get(binding.id, binding.description))
            for binding in TIME_BINDINGS
        ),
        *REPLAY_BINDINGS,
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the keys of the time bar in text inputs."""
        if action in ("time_play", "time_begin") and isinstance(self.focused, Input):
            return False
        return super().check_action(action, parameters)

    def action_time_play(self) -> None:
        """Play or pause."""
        self.change_time(TimeControls.play)

    def action_time_begin(self) -> None:
        """Go to the first moment."""
        self.change_time(TimeControls.begin)

    def action_time_speed(self, direction: int) -> None:
        """Play more slowly or faster."""
        self.change_time(lambda controls: controls.speed(direction))

    def action_request_stop(self) -> None:
        """Exit."""
        self.leave()

    def leave(self) -> None:
        """Exit with 0, or with the code of the signal."""
        report = self.report()
        code = exit_code(report) if report.signal is not None or self.crashed else ExitCode.OK
        self.exit(int(code), return_code=int(code))


def run_replay(settings: Settings, paths: Paths, pipeline: ReplayedPipeline) -> int:
    """Show a recording until the user quits; returns the exit code."""
    files = dashboard_files(paths)
    with StopSignals() as signals:
        app = ReplayApp(
            lambda: pipeline,
            pipeline.recording.facts.run.applied_to(settings),
            log=pipeline,
            state_file=files.state,
            export_folder=files.exports,
            signals=signals,
            replayed=pipeline,
            refusal=pipeline.refusal,
        )
        try:
            code = app.run()
        except Exception as error:  # noqa: BLE001  # reported in one line below
            app.failed(error)
            code = None
        if app.crashed:
            write_last_message(f"the dashboard failed: {plain(app.crashed)}")
    return int(ExitCode.INCOMPLETE) if code is None else code
