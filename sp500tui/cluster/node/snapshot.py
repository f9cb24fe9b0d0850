"""The cluster as the faces see it: one pipeline, whose stages, workers and sources are those of all nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sp500tui import __version__
from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.cluster.membership.membership import short_name
from sp500tui.cluster.membership.view import HEARTBEAT_TIMEOUT, REMEMBERED, ClusterView, LostNode
from sp500tui.cluster.node.wiring import NodeComponents
from sp500tui.pipeline.core.snapshot import (
    Health,
    Latency,
    Ledger,
    NodeSnapshot,
    Phase,
    StageName,
    StageSnapshot,
    UpstreamSnapshot,
    WorkerSnapshot,
)
from sp500tui.pipeline.monitoring.diagnostics import upstream_snapshot

_WORST_FIRST = (Health.DOWN, Health.DEGRADED, Health.OK, Health.STARTING)

DesiredState = Callable[[str, StageName], int | None]
"""The desired number of workers of one stage on one node."""


def heartbeat_of(
    components: NodeComponents, *, name: str, host: str, uptime: float, phase: Phase, group: str, trouble: str
) -> Heartbeat:
    """What a node tells of itself now."""
    held_up, reason = components.throttle.own_backoff()
    fetches_prices = StageName.PRICE in components.stages
    return Heartbeat(
        name=name,
        host=host,
        version=__version__,
        uptime=uptime,
        phase=phase,
        fetch_group=group,
        stages=tuple(stage.snapshot(stage.workers) for stage in components.stages.values()),
        sources=upstream_snapshot(components.throttle.state(), components.fx) if fetches_prices else None,
        held_up=held_up,
        held_up_by=reason,
        end_to_end=components.end_to_end.latency(),
        commit=components.database.commit.latency(),
        trouble=trouble,
    )


def own_workers(components: NodeComponents, name: str) -> tuple[WorkerSnapshot, ...]:
    """This node's workers now."""
    return tuple(
        replace(worker.snapshot(), node=name)
        for stage in components.stages.values()
        for worker in stage.workers
    )


def merged_stages(heartbeats: Sequence[Heartbeat], wanted: DesiredState) -> tuple[StageSnapshot, ...]:
    """All four stages, each summed over the nodes; of latencies the worst."""
    return tuple(_merged(name, _stages(heartbeats, name, wanted)) for name in StageName)


def _stages(heartbeats: Iterable[Heartbeat], name: StageName, wanted: DesiredState) -> list[StageSnapshot]:
    return [
        _sized(stage, wanted(beat.name, name))
        for beat in heartbeats
        for stage in beat.stages
        if stage.name is name
    ]


def _sized(stage: StageSnapshot, size: int | None) -> StageSnapshot:
    return stage if size is None else replace(stage, size=size)


def _merged(name: StageName, stages: Sequence[StageSnapshot]) -> StageSnapshot:
    return StageSnapshot(
        name=name,
        size=sum(stage.size for stage in stages),
        alive=sum(stage.alive for stage in stages),
        busy=sum(stage.busy for stage in stages),
        items=sum(stage.items for stage in stages),
        failed=sum(stage.failed for stage in stages),
        rate=sum(stage.rate for stage in stages),
        latency=worst(stage.latency for stage in stages),
        restarts=sum(stage.restarts for stage in stages),
        paused=bool(stages) and all(stage.paused for stage in stages),
    )


def worst(latencies: Iterable[Latency]) -> Latency:
    """The highest of each percentile: those of several nodes cannot be added up."""
    told = list(latencies)
    return Latency(
        *(
            max((value for value in values if value is not None), default=None)
            for values in (
                [latency.p50 for latency in told],
                [latency.p95 for latency in told],
                [latency.p99 for latency in told],
            )
        )
    )


