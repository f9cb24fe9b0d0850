"""Aggregation of all nodes into one snapshot, and the status of each node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sp500tui import __version__
from sp500tui.cluster.membership.heartbeat import REQUESTING_STAGES, Heartbeat
from sp500tui.cluster.membership.membership import short_name
from sp500tui.cluster.membership.view import HEARTBEAT_TIMEOUT, LOST_NODE_TTL, ClusterView, LostNode
from sp500tui.cluster.node.wiring import NodeComponents
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import (
    Health,
    Latency,
    NodeSnapshot,
    Phase,
    SourceSnapshot,
    StageSnapshot,
    WorkerSnapshot,
)
from sp500tui.pipeline.monitoring.source_snapshot import source_snapshot

_WORST_FIRST = (Health.DOWN, Health.DEGRADED, Health.OK, Health.STARTING)

DesiredSize = Callable[[str, StageName], int | None]
"""The desired number of workers of one stage on one node."""


def heartbeat_of(
    components: NodeComponents, *, name: str, host: str, uptime: float, phase: Phase, group: str, trouble: str
) -> Heartbeat:
    """This node's current heartbeat."""
    held_up, reason = components.throttle.own_backoff()
    sends_requests = not REQUESTING_STAGES.isdisjoint(components.stages)
    return Heartbeat(
        name=name,
        host=host,
        version=__version__,
        uptime=uptime,
        phase=phase,
        fetch_group=group,
        stages=tuple(stage.snapshot(stage.workers) for stage in components.stages.values()),
        sources=source_snapshot(components.throttle.state(), components.fx) if sends_requests else None,
        held_up=held_up,
        held_up_by=reason,
        end_to_end=components.end_to_end.latency(),
        end_to_end_overall=components.end_to_end.overall(),
        commit=components.database.commit.latency(),
        trouble=trouble,
    )


def own_workers(components: NodeComponents, name: str) -> tuple[WorkerSnapshot, ...]:
    """The current workers of this node."""
    present = [worker.snapshot() for stage in components.stages.values() for worker in stage.workers]
    return tuple(replace(each, node=name) for each in (*present, *components.history.writer_snapshots()))


def merge_stages(heartbeats: Sequence[Heartbeat], desired_size: DesiredSize) -> tuple[StageSnapshot, ...]:
    """All stages, summed over the nodes; each latency percentile is the highest of the nodes."""
    return tuple(_merge_stage(name, _sized_stages(heartbeats, name, desired_size)) for name in StageName)


def _sized_stages(
    heartbeats: Iterable[Heartbeat], name: StageName, desired_size: DesiredSize
) -> list[StageSnapshot]:
    return [
        _sized(stage, desired_size(beat.name, name))
        for beat in heartbeats
        for stage in beat.stages
        if stage.name is name
    ]


def _sized(stage: StageSnapshot, size: int | None) -> StageSnapshot:
    return stage if size is None else replace(stage, size=size)


def _merge_stage(name: StageName, stages: Sequence[StageSnapshot]) -> StageSnapshot:
    return StageSnapshot(
        name=name,
        size=sum(stage.size for stage in stages),
        alive=sum(stage.alive for stage in stages),
        busy=sum(stage.busy for stage in stages),
        items=sum(stage.items for stage in stages),
        failed=sum(stage.failed for stage in stages),
        rate=sum(stage.rate for stage in stages),
        latency=max_latency(stage.latency for stage in stages),
        restarts=sum(stage.restarts for stage in stages),
        paused=bool(stages) and all(stage.paused for stage in stages),
        overall=max_latency(stage.overall for stage in stages),
        oldest_work=max((age for stage in stages if (age := stage.oldest_work) is not None), default=None),
    )


def max_latency(latencies: Iterable[Latency]) -> Latency:
    """The highest value of each percentile; percentiles of several nodes cannot be summed."""
    reported = list(latencies)
    return Latency(
        *(
            max((value for value in values if value is not None), default=None)
            for values in (
                [latency.p50 for latency in reported],
                [latency.p95 for latency in reported],
                [latency.p99 for latency in reported],
            )
        )
    )


