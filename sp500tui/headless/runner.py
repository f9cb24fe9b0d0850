"""The face for scripts: runs the pipeline without a screen of its own, and tells the end in one line or in JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from sp500tui.config.bootstrap import bootstrap
from sp500tui.errors import ExitCode, Sp500tuiError
from sp500tui.headless.live_view import format_missing, summary
from sp500tui.logs.redaction import plain, redact_url
from sp500tui.logs.setup import current, log_uncaught
from sp500tui.logs.standard_streams import OutputError, write_json, write_message, write_output
from sp500tui.pipeline.api import SHUTDOWN_MESSAGES, ShutdownLevel, escalate
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot, Snapshot
from sp500tui.pipeline.report import RunReport, exit_code
from sp500tui.pipeline.runtime.stop_signals import StopSignals, exit_at_once
from sp500tui.pipeline.runtime.unattended_stop import KILL_LIMIT, stop_unattended

if TYPE_CHECKING:
    from sp500tui.config.loader import Configuration
    from sp500tui.config.paths import Paths
    from sp500tui.config.settings import Settings

_log = logging.getLogger(__name__)
_REDRAW = 0.25
"""Seconds between two pictures on a terminal."""


class Run(Protocol):
    """What this front end needs of `PipelineControl`."""

    def start(self) -> None:
        """See `PipelineControl.start`."""

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`."""

    def stop(self, step: ShutdownLevel) -> None:
        """See `PipelineControl.stop`."""

    def join(self, timeout: float | None = None) -> bool:
        """See `PipelineControl.join`."""

    def outcome(self) -> RunReport:
        """See `PipelineControl.outcome`."""


def _build(settings: Settings, paths: Paths) -> Run:
    if settings.broker is not None:
        from sp500tui.cluster.node.node import ClusterNode

        return ClusterNode(settings, paths)
    from sp500tui.pipeline.runtime.pipeline import Pipeline

    return Pipeline(settings, paths)


def run_headless(configuration: Configuration, build: Callable[[Settings, Paths], Run] = _build) -> int:
    """Run to the end, tell it, and return the exit code. `build` makes the pipeline."""
    with StopSignals() as signals:
        face = HeadlessRunner(
            signals, configuration.settings.drain_timeout, _shutdown_message(configuration.settings)
        )
        report = _report_of(face, configuration, build)
        if signals.first is not None:
            report = report.with_signal(signals.first)
        complete = print_summary(report, as_json=configuration.settings.json_output)
    code = exit_code(report) if complete else exit_code(report) or ExitCode.INCOMPLETE
    if face.abandoned:
        exit_at_once(code)
    return code


def _shutdown_message(settings: Settings) -> Mapping[ShutdownLevel, str]:
    if settings.broker is None:
        return SHUTDOWN_MESSAGES
    from sp500tui.cluster.node.node import SHUTDOWN_MESSAGES as WORDS_OF_A_NODE

    return WORDS_OF_A_NODE


def _report_of(
    face: HeadlessRunner, configuration: Configuration, build: Callable[[Settings, Paths], Run]
) -> RunReport:
    """Follow a pipeline to its end; whatever goes wrong ends in a report, never in an exception."""
    settings = configuration.settings
    try:
        paths = bootstrap(configuration)
        log_uncaught()
        return face.follow(build(settings, paths))
    except Sp500tuiError as error:
        return _early_report(settings).with_failure(error)
    except Exception as error:  # noqa: BLE001 - told in one line and in the report; the traceback is in the log
        return _early_report(settings).with_failure(unforeseen(error))


def unforeseen(error: Exception) -> Sp500tuiError:
    """The failure for an exception that has no message of its own for the user; its traceback goes to the log."""
    if isinstance(error, Sp500tuiError):
        return error
    words = f"unforeseen {type(error).__name__}: {error}"
    _log.critical("%s", words, exc_info=error, extra={"files_only": True})
    log = current()
    return Sp500tuiError(
        f"{words}; {f'details in {log.errors_log}' if log and log.errors_log else 'please report it'}"
    )


def _early_report(settings: Settings) -> RunReport:
    """The report of a run that ended before there was a pipeline to ask."""
    url = redact_url(settings.database) if settings.database else ""
    return RunReport(database=DatabaseSnapshot(url=url, embedded=settings.database is None))


class HeadlessRunner:
    """Follows one pipeline from start to end; every signal climbs the stop ladder by one step."""

    def __init__(
        self,
        signals: StopSignals,
        drain_timeout: float,
        stop_words: Mapping[ShutdownLevel, str] = SHUTDOWN_MESSAGES,
    ) -> None:
        self._signals = signals
        self._drain_timeout = drain_timeout
        self._shutdown_message = stop_words
        self._step = ShutdownLevel.NONE
        self.abandoned = False
        """Whether the pipeline was killed and had not ended even then."""

    def follow(self, pipeline: Run) -> RunReport:
        """Start the pipeline and stay with it until it has ended or was killed.

        An error of this front end stops the pipeline in good order, and is the failure of the report.
        """
        failure: Sp500tuiError | None = None
        try:
            self._attend(pipeline)
        except Exception as error:  # noqa: BLE001  # the pipeline must be stopped whatever it was
            failure = unforeseen(error)
            self.abandoned = not stop_unattended(pipeline, self._drain_timeout, self._signals, self._step)
        if self._step is ShutdownLevel.KILL:
            self.abandoned = not pipeline.join(KILL_LIMIT)
        report = pipeline.outcome()
        return report.with_failure(failure) if failure and not report.failure else report

    def _attend(self, pipeline: Run) -> None:
        pipeline.start()
        self._signals.wake_after(pipeline.join)
        _log.info("started; process %d", os.getpid())
        with picture_on_terminal() as draw:
            while not pipeline.join(0) and self._step is not ShutdownLevel.KILL:
                self._signals.sleep(_REDRAW if draw else None)
                self._escalate(pipeline)
                if draw:
                    draw(pipeline.snapshot())

    def _escalate(self, pipeline: Run) -> None:
        while (number := self._signals.take()) is not None:
            self._step = escalate(self._step)
            _log.warning("%s: %s", number.name, self._shutdown_message[self._step])
            pipeline.stop(self._step)


@contextmanager
def picture_on_terminal() -> Iterator[Callable[[Snapshot], None] | None]:
    """A live picture on stderr while that is a terminal; gives the call that redraws it."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.live import Live

    from sp500tui.headless.live_view import display

    terminal = sys.stderr
    live = Live(console=Console(file=terminal), auto_refresh=False, transient=True, redirect_stdout=False)

    def draw(snapshot: Snapshot) -> None:
        with suppress(OSError):  # the terminal may have gone; the run goes on without a picture
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
    """Write how the run ended: one JSON object on stdout, or one line; failures and missing symbols on stderr.

    Returns whether all of it could be written; what could not is in the log.
    """
    outputs: list[tuple[Callable[[str], None], str]] = []
    if report.failure:
        outputs.append((write_message, plain(report.failure)))
    if report.missing and not (report.failure and not report.ledger.fetched):
        outputs.append((write_message, format_missing(report.missing)))
    words = summary(report)
    _log.info("%s", words, extra={"files_only": not as_json})
    if as_json:
        outputs.append((write_json, json.dumps(report.as_json()) + "\n"))
    elif report.cycles or not report.failure:  # what never began needs no figures
        outputs.append((write_output, plain(words) + "\n"))
    complete = True
    for write, text in outputs:
        try:
            write(text)
        except OutputError as error:
            _log.error("the report of the run is incomplete: %s", error)
            complete = False
    return complete
