"""What a face may ask of the pipeline, and the pure decisions behind the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from sp500tui.model import Constituent
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.snapshot import LivePrice, Snapshot, StageName
from sp500tui.pipeline.report import RunReport

MIN_WORKERS = 1
MAX_WORKERS = 64
MIN_INTERVAL = 0.2
MAX_INTERVAL = 86_400.0
_INTERVAL_STEPS = (0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 86_400)


class ShutdownLevel(IntEnum):
    """The ladder that every request to stop climbs by one."""

    NONE = 0
    DRAIN = 1
    SPOOL = 2
    KILL = 3


SHUTDOWN_MESSAGES = {
    ShutdownLevel.DRAIN: "draining: everything fetched is being stored; once more spools the rest to disk",
    ShutdownLevel.SPOOL: "spooling: the rest goes to the journal for the next start; once more kills",
    ShutdownLevel.KILL: "killed",
}
"""What a step does and what the next one will do."""


def escalate(step: ShutdownLevel) -> ShutdownLevel:
    """The step that one more request to stop leads to."""
    return ShutdownLevel(min(step + 1, ShutdownLevel.KILL))


def clamp_workers(size: int) -> int:
    """The pool size that a wish for `size` workers ends at."""
    return max(MIN_WORKERS, min(MAX_WORKERS, size))


def step_interval(interval: float, direction: int) -> float:
    """The next shorter (-1) or longer (+1) usual interval, in seconds."""
    if direction < 0:
        return float(max((s for s in _INTERVAL_STEPS if s < interval), default=MIN_INTERVAL))
    return float(min((s for s in _INTERVAL_STEPS if s > interval), default=MAX_INTERVAL))


@dataclass(frozen=True, slots=True)
class ScaleResult:
    """A pool before and after a wish."""

    stage: StageName
    old: int
    new: int


class FaultInjector(Protocol):
    """The demo market's faults. Its calls ask another process and may take seconds: not on a screen's thread."""

    def faults(self) -> Mapping[str, object]:
        """What goes wrong at present, by name; raises SourceError where the market does not answer."""

    def set_faults(self, **faults: object) -> None:
        """Let exactly these go wrong from now on; raises SourceError where the market does not answer."""

    def statistics(self) -> Mapping[str, object]:
        """What it has done since its start; `faults` counts by name what went wrong on purpose."""


class PipelineControl(Protocol):
    """The pipeline as its faces see it. Every call returns at once and may come from any thread."""

    @property
    def database_url(self) -> str | None:
        """Where a screen may read what is stored: the replica if there is one; None before the database is open.

        Holds the password.
        """

    @property
    def demo_market(self) -> FaultInjector | None:
        """Where faults are set; None for the live market or before the demo market runs."""

    def start(self) -> None:
        """Begin; the work happens on the pipeline's own threads."""

    def snapshot(self) -> Snapshot:
        """Everything of this moment; the equation in it always balances."""

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """The symbols that changed after `version` (0 for all), and the version to ask with next time."""

    def price_of(self, symbol: str) -> LivePrice | None:
        """The newest price of one symbol with the names of its workers; None before there is one."""

    def constituents(self) -> Sequence[Constituent]:
        """The list in force, in its own order; empty before it is known."""

    def subscribe(self, listener: Callable[[PipelineEvent], None]) -> None:
        """Have `listener` called with every event, on the thread it happens on."""

    def scale(self, stage: StageName, size: int) -> ScaleResult:
        """Set a pool's size within 1 to 64 (the scraper's is always 1); in a cluster spread over its nodes."""

    def scale_node(self, node: str, stage: StageName, size: int) -> ScaleResult:
        """Set the size of one node's pool; unchanged where there is no such node or it does not run the stage."""

    def pause(self, stage: StageName | None = None) -> None:
        """Stop taking new work: of one stage, or the intake (scraper and price workers)."""

    def resume(self, stage: StageName | None = None) -> None:
        """Take work again."""

    def run_cycle_now(self) -> bool:
        """Start the next cycle at once; False while one is under way or the pipeline is stopping."""

    def set_interval(self, seconds: float) -> float:
        """Change the time from cycle to cycle; returns the interval in force."""

    def stop(self, step: ShutdownLevel = ShutdownLevel.DRAIN) -> None:
        """Climb the stop ladder to `step`; a lower step than the present one is ignored."""

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; False when `timeout` seconds passed first."""

    def outcome(self) -> RunReport:
        """The report of the run so far."""

    def kill_worker(self, name: str) -> bool:
        """End one writer's process with SIGKILL, as the demonstration of a fault; False for other workers."""

    def stop_database(self, seconds: float) -> bool:
        """Stop the embedded server for `seconds`, as the demonstration of a fault; False for a database by URL.

        Unlike the other calls it may take seconds; raises DatabaseError where the server does not stop.
        """
