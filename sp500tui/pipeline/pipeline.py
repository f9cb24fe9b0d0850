"""The whole pipeline as its faces see it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sp500tui.domain import Constituent
from sp500tui.paths import Paths
from sp500tui.pipeline.control import (
    MAX_INTERVAL,
    MIN_INTERVAL,
    STOP_WORDS,
    FaultControl,
    Scaled,
    StopStep,
)
from sp500tui.pipeline.events import EventKind, PipelineEvent
from sp500tui.pipeline.market_clock import MarketClock
from sp500tui.pipeline.overview import bottleneck, upstream_snapshot
from sp500tui.pipeline.parts import Parts
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.snapshot import LivePrice, Phase, Snapshot, StageName
from sp500tui.pipeline.supervisor import Connect, Supervisor
from sp500tui.pipeline.upstream import Upstream
from sp500tui.pipeline.writing import WriterBody
from sp500tui.settings import Settings

_log = logging.getLogger(__name__)

_LEVELS = {EventKind.PHASE: logging.DEBUG, EventKind.REPLAYED: logging.WARNING}
"""Of the events that the pipeline as a whole tells, where not INFO."""


class Pipeline:
    """Implements `control.PipelineControl`."""

    def __init__(self, settings: Settings, paths: Paths, *, connect: Connect = Upstream.open) -> None:
        self._demo = settings.demo
        self._replica = settings.read_database
        self._listeners: list[Callable[[PipelineEvent], None]] = []
        self._started = time.monotonic()
        self._paused = False
        self._stopped_early = False
        self._supervisor = Supervisor(settings, paths, connect=connect, say=self._say)
        self._parts = self._supervisor.parts = Parts(
            settings,
            paths,
            tell=self._tell,
            fail=self._supervisor.fail,
            cycles_ended=self._supervisor.cycles_ended,
        )

    def start(self) -> None:
        """See `PipelineControl.start`."""
        self._supervisor.thread.start()

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """See `PipelineControl.prices_since`."""
        return self._parts.board.since(version)

    def price_of(self, symbol: str) -> LivePrice | None:
        """See `PipelineControl.price_of`."""
        return self._parts.board.of(symbol)

    def constituents(self) -> Sequence[Constituent]:
        """See `PipelineControl.constituents`."""
        return self._parts.roster.constituents()

    def subscribe(self, listener: Callable[[PipelineEvent], None]) -> None:
        """See `PipelineControl.subscribe`."""
        self._listeners.append(listener)

    def scale(self, stage: StageName, size: int) -> Scaled:
        """See `PipelineControl.scale`."""
        if stage is StageName.SCRAPER:
            return Scaled(stage, 1, 1)
        return self._parts.stages[stage].scale(size)

    def scale_node(self, node: str, stage: StageName, size: int) -> Scaled:  # noqa: ARG002 - there are no nodes
        """See `PipelineControl.scale_node`."""
        pool = self._parts.stages[stage]
        present = pool.snapshot(pool.workers).size
        return Scaled(stage, present, present)

    def pause(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.pause`."""
        self._set_paused(stage, paused=True)

    def resume(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.resume`."""
        self._set_paused(stage, paused=False)

    def _set_paused(self, stage: StageName | None, *, paused: bool) -> None:
        for name in (StageName.SCRAPER, StageName.PRICE) if stage is None else (stage,):
            pool = self._parts.stages[name]
            (pool.pause if paused else pool.resume)()
        if stage is None:
            self._paused = paused
        what = "the intake" if stage is None else f"the {stage} stage"
        kind = EventKind.PAUSED if paused else EventKind.RESUMED
        self._say(kind, f"{what} is {kind}", stage=stage)

    def run_cycle_now(self) -> bool:
        """See `PipelineControl.run_cycle_now`."""
        return self._supervisor.phase is Phase.RUNNING and self._parts.cycles.ask()

    def set_interval(self, seconds: float) -> float:
        """See `PipelineControl.set_interval`."""
        self._parts.cycles.set_interval(max(MIN_INTERVAL, min(MAX_INTERVAL, seconds)))
        return self._parts.cycles.interval

    def stop(self, step: StopStep = StopStep.DRAIN) -> None:
        """See `PipelineControl.stop`."""
        if step <= self._supervisor.step:
            return
        self._stopped_early = True
        self._say(EventKind.PHASE, STOP_WORDS[step])
        self._supervisor.stop(step)

    def join(self, timeout: float | None = None) -> bool:
        """See `PipelineControl.join`."""
        return self._supervisor.over.wait(timeout)

    def kill_worker(self, name: str) -> bool:
        """See `PipelineControl.kill_worker`."""
        return any(
            worker.name == name and isinstance(worker.body, WriterBody) and worker.body.kill()
            for worker in self._parts.stages[StageName.WRITER].workers
        )

    def stop_database(self, seconds: float) -> bool:
        """See `PipelineControl.stop_database`."""
        return self._parts.keeper.stop_server(seconds)

    @property
    def database_url(self) -> str | None:
        """See `PipelineControl.database_url`."""
        if self._replica is not None:
            return self._replica
        return self._parts.keeper.url if self._parts.database.ready.is_set() else None

    @property
    def demo_market(self) -> FaultControl | None:
        """See `PipelineControl.demo_market`."""
        upstream = self._parts.upstream
        return upstream.market if upstream is not None else None

    def outcome(self) -> RunReport:
        """The end of the run in numbers."""
        failure = self._supervisor.failure
        return RunReport.of(self.snapshot(), failure, stopped_early=self._stopped_early)

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`."""
        parts, supervisor = self._parts, self._supervisor
        with parts.books.lock:
            ledger = parts.ledger()
            outstanding = parts.outstanding(ledger)
            queues = tuple(gauge.snapshot() for gauge in parts.gauges)
        pools = [(stage, stage.workers) for stage in parts.stages.values()]
        stages = tuple(stage.snapshot(workers) for stage, workers in pools)
        workers = tuple(worker.snapshot() for _, there in pools for worker in there)
        database = parts.keeper.snapshot()
        phase, state, clock = supervisor.phase, parts.board.market_state, supervisor.market_clock
        return Snapshot(
            taken_at=datetime.now(UTC),
            tick=time.monotonic(),
            phase=Phase.PAUSED if self._paused and phase is Phase.RUNNING else phase,
            demo=self._demo,
            uptime=time.monotonic() - self._started,
            ledger=ledger,
            cycle=parts.cycles.snapshot(outstanding, stopping=phase is not Phase.RUNNING),
            queues=queues,
            stages=stages,
            workers=workers,
            constituents=parts.roster.snapshot(),
            upstream=upstream_snapshot(parts.throttle.state(), parts.fx),
            database=database,
            journal=parts.journal.snapshot(),
            market=clock.snapshot(state) if clock else MarketClock.unknown(state),
            missing=parts.missing.listing(),
            end_to_end=parts.end_to_end.latency(),
            bottleneck=bottleneck(stages, queues, workers, database),
            failure=str(supervisor.failure) if supervisor.failure else "",
        )

    def _say(self, kind: EventKind, message: str, stage: StageName | None = None) -> None:
        level = _LEVELS.get(kind, logging.INFO)
        self._tell(PipelineEvent(kind, message, level, datetime.now(UTC), stage))

    def _tell(self, event: PipelineEvent) -> None:
        _log.log(event.level, "%s", event.message)
        for listener in self._listeners:
            listener(event)
