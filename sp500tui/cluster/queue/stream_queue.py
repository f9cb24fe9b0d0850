"""A `LeasedQueue` between machines: a stream of the broker, whose pending entries are the leases."""

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
from sp500tui.cluster.queue.entries import Delivery, Entry, Reading, deliveries_of, entries_of, named
from sp500tui.cluster.queue.poison import PoisonMessage, name_in_log
from sp500tui.pipeline.core.queue import CancelledError, Depth, Lease, QueueClosedError

__all__ = ["Reading", "StreamLease", "StreamQueue"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

_SHORTEST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1
"""Seconds between two looks at the broker by whoever waits; one worker of a node looks for all of them."""
_ORPHAN_AFTER = 60.0
"""Seconds for which an entry may be pending here without a lease: an answer may still be on its way."""
_LONGEST_TAKE = 0.25
"""Seconds for which an idle worker waits for the broker before it looks whether it is still wanted."""
_READ_TIMEOUT = 2.0
"""Seconds for which a reading is tried again while the broker is away."""


@dataclass(slots=True, eq=False)
class StreamLease(Generic[T]):
    """A lease on items of a `StreamQueue`."""

    queue: StreamQueue[T]
    items: list[T]
    entries: tuple[Entry, ...]
    """Of `items`, in the same order."""
    taken_at: float
    open: bool = field(default=True)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ack(self, counters: Mapping[str, int] | None = None) -> bool:
        """See `Lease.ack`. In the same step the cluster's books grow by `counters`."""
        return self.queue.settle(self, (), counters or {})

    def release(
        self, replacement: Sequence[T] | None = None, counters: Mapping[str, int] | None = None
    ) -> bool:
        """See `Lease.release`; at most as many `replacement` as were leased."""
        return self.queue.settle(self, self.items if replacement is None else replacement, counters or {})


class StreamQueue(Generic[T]):
    """A `LeasedQueue` on the broker, shared by all nodes of the cluster.

    Closing it is this node's own affair: it puts nothing more, and its takers hear when the queue has run empty.
    A broker that is away holds a call up; only `take` gives up after its time-out, with None.
    """

    longest_take: float | None = _LONGEST_TAKE

    def __init__(
        self,
        broker: Broker,
        name: str,
        codec: Codec[T],
        capacity: int,
        *,
        consumer: str,
        max_deliveries: int = 5,
        counts: str = "",
        buried: str = "",
        on_poison: Callable[[Sequence[PoisonMessage[T]]], None] = name_in_log,
        fence: Callable[[], tuple[str, str]] | None = None,
    ) -> None:
        """A queue of the cluster.

        `consumer`: this node's unique name. `max_deliveries`: how many nodes may be lost with an item.
        `counts`, `buried`: counter of the books for what is put, and for what is poison; empty for none.
        `on_poison`: keeps what is taken out for good; the broker forgets it only when this returns.
        `fence`: key and value that it must have for a put to be let in.
        """
        self.capacity = capacity
        self.name = name
        self.consumer = consumer
        self.key = broker.key("queue", name)
        self._broker = broker
        self._codec = codec
        self._max_deliveries = max_deliveries
        self._counts = counts
        self._buried = buried
        self._on_poison = on_poison
        self._fence = fence
        self._books = broker.key("books")
        self._lost = broker.key("lost")
        self._turn = threading.Lock()
        """Held by the one worker of this node that looks at the broker for all."""
        self._arrived = threading.Event()
        self._pause, self._next_poll = _SHORTEST_PAUSE, 0.0
        """Seconds from look to look, and the tick of the next one; this node's own puts are seen at once."""
        self._unfinished: list[Operation] = []
        """Takes whose answer was never heard: what they leased is asked for again."""
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
    ) -> bool:
        """See `LeasedQueue.put`; `ack` is a lease of a queue of the same broker.

        Raises:
            FencedError: the fence has another value by now; nothing was put.
            BrokerError: the broker refuses for good.
        """
        if ack is not None and not isinstance(ack, StreamLease):
            raise BrokerError(f"only a lease of the broker can be handed over to its queue {self.name}")
        payloads = [self._codec.encode(item) for item in items]
        pause = _SHORTEST_PAUSE
        while (answer := self._try_put(payloads, ack, cancelled)) == b"full":
            if cancelled is not None and cancelled():
                raise CancelledError
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        if answer == b"fenced":
            raise FencedError(f"another node may put {self.name} now: nothing was put")
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
        fence_key, fence_value = self._fence() if self._fence is not None else (self._books, "")
        entries = ack.entries if ack is not None else ()
        keys = [self.key, self._books, fence_key, self.key if ack is None else ack.queue.key]
        capacity = -1 if self._unbounded else self.capacity
        args: list[Argument] = [capacity, self._counts, fence_value, self.consumer, named(entries), *payloads]
        script = "put" if ack is None else "hand_over"
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
                self._turn.release()
            if not found:
                return None
            lease = self._lease(found)
            if lease is not None:
                return lease

    def _wait_for_poll_lock(self, end: float | None, cancelled: Callable[[], bool] | None) -> bool:
        while not self._turn.acquire(timeout=_pause_until(end, 0.25)):
            if cancelled is not None and cancelled():
                raise CancelledError
            if end is not None and time.monotonic() >= end:
                return False
        return True

    def _poll(
        self, n: int, linger: float, end: float | None, cancelled: Callable[[], bool] | None
    ) -> list[Delivery]:
        """Ask the broker until there is something, or enough of it, or the time is over."""
        patience: float | None = None
        ready = 0
        while True:
            due = max(0.0, self._next_poll - time.monotonic())
            self._arrived.wait(_pause_until(patience if ready else end, due))
            self._arrived.clear()
            retry_forever = (
                linger > 0 and not self._closed and (patience is None or time.monotonic() < patience)
            )
            try:
                ready, in_flight, found = self._ask(n, n if retry_forever else 1, end, cancelled)
            except BrokerAwayError:
                return []
            if found:
                self._pause, self._next_poll = _SHORTEST_PAUSE, 0.0
                return found
            self._next_poll = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            if ready and patience is None:
                patience = time.monotonic() + linger
            if not ready and self._closed and not in_flight:
                raise QueueClosedError
            if cancelled is not None and cancelled():
                raise CancelledError
            if not ready and end is not None and time.monotonic() >= end:
                return []

    def _ask(
        self, n: int, at_least: int, end: float | None, cancelled: Callable[[], bool] | None
    ) -> tuple[int, int, list[Delivery]]:
        operation = self._unfinished.pop() if self._unfinished else self._broker.operation()
        patience = None if end is None else max(0.0, end - time.monotonic())
        try:
            ready, in_flight, notes, payloads = self._broker.run(
                "take",
                (self.key, self._lost),
                (self.consumer, n, at_least),
                operation=operation,
                patience=patience,
                cancelled=cancelled,
            )
        except BaseException:
            self._unfinished.append(operation)
            raise
        self._broker.settled(operation)
        return ready, in_flight, deliveries_of(notes, payloads)

    def _lease(self, found: list[Delivery]) -> StreamLease[T] | None:
        """A lease on what is fit for work; None when nothing is."""
        items: list[T] = []
        entries: list[Entry] = []
        poison: list[PoisonMessage[T]] = []
        buried: list[Entry] = []
        for entry, drops, payload in found:
            item, fault = self._decode(payload)
            if drops >= self._max_deliveries:
                fault = f"{drops} nodes were lost with it"
            if item is None or fault:
                poison.append(PoisonMessage(payload, item, fault))
                buried.append(entry)
            else:
                items.append(item)
                entries.append(entry)
        lease = StreamLease(self, items, tuple(entries), time.monotonic())
        if poison:
            self._dead_letter(lease, poison, buried)
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
        self._settle(entries, 0, [], {self._buried: len(entries)} if self._buried else {})

    # --- ending leases ------------------------------------------------------------------------------------------

    def settle(self, lease: StreamLease[T], back: Sequence[T], counters: Mapping[str, int]) -> bool:
        """End a lease; `back` goes to the front, the rest is done with.

        False when the lease was lost, or when the broker is away and no longer waited for: then its items go to
        another node once this one is missed.
        """
        if len(back) > len(lease.items):
            raise BrokerError(
                f"{len(back)} items cannot go back to {self.name} for {len(lease.items)} leased"
            )
        with lease.lock:
            if not lease.open:
                return False
            self.forget(lease)
        # The broker has the other payloads already.
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
        args: list[Argument] = [self.consumer, named(entries), back, len(replaced)]
        args += (part for pair in replaced for part in pair)
        args += (part for pair in counters.items() for part in pair)
        try:
            answer = self._broker.run_once("settle", (self.key, self._books), args)
        except BrokerError as error:
            _log.warning(
                "%d %s stay leased until another node takes them over: %s", len(entries), self.name, error
            )
            return False
        if back:
            self._arrived.set()
        return bool(answer == b"ok")

    def forget(self, lease: StreamLease[T]) -> None:
        """Count a lease as ended; the broker knows already or is told next."""
        lease.open = False
        self._leases.discard(lease)

    def requeue_orphans(self, idle: float = _ORPHAN_AFTER) -> int:
        """Put back what the broker thinks is leased here for `idle` seconds, and no worker here holds.

        That happens when a broker comes back older than it went, or when the worker whose take was cut off never
        asked again. Returns how many items that were; raises BrokerAwayError after two seconds without the broker.
        """
        held = frozenset(entry.id for lease in tuple(self._leases) for entry in lease.entries)
        arguments = (self.consumer, round(idle * 1000))
        pending: bytes = self._broker.run("pending", (self.key,), arguments, patience=_READ_TIMEOUT)
        strays = [entry for entry in entries_of(pending) if entry.id not in held]
        if strays and self._settle(strays, len(strays), [], {}):
            _log.warning("%d %s that nobody here held any more are put back", len(strays), self.name)
        return len(strays)

    # --- the whole queue ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """See `LeasedQueue.close`. Only for this node."""
        self._closed = True
        self._arrived.set()

    def interrupt(self) -> None:
        """See `LeasedQueue.interrupt`; those who wait look often enough in any case."""
        self._arrived.set()

    def lift_capacity(self) -> None:
        """Let every put of this node through."""
        self._unbounded = True

    def reading(self) -> Reading:
        """How the queue of the whole cluster is.

        Raises:
            BrokerAwayError: the broker was not reached within two seconds.
        """
        return Reading.of(self._broker.run("depth", (self.key,), patience=_READ_TIMEOUT))

    def depth(self) -> Depth:
        """See `LeasedQueue.depth` and `reading`."""
        found = self.reading()
        return Depth(found.ready, found.in_flight, self.capacity, found.oldest_age)

    @property
    def total_in(self) -> int:
        """Items ever put by any node."""
        return self.reading().total_in

    @property
    def total_out(self) -> int:
        """Items ever done with on any node."""
        return self.reading().total_out

    @property
    def high_water(self) -> int:
        """The most that were ever ready."""
        return self.reading().high_water


def _pause_until(end: float | None, longest: float) -> float:
    """Seconds to wait until `end`, `longest` at most."""
    return longest if end is None else min(longest, max(0.0, end - time.monotonic()))
