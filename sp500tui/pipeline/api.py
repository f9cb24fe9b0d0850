"""The pipeline's interface for front ends, with its pure decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Protocol

from sp500tui.config.settings import MAX_INTERVAL, MAX_WORKERS, MIN_INTERVAL, MIN_WORKERS
from sp500tui.model import Constituent, Resolution
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import HistoryFailure, LivePrice, Snapshot
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.pipeline.report import RunReport

_INTERVAL_STEPS = (0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 86_400)


class ShutdownLevel(IntEnum):
    """How a pipeline is shut down; each further stop request escalates by one level."""

    NONE = 0
    DRAIN = 1
    """Fetch nothing more and store what was fetched."""
    SPOOL = 2
    """Write what is not stored to the journal."""
    KILL = 3
    """End without waiting."""


SHUTDOWN_MESSAGES = {
    ShutdownLevel.DRAIN: "draining: storing everything already fetched; stop again to spool the rest to disk",
    ShutdownLevel.SPOOL: "spooling: writing the rest to the journal for the next start; stop again to kill",
    ShutdownLevel.KILL: "killed",
}
"""The effect of each level, and of the next one."""


def escalate(level: ShutdownLevel) -> ShutdownLevel:
    """The level after one more stop request."""
    return ShutdownLevel(min(level + 1, ShutdownLevel.KILL))


def clamp_workers(size: int) -> int:
    """The pool size within the limits that is closest to `size`."""
    return max(MIN_WORKERS, min(MAX_WORKERS, size))


def step_interval(interval: float, direction: int) -> float:
    """The next shorter (`direction` -1) or longer (+1) interval of a fixed series, in seconds."""
    if direction < 0:
        return float(max((s for s in _INTERVAL_STEPS if s < interval), default=MIN_INTERVAL))
    return float(min((s for s in _INTERVAL_STEPS if s > interval), default=MAX_INTERVAL))


@dataclass(frozen=True, slots=True)
class ScaleResult:
    """The size of a pool before and after a request."""

    stage: StageName
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class HistorySnapshot:
    """Outstanding work of the history stage of a running pipeline, and its results since the start."""

    surveys: int = 0
    """Requests for missing bars whose extent is not determined yet."""
    requests: int = 0
    """Requests to the source so far, including queued ones."""
    requests_done: int = 0
    bars_outstanding: int = 0
    """Bars that were fetched and are not stored yet."""
    sessions_completed: int = 0
    """Sessions that have become complete."""
    sessions_incomplete: int = 0
    """Sessions for which the source did not have every bar."""
    failed: int = 0
    """Requests that brought no bars because they were refused or not answered."""
    message: str = ""
    """What is delaying it; empty if nothing is."""
    problem: str = ""
    """Why the latest request failed; empty if none has."""
    failures: tuple[HistoryFailure, ...] = ()
    """The latest requests that failed, in order."""

    @property
    def requests_left(self) -> int:
        """Requests that are queued or in progress."""
        return self.requests - self.requests_done

    @property
    def busy(self) -> bool:
        """Whether anything remains to be done."""
        return bool(self.surveys or self.requests_left or self.bars_outstanding)


class FaultInjector(Protocol):
    """The faults of the demo market. Calls go to another process and may block for seconds."""

    def faults(self) -> Mapping[str, object]:
        """The active faults by name.

        Raises:
            SourceError: the market does not answer.
        """

    def set_faults(self, **faults: object) -> None:
        """Replace the active faults by exactly these.

        Raises:
            SourceError: the market does not answer.
        """

    def statistics(self) -> Mapping[str, object]:
        """The market's counters since its start; `faults` counts the injected faults by name."""


class PipelineControl(Protocol):
    """The pipeline as seen by a front end. Calls do not block and may come from any thread."""

    @property
    def database_url(self) -> str | None:
        """The database for a front end's queries, with the password: the read replica if there is one.

        None before the database is open.
        """

    @property
    def demo_market(self) -> FaultInjector | None:
        """The faults of the demo market; None for the live market and before the demo market runs."""

    def start(self) -> None:
        """Start the pipeline on its own threads."""

    def snapshot(self) -> Snapshot:
        """The current state; its ledger always balances."""

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """The current version and the prices that changed after `version`, which is 0 for all."""

    def seconds_since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        """The number of the last whole second, and the samples of the seconds after `second`, oldest first.

        Samples are kept for 180 s; 0 returns all of them. In a cluster they cover the workers of this node only, and
        the queues' depths are those at the end of each second.
        """

    def events_since(self, number: int) -> tuple[int, Sequence[PipelineEvent]]:
        """The number of the latest event, and the events after `number`, oldest first; 0 returns all.

        The last 1,000 events are kept.
        """

    def spans(self, seconds: float) -> SpanReport:
        """The spans of every worker of this program in the last `seconds`: a minute or more is kept."""

    def price_of(self, symbol: str) -> LivePrice | None:
        """The latest price of one symbol with the names of its workers; None before the first."""

    def constituents(self) -> Sequence[Constituent]:
        """The constituents to fetch, in the order of the list; empty before the list is loaded."""

    def subscribe(self, listener: Callable[[PipelineEvent], None]) -> None:
        """Call `listener` with every event, on the thread that emits it."""

    def scale(self, stage: StageName, size: int) -> ScaleResult:
        """Set a pool's size, 1 to 64; the scraper's is always 1. In a cluster it is distributed over the nodes."""

    def scale_node(self, node: str, stage: StageName, size: int) -> ScaleResult:
        """Set the size of one node's pool; unchanged if there is no such node or it does not run the stage."""

    def pause(self, stage: StageName | None = None) -> None:
        """Pause one stage, or the intake (scraper and price workers); current leases are finished."""

    def resume(self, stage: StageName | None = None) -> None:
        """Resume one stage, or the intake."""

    def run_cycle_now(self) -> bool:
        """Start the next cycle now; False while one is running or the pipeline is stopping."""

    def heal(self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]) -> bool:
        """Fetch the missing bars of these symbols, all if there are none, in the background; live prices come first.

        False on a node of a cluster, and while the pipeline is stopping.
        """

    def check_coverage(
        self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]
    ) -> bool:
        """Determine the coverage of the sessions of these symbols, all if there are none; nothing is fetched.

        False as in `heal`.
        """

    def history(self) -> HistorySnapshot:
        """The progress of the history stage."""

    def set_interval(self, seconds: float) -> float:
        """Set the seconds between the starts of two cycles, from 0.2 to 86,400; returns the value set."""

    def stop(self, level: ShutdownLevel = ShutdownLevel.DRAIN) -> None:
        """Shut down at `level`; a level not above the current one is ignored."""

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the pipeline has ended; False after `timeout` seconds."""

    def outcome(self) -> RunReport:
        """The report of the run so far."""

    def kill_worker(self, name: str) -> bool:
        """Kill the process of a writer with SIGKILL, to demonstrate a fault; False for other workers."""

    def announce(self, message: str) -> None:
        """Publish a step of the demo's tour as an event, so that every viewer and recording has it."""

    def stop_database(self, seconds: float) -> bool:
        """Stop the embedded server for `seconds`, to demonstrate a fault; False for a database given by URL.

        Unlike the other calls it may block for seconds.

        Raises:
            DatabaseError: the server does not stop.
        """
