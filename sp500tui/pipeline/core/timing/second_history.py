"""The samples of the last seconds, built from the accounts of workers, queues and journal."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple, Protocol

from sp500tui.pipeline.core.events import EventLog
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.accounting import DepthBucket, StageAccounts, WorkerBucket
from sp500tui.pipeline.core.timing.interpreter_lock import LockBucket
from sp500tui.pipeline.core.timing.second_sample import (
    SECONDS_KEPT,
    JournalSecond,
    LockSecond,
    QueueSecond,
    SecondSample,
    StageSecond,
    WorkerSecond,
)


class DepthSource(Protocol):
    """The depth of a queue or of the journal by seconds."""

    def collect(self, before: int) -> Sequence[tuple[int, DepthBucket]]:
        """Take the buckets of the seconds before `before`, with the numbers of the seconds."""


class LockSource(Protocol):
    """The samples of the interpreter lock by seconds."""

    def collect(self, before: int) -> Sequence[tuple[int, LockBucket]]:
        """Take the buckets of the seconds before `before`, with the numbers of the seconds."""


class SampledDepth:
    """A queue on a broker, whose depth is known only at the moment of the collection."""

    def __init__(self, depth: Callable[[], Depth], clock: Callable[[], float] = time.monotonic) -> None:
        self._depth = depth
        self._next = int(clock())

    def collect(self, before: int) -> Sequence[tuple[int, DepthBucket]]:
        """See `DepthSource.collect`; the current depth for each of the seconds."""
        depth = self._depth()
        first, self._next = max(self._next, before - SECONDS_KEPT), max(self._next, before)
        bucket = DepthBucket(1.0, depth.ready, depth.ready, depth.in_flight, depth.in_flight)
        return [(second, bucket) for second in range(first, before)]


class ProcessorSeconds(NamedTuple):
    """Processor time of the workers of a stage."""

    threads: float = 0.0
    processes: float = 0.0
    """Processor seconds of the writers' processes."""


class SecondHistory:
    """The samples of the last `SECONDS_KEPT` whole seconds. Thread-safe.

    `roll` builds the samples of the seconds that have passed; it may be called as rarely as once in `SECONDS_KEPT`
    seconds without a gap, and is called by `since` too.
    """

    def __init__(
        self,
        stages: Mapping[StageName, StageAccounts],
        queues: Mapping[QueueName, DepthSource],
        journal: DepthSource | None,
        events: EventLog,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        cpu_clock: Callable[[], float] = time.process_time,
        lock: LockSource | None = None,
    ) -> None:
        """`journal`: None where rows are kept on a broker instead; `lock`: None on an interpreter without one."""
        self._stages = stages
        self._queues = queues
        self._journal = journal
        self._events = events
        self._clock = clock
        self._wall_clock = wall_clock
        self._cpu_clock = cpu_clock
        self._interpreter_lock = lock
        self._rolled_at, self._cpu = clock(), cpu_clock()
        self._lock = threading.Lock()
        self._first = self._next = events.first_second
        self._samples: deque[SecondSample] = deque(maxlen=SECONDS_KEPT)
        self._totals: dict[StageName, dict[WorkerState, float]] = {name: {} for name in stages}
        self._processor = {name: ProcessorSeconds() for name in stages}

    def totals(self) -> Mapping[StageName, Mapping[WorkerState, float]]:
        """The seconds that the workers of each stage have spent in each state since the start."""
        self.roll()
        with self._lock:
            return {stage: dict(seconds) for stage, seconds in self._totals.items()}

    def processor_totals(self) -> Mapping[StageName, ProcessorSeconds]:
        """The processor time that the workers of each stage have used since the start."""
        self.roll()
        with self._lock:
            return dict(self._processor)

    def since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        """The number of the last whole second (0 before the first), and the samples after `second`, oldest first."""
        self.roll()
        with self._lock:
            return self._next - self._first, [each for each in self._samples if each.second > second]

    def last(self, seconds: int) -> Sequence[SecondSample]:
        """The samples of the last whole seconds, oldest first."""
        self.roll()
        with self._lock:
            return list(islice(self._samples, max(0, len(self._samples) - seconds), None))

    def roll(self) -> None:
        """Build the samples of the seconds that have passed since the last call."""
        with self._lock:
            now = self._clock()
            before = int(now)
            if before <= self._next:
                return
            first, self._next = max(self._next, before - SECONDS_KEPT), before
            cpu = self._cpu_share(now)
            started = self._wall_clock() - timedelta(seconds=now - first)
            stages = {name: accounts.collect(before) for name, accounts in self._stages.items()}
            queues = {name: dict(source.collect(before)) for name, source in self._queues.items()}
            journal = dict(self._journal.collect(before)) if self._journal is not None else {}
            lock = self._interpreter_lock
            found_lock = None if lock is None else dict(lock.collect(before))
            events = self._events.collect(before - self._first + 1)
            for second in range(first, before):
                number = second - self._first + 1
                workers = {name: found.get(second, {}) for name, found in stages.items()}
                stage_seconds = tuple(_stage(name, buckets) for name, buckets in workers.items())
                self._add_to_totals(stage_seconds)
                self._samples.append(
                    SecondSample(
                        second=number,
                        at=started + timedelta(seconds=second - first),
                        workers=_workers(workers),
                        stages=stage_seconds,
                        queues=tuple(_queue(name, found.get(second)) for name, found in queues.items()),
                        journal=_journal(journal.get(second)),
                        events=tuple(event for event in events if event.second == number),
                        cpu=cpu,
                        interpreter_lock=None if found_lock is None else _lock(found_lock.get(second), cpu),
                    )
                )

    def _add_to_totals(self, stages: Sequence[StageSecond]) -> None:
        for stage in stages:
            totals = self._totals[stage.name]
            for state, seconds in stage.seconds.items():
                totals[state] = totals.get(state, 0.0) + seconds
            used = self._processor[stage.name]
            self._processor[stage.name] = ProcessorSeconds(
                used.threads + stage.cpu, used.processes + stage.process_cpu
            )

    def _cpu_share(self, now: float) -> float:
        """Processor time in each second since the last call, on average."""
        elapsed, used = now - self._rolled_at, self._cpu_clock() - self._cpu
        self._rolled_at, self._cpu = now, self._cpu + used
        return used / elapsed if elapsed > 0 else 0.0


