"""The end of a run in numbers: what `--json` prints, and the exit code that it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from signal import SIGINT, Signals
from typing import Any

from sp500tui import __version__
from sp500tui.domain import ExitCode, Sp500tuiError
from sp500tui.pipeline.snapshot import DatabaseSnapshot, Health, Latency, Ledger, Snapshot, StageName

_REPORTED = (StageName.PRICE, StageName.CONVERTER, StageName.WRITER)


@dataclass(frozen=True, slots=True)
class WorkersReport:
    """One pool at the end."""

    size: int
    restarts: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended."""

    elapsed: float = 0.0
    """Seconds from the start."""
    cycles: int = 0
    """Cycles begun."""
    constituents: int = 0
    """Symbols on the list in force."""
    ledger: Ledger = field(default_factory=Ledger)
    missing: tuple[str, ...] = ()
    """Symbols without a price in the last cycle."""
    requests: int = 0
    failed_requests: int = 0
    throttled_requests: int = 0
    fetch: Latency = field(default_factory=Latency)
    """Of one price request."""
    end_to_end: Latency = field(default_factory=Latency)
    """From the fetch to the commit."""
    workers: Mapping[StageName, WorkersReport] = field(default_factory=dict)
    database: DatabaseSnapshot = field(default_factory=DatabaseSnapshot)
    failure: str = ""
    """Why the run failed, one line; empty when it did not."""
    failure_code: ExitCode | None = None
    """What kind of failure it was."""
    signal: Signals | None = None
    """The signal that ended the run before its time."""
    stopped_early: bool = False
    """Whether a person ended it before its time, without a signal."""

    @classmethod
    def of(
        cls, snapshot: Snapshot, failure: Sp500tuiError | None = None, *, stopped_early: bool = False
    ) -> RunReport:
        """The report behind the last snapshot of a run, and what made it fail if something did."""
        upstream = snapshot.upstream
        workers = {
            stage.name: WorkersReport(stage.size, stage.restarts)
            for stage in snapshot.stages
            if stage.name in _REPORTED
        }
        price = next((stage.latency for stage in snapshot.stages if stage.name is StageName.PRICE), Latency())
        report = cls(
            elapsed=snapshot.uptime,
            cycles=snapshot.cycle.number,
            constituents=snapshot.constituents.count,
            ledger=snapshot.ledger,
            missing=tuple(each.symbol for each in snapshot.missing),
            requests=upstream.requests,
            failed_requests=upstream.failed,
            throttled_requests=upstream.throttled,
            fetch=price,
            end_to_end=snapshot.end_to_end,
            workers=workers,
            database=snapshot.database,
            failure=snapshot.failure,
            stopped_early=stopped_early,
        )
        return report.failed(failure) if failure else report

    def failed(self, error: Sp500tuiError) -> RunReport:
        """The same run, ended by `error`."""
        return replace(self, failure=str(error), failure_code=error.exit_code)

    def interrupted(self, by: Signals) -> RunReport:
        """The same run, ended by a signal."""
        return replace(self, signal=by)

    @property
    def outcome(self) -> str:
        """`completed`, `interrupted` or `failed`."""
        if self.failure:
            return "failed"
        return "interrupted" if self.signal or self.stopped_early else "completed"

    def as_json(self) -> dict[str, Any]:
        """The object of the command-line contract, ready for `json.dumps`."""
        ledger, workers = self.ledger, self.workers
        none = WorkersReport(0, 0)
        return {
            "version": __version__,
            "outcome": self.outcome,
            "elapsed_seconds": round(self.elapsed, 3),
            "cycles": self.cycles,
            "constituents": self.constituents,
            "quotes": {
                "fetched": ledger.fetched,
                "stored": ledger.stored,
                "duplicate": ledger.duplicate,
                "queued": ledger.queued,
                "in_flight": ledger.in_flight,
                "spooled": ledger.spooled,
                "dead": ledger.dead,
                "missing": list(self.missing),
            },
            "requests": {
                "total": self.requests,
                "failed": self.failed_requests,
                "throttled": self.throttled_requests,
            },
            "latency_ms": {
                "fetch_p50": _rounded(self.fetch.p50),
                "fetch_p95": _rounded(self.fetch.p95),
                "end_to_end_p50": _rounded(self.end_to_end.p50),
                "end_to_end_p95": _rounded(self.end_to_end.p95),
            },
            "workers": {
                name.value: {"size": each.size, "restarts": each.restarts}
                for name in _REPORTED
                for each in (workers.get(name, none),)
            },
            "database": {
                "url": self.database.url,
                "embedded": self.database.embedded,
                "rows_total": self.database.rows_total,
            },
        }


def exit_code(report: RunReport) -> ExitCode:
    """What the program's exit code says about a run; SIGHUP counts as SIGTERM."""
    if report.signal is not None:
        return ExitCode.SIGINT if report.signal is SIGINT else ExitCode.SIGTERM
    if report.failure:
        return report.failure_code or ExitCode.INCOMPLETE
    ledger = report.ledger
    waiting = ledger.queued + ledger.in_flight + ledger.spooled
    if waiting and report.database.health is Health.DOWN:
        return ExitCode.DATABASE
    if not ledger.fetched and report.missing and report.failed_requests + report.throttled_requests:
        return ExitCode.NO_SOURCE
    return ExitCode.INCOMPLETE if waiting or ledger.dead or report.missing else ExitCode.OK


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)
