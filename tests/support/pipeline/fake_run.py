"""A fake pipeline that ends when the test wants it to, and records the stop requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sp500tui.errors import Sp500tuiError
from sp500tui.model import Constituent
from sp500tui.pipeline.api import SHUTDOWN_MESSAGES, ShutdownLevel
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.metrics import Durations
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import (
    ConstituentsSnapshot,
    CycleSnapshot,
    Latency,
    LivePrice,
    MissingSymbol,
    Phase,
    QueueSnapshot,
    Snapshot,
    SourceSnapshot,
    StageSnapshot,
    WorkerState,
)
from sp500tui.pipeline.core.timing.second_history import ProcessorSeconds
from sp500tui.pipeline.report import RunReport

STORED = Ledger(fetched=503, stored=500, duplicate=3)


def a_queue(name: QueueName) -> QueueSnapshot:
    return QueueSnapshot(
        name=name,
        ready=12,
        in_flight=2,
        capacity=4096,
        high_water=180,
        oldest_age=0.1,
        rate_in=5.0,
        rate_out=6.0,
    )


def a_stage(name: StageName) -> StageSnapshot:
    return StageSnapshot(
        name=name,
        size=4,
        alive=4,
        busy=3,
        items=503,
        failed=0,
        rate=41.2,
        latency=Latency(50, 98, 120),
        restarts=1,
        overall=Latency(50, 98, 120),
    )


def a_snapshot(ledger: Ledger = STORED, missing: Sequence[str] = ()) -> Snapshot:
    """A run halfway through its second cycle."""
    return Snapshot(
        taken_at=datetime(2026, 5, 4, 15, 30, tzinfo=UTC),
        phase=Phase.RUNNING,
        demo=True,
        uptime=12.5,
        ledger=ledger,
        cycle=CycleSnapshot(number=2, total=503, done=250, running=True, seconds=5.0),
        queues=tuple(a_queue(name) for name in QueueName),
        stages=tuple(a_stage(name) for name in StageName),
        workers=(),
        constituents=ConstituentsSnapshot(count=503),
        sources=SourceSnapshot(requests=13, succeeded=10, failed=1, throttled=2),
        missing=tuple(MissingSymbol(symbol, "unknown") for symbol in missing),
        end_to_end=Latency(200, 400, 500),
        end_to_end_overall=Latency(200, 400, 500),
    )


class FakeRun:
    """Implements the run protocol of `headless.runner`."""

    shutdown_messages = SHUTDOWN_MESSAGES

    def __init__(
        self,
        snapshot: Snapshot | None = None,
        *,
        failure: Sp500tuiError | None = None,
        ends_at: ShutdownLevel = ShutdownLevel.NONE,
        when_started: Callable[[FakeRun], None] = lambda _: None,
    ) -> None:
        self.picture = snapshot or a_snapshot()
        self.failure = failure
        self.ends_at = ends_at
        """The shutdown level that ends it; NONE ends it when it is started."""
        self.when_started = when_started
        self.over = threading.Event()
        self.steps: list[ShutdownLevel] = []
        self.stalled_for = 0.0
        self.prices: Sequence[LivePrice] = ()
        self.listed: Sequence[Constituent] = ()

    def start(self) -> None:
        self.when_started(self)
        if self.ends_at is ShutdownLevel.NONE:
            self.over.set()

    def snapshot(self) -> Snapshot:
        return self.picture

    @property
    def stalled(self) -> float:
        return self.stalled_for

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        return 0, self.prices

    def constituents(self) -> Sequence[Constituent]:
        return self.listed

    def state_seconds(self) -> Mapping[StageName, Mapping[WorkerState, float]]:
        return {stage: {WorkerState.BLOCKED: 1.5, WorkerState.IDLE: 10.0} for stage in StageName}

    def processor_seconds(self) -> Mapping[StageName, ProcessorSeconds]:
        return {stage: ProcessorSeconds(2.5, 0.5) for stage in StageName}

    def durations(self) -> Mapping[str, Durations]:
        return {"fetch": Durations(), "commit": Durations()}

    def stop(self, level: ShutdownLevel = ShutdownLevel.DRAIN) -> None:
        self.steps.append(level)
        if level >= self.ends_at:
            self.over.set()

    def join(self, timeout: float | None = None) -> bool:
        return self.over.wait(timeout)

    def outcome(self) -> RunReport:
        report = RunReport.from_snapshot(self.picture, stopped_early=bool(self.steps))
        return report.with_failure(self.failure) if self.failure else report


def with_ledger(**places: int) -> Snapshot:
    """A snapshot whose fetched quotes are in these places."""
    return replace(a_snapshot(), ledger=Ledger(fetched=sum(places.values()), **places))
