"""Events: rare changes that the pipeline pushes to front ends, in addition to the snapshots that they poll."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from sp500tui.pipeline.core.names import StageName

_log = logging.getLogger(__name__)

EVENTS_KEPT = 1000
"""Events kept for `events_since`."""
_MAX_SAMPLED = 100
"""Maximum number of events in the samples of one collection; only the latest are kept."""


class EventKind(StrEnum):
    """The kind of an event."""

    WORKER_STARTED = "worker started"
    WORKER_DIED = "worker died"
    WORKER_RESTARTED = "worker restarted"
    WORKER_LEFT = "worker left"
    WORKER_HUNG = "worker hung"
    SCALED = "scaled"
    PAUSED = "paused"
    RESUMED = "resumed"
    CYCLE_STARTED = "cycle started"
    CYCLE_FINISHED = "cycle finished"
    CYCLE_SKIPPED = "cycle skipped"
    CYCLE_BEHIND = "cycle behind"
    CYCLE_ON_TIME = "cycle on time"
    LIST_CHANGED = "list changed"
    INDEX_CHANGED = "index changed"
    """Companies joined or left the index, or have a new ticker."""
    LIMIT_LOWERED = "limit lowered"
    LIMIT_RAISED = "limit raised"
    THROTTLED = "throttled"
    SOURCE_SLOW = "source slow"
    SOURCE_FAILED = "source failed"
    SOURCE_RECOVERED = "source recovered"
    DATABASE_DOWN = "database down"
    DATABASE_BACK = "database back"
    JOURNAL_DOWN = "journal down"
    JOURNAL_BACK = "journal back"
    REPLAYING = "replaying"
    """The journal holds rows of an earlier run."""
    REPLAYED = "replayed"
    DEAD_LETTER = "dead letter"
    NODE_JOINED = "node joined"
    NODE_LEFT = "node left"
    NODE_LOST = "node lost"
    SCHEDULER = "scheduler"
    """Another node of the cluster became the scheduler."""
    PHASE = "phase"
    TOUR = "tour"
    """A step of the demo's tour."""


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
    number: int = 0
    """Position in the run's stream of events, from 1; 0 before it was published."""
    second: int = 0
    """Number of the second it belongs to, as in `SecondSample`; 0 before it was published."""
    seconds: float | None = None
    """Duration of the episode that ended with this event."""
    count: int = 1
    """Number of occurrences since the last report, or of affected rows."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An event to be reported, without its time."""

    kind: EventKind
    message: str
    level: int
    """A level of the `logging` module."""
    stage: StageName | None = None
    seconds: float | None = None
    """Duration of the episode that has ended."""
    count: int = 1
    """Number of occurrences, or of affected rows."""

    def event(self) -> PipelineEvent:
        """The event, at the current time."""
        at = datetime.now(UTC)
        return PipelineEvent(
            self.kind, self.message, self.level, at, self.stage, seconds=self.seconds, count=self.count
        )


def deliver(event: PipelineEvent, *listeners: Callable[[PipelineEvent], None]) -> None:
    """Call every listener; an exception in one is logged and affects neither the others nor the caller."""
    for listener in listeners:
        try:
            listener(event)
        except Exception as error:  # noqa: BLE001  # a listener is foreign code
            _log.error("an event listener failed at %r", event.message, exc_info=error)


class EventLog:
    """The latest events, numbered from 1. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.first_second = int(clock())
        """The second of the monotonic clock that is number 1."""
        self._events: deque[PipelineEvent] = deque(maxlen=EVENTS_KEPT)
        self._number = 0
        self._unsampled: deque[PipelineEvent] = deque(maxlen=_MAX_SAMPLED)

    def record(self, event: PipelineEvent) -> PipelineEvent:
        """Add an event; returns it with its number and second."""
        with self._lock:
            self._number += 1
            second = int(self._clock()) - self.first_second + 1
            numbered = replace(event, number=self._number, second=second)
            self._events.append(numbered)
            self._unsampled.append(numbered)
            return numbered

    def since(self, number: int) -> tuple[int, Sequence[PipelineEvent]]:
        """The number of the latest event, and the events after `number`, oldest first."""
        with self._lock:
            return self._number, [event for event in self._events if event.number > number]

    def collect(self, before: int) -> list[PipelineEvent]:
        """Take the events of the seconds before number `before` that were not taken yet, the latest 100."""
        with self._lock:
            found: list[PipelineEvent] = []
            while self._unsampled and self._unsampled[0].second < before:
                found.append(self._unsampled.popleft())
            return found
