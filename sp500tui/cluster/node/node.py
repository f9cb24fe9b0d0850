"""A program that is one node of a cluster, as its faces see it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.password import broker_password
from sp500tui.cluster.broker.values import whole
from sp500tui.cluster.membership.membership import node_name
from sp500tui.cluster.membership.view import spread
from sp500tui.cluster.node.control_loop import INTERVAL, RUN_NOW_KEY, ControlLoop, paused, sized
from sp500tui.cluster.node.lifecycle import Connect, NodeLifecycle
from sp500tui.cluster.node.snapshot import (
    merged_stages,
    merged_upstream,
    node_snapshots,
    own_workers,
    settled,
    since,
    worst,
)
from sp500tui.cluster.node.validation import check_node, sizes_of
from sp500tui.cluster.node.wiring import NodeComponents
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ExitCode
from sp500tui.pipeline.api import (
    MAX_INTERVAL,
    MAX_WORKERS,
    MIN_INTERVAL,
    MIN_WORKERS,
    ScaleResult,
    ShutdownLevel,
    clamp_workers,
)
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.snapshot import (
    DatabaseSnapshot,
    Health,
    Ledger,
    NodeSnapshot,
    Phase,
    Snapshot,
    StageName,
)
from sp500tui.pipeline.monitoring.diagnostics import bottleneck, upstream_snapshot
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.runtime.base import PipelineBase
from sp500tui.pipeline.runtime.sources import Sources

SHUTDOWN_MESSAGES = {
    ShutdownLevel.DRAIN: "leaving the cluster: what this node has in hand is finished; once more gives it back",
    ShutdownLevel.SPOOL: "giving back: what this node has in hand goes to the other nodes; once more kills",
    ShutdownLevel.KILL: "killed",
}
"""What a step does and what the next one will do."""


class ClusterNode(PipelineBase):
    """Implements `PipelineControl` for the whole cluster."""

    _components: NodeComponents
    _lifecycle: NodeLifecycle

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        sizes: Mapping[StageName, int] | None = None,
        *,
        connect: Connect = Sources.open,
    ) -> None:
        """`sizes`: the stages that this node runs, with their workers; None for those that the settings name.

        Raises:
            ConfigurationError: no broker is named, its password cannot be read, or there is no common database.
        """
        super().__init__(
            {EventKind.PHASE: logging.DEBUG, EventKind.NODE_LOST: logging.WARNING}, SHUTDOWN_MESSAGES
        )
        sizes = sizes_of(settings) if sizes is None else sizes
        url = check_node(settings, sizes)
        self._settings = settings
        self._started = time.monotonic()
        self.name = node_name()
        self._lifecycle = NodeLifecycle(settings, paths, self.name, connect=connect, say=self._say)
        self._components = self._lifecycle.components = NodeComponents(
            settings,
            paths,
            sizes,
            name=self.name,
            broker=Broker(
                url,
                settings.cluster_name + "-demo" * settings.demo,
                password=broker_password(settings),
            ),
            tell=self._tell,
            fail=self._lifecycle.fail,
            on_cycles_ended=self._lifecycle.on_cycles_ended,
        )
        self._rounds = self._lifecycle.rounds = ControlLoop(
            settings, self._components, self.name, say=self._say, heartbeat=self._lifecycle.heartbeat
        )

    # --- steering: wishes on the broker, which every node heeds ----------------------------------------------------

    def scale(self, stage: StageName, size: int) -> ScaleResult:
        """See `PipelineControl.scale`: spread over the nodes that run the stage, at least one worker on each."""
        nodes = self._rounds.roll.running(stage)
        if stage is StageName.SCRAPER:
            return ScaleResult(stage, len(nodes), len(nodes))
        old = sum(self._size(node, stage) for node in nodes)
        shares = spread(size, nodes)
        for node, wanted in shares.items():
            self._rounds.wish(sized(node, stage), str(wanted))
        return self._scaled(stage, old, sum(shares.values()))

    def scale_node(self, node: str, stage: StageName, size: int) -> ScaleResult:
        """See `PipelineControl.scale_node`."""
        old = self._size(node, stage)
        if stage is StageName.SCRAPER or node not in self._rounds.roll.running(stage):
            return ScaleResult(stage, old, old)
        self._rounds.wish(sized(node, stage), str(clamp_workers(size)))
        return self._scaled(stage, old, clamp_workers(size))

    def _scaled(self, stage: StageName, old: int, new: int) -> ScaleResult:
        if old != new:
            self._say(EventKind.SCALED, f"{stage} workers of the cluster {old} → {new}", stage)
        return ScaleResult(stage, old, new)

    def _wanted(self, node: str, stage: StageName) -> int | None:
        return whole(self._rounds.wanted(sized(node, stage)), MIN_WORKERS, MAX_WORKERS)

    def _size(self, node: str, stage: StageName) -> int:
        beat = self._rounds.roll.heartbeats.get(node)
        found = beat.stage(stage) if beat is not None else None
        return (self._wanted(node, stage) or found.size) if found is not None else 0

    def pause(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.pause`; on all nodes."""
        self._set_paused(stage, rest=True)

    def resume(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.resume`; on all nodes."""
        self._set_paused(stage, rest=False)

    def _set_paused(self, stage: StageName | None, *, rest: bool) -> None:
        for name in (StageName.SCRAPER, StageName.PRICE) if stage is None else (stage,):
            self._rounds.wish(paused(name), str(int(rest)))
        what = "the intake" if stage is None else f"the {stage} stage"
        kind = EventKind.PAUSED if rest else EventKind.RESUMED
        self._say(kind, f"{what} of the cluster is {kind}", stage)

    def run_cycle_now(self) -> bool:
        """See `PipelineControl.run_cycle_now`."""
        if self._lifecycle.phase is not Phase.RUNNING or self._components.cycles.running:
            return False
        self._rounds.wish(RUN_NOW_KEY, "1")
        return True

    def set_interval(self, seconds: float) -> float:
        """See `PipelineControl.set_interval`."""
        seconds = max(MIN_INTERVAL, min(MAX_INTERVAL, seconds))
        self._rounds.wish(INTERVAL, repr(float(seconds)))
        return seconds

    # --- the end ------------------------------------------------------------------------------------------------

    @property
    def database_url(self) -> str | None:
        """See `PipelineControl.database_url`."""
        if not self._components.database.ready.is_set():
            return None
        return self._settings.read_database or self._components.database_monitor.url

    def outcome(self) -> RunReport:
        """See `PipelineControl.outcome`; counted from the moment this node joined."""
        snapshot = self.snapshot()
        joined_with = self._lifecycle.joined_with
        if joined_with is not None:
            cycle = replace(snapshot.cycle, number=snapshot.cycle.number - self._lifecycle.joined_at)
            ledger = since(snapshot.ledger, joined_with)
            if self._components.cycles.fulfilled:
                ledger = settled(ledger)
            snapshot = replace(snapshot, ledger=ledger, cycle=cycle)
        return RunReport.of(snapshot, stopped_early=self._stopped_early)

    # --- the picture --------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`: what this node knows of all of them."""
        components, lifecycle, state, roll = (
            self._components,
            self._lifecycle,
            self._rounds.state,
            self._rounds.roll,
        )
        own = lifecycle.heartbeat()
        heartbeats = [own, *(beat for beat in roll.alive() if beat.name != self.name)]
        workers = own_workers(components, self.name) + tuple(
            worker for beat in heartbeats[1:] for worker in roll.workers.get(beat.name, ())
        )
        stages = merged_stages(heartbeats, self._wanted)
        queues = tuple(meter.snapshot() for meter in components.queue_meters)
        database = replace(self._database(), commit=worst(beat.commit for beat in heartbeats))
        health, message, retry_in = components.broker.health()
        return Snapshot(
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
            sources=merged_upstream(
                upstream_snapshot(components.throttle.state(), components.fx), heartbeats
            ),
            database=database,
            market=self._market(),
            missing=components.missing.snapshot(),
            end_to_end=worst(beat.end_to_end for beat in heartbeats),
            bottleneck=bottleneck(stages, queues, workers, database),
            failure=str(lifecycle.failure) if lifecycle.failure else "",
            failure_code=lifecycle.failure.exit_code if lifecycle.failure else ExitCode.INCOMPLETE,
            nodes=self._nodes(),
            broker=components.broker.address,
            broker_health=health,
            broker_message=message if retry_in is None else f"{message}; next attempt in {retry_in:.0f} s",
        )

    def _nodes(self) -> tuple[NodeSnapshot, ...]:
        return node_snapshots(self._rounds.roll, self._lifecycle.heartbeat(), self._wanted)

    def _phase(self) -> Phase:
        phase = self._lifecycle.phase
        resting = all(
            self._rounds.wanted(paused(name)) == "1" for name in (StageName.SCRAPER, StageName.PRICE)
        )
        return Phase.PAUSED if resting and phase is Phase.RUNNING else phase

    def _database(self) -> DatabaseSnapshot:
        if self._components.uses_database:
            return self._components.database_monitor.snapshot()
        return DatabaseSnapshot(Health.OK, embedded=False)
