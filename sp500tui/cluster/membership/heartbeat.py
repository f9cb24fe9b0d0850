"""What a node tells the others of itself once a second, and how that is written down for the broker."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

from sp500tui.cluster.broker.values import loads, report
from sp500tui.logs.redaction import plain
from sp500tui.pipeline.core.snapshot import (
    Latency,
    Phase,
    StageName,
    StageSnapshot,
    UpstreamSnapshot,
    WorkerSnapshot,
)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One node at one moment, by its own account."""

    name: str
    """Unique while it lives: `host:pid:random`."""
    host: str
    version: str
    uptime: float = 0.0
    """Seconds."""
    phase: Phase = Phase.STARTING
    fetch_group: str = ""
    stages: tuple[StageSnapshot, ...] = ()
    """Only those that it runs."""
    sources: UpstreamSnapshot | None = None
    """None where it asks nothing of Yahoo Finance."""
    held_up: float = 0.0
    """Seconds for which its own circuit breaker lets no request out."""
    held_up_by: str = ""
    end_to_end: Latency = field(default_factory=Latency)
    commit: Latency = field(default_factory=Latency)
    """Of one commit of its writers."""
    trouble: str = ""
    """What does not go as it should, one line."""

    @property
    def running(self) -> bool:
        """Whether it takes work or is about to."""
        return self.phase in (Phase.STARTING, Phase.RUNNING, Phase.PAUSED)

    def stage(self, name: StageName) -> StageSnapshot | None:
        """Its pool of that stage; None where it has none."""
        return next((stage for stage in self.stages if stage.name is name), None)


def encode(beat: Heartbeat) -> bytes:
    """The heartbeat as JSON."""
    return json.dumps(asdict(beat)).encode()


@cache
def _of(type_: Any) -> Any:
    """Makes a dataclass of what JSON holds, checking every field."""
    # Heavy, and needed by nodes only.
    from pydantic import TypeAdapter

    return TypeAdapter(type_)


def decode(name: str, text: bytes) -> Heartbeat:
    """A heartbeat from the broker; of one that this version cannot read, only name, host and version."""
    found: Any = None
    try:
        found = loads(text)
        beat: Heartbeat = _of(Heartbeat).validate_python(found)
    except ValueError:
        report(f"the heartbeat of {name}", text)
        known = found if isinstance(found, dict) else {}
        host, version = str(known.get("host", name)), str(known.get("version", "unknown"))
        return Heartbeat(name, plain(host), plain(version), trouble="its heartbeat cannot be read")
    return replace(
        beat, name=name, host=plain(beat.host), version=plain(beat.version), trouble=plain(beat.trouble)
    )


def encode_workers(workers: tuple[WorkerSnapshot, ...]) -> bytes:
    """A node's workers as JSON."""
    return json.dumps([asdict(worker) for worker in workers]).encode()


def decode_workers(node: str, text: bytes) -> tuple[WorkerSnapshot, ...]:
    """A node's workers from the broker, each with the name of its node; none where they cannot be read."""
    try:
        workers: tuple[WorkerSnapshot, ...] = _of(tuple[WorkerSnapshot, ...]).validate_python(loads(text))
    except ValueError:
        report(f"the workers of {node}", text)
        return ()
    return tuple(
        replace(each, node=node, doing=plain(each.doing), last_error=plain(each.last_error))
        for each in workers
    )
