"""The heartbeat that a node publishes once a second, and its encoding on the broker."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sp500tui.cluster.broker.values import loads, loads_as, warn_invalid
from sp500tui.logs.redaction import plain
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Latency, Phase, SourceSnapshot, StageSnapshot, WorkerSnapshot

REQUESTING_STAGES = frozenset({StageName.PRICE, StageName.HISTORY})
"""The stages that send requests to Yahoo Finance."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The state of one node as it last reported it."""

    name: str
    """Unique: `host:pid:random`."""
    host: str
    version: str
    uptime: float = 0.0
    """Seconds."""
    phase: Phase = Phase.STARTING
    fetch_group: str = ""
    stages: tuple[StageSnapshot, ...] = ()
    """The stages that the node runs."""
    sources: SourceSnapshot | None = None
    """None when the node sends no requests to Yahoo Finance."""
    held_up: float = 0.0
    """Seconds until the node's own circuit breaker closes again."""
    held_up_by: str = ""
    end_to_end: Latency = field(default_factory=Latency)
    end_to_end_overall: Latency = field(default_factory=Latency)
    """Since the node's start."""
    commit: Latency = field(default_factory=Latency)
    """Duration of a commit of the node's writers."""
    trouble: str = ""
    """The current problem, one line; empty without one."""

    @property
    def running(self) -> bool:
        """Whether the node takes work or is starting."""
        return self.phase in (Phase.STARTING, Phase.RUNNING, Phase.PAUSED)

    @property
    def sends_requests(self) -> bool:
        """Whether the node runs a stage that sends requests to Yahoo Finance."""
        return any(stage.name in REQUESTING_STAGES for stage in self.stages)

    def stage(self, name: StageName) -> StageSnapshot | None:
        """The node's worker pool of a stage; None when it does not run the stage."""
        return next((stage for stage in self.stages if stage.name is name), None)


def encode(heartbeat: Heartbeat) -> bytes:
    """The heartbeat as JSON."""
    return json.dumps(asdict(heartbeat)).encode()


def decode(name: str, text: bytes) -> Heartbeat:
    """Decode a heartbeat; if this version cannot read it, the result has only name, host and version."""
    try:
        heartbeat: Heartbeat = loads_as(text, Heartbeat)
    except ValueError:
        warn_invalid(f"the heartbeat of {name}", text)
        known = _readable_part(text)
        host, version = str(known.get("host", name)), str(known.get("version", "unknown"))
        return Heartbeat(name, plain(host), plain(version), trouble="unreadable heartbeat")
    return replace(
        heartbeat,
        name=name,
        host=plain(heartbeat.host),
        version=plain(heartbeat.version),
        trouble=plain(heartbeat.trouble),
    )


def _readable_part(text: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        if isinstance(found := loads(text), dict):
            return found
    return {}


def encode_workers(workers: tuple[WorkerSnapshot, ...]) -> bytes:
    """A node's workers as JSON."""
    return json.dumps([asdict(worker) for worker in workers]).encode()


def decode_workers(node: str, text: bytes) -> tuple[WorkerSnapshot, ...]:
    """Decode a node's workers and set their node; empty when they are unreadable."""
    try:
        workers: tuple[WorkerSnapshot, ...] = loads_as(text, tuple[WorkerSnapshot, ...])
    except ValueError:
        warn_invalid(f"the workers of {node}", text)
        return ()
    return tuple(
        replace(each, node=node, doing=plain(each.doing), last_error=plain(each.last_error))
        for each in workers
    )
