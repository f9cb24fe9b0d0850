"""Queues whose items are leased instead of popped: a lease that is not acknowledged returns to the front."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sp500tui.pipeline.core.timing.accounting import DepthAccount

T = TypeVar("T")


class QueueClosedError(Exception):
    """The queue is closed and drained, or a put was refused because it is closed."""


class CancelledError(Exception):
    """The caller's `cancelled` returned True during a wait."""


@dataclass(frozen=True, slots=True)
class Depth:
    """The fill level of a queue. Counts are items."""

    ready: int
    in_flight: int
    """Leased, neither acknowledged nor released."""
    capacity: int
    oldest_age: float | None
    """Seconds for which the oldest ready item has been queued; None if there is none."""


class Lease(Protocol[T]):
    """Items leased to one worker."""

    @property
    def items(self) -> Sequence[T]:
        """The leased items, oldest first."""

    @property
    def taken_at(self) -> float:
        """`time.monotonic()` of the take."""

    @property
    def open(self) -> bool:
        """Whether the lease is neither acknowledged nor released nor reassigned."""

    def ack(self) -> bool:
        """Acknowledge the items, which are safe in the next stage; False if the lease is no longer open."""

    def release(self, replacement: Sequence[T] | None = None) -> bool:
        """Put the items, or `replacement`, back at the front; False if the lease is no longer open."""


