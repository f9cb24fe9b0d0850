"""The roll of the cluster at one moment: who is there, who is lost, who schedules, what is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sp500tui.cluster.heartbeat import Heartbeat, decode, decode_workers
from sp500tui.pipeline.control import MAX_WORKERS, MIN_WORKERS
from sp500tui.pipeline.snapshot import StageName, WorkerSnapshot

SILENCE = 5.0
"""Seconds without a heartbeat after which a node counts as lost."""
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
class Roll:
    """What the broker knows of the nodes. Times are the broker's, in seconds."""

    time: float = 0.0
    heard: Mapping[str, float] = field(default_factory=dict)
    """When each node was last heard."""
    beats: Mapping[str, Heartbeat] = field(default_factory=dict)
    workers: Mapping[str, tuple[WorkerSnapshot, ...]] = field(default_factory=dict)
    """By node; empty where they were not asked for."""
    lost: Sequence[LostNode] = ()
    scheduler: str = ""
    """Name of the node that starts the cycles; empty when none does."""
    cycle: Mapping[str, str] = field(default_factory=dict)
    wishes: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    """Symbols without a price, and why."""
    rates: Mapping[str, bytes] = field(default_factory=dict)
    """Exchange rates by base currency."""
    list_version: str = ""
    """Of the list of constituents in force."""

    def silent(self) -> tuple[str, ...]:
        """The nodes that are lost and have not been given up yet."""
        return silent(self.heard, self.time)

    def living(self) -> tuple[Heartbeat, ...]:
        """The nodes that are heard, by name."""
        gone = set(self.silent())
        return tuple(beat for name, beat in sorted(self.beats.items()) if name not in gone)

    def silence(self, node: str) -> float:
        """Seconds since a node was heard."""
        return max(0.0, self.time - self.heard.get(node, self.time))

    def running(self, stage: StageName) -> tuple[str, ...]:
        """The names of the living nodes that run a stage."""
        return tuple(beat.name for beat in self.living() if beat.stage(stage) is not None)

    def wanted(self, node: str, stage: StageName) -> int | None:
        """The desired number of workers of one stage on one node; None where nobody said."""
        text = self.wishes.get(f"{node}|{stage}", "")
        return int(text) if text.isdecimal() else None


def silent(heard: Mapping[str, float], now: float) -> tuple[str, ...]:
    """Who has not been heard for too long."""
    return tuple(sorted(name for name, at in heard.items() if now - at >= SILENCE))


def spread(total: int, nodes: Sequence[str]) -> dict[str, int]:
    """Share workers out evenly; every node keeps at least one and gets at most 64, the first ones get the rest."""
    if not nodes:
        return {}
    total = max(MIN_WORKERS * len(nodes), min(MAX_WORKERS * len(nodes), total))
    each, rest = divmod(total, len(nodes))
    return {name: each + (at < rest) for at, name in enumerate(nodes)}


def parse(answer: Sequence[Any]) -> Roll:
    """The roll from what `roll.lua` answers."""
    time, heard, beats, details, lost, scheduler, cycle, wishes, missing, rates, listed = answer
    return Roll(
        time=float(time),
        heard={_text(name): float(at) for name, at in _pairs(heard)},
        beats={_text(name): decode(_text(name), text) for name, text in _pairs(beats)},
        workers={_text(name): decode_workers(_text(name), text) for name, text in _pairs(details)},
        lost=tuple(_lost(*entry) for entry in lost),
        scheduler=_text(scheduler),
        cycle=_texts(cycle),
        wishes=_texts(wishes),
        missing=_texts(missing),
        rates={_text(base): rate for base, rate in _pairs(rates)},
        list_version=_text(listed),
    )


def _lost(name: bytes, record: bytes, held: Sequence[bytes], takers: Sequence[bytes]) -> LostNode:
    heard, _, text = record.partition(b" ")
    taken: dict[tuple[str, str], int] = {}
    for key, number in _texts(takers).items():
        queue, _, node = key.partition(" ")
        taken[node, queue] = int(number)
    return LostNode(
        decode(_text(name), text),
        float(heard),
        {queue: int(number) for queue, number in _texts(held).items()},
        taken,
    )


def _pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _texts(flat: Sequence[bytes]) -> dict[str, str]:
    return {_text(key): _text(value) for key, value in _pairs(flat)}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
