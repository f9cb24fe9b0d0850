"""A cluster node: implements the front-end protocol for the whole cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import to_int
from sp500tui.cluster.membership.membership import node_name
from sp500tui.cluster.membership.view import INTERVAL_KEY, RUN_NOW_KEY, distribute, pause_key, size_key
from sp500tui.cluster.node.control_loop import ControlLoop
from sp500tui.cluster.node.lifecycle import NodeLifecycle
from sp500tui.cluster.node.snapshot import (
    completed_only,
    max_latency,
    merge_stages,
    merge_upstream,
    node_snapshots,
    own_workers,
    subtract_baseline,
)
from sp500tui.cluster.node.validation import node_stage_sizes, read_password, validate_node
from sp500tui.cluster.node.wiring import NodeComponents
from sp500tui.config.paths import Paths
from sp500tui.config.settings import MAX_INTERVAL, MAX_WORKERS, MIN_INTERVAL, MIN_WORKERS, Settings
from sp500tui.errors import ExitCode
from sp500tui.pipeline.api import ScaleResult, ShutdownLevel, clamp_workers
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import INTAKE, StageName
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot, Health, NodeSnapshot, Phase, Snapshot
from sp500tui.pipeline.monitoring.source_snapshot import source_snapshot
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.runtime.base import PipelineBase

SHUTDOWN_MESSAGES = {
    ShutdownLevel.DRAIN: "leaving the cluster: finishing the leases of this node; press again to release them",
    ShutdownLevel.SPOOL: "releasing: the leases of this node go to other nodes; press again to kill",
    ShutdownLevel.KILL: "killed",
}
"""The effect of each level, and of the next one."""


class ClusterNode(PipelineBase):
    """Implements `PipelineControl` for the whole cluster."""

    components: NodeComponents
    _lifecycle: NodeLifecycle

    def __init__(
        self, settings: Settings, paths: Paths, sizes: Mapping[StageName, int] | None = None
    ) -> None:
        """`sizes`: the stages of this node and their worker counts; None takes them from the settings.

        Raises:
            ConfigurationError: no broker is named, its password cannot be read, or there is no common database.
        """
        super().__init__(
            {EventKind.PHASE: logging.DEBUG, EventKind.NODE_LOST: logging.WARNING}, SHUTDOWN_MESSAGES
        )
        sizes = node_stage_sizes(settings) if sizes is None else sizes
        url = validate_node(settings, sizes)
        self._settings = settings
        self._started = time.monotonic()
        self.name = node_name()
        self._lifecycle = NodeLifecycle(settings, paths, self.name, emit=self._emit)
        self.components = self._lifecycle.components = NodeComponents(
            settings,
            paths,
            sizes,
            name=self.name,
            broker=Broker(
                url,
                settings.cluster_name + "-demo" * settings.demo,
                password=read_password(settings.broker_password_file),
            ),
            publish=self._publish,
            events=self._events,
            fail=self._lifecycle.fail,
            on_cycles_ended=self._lifecycle.on_cycles_ended,
        )
        self._control_loop = self._lifecycle.control_loop = ControlLoop(
            settings, self.components, self.name, emit=self._emit, heartbeat=self._lifecycle.heartbeat
        )

    def watch(self) -> None:
        """See `PipelineBase.watch`: prices and workers of the other nodes."""
        self._lifecycle.watch()

    # --- control: desired values on the broker, with which every node reconciles -----------------------------------

    def scale(self, stage: StageName, size: int) -> ScaleResult:
        """See `PipelineControl.scale`; distributed over the nodes that run the stage, at least one worker each."""
        nodes = self._control_loop.view.running(stage)
        if stage is StageName.SCRAPER:
            return ScaleResult(stage, len(nodes), len(nodes))
        old = sum(self._size(node, stage) for node in nodes)
        shares = distribute(size, nodes)
        for node, share in shares.items():
            self._control_loop.set_desired(size_key(node, stage), str(share))
        return self._scaled(stage, old, sum(shares.values()))

    def scale_node(self, node: str, stage: StageName, size: int) -> ScaleResult:
        """See `PipelineControl.scale_node`."""
        old = self._size(node, stage)
        if stage is StageName.SCRAPER or node not in self._control_loop.view.running(stage):
            return ScaleResult(stage, old, old)
        self._control_loop.set_desired(size_key(node, stage), str(clamp_workers(size)))
        return self._scaled(stage, old, clamp_workers(size))

    def _scaled(self, stage: StageName, old: int, new: int) -> ScaleResult:
        if old != new:
            self._emit(EventKind.SCALED, f"{stage} workers of the cluster {old} → {new}", stage)
        return ScaleResult(stage, old, new)

    def _desired_size(self, node: str, stage: StageName) -> int | None:
        return to_int(self._control_loop.desired(size_key(node, stage)), MIN_WORKERS, MAX_WORKERS)

    def _size(self, node: str, stage: StageName) -> int:
        beat = self._control_loop.view.heartbeats.get(node)
        found = beat.stage(stage) if beat is not None else None
        return (self._desired_size(node, stage) or found.size) if found is not None else 0

    def _set_paused(self, stage: StageName | None, *, paused: bool) -> None:
        for name in INTAKE if stage is None else (stage,):
            self._control_loop.set_desired(pause_key(name), str(int(paused)))
        self._emit_paused(stage, paused=paused, where=" of the cluster")

    def run_cycle_now(self) -> bool:
        """See `PipelineControl.run_cycle_now`."""
        if self._lifecycle.phase is not Phase.RUNNING or self.components.cycles.running:
            return False
        self._control_loop.set_desired(RUN_NOW_KEY, "1")
        return True

    def set_interval(self, seconds: float) -> float:
        """See `PipelineControl.set_interval`."""
        seconds = max(MIN_INTERVAL, min(MAX_INTERVAL, seconds))
        self._control_loop.set_desired(INTERVAL_KEY, repr(float(seconds)))
        return seconds

    # --- outcome ------------------------------------------------------------------------------------------------

    @property
    def database_url(self) -> str | None:
        """See `PipelineControl.database_url`."""
        if not self.components.database.ready.is_set():
            return None
        return self._settings.read_database or self.components.database_monitor.url

    def outcome(self) -> RunReport:
        """See `PipelineControl.outcome`; counted since this node joined."""
        snapshot = self.snapshot()
        joined_with = self._lifecycle.joined_with
        if joined_with is not None:
            cycle = replace(snapshot.cycle, number=snapshot.cycle.number - self._lifecycle.joined_at)
            ledger = subtract_baseline(snapshot.ledger, joined_with)
            if self.components.cycles.fulfilled:
                ledger = completed_only(ledger)
            snapshot = replace(snapshot, ledger=ledger, cycle=cycle)
        return RunReport.from_snapshot(snapshot, stopped_early=self._stopped_early)

    # --- snapshot -----------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`; aggregated over all nodes."""
        components, lifecycle, state, view = (
            self.components,
            self._lifecycle,
            self._control_loop.state,
            self._control_loop.view,
        )
        own = lifecycle.heartbeat()
        heartbeats = [own, *(beat for beat in view.alive() if beat.name != self.name)]
        workers = own_workers(components, self.name) + tuple(
            worker for beat in heartbeats[1:] for worker in view.workers.get(beat.name, ())
        )
        stages = merge_stages(heartbeats, self._desired_size)
        queues = tuple(meter.snapshot() for meter in components.queue_meters)
        database = replace(self._database(), commit=max_latency(beat.commit for beat in heartbeats))
        health, message, retry_in = components.broker.health()
        snapshot = Snapshot(
            taken_at=datetime.now(UTC),
            phase=self._phase(),
            demo=self._settings.demo,
            uptime=time.monotonic() - self._started,
            ledger=state.ledger if state else Ledger(),
            cycle=components.cycles.snapshot(
                state.outstanding if state else 0, stopping=lifecycle.phase is not Phase.RUNNING
            ),
            queues=queues,
            stages=stages,
            workers=workers,
            constituents=components.current_constituents.snapshot(),
            sources=merge_upstream(source_snapshot(components.throttle.state(), components.fx), heartbeats),
            database=database,
            market=self._market(),
            missing=components.missing.snapshot(),
            end_to_end=max_latency(beat.end_to_end for beat in heartbeats),
            end_to_end_overall=max_latency(beat.end_to_end_overall for beat in heartbeats),
            failure=str(lifecycle.failure) if lifecycle.failure else "",
            failure_code=lifecycle.failure.exit_code if lifecycle.failure else ExitCode.INCOMPLETE,
            nodes=self._nodes(),
            broker=components.broker.address,
            broker_health=health,
            broker_message=message if retry_in is None else f"{message}; next attempt in {retry_in:.0f} s",
        )
        return self._with_seconds(snapshot)

    def _nodes(self) -> tuple[NodeSnapshot, ...]:
        return node_snapshots(self._control_loop.view, self._lifecycle.heartbeat(), self._desired_size)

    def _phase(self) -> Phase:
        phase = self._lifecycle.phase
        paused = all(self._control_loop.desired(pause_key(name)) == "1" for name in INTAKE)
        return Phase.PAUSED if paused and phase is Phase.RUNNING else phase

    def _database(self) -> DatabaseSnapshot:
        if self.components.uses_database:
            return self.components.database_monitor.snapshot(self.components.stored)
        return DatabaseSnapshot(Health.OK, embedded=False)
