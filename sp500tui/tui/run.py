"""Runs a pipeline with the dashboard until the user quits."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from pathlib import Path

from sp500tui.config.paths import Paths, current_folder, user_folder
from sp500tui.config.settings import Settings
from sp500tui.logs import setup as logs
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_last_message
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.pipeline.report import RunReport, exit_code
from sp500tui.pipeline.runtime.stop_signals import StopSignals, exit_at_once
from sp500tui.pipeline.runtime.unattended_stop import stop_unattended
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.run_services import RunServices
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.quit.shutdown import unsaved_summary
from sp500tui.tui.render.formats import count, span

_OPENING_LIMIT = 5.0
"""Seconds to wait on exit for a pipeline that is still loading."""


def run_dashboard(
    settings: Settings,
    paths: Paths,
    build: Callable[[Settings, Paths], PipelineControl] | None = None,
    services: RunServices | None = None,
) -> int:
    """Run the dashboard until the user quits; returns the exit code.

    `build` creates the pipeline of a cluster node; by default the pipeline runs in this process alone. `services`
    run with it; the caller closes them. The pipeline is shut down cleanly even if the dashboard itself fails.
    """
    logging_now = logs.current() or logs.configure(level=settings.log_level, console=False)
    files = dashboard_files(paths)
    # Started before the app, which leaves it no valid file descriptors (Textual issue 3593).
    resource_tracker.ensure_running()

    def open_pipeline() -> PipelineControl:
        from sp500tui.pipeline.runtime.pipeline import Pipeline

        pipeline = Pipeline(settings, paths) if build is None else build(settings, paths)
        if services is not None:
            services.begin(pipeline)
        return pipeline

    def recent() -> Recording | None:
        recorder = services.recorder if services is not None else None
        return recorder.recent_recording() if recorder is not None else None

    with StopSignals() as signals:
        app = DashboardApp(
            open_pipeline,
            settings,
            recent=recent,
            log=logging_now.ring,
            state_file=files.state,
            export_folder=files.exports,
            signals=signals,
        )
        try:
            app.run()
        except Exception as error:  # noqa: BLE001  # the pipeline must be shut down in any case
            app.failed(error)
        app.loader.cancel(_OPENING_LIMIT)
        pipeline = app.loader.pipeline
        ended = pipeline is None or stop_unattended(
            pipeline, settings.drain_timeout, signals, app.shutdown.step
        )
        report = app.report()
        if app.crashed and logging_now.app_log is not None:
            report = replace(report, failure=f"{report.failure}; see {logging_now.app_log}")
        _print_outcome(report, app.snapshot if pipeline is None else pipeline.snapshot())
        code = exit_code(report)
    if not ended:
        if services is not None:
            services.close()
        exit_at_once(code)
    return code


def _print_outcome(report: RunReport, snapshot: Snapshot) -> None:
    """Print the outcome of the run, why it failed and what was not stored, unless the terminal is closed."""
    if report.signal is signal.SIGHUP:
        return
    lines = [report.failure] if report.failure else []
    if summary := run_summary(snapshot):
        lines.append(summary)
    if unsaved := unsaved_summary(snapshot):
        lines.append(f"not stored: {unsaved}")
    for line in lines:
        write_last_message(plain(line))


def run_summary(snapshot: Snapshot) -> str:
    """The outcome of the quotes, and the duration of the run; empty if none was fetched.

    `88,478 fetched = 70,009 stored + 18,469 duplicate, 7 min`
    """
    ledger = snapshot.ledger
    if not ledger.fetched:
        return ""
    terms = (
        (ledger.stored, "stored"),
        (ledger.duplicate, "duplicate"),
        (ledger.queued, "queued"),
        (ledger.in_flight, "in flight"),
        (ledger.spooled, "spooled"),
        (ledger.dead, "dead"),
    )
    shown = [f"{count(number)} {name}" for number, name in terms if number] or ["0 stored"]
    sign = "=" if ledger.is_balanced else "≠"
    return f"{count(ledger.fetched)} fetched {sign} {' + '.join(shown)}, {span(snapshot.uptime)}"


@dataclass(frozen=True, slots=True)
class DashboardFiles:
    """The paths of a dashboard's files."""

    state: Path
    """File with the theme."""
    exports: Path
    """Folder of exported tables."""


def dashboard_files(paths: Paths) -> DashboardFiles:
    """The user's state file; exports go to the working directory if it is writable, else to the data directory."""
    here = current_folder()
    return DashboardFiles(
        (user_folder("state") or paths.data) / "dashboard.json",
        here if here is not None and os.access(here, os.W_OK) else paths.data,
    )
