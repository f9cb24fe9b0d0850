"""The whole pipeline as the front ends see it."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from sp500tui.config.paths import Paths
from sp500tui.config.settings import MAX_INTERVAL, MIN_INTERVAL, Settings
from sp500tui.errors import ExitCode
from sp500tui.pipeline.api import ScaleResult, clamp_workers
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import INTAKE, StageName
from sp500tui.pipeline.core.snapshot import Phase, Snapshot
from sp500tui.pipeline.monitoring.source_snapshot import source_snapshot
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.runtime.base import PipelineBase
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.pipeline.runtime.supervisor import Connect, Supervisor
from sp500tui.pipeline.runtime.wiring import PipelineComponents


class Pipeline(PipelineBase):
    """Implements `PipelineControl` with every stage in this program."""

    components: PipelineComponents
    _lifecycle: Supervisor

    def __init__(self, settings: Settings, paths: Paths, *, connect: Connect = Sources.open) -> None:
        super().__init__({EventKind.PHASE: logging.DEBUG, EventKind.REPLAYING: logging.WARNING})
        self._demo = settings.demo
        self._replica = settings.read_database
        self._started = time.monotonic()
        self._lifecycle = Supervisor(settings, paths, connect=connect, emit=self._emit)
        self.components = self._lifecycle.components = PipelineComponents(
            settings,
            paths,
            publish=self._publish,
            events=self._events,
            fail=self._lifecycle.fail,
            on_cycles_ended=self._lifecycle.on_cycles_ended,
        )

    def scale(self, stage: StageName, size: int) -> ScaleResult:
        """See `PipelineControl.scale`."""
        if stage is StageName.SCRAPER:
            return ScaleResult(stage, 1, 1)
        pool = self.components.stages[stage]
        previous = pool.scale(clamp_workers(size))
        return ScaleResult(stage, previous, pool.size)

    def scale_node(self, node: str, stage: StageName, size: int) -> ScaleResult:  # noqa: ARG002  # no nodes
        """See `PipelineControl.scale_node`."""
        present = self.components.stages[stage].size
        return ScaleResult(stage, present, present)

    def _set_paused(self, stage: StageName | None, *, paused: bool) -> None:
        for name in INTAKE if stage is None else (stage,):
            pool = self.components.stages[name]
            (pool.pause if paused else pool.resume)()
        self._emit_paused(stage, paused=paused)

    def run_cycle_now(self) -> bool:
        """See `PipelineControl.run_cycle_now`."""
        return self._lifecycle.phase is Phase.RUNNING and self.components.cycles.request()

    def set_interval(self, seconds: float) -> float:
        """See `PipelineControl.set_interval`."""
        self.components.cycles.set_interval(max(MIN_INTERVAL, min(MAX_INTERVAL, seconds)))
        return self.components.cycles.interval

    @property
    def database_url(self) -> str | None:
        """See `PipelineControl.database_url`."""
        if self._replica is not None:
            return self._replica
        return self.components.database_monitor.url if self.components.database.ready.is_set() else None

    def outcome(self) -> RunReport:
        """See `PipelineControl.outcome`."""
        return RunReport.from_snapshot(self.snapshot(), stopped_early=self._stopped_early)

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`."""
        components, lifecycle = self.components, self._lifecycle
        with components.counters.lock:
            ledger = components.ledger()
            outstanding = components.outstanding(ledger)
            queues = tuple(meter.snapshot() for meter in components.queue_meters)
        pools = [(stage, stage.workers) for stage in components.stages.values()]
        stages = tuple(stage.snapshot(workers) for stage, workers in pools)
        workers = tuple(worker.snapshot() for _, there in pools for worker in there)
        workers += components.history.writer_snapshots()
        database = components.database_monitor.snapshot(ledger.stored)
        phase = lifecycle.phase
        # A stage of the intake may have been resumed on its own.
        paused = all(components.stages[name].paused for name in INTAKE)
        snapshot = Snapshot(
            taken_at=datetime.now(UTC),
            phase=Phase.PAUSED if paused and phase is Phase.RUNNING else phase,
            demo=self._demo,
            uptime=time.monotonic() - self._started,
            ledger=ledger,
            cycle=components.cycles.snapshot(outstanding, stopping=phase is not Phase.RUNNING),
            queues=queues,
            stages=stages,
            workers=workers,
            constituents=components.current_constituents.snapshot(),
            sources=source_snapshot(components.throttle.state(), components.fx),
            database=database,
            journal=components.journal.snapshot(),
            market=self._market(),
            missing=components.missing.snapshot(),
            end_to_end=components.end_to_end.latency(),
            end_to_end_overall=components.end_to_end.overall(),
            failure=str(lifecycle.failure) if lifecycle.failure else "",
            failure_code=lifecycle.failure.exit_code if lifecycle.failure else ExitCode.INCOMPLETE,
        )
        return self._with_seconds(snapshot)
