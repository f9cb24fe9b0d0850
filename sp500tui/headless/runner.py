"""The headless front end: runs the pipeline without the dashboard and prints a summary, one line or a JSON object."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from signal import Signals
from typing import TYPE_CHECKING, Protocol

from sp500tui.config.bootstrap import bootstrap
from sp500tui.errors import ExitCode, Sp500tuiError
from sp500tui.headless.live_view import format_missing, summary
from sp500tui.headless.service_manager import ServiceManager
from sp500tui.logs.redaction import plain, redact_url
from sp500tui.logs.setup import log_uncaught, log_unexpected
from sp500tui.logs.standard_streams import OutputError, write_error, write_json, write_output
from sp500tui.pipeline.api import ShutdownLevel, escalate
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot, Snapshot
from sp500tui.pipeline.report import RunReport, exit_code
from sp500tui.pipeline.runtime.stop_signals import StoppedBySignal, StopSignals, exit_at_once
from sp500tui.pipeline.runtime.unattended_stop import KILL_LIMIT, stop_unattended
from sp500tui.remote.run_services import RunServices

if TYPE_CHECKING:
    from sp500tui.cluster.node.node import ClusterNode
    from sp500tui.config.loader import Configuration
    from sp500tui.config.paths import Paths
    from sp500tui.config.settings import Settings
    from sp500tui.headless.endpoint import Endpoint
    from sp500tui.pipeline.runtime.pipeline import Pipeline

_log = logging.getLogger(__name__)
_REDRAW = 0.25
"""Seconds between two updates of the live display."""


class Run(Protocol):
    """The part of `PipelineControl` that this front end uses."""

    def start(self) -> None:
        """See `PipelineControl.start`."""

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`."""

    def stop(self, level: ShutdownLevel) -> None:
        """See `PipelineControl.stop`."""

    def join(self, timeout: float | None = None) -> bool:
        """See `PipelineControl.join`."""

    def outcome(self) -> RunReport:
        """See `PipelineControl.outcome`."""

    @property
    def shutdown_messages(self) -> Mapping[ShutdownLevel, str]:
        """See `PipelineBase.shutdown_messages`."""

    @property
    def stalled(self) -> float:
        """See `PipelineBase.stalled`."""


@contextmanager
def open_run(settings: Settings, paths: Paths) -> Iterator[Run]:
    """Build the pipeline, or the node of a cluster; serve viewers and metrics and record it until it has ended."""
    with ExitStack() as stack:
        services = stack.enter_context(RunServices(paths, settings))
        endpoint: Endpoint | None = None
        if settings.metrics is not None:
            from sp500tui.headless.endpoint import serving

            endpoint = stack.enter_context(serving(settings.metrics))
        pipeline = _build(settings, paths)
        services.begin(pipeline, pipeline.watch)
        if endpoint is not None:
            endpoint.run = pipeline
        yield pipeline


def _build(settings: Settings, paths: Paths) -> Pipeline | ClusterNode:
    if settings.broker is not None:
        from sp500tui.cluster.node.node import ClusterNode

        return ClusterNode(settings, paths)
    from sp500tui.pipeline.runtime.pipeline import Pipeline

    return Pipeline(settings, paths)


OpenRun = Callable[["Settings", "Paths"], AbstractContextManager[Run]]


def run_headless(configuration: Configuration, open_run: OpenRun = open_run) -> int:
    """Run the pipeline that `open_run` builds until it ends, print the summary, and return the exit code."""
    with StopSignals(exit_when_blocked=True) as signals:
        runner = HeadlessRunner(signals, configuration.settings.drain_timeout)
        report = _report_of(runner, signals, configuration, open_run)
        if signals.first is not None:
            report = report.with_signal(signals.first)
        complete = print_summary(report, as_json=configuration.settings.json_output)
    code = exit_code(report) if complete else exit_code(report) or ExitCode.INCOMPLETE
    if runner.abandoned:
        exit_at_once(code)
    return code


def report_stopped(configuration: Configuration, number: Signals) -> int:
    """Print the summary of a run that a signal ended before it began, and return the exit code."""
    report = _early_report(configuration.settings).with_signal(number)
    print_summary(report, as_json=configuration.settings.json_output)
    return exit_code(report)


