"""`sp500tui backfill`: fetches the bars that are missing, and can be interrupted and repeated at any time."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from sp500tui.cli.commands.data.survey import HistoryRequest, history_request, opened, surveyed, utc_now
from sp500tui.cli.context import configuration_of
from sp500tui.errors import ConfigurationError, DatabaseError, ExitCode, SourceError
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_json, write_message, write_output

if TYPE_CHECKING:
    from sp500tui.config.loader import Configuration
    from sp500tui.config.paths import Paths
    from sp500tui.pipeline.history.coverage import DayCoverage
    from sp500tui.pipeline.runtime.history import HistoryRun
    from sp500tui.pipeline.runtime.sources import Sources
    from sp500tui.storage.database import Database

_POLL_INTERVAL = 0.1
_REPORT_INTERVAL = 10.0
"""Seconds between two lines of progress where stderr is no terminal."""


class _Report(Protocol):
    def __call__(self, run: HistoryRun) -> None:
        """Show the progress."""


def run(namespace: Namespace) -> int:
    """Fetch and store what is missing; the exit code is 1 if symbols or requests failed."""
    from sp500tui.pipeline.history.coverage import RETRIEVABLE, CoverageState
    from sp500tui.pipeline.history.plan import history_tasks
    from sp500tui.storage.connection import connect

    configuration = configuration_of(namespace)
    request = history_request(namespace, configuration, utc_now())
    as_json = configuration.settings.json_output
    started = time.monotonic()
    with opened(configuration) as (sources, database, paths):
        with connect(database.url, application_name="sp500tui backfill") as connection:
            found = surveyed(connection, sources, request)
        if not found.coverage and found.warnings:
            raise SourceError(found.warnings[0])
        too_old = _check_reach(found.coverage, request)
        history = _make_run(configuration, paths, sources, database)
        replayed = history.start()
        if replayed and not as_json:
            write_message(f"{replayed:,} bars of an interrupted run are stored first")
        # A source may repair a session later, so what it did not have is requested again.
        history.add(history_tasks(found.coverage, RETRIEVABLE | {CoverageState.UNANSWERED}))
        try:
            _work(history, database, quiet=as_json)
        except BaseException:
            # Nothing more is requested; what was fetched is stored.
            sources.yahoo.close()
            raise
        finally:
            history.close()
        report = _report(history, request, found.coverage, too_old, time.monotonic() - started)
    if as_json:
        write_json(json.dumps(report, indent=1) + "\n")
    else:
        write_output(_summary(history, report))
    progress = history.progress
    if progress.failed and not history.counters.fetched:
        raise SourceError(f"no bars to be had: {next(iter(progress.failed.values()))}")
    return (
        ExitCode.INCOMPLETE if progress.failed or progress.refused or history.counters.dead else ExitCode.OK
    )


def _check_reach(coverage: Sequence[DayCoverage], request: HistoryRequest) -> int:
    """Warn of days that the source does not keep any more, and return how many dates these are.

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
    message = (
        f"{len(old):,} trading days from {min(old)} to {max(old)} are too old: Yahoo Finance keeps {resolution} bars "
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
    with _progress_report(quiet=quiet) as report:
        while not history.idle:
            time.sleep(_POLL_INTERVAL)
            history.poll()
            report(history)
            if time.monotonic() - checked > 1:
                checked = time.monotonic()
                try:
                    database.ensure_alive()
                except DatabaseError as error:
                    # The writers report it as well, and go on once the server runs.
                    write_message(plain(str(error)))


@contextmanager
def _progress_report(*, quiet: bool) -> Iterator[_Report]:
    """A progress bar on a terminal, otherwise a line now and then; nothing if `quiet`."""
    if quiet:
        yield lambda _: None
    elif sys.stderr is not None and sys.stderr.isatty():
        with _progress_bar() as bar:
            yield bar
    else:
        yield _progress_lines()


@contextmanager
def _progress_bar() -> Iterator[_Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("backfill"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[bars]} bars"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[trouble]}"),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=None, bars="0", trouble="")

        def report(run: HistoryRun) -> None:
            progress.update(
                task,
                total=run.progress.total,
                completed=run.progress.done,
                bars=f"{run.counters.fetched:,}",
                trouble=plain(run.trouble),
            )

        yield report


def _progress_lines() -> _Report:
    started = last = time.monotonic()

    def report(run: HistoryRun) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _REPORT_INTERVAL:
            return
        last = now
        done, total = run.progress.done, run.progress.total
        rate = done / (now - started)
        left = f", {(total - done) / rate:,.0f} s left" if rate else ""
        trouble = f"; {run.trouble}" if run.trouble else ""
        write_message(
            plain(
                f"{done:,} of {total:,} requests, {rate:.1f} a second, {run.counters.fetched:,} bars{left}{trouble}"
            )
        )

    return report


def _report(
    history: HistoryRun,
    request: HistoryRequest,
    coverage: Sequence[DayCoverage],
    too_old: int,
    seconds: float,
) -> dict[str, object]:
    """What the run has done, for `--json`."""
    progress = history.progress
    with history.counters.lock:
        ledger = asdict(history.ledger())
    return {
        "resolution": request.resolution,
        "from": request.start.isoformat(),
        "to": request.end.isoformat(),
        "symbols": len({each.symbol for each in coverage}),
        "days": dict(Counter(str(each.state) for each in coverage)),
        "requests": {"total": progress.total, "done": progress.done, "failed": len(progress.failed)},
        "bars": ledger,
        "completed_days": progress.complete,
        "incomplete_days": progress.incomplete,
        "too_old_dates": too_old,
        "refused": [{"symbol": symbol, "reason": reason} for symbol, reason in progress.refused.items()],
        "failed": [{"request": task, "reason": reason} for task, reason in progress.failed.items()],
        "elapsed_seconds": round(seconds, 3),
    }


def _summary(history: HistoryRun, report: dict[str, object]) -> str:
    progress = history.progress
    time_text = f"{progress.done:,} requests in {report['elapsed_seconds']} s"
    lines = [
        f"{history.counters.stored:,} bars stored, {history.counters.duplicate:,} were there already",
        f"{time_text}: {progress.complete:,} days complete, {progress.incomplete:,} without some bars",
    ]
    if not progress.total:
        lines = ["nothing is missing that Yahoo Finance has"]
    lines += [f"no chart of {symbol}: {reason}" for symbol, reason in progress.refused.items()]
    lines += [f"failed: {task}: {reason}" for task, reason in progress.failed.items()]
    return "".join(plain(line) + "\n" for line in lines)
