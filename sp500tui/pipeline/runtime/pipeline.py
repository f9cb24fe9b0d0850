"""The whole pipeline as its faces see it."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.model import ExitCode
from sp500tui.pipeline.api import MAX_INTERVAL, MIN_INTERVAL, Scaled
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.snapshot import Phase, Snapshot, StageName
from sp500tui.pipeline.monitoring.diagnostics import bottleneck, upstream_snapshot
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.runtime.base import RunFace
from sp500tui.pipeline.runtime.sources import Upstream
from sp500tui.pipeline.runtime.supervisor import Connect, Supervisor
from sp500tui.pipeline.runtime.wiring import Parts


class Pipeline(RunFace[Parts, Supervisor]):
    """Implements `control.PipelineControl`."""

    def __init__(self, settings: Settings, paths: Paths, *, connect: Connect = Upstream.open) -> None:
        super().__init__({EventKind.PHASE: logging.DEBUG, EventKind.REPLAYED: logging.WARNING})
        self._demo = settings.demo
        self._replica = settings.read_database
        self._started = time.monotonic()
        self._paused = False
        self._life = Supervisor(settings, paths, connect=connect, say=self._say)
        self._parts = self._life.parts = Parts(
            settings,
            paths,
            tell=self._tell,
            fail=self._life.fail,
            cycles_ended=self._life.cycles_ended,
        )

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
        return self._life.phase is Phase.RUNNING and self._parts.cycles.ask()

    def set_interval(self, seconds: float) -> float:
        """See `PipelineControl.set_interval`."""
        self._parts.cycles.set_interval(max(MIN_INTERVAL, min(MAX_INTERVAL, seconds)))
        return self._parts.cycles.interval

    @property
    def database_url(self) -> str | None:
        """See `PipelineControl.database_url`."""
        if self._replica is not None:
            return self._replica
        return self._parts.keeper.url if self._parts.database.ready.is_set() else None

    def outcome(self) -> RunReport:
        """See `PipelineControl.outcome`."""
        return RunReport.of(self.snapshot(), stopped_early=self._stopped_early)

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`."""
        parts, life = self._parts, self._life
        with parts.books.lock:
            ledger = parts.ledger()
            outstanding = parts.outstanding(ledger)
            queues = tuple(gauge.snapshot() for gauge in parts.gauges)
        pools = [(stage, stage.workers) for stage in parts.stages.values()]
        stages = tuple(stage.snapshot(workers) for stage, workers in pools)
        workers = tuple(worker.snapshot() for _, there in pools for worker in there)
        database = parts.keeper.snapshot()
        phase = life.phase
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
            market=self._market(),
            missing=parts.missing.listing(),
            end_to_end=parts.end_to_end.latency(),
            bottleneck=bottleneck(stages, queues, workers, database),
            failure=str(life.failure) if life.failure else "",
            failure_code=life.failure.exit_code if life.failure else ExitCode.INCOMPLETE,
        )
