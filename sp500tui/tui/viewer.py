"""The dashboard of a pipeline in another process, which continues when the dashboard is closed."""

from __future__ import annotations

import signal
from typing import ClassVar

from textual.binding import BindingType

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ExitCode
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_last_message
from sp500tui.pipeline.api import SHUTDOWN_MESSAGES, PipelineControl, ShutdownLevel, escalate
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.pipeline.report import exit_code
from sp500tui.pipeline.runtime.stop_signals import StopSignals
from sp500tui.remote.client import RemotePipeline
from sp500tui.remote.commands import READ_ONLY
from sp500tui.remote.recording.recorder import Recorder
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.run import dashboard_files
from sp500tui.tui.widgets.bindings import bind

_STOP_QUESTIONS = {
    ShutdownLevel.DRAIN: "Stop the pipeline for everyone, storing what was fetched",
    ShutdownLevel.SPOOL: "Stop waiting and write the rest to the journal",
    ShutdownLevel.KILL: "Kill the pipeline's workers",
}
_NODE_QUESTIONS = {
    ShutdownLevel.DRAIN: "Stop this node of the cluster, finishing its leases",
    ShutdownLevel.SPOOL: "Stop waiting and give the leases of this node to other nodes",
    ShutdownLevel.KILL: "Kill the workers of this node",
}
_NODE_MESSAGES = {
    ShutdownLevel.DRAIN: "The node leaves the cluster; press again to give its leases to other nodes",
    ShutdownLevel.SPOOL: "The leases of the node go to other nodes; press again to kill its workers",
    ShutdownLevel.KILL: "The workers of the node are killed",
}


class ViewerApp(DashboardApp):
    """A dashboard attached to a running pipeline; `q` closes it, and a separate key stops the pipeline."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("quit", "request_stop", "Leave", explanation="Leave this viewer; the pipeline keeps running"),
        bind("pipeline.stop", "stop_pipeline", "Stop pipeline"),
    ]

    _stop_level = ShutdownLevel.NONE

    def action_request_stop(self) -> None:
        """Close the viewer."""
        self.leave()

    def action_stop_pipeline(self) -> None:
        """Take the next step of the pipeline's shutdown after confirmation."""
        if self.snapshot.phase in (Phase.STOPPED, Phase.FAILED):
            self.show_message(f"The pipeline has ended; press {self.key_of('quit')} to leave")
            return
        level = escalate(self._stop_level)
        questions = _NODE_QUESTIONS if self.snapshot.nodes else _STOP_QUESTIONS
        self.ask(
            f"{questions[level]}?",
            lambda: self._run_action(lambda pipeline: self._stop(pipeline, level)),
        )

    def _stop(self, pipeline: PipelineControl, level: ShutdownLevel) -> str:
        pipeline.stop(level)
        self._stop_level = level
        return (_NODE_MESSAGES if self.snapshot.nodes else SHUTDOWN_MESSAGES)[level]

    def leave(self) -> None:
        """Exit with the code of the run if it has ended, otherwise with 0 or the code of the signal."""
        report = self.report()
        pipeline = self.feed.pipeline
        ended = pipeline is None or pipeline.join(0) or bool(self.crashed)
        code = exit_code(report) if ended or report.signal is not None else ExitCode.OK
        message = None if ended else "The pipeline keeps running; sp500tui attach shows it again."
        self.exit(int(code), return_code=int(code), message=message)


def run_viewer(settings: Settings, paths: Paths, pipeline: RemotePipeline) -> int:
    """Show a pipeline in another process until the user quits; returns the exit code."""
    files = dashboard_files(paths)
    recorder = Recorder(pipeline, pipeline.welcome.run, pipeline.mirror)
    recorder.start()
    with StopSignals() as signals:
        app = ViewerApp(
            lambda: pipeline,
            pipeline.welcome.run.applied_to(settings),
            log=pipeline.mirror,
            state_file=files.state,
            export_folder=files.exports,
            signals=signals,
            recent=recorder.recent_recording,
            refusal="" if pipeline.steering else READ_ONLY,
        )
        try:
            code = app.run()
        except Exception as error:  # noqa: BLE001  # reported in one line below
            app.failed(error)
            code = None
        finally:
            recorder.close()
            pipeline.close()
        report = app.report()
    if report.failure and report.signal is not signal.SIGHUP:
        write_last_message(plain(report.failure))
    return int(exit_code(report)) if code is None else code
