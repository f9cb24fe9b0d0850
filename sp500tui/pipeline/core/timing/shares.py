"""The time of a worker or a stage as shares of its states over the last seconds, and the share on the processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import LockSnapshot, WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample

WINDOWS = (1, 10, 60)
"""Seconds over which shares are made."""
_PRODUCERS: Mapping[QueueName, StageName] = {
    QueueName.TICKERS: StageName.SCRAPER,
    QueueName.QUOTES: StageName.PRICE,
    QueueName.ROWS: StageName.CONVERTER,
}
"""The stages whose workers put items on the queues."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the time, from 0 to 1."""

    states: Mapping[WorkerState, float] = field(default_factory=dict)
    """The share of each state; they add up to 1. Empty without a worker."""
    processor: float = 0.0
    """On the processor, in any state."""
    interpreter: float = 0.0
    """An estimate of the waiting for the interpreter and for a processor: working, but not on the processor."""
    process: float = 0.0
    """The processes of writers on the processor."""

    @property
    def committing(self) -> float:
        """The processes of writers that commit, on the processor or not."""
        return self.states.get(WorkerState.DATABASE, 0.0)

    @property
    def server(self) -> float:
        """The processes of writers that wait for PostgreSQL: committing, but not on the processor."""
        return max(0.0, self.committing - self.process) if self.process else 0.0


def shares_over(samples: Sequence[SecondSample], seconds: int, stage: StageName, worker: str = "") -> Shares:
    """The shares of one worker, or of all workers of a stage together, over the last whole seconds."""
    times: dict[WorkerState, float] = {}
    cpu = process_cpu = 0.0
    for sample in samples[-seconds:]:
        for each in sample.workers:
            if each.stage is stage and worker in ("", each.name):
                cpu += each.cpu
                process_cpu += each.process_cpu
                for state, part in each.seconds.items():
                    times[state] = times.get(state, 0.0) + part
    whole = sum(times.values())
    if not whole:
        return Shares()
    waited = max(0.0, times.get(WorkerState.BUSY, 0.0) - cpu) if cpu else 0.0
    states = {state: part / whole for state, part in times.items()}
    return Shares(states, cpu / whole, waited / whole, process_cpu / whole)


def lock_over(samples: Sequence[SecondSample], seconds: int) -> LockSnapshot | None:
    """The interpreter lock over the last whole seconds; None without the lock, or a second."""
    found = [lock for sample in samples[-seconds:] if (lock := sample.interpreter_lock) is not None]
    if not found:
        return None
    waits = sum(each.wait for each in found) / len(found)
    longest = max(each.longest for each in found)
    return LockSnapshot(sum(each.held for each in found) / len(found), waits * 1000, longest * 1000)


def held_back(samples: Sequence[SecondSample], queue: QueueName) -> float | None:
    """The share of the time for which the workers that fill a queue waited for space in it; None without a worker."""
    producer = _PRODUCERS.get(queue)
    stages = [found for sample in samples if producer is not None and (found := sample.stage(producer))]
    whole = sum(sum(stage.seconds.values()) for stage in stages)
    if not whole:
        return None
    blocked = sum(each.blocked for sample in samples for each in sample.queues if each.name is queue)
    return min(1.0, blocked / whole)
