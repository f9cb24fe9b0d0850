"""Queues whose items are leased, not popped: what a worker holds when it dies goes back to the front."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class QueueClosedError(Exception):
    """Nothing more will come: the queue was closed, is empty, and nothing of it is leased any more."""


class CancelledError(Exception):
    """The caller's own `cancelled` said so while it waited."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How full a queue is. Counts are items."""

    ready: int
    in_flight: int
    """Leased, neither acknowledged nor released."""
    capacity: int
    oldest_age: float | None
    """Seconds the oldest ready item has waited."""


class Lease(Protocol[T]):
    """Items in one worker's hand."""

    @property
    def items(self) -> Sequence[T]:
        """What was taken, oldest first."""

    @property
    def taken_at(self) -> float:
        """`time.monotonic()` of the take."""

    @property
    def open(self) -> bool:
        """False once acknowledged, released or taken away."""

    def ack(self) -> bool:
        """The work is safe further on; False when the lease was no longer open."""

    def release(self, replacement: Sequence[T] | None = None) -> bool:
        """Put the items, or others `replacement`, back at the front; False when the lease was no longer open."""


class LeasedQueue(Protocol[T]):
    """What is between two stages, on one machine or on many.

    A call asks its `cancelled` before it waits, and again after `interrupt`.
    """

    longest_take: float | None
    """Seconds after which a take should end without items all the same; None when `interrupt` is enough."""

    def put(
        self,
        items: Sequence[T],
        *,
        ack: Lease[Any] | None = None,
        on_put: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> bool:
        """Append `items`, waiting while they do not fit (back-pressure).

        In the same step `ack`, the lease they were made from, is acknowledged and `on_put` is called. False,
        and nothing put, when that lease was lost in the meantime: somebody else has its items.

        Raises:
            QueueClosedError: the queue was closed, before the call or while it waited; nothing was put.
            CancelledError: `cancelled` said so; nothing was put.
        """

    def take(
        self,
        n: int,
        *,
        linger: float = 0.0,
        timeout: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Lease[T] | None:
        """Lease up to `n` items, waiting `linger` seconds for more than the first; None after `timeout` seconds.

        Raises:
            QueueClosedError: closed, empty and nothing leased.
            CancelledError: `cancelled` said so.
        """

    def close(self) -> None:
        """Refuse every put from now on, those that wait included; what is there can still be taken."""

    def interrupt(self) -> None:
        """Have every call that waits here ask its `cancelled` now."""

    def depth(self) -> Depth:
        """How full it is now."""


@dataclass(slots=True)
class _Chunk(Generic[T]):
    """Items that arrived together, and when."""

    items: Sequence[T]
    at: float


@dataclass(slots=True, eq=False)
class MemoryLease(Generic[T]):
    """A lease on items of a `MemoryQueue`."""

    queue: MemoryQueue[T]
    items: list[T]
    oldest: float
    taken_at: float
    open: bool = field(default=True)

    def ack(self) -> bool:
        """See `Lease.ack`."""
        return self.queue.finish_lease(self, ())

    def release(self, replacement: Sequence[T] | None = None) -> bool:
        """See `Lease.release`."""
        return self.queue.finish_lease(self, self.items if replacement is None else replacement)


class MemoryQueue(Generic[T]):
    """A `LeasedQueue` inside one process.

    All queues of a pipeline share one lock, so that a hand-over from one to the next is a single step.
    """

    longest_take: float | None = None

    def __init__(
        self,
        capacity: int,
        lock: threading.RLock | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.capacity = capacity
        self._clock = clock
        self._lock = lock if lock is not None else threading.RLock()
        self._not_empty = threading.Condition(self._lock)
        self._not_full = threading.Condition(self._lock)
        self._batch_ready = threading.Condition(self._lock)
        self._lingering: list[int] = []
        """How many items each of those wants who wait for more than the first."""
        self._chunks: deque[_Chunk[T]] = deque()
        self._ready = 0
        self._leases: set[MemoryLease[T]] = set()
        self._in_flight = 0
        self._closed = False
        self._unbounded = False
        self.high_water = 0
        self.total_in = 0
        self.total_out = 0

    def put(
        self,
        items: Sequence[T],
        *,
        ack: Lease[Any] | None = None,
        on_put: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> bool:
        """See `LeasedQueue.put`. More items than the capacity are let in when the queue is empty."""
        with self._lock:
            while self._refuses(len(items)):
                if cancelled is not None and cancelled():
                    raise CancelledError
                self._not_full.wait()
            if ack is not None and not ack.ack():
                return False
            if items:
                self._chunks.append(_Chunk(items, self._clock()))
                self._ready += len(items)
                self.total_in += len(items)
                self.high_water = max(self.high_water, self._ready)
                self._not_empty.notify()
                # Those who gather are not woken for every few items: each time would cost all threads a turn.
                if self._lingering and self._ready >= min(self._lingering):
                    self._batch_ready.notify_all()
            if on_put is not None:
                on_put()
            return True

    def _refuses(self, count: int) -> bool:
        """Whether so many items have to wait. Raises QueueClosedError when they will never be let in."""
        if self._closed:
            raise QueueClosedError
        return self._ready > 0 and self._ready + count > self.capacity and not self._unbounded

    def take(
        self,
        n: int,
        *,
        linger: float = 0.0,
        timeout: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> MemoryLease[T] | None:
        """See `LeasedQueue.take`."""
        deadline = None if timeout is None else self._clock() + timeout
        with self._lock:
            while not self._ready:
                if self._closed and not self._in_flight:
                    raise QueueClosedError
                if not self._wait(self._not_empty, deadline, cancelled):
                    return None
            if linger:
                self._gather(n, self._clock() + linger, cancelled)
            return self._lease(n) if self._ready else None

    def _gather(self, n: int, patience: float, cancelled: Callable[[], bool] | None) -> None:
        """Wait until there are `n` items, at most until that tick."""
        self._lingering.append(n)
        try:
            while 0 < self._ready < n and not self._closed:
                if not self._wait(self._batch_ready, patience, cancelled):
                    return
        except CancelledError:
            # The items stay: another taker has to hear of them, for this one was woken for them alone.
            self._not_empty.notify()
            raise
        finally:
            self._lingering.remove(n)

    def _wait(
        self, condition: threading.Condition, deadline: float | None, cancelled: Callable[[], bool] | None
    ) -> bool:
        """Wait for the sign; False when the deadline has passed."""
        if cancelled is not None and cancelled():
            raise CancelledError
        left = None if deadline is None else deadline - self._clock()
        if left is not None and left <= 0:
            return False
        condition.wait(left)
        return True

    def _lease(self, n: int) -> MemoryLease[T]:
        oldest = self._chunks[0].at
        items: list[T] = []
        while self._chunks and len(items) < n:
            chunk = self._chunks[0]
            room = n - len(items)
            items.extend(chunk.items[:room])
            if len(chunk.items) > room:
                self._chunks[0] = _Chunk(chunk.items[room:], chunk.at)
            else:
                self._chunks.popleft()
        lease = MemoryLease(self, items, oldest, self._clock())
        self._leases.add(lease)
        self._ready -= len(items)
        self._in_flight += len(items)
        self._not_full.notify_all()
        if self._ready:
            self._not_empty.notify()
        return lease

    def finish_lease(self, lease: MemoryLease[T], back: Sequence[T]) -> bool:
        """End a lease; `back` goes to the front with the age of the oldest item taken."""
        with self._lock:
            if not lease.open:
                return False
            lease.open = False
            self._leases.discard(lease)
            self._in_flight -= len(lease.items)
            if back:
                self._chunks.appendleft(_Chunk(back, lease.oldest))
                self._ready += len(back)
                self.high_water = max(self.high_water, self._ready)
                self._not_empty.notify()
            self.total_out += len(lease.items) - len(back)
            if self._closed and not self._in_flight:
                self._not_empty.notify_all()
            return True

    def close(self) -> None:
        """See `LeasedQueue.close`."""
        with self._lock:
            self._closed = True
            self._wake_all()

    def interrupt(self) -> None:
        """See `LeasedQueue.interrupt`."""
        with self._lock:
            self._wake_all()

    def _wake_all(self) -> None:
        for condition in (self._not_empty, self._not_full, self._batch_ready):
            condition.notify_all()

    def lift_capacity(self) -> None:
        """Let every put through: the stop ladder's second step bounds what can still come."""
        with self._lock:
            self._unbounded = True
            self._not_full.notify_all()

    def discard_ready(self) -> int:
        """Drop what nobody has taken yet; returns how many items. Only for tickers, which can be asked again."""
        with self._lock:
            dropped = self._ready
            self._chunks.clear()
            self._ready = 0
            self._not_full.notify_all()
            self._not_empty.notify_all()
            return dropped

    def depth(self) -> Depth:
        """See `LeasedQueue.depth`."""
        with self._lock:
            age = max(0.0, self._clock() - self._chunks[0].at) if self._chunks else None
            return Depth(self._ready, self._in_flight, self.capacity, age)