def _report_of(
    runner: HeadlessRunner, signals: StopSignals, configuration: Configuration, open_run: OpenRun
) -> RunReport:
    """Build the pipeline and run it to its end; every exception is reported as the failure of the run.

    A signal ends the run immediately while there is no pipeline: building it may block, such as on a password prompt.
    """
    settings = configuration.settings
    try:
        with ExitStack() as stack:
            with signals.raised():
                paths = bootstrap(configuration)
                log_uncaught()
                pipeline = stack.enter_context(open_run(settings, paths))
            return runner.follow(pipeline)
    except StoppedBySignal:
        return _early_report(settings)
    except Sp500tuiError as error:
        return _early_report(settings).with_failure(error)
    except Exception as error:  # noqa: BLE001 - it is in the report, and its traceback in the log
        return _early_report(settings).with_failure(unexpected(error))


def unexpected(error: Exception) -> Sp500tuiError:
    """The error to report for any exception; the traceback of one other than Sp500tuiError goes to the log."""
    return error if isinstance(error, Sp500tuiError) else Sp500tuiError(log_unexpected(error, __name__))


def _early_report(settings: Settings) -> RunReport:
    """The report of a run that failed before its pipeline was built."""
    url = redact_url(settings.database) if settings.database else ""
    return RunReport(database=DatabaseSnapshot(url=url, embedded=settings.database is None))


class HeadlessRunner:
    """Runs one pipeline from start to end; every signal raises the shutdown level by one."""

    def __init__(self, signals: StopSignals, drain_timeout: float) -> None:
        self._signals = signals
        self._drain_timeout = drain_timeout
        self._service_manager = ServiceManager()
        self._step = ShutdownLevel.NONE
        self.abandoned = False
        """Whether the pipeline was killed and its threads have not ended."""

    def follow(self, pipeline: Run) -> RunReport:
        """Start the pipeline and wait until it has ended or was killed.

        An error of this front end drains the pipeline and is reported as the failure of the run.
        """
        failure: Sp500tuiError | None = None
        try:
            self._run(pipeline)
        except Exception as error:  # noqa: BLE001  # any error must stop the pipeline
            failure = unexpected(error)
            self.abandoned = not stop_unattended(pipeline, self._drain_timeout, self._signals, self._step)
        if self._step is ShutdownLevel.KILL:
            self.abandoned = not pipeline.join(KILL_LIMIT)
        report = pipeline.outcome()
        return report.with_failure(failure) if failure and not report.failure else report

    def _run(self, pipeline: Run) -> None:
        pipeline.start()
        self._signals.wake_after(pipeline.join)
        _log.info("started; process %d", os.getpid())
        with live_display() as draw:
            while not pipeline.join(0) and self._step is not ShutdownLevel.KILL:
                self._signals.sleep(_REDRAW if draw else self._service_manager.interval)
                self._escalate(pipeline)
                if draw or self._service_manager.interval is not None:
                    snapshot = pipeline.snapshot()
                    self._service_manager.update(snapshot, pipeline.stalled)
                    if draw:
                        draw(snapshot)

    def _escalate(self, pipeline: Run) -> None:
        while (number := self._signals.take()) is not None:
            self._step = escalate(self._step)
            message = pipeline.shutdown_messages[self._step]
            _log.warning("%s: %s", number.name, message)
            self._service_manager.stopping(message)
            pipeline.stop(self._step)


@contextmanager
def live_display() -> Iterator[Callable[[Snapshot], None] | None]:
    """A live display on stderr; yields the function that updates it, or None where stderr is not a terminal."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.live import Live

    from sp500tui.headless.live_view import display

    terminal = sys.stderr
    live = Live(console=Console(file=terminal), auto_refresh=False, transient=True, redirect_stdout=False)

    def draw(snapshot: Snapshot) -> None:
        with suppress(OSError):  # the terminal may have been closed; the run continues
            live.update(display(snapshot), refresh=True)

    try:
        with suppress(OSError):
            live.start()
        yield draw
    finally:
        with suppress(OSError):
            live.stop()
        sys.stderr = terminal


def print_summary(report: RunReport, *, as_json: bool) -> bool:
    """Print the summary to stdout, as a line or a JSON object, and the failure and missing symbols to stderr.

    Returns whether all of it could be written; a failure to write is logged.
    """
    outputs: list[tuple[Callable[[str], None], str]] = []
    if report.failure:
        outputs.append((write_error, plain(report.failure)))
    if report.missing and not (report.failure and not report.ledger.fetched):
        outputs.append((write_error, format_missing(report.missing)))
    line = summary(report)
    _log.info("%s", line, extra={"files_only": not as_json})
    if as_json:
        outputs.append((write_json, json.dumps(report.as_json()) + "\n"))
    elif report.cycles or not report.failure:  # a run that failed before its first cycle has no figures
        outputs.append((write_output, plain(line) + "\n"))
    complete = True
    for write, text in outputs:
        try:
            write(text)
        except OutputError as error:
            _log.error("the report of the run is incomplete: %s", error)
            complete = False
    return complete
