"""Accounts of time by whole seconds: how long a worker was in each state, and how full a queue was.

An account adds the elapsed time to the bucket of the current second whenever its value changes, so the buckets are
exact however rarely they are collected. Seconds are those of the monotonic clock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.processor_clocks import CpuClock, CpuMeter, has_thread_clocks
from sp500tui.pipeline.core.timing.second_sample import SECONDS_KEPT

Clock = Callable[[], float]
B = TypeVar("B")


class SecondAccount(Generic[B]):
    """A bucket for each second, kept until it is collected, for `SECONDS_KEPT` seconds at most.

    The lock belongs to the owner, which holds it during every call except those that collect.
    """

    def __init__(self, lock: AbstractContextManager[Any], clock: Clock) -> None:
        self._lock = lock
        self._clock = clock
        self._at = clock()
        """Time up to which the account is complete."""
        self._second = int(self._at)
        self._closed: deque[tuple[int, B]] = deque(maxlen=SECONDS_KEPT)
        self._bucket = self._new_bucket()

    def _new_bucket(self) -> B:
        """An empty bucket."""
        raise NotImplementedError

    def _add(self, bucket: B, seconds: float) -> None:
        """Add time for which nothing changed to a bucket."""
        raise NotImplementedError

    def _advance(self) -> B:
        """Complete the account up to now; returns the bucket of the current second."""
        now = self._clock()
        if now >= self._second + 1:
            self._close_until(int(now))
        self._add(self._bucket, now - self._at)
        self._at = now
        return self._bucket

    def _close_until(self, second: int) -> None:
        """Close the buckets of all seconds before `second`; only the last `SECONDS_KEPT` are made."""
        if second - self._second > SECONDS_KEPT:
            self._begin(second - SECONDS_KEPT)
        while self._second < second:
            self._add(self._bucket, self._second + 1 - self._at)
            self._closed.append((self._second, self._bucket))
            self._begin(self._second + 1)

    def _begin(self, second: int) -> None:
        self._second, self._at = second, float(second)
        self._bucket = self._new_bucket()

    def collect(self, before: int) -> list[tuple[int, B]]:
        """Take the buckets of the seconds before `before`, with the numbers of the seconds."""
        with self._lock:
            self._advance()
            found: list[tuple[int, B]] = []
            while self._closed and self._closed[0][0] < before:
                found.append(self._closed.popleft())
            return found


@dataclass(slots=True)
class WorkerBucket:
    """One second of one worker."""

    seconds: dict[WorkerState, float] = field(default_factory=dict)
    items: int = 0
    failed: int = 0
    leases: int = 0
    cpu: float = 0.0
    """Processor time of its thread, in seconds."""
    process_cpu: float = 0.0
    """Processor time of its process, in seconds."""


class WorkerAccount(SecondAccount[WorkerBucket]):
    """The time of one worker by state, with its finished leases and items."""

    def __init__(self, name: str, lock: AbstractContextManager[Any], clock: Clock = time.monotonic) -> None:
        """Start in the state `STARTING`. `name`: the worker's."""
        self.name = name
        self.state = WorkerState.STARTING
        self.ended_in: int | None = None
        """The second in which the account ended; None while it runs."""
        self._cpu, self._process_cpu = CpuMeter(), CpuMeter()
        super().__init__(lock, clock)

    def measure_cpu(self, clock: CpuClock) -> None:
        """Start to account for the processor time of a thread, until the account ends."""
        self._cpu.use(clock)

    def measure_process(self, clock: CpuClock | None) -> None:
        """Start to account for the processor time of a writer's process; None for none."""
        self._process_cpu.use(clock)

    def collect(self, before: int) -> list[tuple[int, WorkerBucket]]:
        """See `SecondAccount.collect`; with the processor time of these seconds.

        It is divided over them by the time for which the worker existed in each. The clocks are read at any moment of
        a second, so that part of their time may belong to the next collection.
        """
        found = super().collect(before)
        times = [sum(bucket.seconds.values()) for _, bucket in found]
        whole = sum(times)
        with self._lock:
            cpu, process_cpu = self._cpu.take(whole), self._process_cpu.take(whole)
        for (_, bucket), seconds in zip(found, times, strict=True):
            share = seconds / whole if whole else 0.0
            bucket.cpu, bucket.process_cpu = cpu * share, process_cpu * share
        return found

    def _stop_clocks(self) -> None:
        """Read the clocks for the last time: the thread may soon end, and its clock with it."""
        self._cpu.use(None)
        self._process_cpu.use(None)

    def _new_bucket(self) -> WorkerBucket:
        return WorkerBucket()

    def _add(self, bucket: WorkerBucket, seconds: float) -> None:
        if self.ended_in is None and seconds > 0:
            bucket.seconds[self.state] = bucket.seconds.get(self.state, 0.0) + seconds

    def switch(self, state: WorkerState) -> None:
        """Change the state."""
        if state is not self.state:
            self._advance()
            self.state = state

    def finish_lease(self, items: int) -> None:
        """Count a lease that was finished, with its items."""
        bucket = self._advance()
        if self.ended_in is None:
            bucket.items += items
            bucket.leases += 1

    def fail_lease(self) -> None:
        """Count a lease that ended with an error."""
        bucket = self._advance()
        if self.ended_in is None:
            bucket.failed += 1

    def end(self) -> None:
        """End the account: the worker exits or was replaced. Later calls add nothing."""
        self._advance()
        self._stop_clocks()
        if self.ended_in is None:
            self.ended_in = self._second


