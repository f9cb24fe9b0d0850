"""Events: rare changes that the pipeline pushes to front ends, in addition to the snapshots that they poll."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sp500tui.pipeline.core.snapshot import StageName

_log = logging.getLogger(__name__)


class EventKind(StrEnum):
    """The kind of an event."""

    WORKER_STARTED = "worker started"
    WORKER_DIED = "worker died"
    WORKER_LEFT = "worker left"
    WORKER_HUNG = "worker hung"
    SCALED = "scaled"
    PAUSED = "paused"
    RESUMED = "resumed"
    CYCLE_STARTED = "cycle started"
    CYCLE_FINISHED = "cycle finished"
    CYCLE_SKIPPED = "cycle skipped"
    THROTTLED = "throttled"
    SOURCE_SLOW = "source slow"
    SOURCE_FAILED = "source failed"
    SOURCE_RECOVERED = "source recovered"
    DATABASE_DOWN = "database down"
    DATABASE_BACK = "database back"
    REPLAYED = "replayed"
    DEAD_LETTER = "dead letter"
    NODE_JOINED = "node joined"
    NODE_LEFT = "node left"
    NODE_LOST = "node lost"
    SCHEDULER = "scheduler"
    """Another node of the cluster became the scheduler."""
    PHASE = "phase"


@dataclass(frozen=True, slots=True)
class PipelineEvent:
    """One event. Listeners run on the thread that emits it and must not block."""

    kind: EventKind
    message: str
    """One line."""
    level: int
    """A level of the `logging` module."""
    at: datetime
    """UTC."""
    stage: StageName | None = None
    worker: str = ""


def deliver(event: PipelineEvent, *listeners: Callable[[PipelineEvent], None]) -> None:
    """Call every listener; an exception in one is logged and affects neither the others nor the caller."""
    for listener in listeners:
        try:
            listener(event)
        except Exception as error:  # noqa: BLE001  # a listener is foreign code
            _log.error("an event listener failed at %r", event.message, exc_info=error)