def _workers(stages: Mapping[StageName, Mapping[str, WorkerBucket]]) -> tuple[WorkerSecond, ...]:
    return tuple(
        WorkerSecond(
            name,
            stage,
            bucket.seconds,
            bucket.items,
            bucket.failed,
            bucket.leases,
            bucket.cpu,
            bucket.process_cpu,
        )
        for stage, buckets in stages.items()
        for name, bucket in sorted(buckets.items(), key=lambda item: _number(item[0]))
    )


def _number(worker: str) -> int:
    return int(worker.rpartition("-")[2])


def _stage(name: StageName, buckets: Mapping[str, WorkerBucket]) -> StageSecond:
    seconds: dict[WorkerState, float] = {}
    for bucket in buckets.values():
        for state, duration in bucket.seconds.items():
            seconds[state] = seconds.get(state, 0.0) + duration
    return StageSecond(
        name,
        seconds,
        items=sum(bucket.items for bucket in buckets.values()),
        failed=sum(bucket.failed for bucket in buckets.values()),
        leases=sum(bucket.leases for bucket in buckets.values()),
        cpu=sum(bucket.cpu for bucket in buckets.values()),
        process_cpu=sum(bucket.process_cpu for bucket in buckets.values()),
    )


def _queue(name: QueueName, bucket: DepthBucket | None) -> QueueSecond:
    if bucket is None or not bucket.seconds:
        return QueueSecond(name)
    return QueueSecond(
        name,
        bucket.ready / bucket.seconds,
        bucket.max_ready,
        bucket.in_flight / bucket.seconds,
        bucket.max_in_flight,
        bucket.blocked,
    )


def _journal(bucket: DepthBucket | None) -> JournalSecond:
    if bucket is None or not bucket.seconds:
        return JournalSecond()
    return JournalSecond(bucket.ready / bucket.seconds, bucket.max_ready)


def _lock(bucket: LockBucket | None, cpu: float) -> LockSecond:
    """`cpu`: the share of a core that the program used."""
    if bucket is None or not bucket.samples:
        return LockSecond(held=min(1.0, cpu))
    samples = bucket.samples
    return LockSecond(samples, bucket.held / samples, bucket.waited / samples, bucket.longest)