class SelfTimedAccount(WorkerAccount):
    """The account of a worker whose thread reads its own processor clock at every change of state."""

    def switch(self, state: WorkerState) -> None:
        """See `WorkerAccount.switch`."""
        if state is not self.state:
            self._cpu.read()
        super().switch(state)


def worker_account(
    name: str, lock: AbstractContextManager[Any], clock: Clock = time.monotonic
) -> WorkerAccount:
    """A new account of the class that this system requires."""
    return (WorkerAccount if has_thread_clocks() else SelfTimedAccount)(name, lock, clock)


class StageAccounts:
    """The accounts of all workers of one stage, including workers that ended since the last collection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: list[WorkerAccount] = []

    def add(self, account: WorkerAccount) -> None:
        """Add the account of a new worker."""
        with self._lock:
            self._accounts.append(account)

    def collect(self, before: int) -> dict[int, dict[str, WorkerBucket]]:
        """Take the buckets of the seconds before `before`: second, then worker name."""
        with self._lock:
            accounts = list(self._accounts)
        found: dict[int, dict[str, WorkerBucket]] = {}
        finished: list[WorkerAccount] = []
        for account in accounts:
            if account.ended_in is not None and account.ended_in < before:
                finished.append(account)
            buckets = account.collect(before)
            for second, bucket in buckets:
                if bucket.seconds or bucket.leases or bucket.failed:
                    # A worker that ended and its successor can have the same name.
                    workers = found.setdefault(second, {})
                    workers[account.name] = merge(workers.get(account.name), bucket)
        if finished:
            with self._lock:
                self._accounts = [account for account in self._accounts if account not in finished]
        return found


def merge(first: WorkerBucket | None, second: WorkerBucket) -> WorkerBucket:
    """The sum of two buckets."""
    if first is None:
        return second
    states = [*first.seconds, *(state for state in second.seconds if state not in first.seconds)]
    return WorkerBucket(
        {state: first.seconds.get(state, 0.0) + second.seconds.get(state, 0.0) for state in states},
        first.items + second.items,
        first.failed + second.failed,
        first.leases + second.leases,
        first.cpu + second.cpu,
        first.process_cpu + second.process_cpu,
    )


@dataclass(slots=True)
class DepthBucket:
    """One second of one queue: integrals in item-seconds, and maxima in items."""

    seconds: float = 0.0
    ready: float = 0.0
    max_ready: int = 0
    in_flight: float = 0.0
    max_in_flight: int = 0
    blocked: float = 0.0
    """Seconds for which puts waited for space, summed over the putting threads."""


class DepthAccount(SecondAccount[DepthBucket]):
    """The depth of a queue integrated over time, with its maximum in each second."""

    def __init__(self, lock: AbstractContextManager[Any], clock: Clock = time.monotonic) -> None:
        """Start with an empty queue."""
        self._ready = self._in_flight = self._blocked = 0
        super().__init__(lock, clock)

    def _new_bucket(self) -> DepthBucket:
        return DepthBucket(max_ready=self._ready, max_in_flight=self._in_flight)

    def _add(self, bucket: DepthBucket, seconds: float) -> None:
        bucket.seconds += seconds
        bucket.ready += self._ready * seconds
        bucket.in_flight += self._in_flight * seconds
        bucket.blocked += self._blocked * seconds

    def record(self, ready: int, in_flight: int = 0) -> None:
        """Record the depth after a change."""
        bucket = self._advance()
        self._ready, self._in_flight = ready, in_flight
        bucket.max_ready = max(bucket.max_ready, ready)
        bucket.max_in_flight = max(bucket.max_in_flight, in_flight)

    def record_blocked(self, change: int) -> None:
        """Record that one more (`change` 1) or one less (-1) thread is waiting for space."""
        self._advance()
        self._blocked += change