def merge_upstream(own: SourceSnapshot, heartbeats: Iterable[Heartbeat]) -> SourceSnapshot:
    """The state of Yahoo Finance over all nodes: summed requests, the worst health, the latest success.

    `own` supplies the exchange rate, which is the same on all nodes.
    """
    reported = [beat.sources for beat in heartbeats if beat.sources is not None]
    if not reported:
        return replace(own, health=Health.STARTING, message="")
    worst = min(reported, key=lambda each: _WORST_FIRST.index(each.health))
    # A node that has sent no request yet has no information about the source.
    health = Health.OK if worst.health is Health.STARTING and len(reported) > 1 else worst.health
    ages = [each.last_success for each in reported if each.last_success is not None]
    return replace(
        own,
        health=health,
        message=worst.message,
        rate_limit=sum(each.rate_limit for each in reported),
        max_rate=sum(each.max_rate for each in reported),
        retry_in=worst.retry_in,
        requests=sum(each.requests for each in reported),
        succeeded=sum(each.succeeded for each in reported),
        failed=sum(each.failed for each in reported),
        throttled=sum(each.throttled for each in reported),
        last_success=min(ages, default=None),
    )


def node_snapshots(view: ClusterView, own: Heartbeat, desired_size: DesiredSize) -> tuple[NodeSnapshot, ...]:
    """All nodes: this one first, then the others by name, then the lost ones."""
    others = [beat for name, beat in sorted(view.heartbeats.items()) if name != own.name]
    return (
        _node(own, view, 0.0, desired_size, here=True),
        *(_node(beat, view, view.silence(beat.name), desired_size) for beat in others),
        *(_lost(node, view.time) for node in view.lost if view.time - node.last_seen < LOST_NODE_TTL),
    )


def _node(
    beat: Heartbeat, view: ClusterView, silence: float, desired_size: DesiredSize, *, here: bool = False
) -> NodeSnapshot:
    message = beat.trouble
    if silence >= HEARTBEAT_TIMEOUT:
        message = f"no heartbeat for {silence:.0f} s"
    elif not beat.running:
        message = f"{beat.phase}: finishing its leases, then leaving"
    return NodeSnapshot(
        name=beat.name,
        host=beat.host,
        version=beat.version,
        health=Health.DEGRADED if message else Health.OK,
        message=message,
        heard=silence,
        uptime=beat.uptime,
        scheduler=beat.name == view.scheduler,
        here=here,
        stages=tuple(_sized(stage, desired_size(beat.name, stage.name)) for stage in beat.stages),
        fetch_group=beat.fetch_group,
    )


def _lost(node: LostNode, now: float) -> NodeSnapshot:
    heartbeat = node.heartbeat
    return NodeSnapshot(
        name=heartbeat.name,
        host=heartbeat.host,
        version=heartbeat.version,
        health=Health.DOWN,
        message=lost_label(node),
        heard=max(0.0, now - node.last_seen),
        uptime=heartbeat.uptime,
        stages=heartbeat.stages,
        fetch_group=heartbeat.fetch_group,
    )


def counted_items(queue: str, items: int) -> str:
    """`50 tickers`, or `3 requests for bars`; a queue that this version does not know is shown by its name."""
    return f"{items:,} {QueueName(queue).items if queue in set(QueueName) else queue}"


def lost_label(node: LostNode) -> str:
    """The items a lost node had leased, and the nodes to which they were reassigned."""
    held = [counted_items(queue, items) for queue, items in node.held.items() if items]
    if not held:
        return "held no items"
    owners: dict[str, list[str]] = {}
    for (owner, queue), items in sorted(node.new_owners.items()):
        owners.setdefault(short_name(owner), []).append(counted_items(queue, items))
    held_items = f"held {' and '.join(held)}"
    if not owners:
        return f"{held_items}, which wait for another node"
    reassigned = ", ".join(f"{owner} ({' and '.join(items)})" for owner, items in owners.items())
    return f"{held_items}; reassigned to {reassigned}"


def subtract_baseline(ledger: Ledger, start: Ledger) -> Ledger:
    """The ledger since `start`; items queued at `start` count as fetched since."""
    completed = start.stored + start.duplicate + start.dead
    return replace(
        ledger,
        fetched=ledger.fetched - completed,
        stored=ledger.stored - start.stored,
        duplicate=ledger.duplicate - start.duplicate,
        dead=ledger.dead - start.dead,
    )


def completed_only(ledger: Ledger) -> Ledger:
    """The ledger of finished cycles: items in progress belong to a later cycle of another node."""
    return replace(ledger, fetched=ledger.fetched - ledger.queued - ledger.in_flight, queued=0, in_flight=0)
