"""A consistent view of the cluster: live and lost nodes, the scheduler, and the desired state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sp500tui.cluster.broker.values import hash_fields, text_fields, to_float, to_int, to_text, warn_invalid
from sp500tui.cluster.membership.heartbeat import Heartbeat, decode, decode_workers
from sp500tui.cluster.scheduling.schedule_fields import validated_fields
from sp500tui.config.settings import MAX_INTERVAL, MAX_WORKERS, MIN_INTERVAL, MIN_WORKERS
from sp500tui.logs.redaction import plain
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import WorkerSnapshot

HEARTBEAT_TIMEOUT = 5.0
"""Seconds without a heartbeat after which a node counts as lost."""
_STAGES = frozenset(map(str, StageName))
LOST_NODE_TTL = 600.0
"""Seconds for which a lost node stays in the view."""
_CONSUMERS = {
    QueueName.TICKERS: StageName.PRICE,
    QueueName.QUOTES: StageName.CONVERTER,
    QueueName.ROWS: StageName.WRITER,
    QueueName.HISTORY: StageName.HISTORY,
}
_UNSERVED_AFTER = 5.0
"""Seconds that an item may wait before its stage counts as unserved: a node may be starting."""
RUN_NOW_KEY = "run_now"
"""Desired value that starts a cycle now."""
INTERVAL_KEY = "interval"
"""Desired seconds between cycle starts."""
_PAUSED = "paused|"


def pause_key(stage: StageName) -> str:
    """The desired value that pauses a stage on all nodes."""
    return f"{_PAUSED}{stage}"


def size_key(node: str, stage: StageName) -> str:
    """The desired value of the number of workers of one stage on one node."""
    return f"{node}|{stage}"


@dataclass(frozen=True, slots=True)
class LostNode:
    """A node that stopped without leaving the cluster."""

    heartbeat: Heartbeat
    """Its last one."""
    last_seen: float
    """Time of the last heartbeat, by the broker's clock, in seconds."""
    held: Mapping[str, int]
    """Items it had leased, by queue."""
    new_owners: Mapping[tuple[str, str], int]
    """Items reassigned so far, by node and queue."""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The nodes as recorded on the broker. Times are those of the broker's clock, in seconds."""

    time: float = 0.0
    last_seen: Mapping[str, float] = field(default_factory=dict)
    """Time of each node's last heartbeat."""
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)
    workers: Mapping[str, tuple[WorkerSnapshot, ...]] = field(default_factory=dict)
    """By node; empty unless details were requested."""
    lost: Sequence[LostNode] = ()
    scheduler: str = ""
    """Name of the node that starts the cycles; empty when none does."""
    cycle: Mapping[str, str] = field(default_factory=dict)
    desired: Mapping[str, str] = field(default_factory=dict)
    """Desired state: worker counts, paused stages, the interval, a cycle to run now."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Symbols without a price, and the reasons."""
    rates: Mapping[str, bytes] = field(default_factory=dict)
    """Exchange rates by base currency."""
    list_version: str = ""
    """Version of the current list of constituents."""

    def unresponsive(self) -> tuple[str, ...]:
        """Nodes whose heartbeat timed out and that are not evicted yet."""
        return unresponsive(self.last_seen, self.time)

    def alive(self) -> tuple[Heartbeat, ...]:
        """The heartbeats of the live nodes, ordered by name."""
        lost = set(self.unresponsive())
        return tuple(beat for name, beat in sorted(self.heartbeats.items()) if name not in lost)

    def silence(self, node: str) -> float:
        """Seconds since a node's last heartbeat."""
        return max(0.0, self.time - self.last_seen.get(node, self.time))

    def running(self, stage: StageName) -> tuple[str, ...]:
        """The names of the live nodes that run a stage."""
        return tuple(beat.name for beat in self.alive() if beat.stage(stage) is not None)

    def desired_size(self, node: str, stage: StageName) -> int | None:
        """The desired number of workers of one stage on one node; None when unset."""
        return to_int(self.desired.get(size_key(node, stage)), MIN_WORKERS, MAX_WORKERS)

    @property
    def interval(self) -> float | None:
        """The desired seconds between cycle starts; None when unset."""
        return to_float(self.desired.get(INTERVAL_KEY), MIN_INTERVAL, MAX_INTERVAL)


