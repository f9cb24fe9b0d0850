"""The roll of the cluster at one moment: who is there, who is lost, who schedules, what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sp500tui.cluster.broker.values import fields, real, report, text, texts, whole
from sp500tui.cluster.membership.heartbeat import Heartbeat, decode, decode_workers
from sp500tui.cluster.scheduling.schedule_fields import readable
from sp500tui.logs.redaction import plain
from sp500tui.pipeline.api import MAX_INTERVAL, MAX_WORKERS, MIN_INTERVAL, MIN_WORKERS
from sp500tui.pipeline.core.snapshot import StageName, WorkerSnapshot

HEARTBEAT_TIMEOUT = 5.0
"""Seconds without a heartbeat after which a node counts as lost."""
_STAGES = frozenset(map(str, StageName))
REMEMBERED = 600.0
"""Seconds for which a lost node is shown."""


@dataclass(frozen=True, slots=True)
class LostNode:
    """A node that stopped without a word."""

    beat: Heartbeat
    """The last one heard."""
    heard: float
    """When that was, by the broker's clock, in seconds."""
    held: Mapping[str, int]
    """Items that were taken from it, by queue."""
    takers: Mapping[tuple[str, str], int]
    """How many of them other nodes took over, by node and queue."""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What the broker knows of the nodes. Times are the broker's, in seconds."""

    time: float = 0.0
    heard: Mapping[str, float] = field(default_factory=dict)
    """When each node was last heard."""
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)
    workers: Mapping[str, tuple[WorkerSnapshot, ...]] = field(default_factory=dict)
    """By node; empty where they were not asked for."""
    lost: Sequence[LostNode] = ()
    scheduler: str = ""
    """Name of the node that starts the cycles; empty when none does."""
    cycle: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    """Symbols without a price, and why."""
    rates: Mapping[str, bytes] = field(default_factory=dict)
    """Exchange rates by base currency."""
    list_version: str = ""
    """Of the list of constituents in force."""

    def unresponsive(self) -> tuple[str, ...]:
        """The nodes that are lost and have not been given up yet."""
        return unresponsive(self.heard, self.time)

    def alive(self) -> tuple[Heartbeat, ...]:
        """The nodes that are heard, by name."""
        gone = set(self.unresponsive())
        return tuple(beat for name, beat in sorted(self.heartbeats.items()) if name not in gone)

    def silence(self, node: str) -> float:
        """Seconds since a node was heard."""
        return max(0.0, self.time - self.heard.get(node, self.time))

    def running(self, stage: StageName) -> tuple[str, ...]:
        """The names of the living nodes that run a stage."""
        return tuple(beat.name for beat in self.alive() if beat.stage(stage) is not None)

    def wanted(self, node: str, stage: StageName) -> int | None:
        """The desired number of workers of one stage on one node; None where nobody said."""
        return whole(self.requests.get(f"{node}|{stage}"), MIN_WORKERS, MAX_WORKERS)

    @property
    def interval(self) -> float | None:
        """The desired seconds from cycle to cycle; None where none is set."""
        return real(self.requests.get("interval"), MIN_INTERVAL, MAX_INTERVAL)


def unresponsive(heard: Mapping[str, float], now: float) -> tuple[str, ...]:
    """Who has not been heard for too long."""
    return tuple(sorted(name for name, at in heard.items() if now - at >= HEARTBEAT_TIMEOUT))


def spread(total: int, nodes: Sequence[str]) -> dict[str, int]:
    """Share workers out evenly; every node keeps at least one and gets at most 64, the first ones get the rest."""
    if not nodes:
        return {}
    total = max(MIN_WORKERS * len(nodes), min(MAX_WORKERS * len(nodes), total))
    each, rest = divmod(total, len(nodes))
    return {name: each + (at < rest) for at, name in enumerate(nodes)}


def parse(answer: Sequence[Any]) -> ClusterView:
    """The roll from what `roll.lua` answers. What cannot be read is left out and reported once."""
    time, heard, heartbeats, details, lost, scheduler, cycle, desired, missing, rates, listed = answer
    now = real(time) or 0.0
    # The clock is the broker's own: a heartbeat of the future was never sent by a node.
    times = {
        name: at
        for name, at in ((name, real(at)) for name, at in fields(heard).items())
        if at is not None and at <= now + HEARTBEAT_TIMEOUT
    }
    return ClusterView(
        time=now,
        heard=times,
        heartbeats={name: decode(name, data) for name, data in fields(heartbeats).items() if name in times},
        workers={name: decode_workers(name, data) for name, data in fields(details).items() if name in times},
        lost=tuple(node for node in map(_lost, lost) if node is not None),
        scheduler=text(scheduler),
        cycle=readable(texts(cycle)),
        requests=_desired(texts(desired)),
        missing={symbol: plain(why) for symbol, why in texts(missing).items()},
        rates=fields(rates),
        list_version=text(listed),
    )


def _desired(values: Mapping[str, str]) -> dict[str, str]:
    """The desired values without those that are out of bounds or no numbers."""
    found = {}
    for name, value in values.items():
        stage = name.rpartition("|")[2]
        bad = (
            real(value, MIN_INTERVAL, MAX_INTERVAL) is None
            if name == "interval"
            else value not in ("0", "1")
            if name == "ask" or name.startswith("paused|")
            else stage in _STAGES and whole(value) is None
        )
        if bad:
            report(f"the desired value {name}", value)
        else:
            found[name] = value
    return found


def _lost(entry: Sequence[Any]) -> LostNode | None:
    name, record, held, takers = entry
    since, _, beat = record.partition(b" ")
    heard = real(since)
    if heard is None:
        report(f"the record of the lost node {text(name)}", record)
        return None
    taken: dict[tuple[str, str], int] = {}
    for key, number in _counts(takers).items():
        queue, _, node = key.partition(" ")
        taken[node, queue] = number
    return LostNode(decode(text(name), beat), heard, _counts(held), taken)


def _counts(flat: object) -> dict[str, int]:
    counts = ((name, whole(number)) for name, number in fields(flat).items())
    return {name: number for name, number in counts if number is not None}
