"""A `MemoryQueue` with waiting threads: no item is lost, no wake-up is lost, and closed stays closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sp500tui.pipeline.core.queue import CancelledError, MemoryLease, MemoryQueue, QueueClosedError

TIMEOUT = 30.0


@dataclass(eq=False)
class Call:
    """A put or a take on a separate thread, and its result."""

    items: list[int] = field(default_factory=list)
    """The items of a put."""
    outcome: object = None
    """True, a lease, or the exception; None while it waits."""
    thread: threading.Thread | None = None


class QueueUnderThreads(RuleBasedStateMachine):
    """Starts puts and takes that may have to wait, settles leases and closes, in any order."""

    @initialize(capacity=st.integers(1, 6))
    def begin(self, capacity: int) -> None:
        self.queue: MemoryQueue[int] = MemoryQueue(capacity)
        self.capacity = capacity
        self.puts: list[Call] = []
        self.takes: list[Call] = []
        self.leases: list[MemoryLease[int]] = []
        self.done: list[int] = []
        self.next = 0
        self.started = 0
        self.closed = False
        self.cancelled = False

    def _start(self, call: Call, act: Callable[[], object]) -> None:
        self.started += 1

        def run() -> None:
            try:
                call.outcome = act()
            except (QueueClosedError, CancelledError) as error:
                call.outcome = error

        call.thread = threading.Thread(target=run, daemon=True)
        call.thread.start()

    @precondition(lambda self: not self.closed)
    @rule(count=st.integers(1, 4))
    def put(self, count: int) -> None:
        call = Call(list(range(self.next, self.next + count)))
        self.next += count
        self.puts.append(call)
        self._start(call, lambda: self.queue.put(call.items, cancelled=lambda: self.cancelled))

    @rule(n=st.integers(1, 5), linger=st.sampled_from([0.0, 0.001]))
    def take(self, n: int, linger: float) -> None:
        call = Call()
        self.takes.append(call)
        self._start(call, lambda: self.queue.take(n, linger=linger, cancelled=lambda: self.cancelled))

    def _collect(self) -> None:
        for call in [each for each in self.takes if each.outcome is not None]:
            self.takes.remove(call)
            if isinstance(call.outcome, MemoryLease):
                self.leases.append(call.outcome)
            else:
                assert isinstance(call.outcome, QueueClosedError)
                assert self.queue.depth().ready == 0
                assert self.queue.depth().in_flight == 0
                assert self.closed

    # No precondition may depend on how the threads were scheduled, or Hypothesis cannot repeat an example.
    @rule(which=st.integers(0, 10), back=st.booleans())
    def settle(self, which: int, back: bool) -> None:
        if not self.leases:
            return
        lease = self.leases.pop(which % len(self.leases))
        if back:
            assert lease.release()
        else:
            assert lease.ack()
            self.done += lease.items

    # Rarely and only with waiting calls, because little can go wrong in a closed queue.
    @precondition(lambda self: not self.closed and self.started > 3)
    @rule(late_puts=st.integers(0, 2))
    def close(self, late_puts: int) -> None:
        self.closed = True
        self.queue.close()
        for _ in range(late_puts):
            self.puts.append(call := Call([-1]))
            self._start(call, partial(self.queue.put, call.items))

    def _is_at_rest(self) -> bool:
        """Whether every call that can proceed has done so."""
        depth = self.queue.depth()
        waiting_puts = [call for call in self.puts if call.outcome is None]
        waiting_takes = [call for call in self.takes if call.outcome is None]
        if waiting_takes and (depth.ready or (self.closed and not depth.in_flight)):
            return False
        return not any(
            self.closed or not depth.ready or depth.ready + len(call.items) <= self.capacity
            for call in waiting_puts
        )

    @invariant()
    def every_item_is_in_one_place_and_no_thread_waits_in_vain(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        # A call returns a moment after it has changed the queue.
        while not (self._is_at_rest() and self._figures_agree()):
            assert time.monotonic() < deadline, "an item is lost, or a call waits although it could proceed"
            time.sleep(0.0002)

    def _figures_agree(self) -> bool:
        """Whether the counts of the queue are those of the calls that have returned."""
        self._collect()
        let_in = [item for call in self.puts if call.outcome is True for item in call.items]
        held = [item for lease in self.leases for item in lease.items]
        depth = self.queue.depth()
        return (self.queue.total_in, depth.in_flight, depth.ready) == (
            len(let_in),
            len(held),
            len(let_in) - len(held) - len(self.done),
        )

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        self.cancelled = True
        self.queue.interrupt()
        for call in (*self.puts, *self.takes):
            assert call.thread is not None
            call.thread.join(TIMEOUT)
            assert not call.thread.is_alive()


TestQueueUnderThreads = QueueUnderThreads.TestCase
TestQueueUnderThreads.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
