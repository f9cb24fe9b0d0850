"""The samples of each second as immutable values: the workers' states, queue depths, events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import WorkerState

SECONDS_KEPT = 180
"""Seconds for which samples are kept."""

BUSY_STATES = frozenset({WorkerState.BUSY, WorkerState.SOURCE, WorkerState.JOURNAL, WorkerState.DATABASE})
"""The states in which a worker makes progress: it computes, or waits for an answer to its own request."""


def share_of(seconds: Mapping[WorkerState, float], states: Iterable[WorkerState]) -> float:
    """The share of the time that was spent in `states`, from 0 to 1; 0 if there was no worker."""
    total = sum(seconds.values())
    return sum(seconds.get(state, 0.0) for state in states) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class WorkerSecond:
    """One worker in one second."""

    name: str
    """`price-3`."""
    stage: StageName
    seconds: Mapping[WorkerState, float]
    """Seconds in each state, without states of no duration. They add up to the time for which the worker existed: one
    second, or less in the second of its start or end."""
    items: int = 0
    """Items of the leases that were finished."""
    failed: int = 0
    """Leases that ended with an error."""
    leases: int = 0
    """Leases that were finished."""
    cpu: float = 0.0
    """Processor time of its thread in seconds, averaged since the previously measured second; 0 where the system does
    not report it."""
    process_cpu: float = 0.0
    """Processor time of a writer's process in seconds; 0 for other workers."""

    @property
    def busy(self) -> float:
        """The share of its time in which it made progress, from 0 to 1."""
        return share_of(self.seconds, BUSY_STATES)


@dataclass(frozen=True, slots=True)
class StageSecond:
    """All workers of one stage in one second."""

    name: StageName
    seconds: Mapping[WorkerState, float]
    """Seconds in each state, summed over the workers: they add up to the number of workers."""
    items: int = 0
    failed: int = 0
    leases: int = 0
    cpu: float = 0.0
    """Processor time of the workers' threads in seconds."""
    process_cpu: float = 0.0
    """Processor time of the writers' processes in seconds."""

    @property
    def busy(self) -> float:
        """The share of the workers' time in which they made progress, from 0 to 1."""
        return share_of(self.seconds, BUSY_STATES)

    def share(self, *states: WorkerState) -> float:
        """The share of the workers' time in `states`, from 0 to 1."""
        return share_of(self.seconds, states)


@dataclass(frozen=True, slots=True)
class QueueSecond:
    """One queue in one second. Depths are items; means are weighted by time."""

    name: QueueName
    mean_ready: float = 0.0
    max_ready: int = 0
    mean_in_flight: float = 0.0
    max_in_flight: int = 0
    blocked: float = 0.0
    """Seconds for which puts waited for space, summed over the workers."""


@dataclass(frozen=True, slots=True)
class JournalSecond:
    """The rows in the journal that waited for a writer, in one second."""

    mean_rows: float = 0.0
    max_rows: int = 0


@dataclass(frozen=True, slots=True)
class LockSecond:
    """The interpreter lock of this program in one second, as samples found it."""

    samples: int = 0
    """0 in a second in which the program was nearly idle."""
    held: float = 0.0
    """The share of the time for which a thread held it, from 0 to 1. Without samples this is an upper
    bound: the share of a core that the program used."""
    wait: float = 0.0
    """Seconds for which a thread that becomes ready waits for it, on average."""
    longest: float = 0.0
    """The longest of these waits in seconds."""


@dataclass(frozen=True, slots=True)
class SecondSample:
    """One second of the pipeline."""

    second: int
    """Number of the second, from 1 for the one in which the pipeline was created."""
    at: datetime
    """Its start by the wall clock, UTC. The clock may have been set since the previous second."""
    workers: tuple[WorkerSecond, ...] = ()
    """The workers of this program that existed in this second, in the order of stages and numbers."""
    stages: tuple[StageSecond, ...] = ()
    """The stages of this program, in the order of the data."""
    queues: tuple[QueueSecond, ...] = ()
    """In the order of `QueueName`."""
    journal: JournalSecond = JournalSecond()
    events: tuple[PipelineEvent, ...] = ()
    """The events of this second."""
    cpu: float = 0.0
    """Processor time of this program in seconds, writer processes excluded. Above 1 if it used several cores."""
    interpreter_lock: LockSecond | None = None
    """None on an interpreter without the lock, and in older recordings."""

    def stage(self, name: StageName) -> StageSecond | None:
        """The stage of that name; None if this program does not run it."""
        return next((stage for stage in self.stages if stage.name is name), None)

    def queue(self, name: QueueName) -> QueueSecond:
        """The queue of that name."""
        return next(queue for queue in self.queues if queue.name is name)