class LeasedQueue(Protocol[T]):
    """The queue between two stages, on one machine or on many.

    A call checks its `cancelled` before it waits and again after `interrupt`.
    """

    max_take_wait: float | None
    """Seconds after which a take should return without items; None if `interrupt` ends every wait."""

    def put(
        self,
        items: Sequence[T],
        *,
        ack: Lease[Any] | None = None,
        on_put: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        on_full: Callable[[], None] | None = None,
    ) -> bool:
        """Append `items`, waiting while they do not fit (back-pressure); `on_full` is called before such a wait.

        Atomically with it, the lease `ack` that they were made from is acknowledged and `on_put` is called. Returns
        False, and puts nothing, if that lease was lost: another worker has its items.

        Raises:
            QueueClosedError: the queue is closed; nothing was put.
            CancelledError: `cancelled` returned True; nothing was put.
        """

    def take(
        self,
        n: int,
        *,
        linger: float = 0.0,
        timeout: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Lease[T] | None:
        """Lease up to `n` items, waiting at most `linger` seconds to fill the lease; None after `timeout` seconds.

        Raises:
            QueueClosedError: the queue is closed and drained.
            CancelledError: `cancelled` returned True.
        """

    def close(self) -> None:
        """Reject all further puts, including waiting ones; items can still be taken."""

    def interrupt(self) -> None:
        """Make every waiting call check its `cancelled` now."""

    def depth(self) -> Depth:
        """The current fill level."""


@dataclass(slots=True)
class _Chunk(Generic[T]):
    """Items of one put, with its monotonic time."""

    items: Sequence[T]
    at: float


@dataclass(slots=True, eq=False)
class MemoryLease(Generic[T]):
    """A lease on items of a `MemoryQueue`."""

    queue: MemoryQueue[T]
    items: Sequence[T]
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

    max_take_wait: float | None = None

    def __init__(
        self,
        capacity: int,
        lock: threading.RLock | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        whole: bool = False,
    ) -> None:
        """`whole`: a lease is the sequence of one put, whatever its length."""
        self.capacity = capacity
        self._whole = whole
        self._clock = clock
        self._lock = lock if lock is not None else threading.RLock()
        self._not_empty = threading.Condition(self._lock)
        self._not_full = threading.Condition(self._lock)
        self._batch_ready = threading.Condition(self._lock)
        self._lingering: list[int] = []
        """Lease sizes of the takers that linger."""
        self._chunks: deque[_Chunk[T]] = deque()
        self._ready = 0
        self._leases: set[MemoryLease[T]] = set()
        self._in_flight = 0
        self._closed = False
        self._unbounded = False
        self.high_water = 0
        self.total_in = 0
        self.total_out = 0
        self.account = DepthAccount(self._lock, clock)
        """Its depth integrated over time."""

    def put(
        self,
        items: Sequence[T],
        *,
        ack: Lease[Any] | None = None,
        on_put: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        on_full: Callable[[], None] | None = None,
    ) -> bool:
        """See `LeasedQueue.put`. An empty queue accepts more items than its capacity."""
        with self._lock:
            if self._is_full_for(len(items)):
                self._wait_for_room(len(items), cancelled, on_full)
            if ack is not None and not ack.ack():
                return False
            if items:
                self._chunks.append(_Chunk(items, self._clock()))
                self._ready += len(items)
                self.total_in += len(items)
                self._depth_changed()
                self._not_empty.notify()
                # Lingering takers are not woken on every put; each wake-up costs a context switch.
                if self._lingering and self._ready >= min(self._lingering):
                    self._batch_ready.notify_all()
            if on_put is not None:
                on_put()
            return True

    def _wait_for_room(
        self, count: int, cancelled: Callable[[], bool] | None, on_full: Callable[[], None] | None
    ) -> None:
        if on_full is not None:
            on_full()
        self.account.record_blocked(1)
        try:
            while self._is_full_for(count):
                if cancelled is not None and cancelled():
                    raise CancelledError
                self._not_full.wait()
        finally:
            self.account.record_blocked(-1)

    def _depth_changed(self) -> None:
        self.high_water = max(self.high_water, self._ready)
        self.account.record(self._ready, self._in_flight)

    def _is_full_for(self, count: int) -> bool:
        """Whether `count` items have to wait. Raises QueueClosedError if the queue is closed."""
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
                self._linger(n, self._clock() + linger, cancelled)
            return self._lease(n) if self._ready else None

    def _linger(self, n: int, deadline: float, cancelled: Callable[[], bool] | None) -> None:
        """Wait until `n` items are ready, at most until the monotonic time `deadline`."""
        self._lingering.append(n)
        try:
            while 0 < self._ready < n and not self._closed:
                if not self._wait(self._batch_ready, deadline, cancelled):
                    return
        except CancelledError:
            # The items stay: pass on the notification that woke this taker only.
            self._not_empty.notify()
            raise
        finally:
            self._lingering.remove(n)

    def _wait(
        self, condition: threading.Condition, deadline: float | None, cancelled: Callable[[], bool] | None
    ) -> bool:
        """Wait for a notification; False if the deadline has passed."""
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
        if self._whole:
            return self._leased(self._chunks.popleft().items, oldest)
        while self._chunks and len(items) < n:
            chunk = self._chunks[0]
            room = n - len(items)
            items.extend(chunk.items[:room])
            if len(chunk.items) > room:
                self._chunks[0] = _Chunk(chunk.items[room:], chunk.at)
            else:
                self._chunks.popleft()
        return self._leased(items, oldest)

    def _leased(self, items: Sequence[T], oldest: float) -> MemoryLease[T]:
        lease = MemoryLease(self, items, oldest, self._clock())
        self._leases.add(lease)
        self._ready -= len(items)
        self._in_flight += len(items)
        self._depth_changed()
        self._not_full.notify_all()
        if self._ready:
            self._not_empty.notify()
        return lease

    def finish_lease(self, lease: MemoryLease[T], returned: Sequence[T]) -> bool:
        """End a lease; `returned` items go to the front with the age of the oldest item taken."""
        with self._lock:
            if not lease.open:
                return False
            lease.open = False
            self._leases.discard(lease)
            self._in_flight -= len(lease.items)
            if returned:
                self._chunks.appendleft(_Chunk(returned, lease.oldest))
                self._ready += len(returned)
                self._not_empty.notify()
            self._depth_changed()
            self.total_out += len(lease.items) - len(returned)
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
        """Accept all further puts, for a shutdown that spools: only a bounded number can follow."""
        with self._lock:
            self._unbounded = True
            self._not_full.notify_all()

    def discard_ready(self) -> list[T]:
        """Drop the ready items and return them. Only for items that can be fetched again, such as tickers."""
        with self._lock:
            dropped = [item for chunk in self._chunks for item in chunk.items]
            self._chunks.clear()
            self._ready = 0
            self._depth_changed()
            self._not_full.notify_all()
            self._not_empty.notify_all()
            return dropped

    def depth(self) -> Depth:
        """See `LeasedQueue.depth`."""
        with self._lock:
            age = max(0.0, self._clock() - self._chunks[0].at) if self._chunks else None
            return Depth(self._ready, self._in_flight, self.capacity, age)
