"""The report of a run: the object that `--json` prints, and the exit code of every front end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from signal import SIGINT, Signals
from typing import Any

from sp500tui import __version__
from sp500tui.errors import ExitCode, Sp500tuiError
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot, Health, Latency, Phase, Snapshot

_REPORTED = (StageName.PRICE, StageName.CONVERTER, StageName.WRITER)


@dataclass(frozen=True, slots=True)
class WorkersReport:
    """One worker pool at the end of the run."""

    size: int
    restarts: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """The result of a run."""

    elapsed: float = 0.0
    """Seconds since the start."""
    cycles: int = 0
    """Cycles started."""
    constituents: int = 0
    """Symbols on the current list."""
    ledger: Ledger = field(default_factory=Ledger)
    missing: tuple[str, ...] = ()
    """Symbols without a price in the last cycle."""
    requests: int = 0
    failed_requests: int = 0
    throttled_requests: int = 0
    fetch: Latency = field(default_factory=Latency)
    """Duration of a price request."""
    end_to_end: Latency = field(default_factory=Latency)
    """Time from the fetch to the commit."""
    workers: Mapping[StageName, WorkersReport] = field(default_factory=dict)
    database: DatabaseSnapshot = field(default_factory=DatabaseSnapshot)
    failure: str = ""
    """Why the run failed, in one line; empty if it did not."""
    failure_code: ExitCode | None = None
    """The exit code of the failure."""
    signal: Signals | None = None
    """The signal that ended the run early."""
    stopped_early: bool = False
    """Whether the user ended the run early, without a signal."""
    continued_by_cluster: bool = False
    """Whether other nodes continue the run, including items queued on the broker."""

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot, *, stopped_early: bool = False) -> RunReport:
        """The report of a run from its last snapshot.

        A run that ended by itself with quotes not stored has failed, whatever the cause.
        """
        sources = snapshot.sources
        workers = {
            stage.name: WorkersReport(stage.size, stage.restarts)
            for stage in snapshot.stages
            if stage.name in _REPORTED
        }
        price = next((stage.overall for stage in snapshot.stages if stage.name is StageName.PRICE), Latency())
        report = cls(
            elapsed=snapshot.uptime,
            cycles=snapshot.cycle.number,
            constituents=snapshot.constituents.count,
            ledger=snapshot.ledger,
            missing=tuple(each.symbol for each in snapshot.missing),
            requests=sources.requests,
            failed_requests=sources.failed,
            throttled_requests=sources.throttled,
            fetch=price,
            end_to_end=snapshot.end_to_end_overall,
            workers=workers,
            database=snapshot.database,
            failure=snapshot.failure,
            failure_code=snapshot.failure_code if snapshot.failure else None,
            stopped_early=stopped_early,
            continued_by_cluster=bool(snapshot.other_active_nodes),
        )
        if report.unstored and snapshot.phase is Phase.STOPPED and not (report.failure or stopped_early):
            return replace(report, failure=_unstored_message(report), failure_code=exit_code(report))
        return report

    def with_failure(self, error: Sp500tuiError) -> RunReport:
        """A copy of the report of a run that `error` ended."""
        return replace(self, failure=str(error), failure_code=error.exit_code)

    def with_signal(self, signal: Signals) -> RunReport:
        """A copy of the report of a run that `signal` ended."""
        return replace(self, signal=signal)

    @property
    def unstored(self) -> int:
        """Fetched quotes that are neither stored nor dead letters, and that no other node will store."""
        ledger = self.ledger
        return 0 if self.continued_by_cluster else ledger.queued + ledger.in_flight + ledger.spooled

    @property
    def outcome(self) -> str:
        """`completed`, `interrupted` or `failed`."""
        if self.failure:
            return "failed"
        return "interrupted" if self.signal or self.stopped_early else "completed"

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints, ready for `json.dumps`."""
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
    """The exit code of a run, the same for every front end; SIGHUP counts as SIGTERM."""
    if report.signal is not None:
        return ExitCode.SIGINT if report.signal is SIGINT else ExitCode.SIGTERM
    if report.failure:
        return report.failure_code or ExitCode.INCOMPLETE
    if report.continued_by_cluster and report.stopped_early:
        return ExitCode.OK  # the other nodes store the rest
    if report.unstored and report.database.health is Health.DOWN:
        return ExitCode.DATABASE
    fetched, dead = report.ledger.fetched, report.ledger.dead
    if not fetched and report.missing and report.failed_requests + report.throttled_requests:
        return ExitCode.NO_SOURCE
    return ExitCode.INCOMPLETE if report.unstored or dead or report.missing else ExitCode.OK


def _unstored_message(report: RunReport) -> str:
    """The failure message of a run that left quotes unstored."""
    ledger = report.ledger
    quotes = "1 quote was" if report.unstored == 1 else f"{report.unstored:,} quotes were"
    kept = f"; {ledger.spooled:,} are in the journal, which the next start stores" if ledger.spooled else ""
    reason = report.database.message if report.database.health is Health.DOWN else ""
    return f"{quotes} not stored{f': {reason}' if reason else ''}{kept}"


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)