def unresponsive(last_seen: Mapping[str, float], now: float) -> tuple[str, ...]:
    """The nodes whose last heartbeat is older than the timeout."""
    return tuple(sorted(name for name, at in last_seen.items() if now - at >= HEARTBEAT_TIMEOUT))


def distribute(total: int, nodes: Sequence[str]) -> dict[str, int]:
    """Distribute workers evenly: 1 to 64 a node, the remainder to the first nodes."""
    if not nodes:
        return {}
    total = max(MIN_WORKERS * len(nodes), min(MAX_WORKERS * len(nodes), total))
    each, remainder = divmod(total, len(nodes))
    return {name: each + (at < remainder) for at, name in enumerate(nodes)}


def parse(answer: Sequence[Any]) -> ClusterView:
    """Decode the result of `view.lua`. Invalid values are left out and logged once."""
    time, last_seen, heartbeats, details, lost, scheduler, cycle, desired, missing, rates, version = answer
    now = to_float(time) or 0.0
    # Times are set by the broker's clock: one in the future was not written by a node.
    times = {
        name: at
        for name, at in ((name, to_float(at)) for name, at in hash_fields(last_seen).items())
        if at is not None and at <= now + HEARTBEAT_TIMEOUT
    }
    return ClusterView(
        time=now,
        last_seen=times,
        heartbeats={
            name: decode(name, data) for name, data in hash_fields(heartbeats).items() if name in times
        },
        workers={
            name: decode_workers(name, data) for name, data in hash_fields(details).items() if name in times
        },
        lost=tuple(node for node in map(_lost, lost) if node is not None),
        scheduler=to_text(scheduler),
        cycle=validated_fields(text_fields(cycle)),
        desired=_valid_desired(text_fields(desired)),
        missing={symbol: plain(reason) for symbol, reason in text_fields(missing).items()},
        rates=hash_fields(rates),
        list_version=to_text(version),
    )


def _valid_desired(values: Mapping[str, str]) -> dict[str, str]:
    """The desired values that are numbers within bounds."""
    valid = {}
    for name, value in values.items():
        stage = name.rpartition("|")[2]
        is_invalid = (
            to_float(value, MIN_INTERVAL, MAX_INTERVAL) is None
            if name == INTERVAL_KEY
            else value not in ("0", "1")
            if name == RUN_NOW_KEY or name.startswith(_PAUSED)
            else stage in _STAGES and to_int(value) is None
        )
        if is_invalid:
            warn_invalid(f"the desired value {name}", value)
        else:
            valid[name] = value
    return valid


def _lost(entry: Sequence[Any]) -> LostNode | None:
    name, record, held, new_owners = entry
    last_seen, _, heartbeat = record.partition(b" ")
    seen_at = to_float(last_seen)
    if seen_at is None:
        warn_invalid(f"the record of the lost node {to_text(name)}", record)
        return None
    owners: dict[tuple[str, str], int] = {}
    for key, number in _counts(new_owners).items():
        queue, _, node = key.partition(" ")
        owners[node, queue] = number
    return LostNode(decode(to_text(name), heartbeat), seen_at, _counts(held), owners)


def _counts(flat: object) -> dict[str, int]:
    counts = ((name, to_int(number)) for name, number in hash_fields(flat).items())
    return {name: number for name, number in counts if number is not None}


def unserved_stages(view: ClusterView, depths: Mapping[QueueName, Depth]) -> dict[StageName, str]:
    """Stages that no node runs although work is waiting, each with the reason and the remedy."""
    found: dict[StageName, str] = {}
    if not view.running(StageName.SCRAPER):
        found[StageName.SCRAPER] = f"no node starts cycles: {_remedy(StageName.SCRAPER)}"
    for queue, stage in _CONSUMERS.items():
        depth = depths[queue]
        if (depth.oldest_age or 0.0) > _UNSERVED_AFTER and not view.running(stage):
            found[stage] = (
                f"no node runs the {stage} stage, {depth.ready:,} {queue.items} are waiting on the broker: "
                f"{_remedy(stage)}"
            )
    return found


def _remedy(stage: StageName) -> str:
    return f"start one with sp500tui worker --stages {stage}"
