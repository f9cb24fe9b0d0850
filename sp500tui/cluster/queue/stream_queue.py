"""A `LeasedQueue` shared by all nodes: a stream on the broker, whose pending entries are the leases."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sp500tui.cluster.broker.client import Argument, Broker, Operation
from sp500tui.cluster.broker.errors import BrokerAwayError, BrokerError, FencedError
from sp500tui.cluster.queue.codec import Codec
from sp500tui.cluster.queue.dead_lettering import PoisonMessage, log_poison
from sp500tui.cluster.queue.entries import (
    Delivery,
    Entry,
    Reading,
    decode_deliveries,
    decode_entries,
    encode_entries,
)
from sp500tui.pipeline.core.queue import CancelledError, Depth, Lease, QueueClosedError

_log = logging.getLogger(__name__)

T = TypeVar("T")

_MIN_PAUSE = 0.005
_MAX_PAUSE = 0.1
"""Seconds between two polls of the broker; one waiting worker of a node polls for all of them."""
_ORPHAN_AFTER = 60.0
"""Seconds for which an entry may be pending without a lease, because a reply may still be in transit."""
_MAX_TAKE = 0.25
"""Seconds for which an idle worker waits for the broker before it checks for shutdown."""
_READ_TIMEOUT = 2.0
"""Seconds to retry reading statistics while the broker is unavailable."""


@dataclass(slots=True, eq=False)
class StreamLease(Generic[T]):
    """A lease on items of a `StreamQueue`."""

    queue: StreamQueue[T]
    items: list[T]
    entries: tuple[Entry, ...]
    """The entries of `items`, in the same order."""
    taken_at: float
    open: bool = field(default=True)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ack(self, counters: Mapping[str, int] | None = None) -> bool:
        """See `Lease.ack`; atomically adds `counters` to the cluster's ledger."""
        return self.queue.settle(self, (), counters or {})

    def release(
        self, replacement: Sequence[T] | None = None, counters: Mapping[str, int] | None = None
    ) -> bool:
        """See `Lease.release`; `replacement` may not be longer than the lease."""
        return self.queue.settle(self, self.items if replacement is None else replacement, counters or {})