def merged_upstream(own: UpstreamSnapshot, heartbeats: Iterable[Heartbeat]) -> UpstreamSnapshot:
    """Yahoo Finance as all nodes see it: their requests together, the worst news, the newest answer.

    `own` has the rate in force here, which is every node's, whoever asked for it.
    """
    told = [beat.sources for beat in heartbeats if beat.sources is not None]
    if not told:
        return replace(own, health=Health.STARTING, message="")
    trouble = min(told, key=lambda each: _WORST_FIRST.index(each.health))
    # One that has not asked yet says nothing about the source.
    health = Health.OK if trouble.health is Health.STARTING and len(told) > 1 else trouble.health
    ages = [each.last_success for each in told if each.last_success is not None]
    return replace(
        own,
        health=health,
        message=trouble.message,
        rate_limit=sum(each.rate_limit for each in told),
        retry_in=trouble.retry_in,
        requests=sum(each.requests for each in told),
        failed=sum(each.failed for each in told),
        throttled=sum(each.throttled for each in told),
        last_success=min(ages, default=None),
    )


def node_snapshots(roll: ClusterView, own: Heartbeat, wanted: DesiredState) -> tuple[NodeSnapshot, ...]:
    """All nodes: this one first, then the others by name, then the lost ones."""
    others = [beat for name, beat in sorted(roll.heartbeats.items()) if name != own.name]
    return (
        _node(own, roll, 0.0, wanted, here=True),
        *(_node(beat, roll, roll.silence(beat.name), wanted) for beat in others),
        *(_lost(node, roll.time) for node in roll.lost if roll.time - node.heard < REMEMBERED),
    )


def _node(
    beat: Heartbeat, roll: ClusterView, heard: float, wanted: DesiredState, *, here: bool = False
) -> NodeSnapshot:
    words = beat.trouble
    if heard >= HEARTBEAT_TIMEOUT:
        words = f"not heard for {heard:.0f} s"
    elif not beat.running:
        words = f"{beat.phase}: finishes what it has in hand, then leaves"
    return NodeSnapshot(
        name=beat.name,
        host=beat.host,
        version=beat.version,
        health=Health.DEGRADED if words else Health.OK,
        message=words,
        heard=heard,
        uptime=beat.uptime,
        scheduler=beat.name == roll.scheduler,
        here=here,
        stages=tuple(_sized(stage, wanted(beat.name, stage.name)) for stage in beat.stages),
        fetch_group=beat.fetch_group,
    )


def _lost(node: LostNode, now: float) -> NodeSnapshot:
    beat = node.beat
    return NodeSnapshot(
        name=beat.name,
        host=beat.host,
        version=beat.version,
        health=Health.DOWN,
        message=lost_label(node),
        heard=max(0.0, now - node.heard),
        uptime=beat.uptime,
        stages=beat.stages,
        fetch_group=beat.fetch_group,
    )


def lost_label(node: LostNode) -> str:
    """What a lost node held and who has it now."""
    held = [f"{items:,} {queue}" for queue, items in node.held.items() if items]
    if not held:
        return "held nothing"
    takers: dict[str, list[str]] = {}
    for (taker, queue), items in sorted(node.takers.items()):
        takers.setdefault(short_name(taker), []).append(f"{items:,} {queue}")
    words = f"held {' and '.join(held)}"
    if not takers:
        return f"{words}, which wait for another node"
    taken = ", ".join(f"{taker} ({' and '.join(items)})" for taker, items in takers.items())
    return f"{words}; taken over by {taken}"


def since(ledger: Ledger, start: Ledger) -> Ledger:
    """The equation without what was settled before `start`; what lay in the queues then counts as fetched since."""
    settled = start.stored + start.duplicate + start.dead
    return replace(
        ledger,
        fetched=ledger.fetched - settled,
        stored=ledger.stored - start.stored,
        duplicate=ledger.duplicate - start.duplicate,
        dead=ledger.dead - start.dead,
    )


def settled(ledger: Ledger) -> Ledger:
    """The equation of cycles that are over: what is under way belongs to a later one, of another node."""
    return replace(ledger, fetched=ledger.fetched - ledger.queued - ledger.in_flight, queued=0, in_flight=0)
