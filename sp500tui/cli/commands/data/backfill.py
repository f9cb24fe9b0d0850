"""`sp500tui backfill`: fetches the bars that are missing, and can be interrupted and repeated at any time."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sp500tui.cli.commands.data.backfill_handover import Outcome, hand_over, running_pipeline
from sp500tui.cli.commands.data.backfill_progress import Progress, progress_report
from sp500tui.cli.commands.data.survey import HistoryRequest, history_request, opened, surveyed, utc_now
from sp500tui.cli.context import configuration_of
from sp500tui.cli.runtime_tuning import tune_gc
from sp500tui.errors import ConfigurationError, DatabaseError, ExitCode, SourceError
from sp500tui.headless.live_view import counted
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_json, write_message, write_output

if TYPE_CHECKING:
    from datetime import datetime

    from sp500tui.config.loader import Configuration
    from sp500tui.config.paths import Paths
    from sp500tui.pipeline.core.snapshot import HistoryFailure
    from sp500tui.pipeline.history.coverage import DayCoverage
    from sp500tui.pipeline.history.plan import HistoryTask
    from sp500tui.pipeline.history.survey import Survey
    from sp500tui.pipeline.runtime.history import HistoryRun
    from sp500tui.pipeline.runtime.sources import Sources
    from sp500tui.remote.session import Session
    from sp500tui.storage.database import Database

_POLL_INTERVAL = 0.1
_NOTHING_MISSING = "all bars that Yahoo Finance has are stored\n"


def run(namespace: Namespace) -> int:
    """Fetch and store what is missing; the exit code is 1 if symbols or requests failed."""
    from sp500tui.pipeline.history.coverage import RETRIEVABLE, CoverageState
    from sp500tui.pipeline.history.plan import history_tasks
    from sp500tui.storage.connection import connect

    tune_gc()
    configuration = configuration_of(namespace)
    request = history_request(namespace, configuration, utc_now())
    as_json = configuration.settings.json_output
    with opened(configuration) as (sources, database, paths):
        with connect(database.url, application_name="sp500tui backfill") as connection:
            found = surveyed(connection, sources, request)
        too_old = _check_reach(found.coverage, request)
        if not as_json:
            _name_running_days(found.coverage)
        # A source may repair a session later, so what it did not have is requested again.
        tasks = history_tasks(found.coverage, RETRIEVABLE | {CoverageState.UNANSWERED})
        job = _Job(configuration, request, found, too_old, tasks, time.monotonic())
        with running_pipeline(paths.data, database) as session:
            if session is not None and (code := _by_pipeline(session, job, database, sources)) is not None:
                return code
        return _by_this_program(job, database, sources, paths)


@dataclass(frozen=True, slots=True)
class _Job:
    """A backfill: its request, the survey of what is stored, and the requests that remain."""

    configuration: Configuration
    request: HistoryRequest
    survey: Survey
    too_old: int
    """Dates that the source no longer keeps."""
    tasks: Sequence[HistoryTask]
    started: float
    """Monotonic time."""

    @property
    def as_json(self) -> bool:
        return self.configuration.settings.json_output


def _by_this_program(job: _Job, database: Database, sources: Sources, paths: Paths) -> int:
    """Fetch and store in this process."""
    history = _make_run(job.configuration, paths, sources, database)
    interrupted = False
    try:
        replayed = history.start()
        if replayed and not job.as_json:
            write_message(f"{counted(replayed, 'bar')} of an interrupted run are stored first")
        history.add(job.tasks)
        _work(history, database, quiet=job.as_json)
    except BaseException:
        # Nothing more is requested; what was fetched is stored.
        interrupted = True
        sources.yahoo.close()
        raise
    finally:
        history.close()
        if interrupted:
            left = history.progress.total - history.progress.done
            write_message(
                f"interrupted: {counted(history.counters.stored, 'bar')} stored, {counted(left, 'request')} left; "
                "the same command fetches the rest"
            )
    report = _report(history, job)
    if job.as_json:
        write_json(json.dumps(report, indent=1) + "\n")
    else:
        write_output(_summary(history, report))
    progress = history.progress
    reasons = _unanswered(progress.failures)
    if reasons and not history.counters.fetched:
        raise SourceError(f"no bars available: {reasons[0]}")
    return (
        ExitCode.INCOMPLETE if progress.failed or history.counters.dead or job.survey.unknown else ExitCode.OK
    )


def _by_pipeline(session: Session, job: _Job, database: Database, sources: Sources) -> int | None:
    """Have the running pipeline fetch the bars; None if it does not accept the request."""
    from sp500tui.model import Resolution
    from sp500tui.storage.connection import connect

    outcome = Outcome()
    if job.tasks:
        request = job.request
        symbols = sorted({task.symbol for task in job.tasks})
        with progress_report(quiet=job.as_json) as report:
            done = hand_over(
                session, Resolution(request.resolution), (request.start, _fetched_until(job)), symbols, report
            )
        if done is None:
            return None
        outcome = done
    with connect(database.url, application_name="sp500tui backfill") as connection:
        after = surveyed(connection, sources, job.request).coverage
    stored = sum(each.present for each in after) - sum(each.present for each in job.survey.coverage)
    _report_of_pipeline(session.welcome.pid, job, outcome, stored)
    reasons = _unanswered(outcome.failures)
    if reasons and not stored:
        raise SourceError(f"no bars available: {reasons[0]}")
    if job.tasks and not outcome.requests and outcome.problem:
        raise SourceError(f"the running pipeline requested nothing: {outcome.problem}")
    return ExitCode.INCOMPLETE if outcome.failed or job.survey.unknown else ExitCode.OK


def _fetched_until(job: _Job) -> datetime:
    """The end of the window, or the start of a session that is running, for which nothing is fetched."""
    from sp500tui.pipeline.history.coverage import CoverageState

    running = (each.day.start_time for each in job.survey.coverage if each.state is CoverageState.NOT_YET)
    return min(running, default=job.request.end)


def _report_of_pipeline(pid: int, job: _Job, outcome: Outcome, stored: int) -> None:
    """Print what the running pipeline, the process `pid`, has fetched."""
    if job.as_json:
        content = {
            **_facts(job),
            "pipeline": pid,
            "requests": {"total": outcome.requests, "done": outcome.requests, "failed": outcome.unanswered},
            "bars": {"stored": stored},
            "completed_days": outcome.completed,
            "incomplete_days": outcome.incomplete,
            **_failure_records(outcome.failures),
        }
        write_json(json.dumps(content, indent=1) + "\n")
    elif not job.tasks:
        write_output(_NOTHING_MISSING)
    else:
        seconds = time.monotonic() - job.started
        write_output(
            f"{counted(stored, 'bar')} stored by the running pipeline\n"
            f"{counted(outcome.requests, 'request')} in {seconds:.1f} s: {counted(outcome.completed, 'day')} complete, "
            f"{outcome.incomplete:,} without some bars\n"
            + "".join(plain(line) + "\n" for line in _failure_lines(outcome.failures))
        )
        if unnamed := outcome.failed - len(outcome.failures):
            write_message(f"{counted(unnamed, 'more request')} failed; the log of the pipeline names them")


def _name_running_days(coverage: Sequence[DayCoverage]) -> None:
    """Print the dates whose sessions have not ended; nothing is fetched for them."""
    from sp500tui.pipeline.history.coverage import CoverageState

    running = sorted({each.day.session_date for each in coverage if each.state is CoverageState.NOT_YET})
    if running:
        names = " and ".join(map(str, running[:3]))
        write_message(f"the session of {names} has not ended; its bars can be fetched after the close")


def _check_reach(coverage: Sequence[DayCoverage], request: HistoryRequest) -> int:
    """Warn of days that the source no longer keeps, and return the number of dates.

    Raises:
        ConfigurationError: all days are too old.
    """
    from sp500tui.model import Resolution
    from sp500tui.pipeline.history.coverage import CoverageState
    from sp500tui.sources.yahoo.chart_limits import LIMITS, oldest_start

    old = {each.day.session_date for each in coverage if each.state is CoverageState.TOO_OLD}
    if not old:
        return 0
    resolution = Resolution(request.resolution)
    days = (
        f"trading day {min(old)} is" if len(old) == 1 else f"trading days from {min(old)} to {max(old)} are"
    )
    message = (
        f"{len(old):,} {days} too old: Yahoo Finance keeps {resolution} bars "
        f"for {LIMITS[resolution].days_back} days, now from {oldest_start(resolution, request.now):%Y-%m-%d} on; "
        "use a longer --resolution for them"
    )
    if all(each.state is CoverageState.TOO_OLD for each in coverage):
        raise ConfigurationError(message)
    write_message(message)
    return len(old)


def _make_run(configuration: Configuration, paths: Paths, sources: Sources, database: Database) -> HistoryRun:
    from sp500tui.pipeline.runtime.history import HistoryRun
    from sp500tui.pipeline.writer.database_health import DatabaseHealth

    health = DatabaseHealth(lambda _: None)
    health.ready.set()
    health.record_success()
    return HistoryRun(
        configuration.settings,
        paths,
        url=lambda: database.url,
        fetch=sources.yahoo.chart,
        health=health,
        publish=lambda _: None,
    )


def _work(history: HistoryRun, database: Database, *, quiet: bool) -> None:
    """Wait until everything is done; a stopped embedded server is started again."""
    checked = time.monotonic()
    with progress_report(quiet=quiet) as report:
        while not history.idle:
            time.sleep(_POLL_INTERVAL)
            history.poll()
            report(
                Progress(
                    history.progress.done,
                    history.progress.total,
                    counted(history.counters.fetched, "bar"),
                    history.trouble,
                )
            )
            if time.monotonic() - checked > 1:
                checked = time.monotonic()
                try:
                    database.ensure_alive()
                except DatabaseError as error:
                    # The writers report it as well, and continue once the server runs.
                    write_message(plain(str(error)))


def _facts(job: _Job) -> dict[str, object]:
    """The request and the survey, for `--json`."""
    return {
        "resolution": job.request.resolution,
        "from": job.request.start.isoformat(),
        "to": job.request.end.isoformat(),
        "symbols": len({each.symbol for each in job.survey.coverage}),
        "days": dict(Counter(str(each.state) for each in job.survey.coverage)),
        "too_old_dates": job.too_old,
        "elapsed_seconds": round(time.monotonic() - job.started, 3),
    }


def _report(history: HistoryRun, job: _Job) -> dict[str, object]:
    """The result of the run, for `--json`."""
    progress = history.progress
    with history.counters.lock:
        ledger = asdict(history.ledger())
    return {
        **_facts(job),
        "requests": {
            "total": progress.total,
            "done": progress.done,
            "failed": len(_unanswered(progress.failures)),
        },
        "bars": ledger,
        "completed_days": progress.complete,
        "incomplete_days": progress.incomplete,
        **_failure_records(progress.failures),
    }


def _summary(history: HistoryRun, report: dict[str, object]) -> str:
    progress = history.progress
    time_text = f"{counted(progress.done, 'request')} in {report['elapsed_seconds']} s"
    lines = [
        f"{counted(history.counters.stored, 'bar')} stored, {history.counters.duplicate:,} were there already",
        f"{time_text}: {counted(progress.complete, 'day')} complete, {progress.incomplete:,} without some bars",
    ]
    if not progress.total:
        lines = [_NOTHING_MISSING.rstrip()]
    return "".join(plain(line) + "\n" for line in (*lines, *_failure_lines(progress.failures)))


def _failure_lines(failures: Collection[HistoryFailure]) -> list[str]:
    """A line for each symbol that was refused and each request that was not answered."""
    return [
        *_refused(failures).values(),
        *(f"failed: {each.request}: {each.reason}" for each in failures if not each.refused),
    ]


def _failure_records(failures: Collection[HistoryFailure]) -> dict[str, list[dict[str, str]]]:
    """The same for `--json`."""
    return {
        "refused": [{"symbol": symbol, "reason": reason} for symbol, reason in _refused(failures).items()],
        "failed": [{"request": each.request, "reason": each.reason} for each in failures if not each.refused],
    }


def _unanswered(failures: Collection[HistoryFailure]) -> list[str]:
    """The reasons of the requests that were not answered."""
    return [each.reason for each in failures if not each.refused]


def _refused(failures: Collection[HistoryFailure]) -> dict[str, str]:
    """Symbol → reason; a symbol may have been refused in several requests."""
    return {each.symbol: each.reason for each in failures if each.refused}
