"""What a node tells the others of itself once a second, and how that is written down for the broker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sp500tui.pipeline.snapshot import (
    Health,
    Latency,
    Phase,
    StageName,
    StageSnapshot,
    UpstreamSnapshot,
    WorkerSnapshot,
    WorkerState,
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
    upstream: UpstreamSnapshot | None = None
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


def decode(name: str, text: bytes) -> Heartbeat:
    """A heartbeat from the broker; of one that this version cannot read, only name, host and version."""
    try:
        fields: dict[str, Any] = json.loads(text)
    except ValueError:
        fields = {}
    try:
        upstream = fields.get("upstream")
        return Heartbeat(
            **{
                **fields,
                "phase": Phase(fields["phase"]),
                "stages": tuple(_stage(stage) for stage in fields["stages"]),
                "upstream": None if upstream is None else _upstream(upstream),
                "end_to_end": Latency(**fields["end_to_end"]),
                "commit": Latency(**fields["commit"]),
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        known = fields if isinstance(fields, dict) else {}
        host, version = str(known.get("host", name)), str(known.get("version", "unknown"))
        return Heartbeat(name, host, version, trouble="its heartbeat cannot be read")


def encode_workers(workers: tuple[WorkerSnapshot, ...]) -> bytes:
    """A node's workers as JSON."""
    return json.dumps([asdict(worker) for worker in workers]).encode()


def decode_workers(node: str, text: bytes) -> tuple[WorkerSnapshot, ...]:
    """A node's workers from the broker, each with the name of its node; none where they cannot be read."""
    try:
        return tuple(_worker(fields, node) for fields in json.loads(text))
    except (KeyError, TypeError, ValueError):
        return ()


def _stage(fields: Mapping[str, Any]) -> StageSnapshot:
    return StageSnapshot(
        **{**fields, "name": StageName(fields["name"]), "latency": Latency(**fields["latency"])}
    )


def _upstream(fields: Mapping[str, Any]) -> UpstreamSnapshot:
    return UpstreamSnapshot(**{**fields, "health": Health(fields["health"])})


def _worker(fields: Mapping[str, Any], node: str) -> WorkerSnapshot:
    return WorkerSnapshot(
        **{
            **fields,
            "stage": StageName(fields["stage"]),
            "state": WorkerState(fields["state"]),
            "latency": Latency(**fields["latency"]),
            "history": tuple(fields["history"]),
            "node": node,
        }
    )
