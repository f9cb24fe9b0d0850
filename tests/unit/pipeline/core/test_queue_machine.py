"""Conservation in any `LeasedQueue`: every item put is ready, leased or acknowledged, exactly once.

A queue of another kind runs the same suite by a subclass of `QueueMachine` that overrides `make`.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from sp500tui.pipeline.core.queue import CancelledError, Lease, LeasedQueue, MemoryQueue, QueueClosedError


class QueueMachine(RuleBasedStateMachine):
    """Puts, takes, acknowledges, releases, loses leases and closes, and compares with a plain list."""

    leases: Bundle[Lease[int]] = Bundle("leases")

    def make(self, capacity: int) -> LeasedQueue[int]:
        return MemoryQueue(capacity)

    @initialize(capacity=st.integers(1, 12))
    def begin(self, capacity: int) -> None:
        self.queue = self.make(capacity)
        self.capacity = capacity
        self.ready: list[int] = []
        self.leased: list[int] = []
        self.acked: list[int] = []
        self.next = 0
        self.closed = False

    def _numbers(self, count: int) -> list[int]:
        self.next += count
        return list(range(self.next - count, self.next))

    def _fits(self, count: int) -> bool:
        return not self.ready or len(self.ready) + count <= self.capacity

    @rule(count=st.integers(0, 6))
    def put(self, count: int) -> None:
        if self.closed:
            with pytest.raises(QueueClosedError):
                self.queue.put([0] * count)
        elif not self._fits(count):
            with pytest.raises(CancelledError):
                self.queue.put([-1] * count, cancelled=lambda: True)
        else:
            numbers = self._numbers(count)
            assert self.queue.put(numbers)
            self.ready += numbers

    @rule(target=leases, n=st.integers(1, 8))
    def take(self, n: int) -> Lease[int] | MultipleResults[Lease[int]]:
        if not self.ready:
            if self.closed and not self.leased:
                with pytest.raises(QueueClosedError):
                    self.queue.take(n, timeout=0)
            else:
                assert self.queue.take(n, timeout=0) is None
            return multiple()
        lease = self.queue.take(n, timeout=0)
        assert lease is not None
        assert list(lease.items) == self.ready[:n]
        self.leased += self.ready[:n]
        self.ready = self.ready[n:]
        return lease

    def _forget(self, lease: Lease[int]) -> None:
        for item in lease.items:
            self.leased.remove(item)

    @rule(lease=consumes(leases))
    def ack(self, lease: Lease[int]) -> None:
        assert lease.ack()
        self._forget(lease)
        self.acked += lease.items
        assert not lease.release()

    @rule(lease=consumes(leases))
    def release(self, lease: Lease[int]) -> None:
        assert lease.release()
        self._forget(lease)
        self.ready = [*lease.items, *self.ready]
        assert not lease.ack()

    @rule(lease=consumes(leases), keep=st.integers(0, 8))
    def give_up_some(self, lease: Lease[int], keep: int) -> None:
        kept = list(lease.items)[:keep]
        assert lease.release(kept)
        self._forget(lease)
        self.acked += list(lease.items)[keep:]
        self.ready = kept + self.ready

    @rule(lease=consumes(leases), count=st.integers(1, 3))
    def hand_over(self, lease: Lease[int], count: int) -> None:
        """Hand the worker's result over to the same queue, like a hand-over to the next one."""
        if self.closed or not self._fits(count):
            self.release(lease)
            return
        numbers = self._numbers(count)
        assert self.queue.put(numbers, ack=lease)
        self._forget(lease)
        self.acked += lease.items
        self.ready += numbers

    @rule(lease=consumes(leases), count=st.integers(0, 3))
    def hand_over_after_the_lease_was_lost(self, lease: Lease[int], count: int) -> None:
        self.release(lease)
        if not self.closed and self._fits(count):
            assert not self.queue.put([-1] * count, ack=lease)

    @precondition(lambda self: not self.closed)
    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True

    @invariant()
    def everything_is_in_one_place(self) -> None:
        depth = self.queue.depth()
        assert (depth.ready, depth.in_flight) == (len(self.ready), len(self.leased))
        assert (depth.oldest_age is None) == (not self.ready)
        assert sorted(self.ready + self.leased + self.acked) == list(range(self.next))


TestMemoryQueue = QueueMachine.TestCase
TestMemoryQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