class StreamQueue(Generic[T]):
    """A `LeasedQueue` on the broker, shared by all nodes of the cluster.

    Closing affects this node only: `put` is rejected, and `take` raises once the queue is drained. Calls block while
    the broker is unavailable; only `take` returns None after its timeout.
    """

    max_take_wait: float | None = _MAX_TAKE

    def __init__(
        self,
        broker: Broker,
        name: str,
        codec: Codec[T],
        capacity: int,
        *,
        consumer: str,
        max_deliveries: int = 5,
        put_counter: str = "",
        dead_counter: str = "",
        on_poison: Callable[[Sequence[PoisonMessage[T]]], None] = log_poison,
        fencing_token: Callable[[], tuple[str, str]] | None = None,
    ) -> None:
        """A queue of the cluster.

        `consumer`: this node's unique name. `max_deliveries`: nodes that may be lost while they lease an item.
        `put_counter`, `dead_counter`: ledger counters of items put and of poison messages; empty for none.
        `on_poison`: stores poison messages; they are removed from the broker after it returns.
        `fencing_token`: returns a key and the value it must have for a put to be accepted.
        """
        self.capacity = capacity
        self.name = name
        self.consumer = consumer
        self.key = broker.key("queue", name)
        self._broker = broker
        self._codec = codec
        self._max_deliveries = max_deliveries
        self._put_counter = put_counter
        self._dead_counter = dead_counter
        self._on_poison = on_poison
        self._fencing_token = fencing_token
        self._ledger_key = broker.key("books")
        self._lost_key = broker.key("lost")
        self._poll_lock = threading.Lock()
        """Held by the worker of this node that polls the broker for all."""
        self._arrived = threading.Event()
        self._pause, self._next_poll = _MIN_PAUSE, 0.0
        """Seconds between polls, and the monotonic time of the next; a put of this node triggers a poll immediately."""
        self._unanswered_takes: list[Operation] = []
        """Takes whose reply was lost; they are repeated to obtain the items that they leased."""
        self._leases: set[StreamLease[T]] = set()
        self._closed = False
        self._unbounded = False

    # --- putting ------------------------------------------------------------------------------------------------

    def put(
        self,
        items: Sequence[T],
        *,
        ack: Lease[Any] | None = None,
        on_put: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        on_full: Callable[[], None] | None = None,
    ) -> bool:
        """See `LeasedQueue.put`; `ack` is a lease of a queue of the same broker.

        Raises:
            FencedError: the fencing token is outdated; nothing was put.
            BrokerError: the command is wrong.
        """
        if ack is not None and not isinstance(ack, StreamLease):
            raise BrokerError(f"only a lease of a broker queue can be transferred to the queue {self.name}")
        payloads = [self._codec.encode(item) for item in items]
        pause = _MIN_PAUSE
        while (answer := self._try_put(payloads, ack, cancelled)) == b"full":
            if cancelled is not None and cancelled():
                raise CancelledError
            if on_full is not None:
                on_full()
            time.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE)
        if answer == b"fenced":
            raise FencedError(f"the fencing token is outdated: no {self.name} were put")
        if ack is not None:
            ack.queue.forget(ack)
        if answer == b"lost":
            return False
        self._arrived.set()
        if on_put is not None:
            on_put()
        return True

    def _try_put(
        self, payloads: list[bytes], ack: StreamLease[Any] | None, cancelled: Callable[[], bool] | None
    ) -> bytes:
        if self._closed:
            raise QueueClosedError
        if ack is not None and not ack.open:
            return b"lost"
        fence_key, fence_value = (
            self._fencing_token() if self._fencing_token is not None else (self._ledger_key, "")
        )
        leased = encode_entries(ack.entries if ack is not None else ())
        keys = [self.key, self._ledger_key, fence_key, self.key if ack is None else ack.queue.key]
        capacity = -1 if self._unbounded else self.capacity
        args: list[Argument] = [
            capacity,
            self._put_counter,
            fence_value,
            self.consumer,
            leased,
            *payloads,
        ]
        script = "put" if ack is None else "transfer"
        answer: bytes = self._broker.run_once(script, keys, args, cancelled=cancelled)
        return answer

    # --- taking -------------------------------------------------------------------------------------------------

    def take(
        self,
        n: int,
        *,
        linger: float = 0.0,
        timeout: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> StreamLease[T] | None:
        """See `LeasedQueue.take`."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            if not self._wait_for_poll_lock(end, cancelled):
                return None
            try:
                found = self._poll(n, linger, end, cancelled)
            finally:
                self._poll_lock.release()
            if not found:
                return None
            lease = self._lease(found)
            if lease is not None:
                return lease

    def _wait_for_poll_lock(self, end: float | None, cancelled: Callable[[], bool] | None) -> bool:
        while not self._poll_lock.acquire(timeout=_pause_until(end, 0.25)):
            if cancelled is not None and cancelled():
                raise CancelledError
            if end is not None and time.monotonic() >= end:
                return False
        return True

    def _poll(
        self, n: int, linger: float, end: float | None, cancelled: Callable[[], bool] | None
    ) -> list[Delivery]:
        """Poll the broker until items are ready (`n` of them within `linger`) or `end` is reached."""
        linger_end: float | None = None
        ready = 0
        while True:
            due = max(0.0, self._next_poll - time.monotonic())
            self._arrived.wait(_pause_until(linger_end if ready else end, due))
            self._arrived.clear()
            lingering = (
                linger > 0 and not self._closed and (linger_end is None or time.monotonic() < linger_end)
            )
            try:
                ready, in_flight, found = self._try_take(n, n if lingering else 1, end, cancelled)
            except BrokerAwayError:
                return []
            if found:
                self._pause, self._next_poll = _MIN_PAUSE, 0.0
                return found
            self._next_poll = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _MAX_PAUSE)
            if ready and linger_end is None:
                linger_end = time.monotonic() + linger
            if not ready and self._closed and not in_flight:
                raise QueueClosedError
            if cancelled is not None and cancelled():
                raise CancelledError
            if not ready and end is not None and time.monotonic() >= end:
                return []

    def _try_take(
        self, n: int, at_least: int, end: float | None, cancelled: Callable[[], bool] | None
    ) -> tuple[int, int, list[Delivery]]:
        operation = self._unanswered_takes.pop() if self._unanswered_takes else self._broker.operation()
        try:
            ready, in_flight, encoded, payloads = self._broker.run(
                "take",
                (self.key, self._lost_key),
                (self.consumer, n, at_least),
                operation=operation,
                retry_for=None if end is None else max(0.0, end - time.monotonic()),
                cancelled=cancelled,
            )
        except BaseException:
            self._unanswered_takes.append(operation)
            raise
        self._broker.finish(operation)
        return ready, in_flight, decode_deliveries(encoded, payloads)

    def _lease(self, found: list[Delivery]) -> StreamLease[T] | None:
        """A lease on the valid items; None when all are poison."""
        items: list[T] = []
        entries: list[Entry] = []
        poison: list[PoisonMessage[T]] = []
        poisoned: list[Entry] = []
        for entry, times_lost, payload in found:
            item, fault = self._decode(payload)
            if times_lost >= self._max_deliveries:
                fault = f"{times_lost} nodes were lost while they held it"
            if item is None or fault:
                poison.append(PoisonMessage(payload, item, fault))
                poisoned.append(entry)
            else:
                items.append(item)
                entries.append(entry)
        lease = StreamLease(self, items, tuple(entries), time.monotonic())
        if poison:
            self._dead_letter(lease, poison, poisoned)
        if not items:
            return None
        self._leases.add(lease)
        return lease

    def _decode(self, payload: bytes) -> tuple[T | None, str]:
        try:
            return self._codec.decode(payload), ""
        except BrokerError as error:
            return None, str(error)

    def _dead_letter(
        self, lease: StreamLease[T], poison: list[PoisonMessage[T]], entries: list[Entry]
    ) -> None:
        try:
            self._on_poison(poison)
        except BaseException:
            lease.release()
            self._settle(entries, len(entries), [], {})
            raise
        self._settle(entries, 0, [], {self._dead_counter: len(entries)} if self._dead_counter else {})

    # --- ending leases ------------------------------------------------------------------------------------------

    def settle(self, lease: StreamLease[T], back: Sequence[T], counters: Mapping[str, int]) -> bool:
        """End a lease: `back` returns to the front of the queue, the rest is acknowledged.

        Returns False when the lease was lost, or when the broker is unavailable and retries were abandoned; the
        items then go to another node once this one is evicted.
        """
        if len(back) > len(lease.items):
            raise BrokerError(f"{len(back)} items cannot replace {len(lease.items)} leased {self.name}")
        with lease.lock:
            if not lease.open:
                return False
            self.forget(lease)
        # Payloads that did not change are on the broker already.
        replaced = [
            (entry.id, self._codec.encode(new))
            for entry, new, old in zip(lease.entries, back, lease.items, strict=False)
            if new is not old
        ]
        return self._settle(lease.entries, len(back), replaced, counters)

    def _settle(
        self,
        entries: Sequence[Entry],
        back: int,
        replaced: Sequence[tuple[str, bytes]],
        counters: Mapping[str, int],
    ) -> bool:
        args: list[Argument] = [self.consumer, encode_entries(entries), back, len(replaced)]
        args += (part for pair in replaced for part in pair)
        args += (part for pair in counters.items() for part in pair)
        try:
            answer = self._broker.run_once("end_lease", (self.key, self._ledger_key), args)
        except BrokerError as error:
            _log.warning(
                "%d %s stay leased until they are reassigned to another node: %s",
                len(entries),
                self.name,
                error,
            )
            return False
        if back:
            self._arrived.set()
        return bool(answer == b"ok")

    def forget(self, lease: StreamLease[T]) -> None:
        """Mark a lease as ended on this node."""
        lease.open = False
        self._leases.discard(lease)

    def requeue_orphans(self, idle: float = _ORPHAN_AFTER) -> int:
        """Requeue entries that have been pending for this node for `idle` seconds without a lease.

        They arise when the broker restarts with older data, or when a take lost its reply and was not repeated.
        Returns the number of items; raises BrokerAwayError after two seconds without the broker.
        """
        held = frozenset(entry.id for lease in tuple(self._leases) for entry in lease.entries)
        arguments = (self.consumer, round(idle * 1000))
        pending: bytes = self._broker.run("pending", (self.key,), arguments, retry_for=_READ_TIMEOUT)
        orphans = [entry for entry in decode_entries(pending) if entry.id not in held]
        if orphans and self._settle(orphans, len(orphans), [], {}):
            _log.warning("requeued %d orphaned %s", len(orphans), self.name)
        return len(orphans)

    # --- the whole queue ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """See `LeasedQueue.close`; affects this node only."""
        self._closed = True
        self._arrived.set()

    def interrupt(self) -> None:
        """See `LeasedQueue.interrupt`; waiting workers poll often enough without it."""
        self._arrived.set()

    def lift_capacity(self) -> None:
        """Ignore the capacity for puts of this node."""
        self._unbounded = True

    def reading(self) -> Reading:
        """Statistics of the queue over the whole cluster.

        Raises:
            BrokerAwayError: the broker was not reached within two seconds.
        """
        return Reading.of(self._broker.run("depth", (self.key,), retry_for=_READ_TIMEOUT))

    def depth(self) -> Depth:
        """See `LeasedQueue.depth` and `reading`."""
        found = self.reading()
        return Depth(found.ready, found.in_flight, self.capacity, found.oldest_age)


def _pause_until(end: float | None, longest: float) -> float:
    """Seconds until `end`, at most `longest`."""
    return longest if end is None else min(longest, max(0.0, end - time.monotonic()))
