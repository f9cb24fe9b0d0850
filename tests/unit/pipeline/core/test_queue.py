"""The leased queue, case by case; `test_queue_machine.py` generates further cases.

The protocol holds for a queue in memory and for one on a real broker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sp500tui.cluster.queue.entries import Reading
from sp500tui.cluster.queue.stream_queue import StreamQueue
from sp500tui.pipeline.core.queue import CancelledError, Depth, MemoryQueue, QueueClosedError
from tests.support.waiting import FakeClock, Wait

Make = Callable[[int], MemoryQueue[int] | StreamQueue[int]]


@pytest.fixture(params=["memory", pytest.param("stream", marks=pytest.mark.processes)])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a queue of the given capacity."""
    if request.param == "memory":
        return lambda capacity: MemoryQueue(capacity)
    stream: Make = request.getfixturevalue("make_stream")
    return stream


def statistics(queue: MemoryQueue[int] | StreamQueue[int]) -> MemoryQueue[int] | Reading:
    """The object with the totals of a queue."""
    return queue.reading() if isinstance(queue, StreamQueue) else queue


def test_items_come_out_in_the_order_they_went_in_across_puts(make: Make) -> None:
    queue = make(10)
    queue.put([1, 2, 3])
    queue.put([4, 5])

    first, second = queue.take(4), queue.take(4)

    assert first is not None
    assert second is not None
    assert (first.items, second.items) == ([1, 2, 3, 4], [5])


def test_released_items_go_back_to_the_front(make: Make) -> None:
    queue = make(10)
    queue.put([1, 2, 3])
    lease = queue.take(2)
    assert lease is not None

    assert lease.release()

    again = queue.take(3)
    assert again is not None
    assert again.items == [1, 2, 3]


def test_a_lease_can_be_released_with_replacement_items(make: Make) -> None:
    queue = make(10)
    queue.put([1, 2, 3])
    lease = queue.take(3)
    assert lease is not None

    lease.release([2])

    assert (queue.depth().ready, queue.depth().in_flight) == (1, 0)
    assert statistics(queue).total_out == 2


@pytest.mark.parametrize("end", ["ack", "release"])
def test_a_lease_ends_once(make: Make, end: str) -> None:
    queue = make(10)
    queue.put([1])
    lease = queue.take(1)
    assert lease is not None

    assert getattr(lease, end)()

    assert not lease.ack()
    assert not lease.release()
    assert queue.depth().in_flight == 0


def test_the_age_is_that_of_the_oldest_item_even_after_a_release() -> None:
    clock = FakeClock()
    queue: MemoryQueue[int] = MemoryQueue(10, clock=clock)
    queue.put([1])
    clock.now += 3
    queue.put([2])
    lease = queue.take(1)
    assert lease is not None
    assert queue.depth().oldest_age == 0
    clock.now += 2

    lease.release()

    assert queue.depth().oldest_age == 5


def test_put_blocks_while_the_queue_is_full(make: Make, eventually: Wait) -> None:
    queue = make(2)
    queue.put([1, 2])
    put = threading.Thread(target=queue.put, args=([3],), daemon=True)
    put.start()
    put.join(0.05)
    assert put.is_alive()

    lease = queue.take(1)

    assert lease is not None
    eventually(lambda: queue.depth().ready == 2)
    put.join(30)


def test_an_empty_queue_accepts_more_than_its_capacity(make: Make) -> None:
    queue = make(2)
    queue.put([1, 2, 3, 4])
    assert queue.depth().ready == 4
    assert statistics(queue).high_water == 4


def test_a_waiting_put_can_be_cancelled(make: Make) -> None:
    queue = make(1)
    queue.put([1])
    with pytest.raises(CancelledError):
        queue.put([2], cancelled=lambda: True)
    assert statistics(queue).total_in == 1


def test_lifting_the_capacity_unblocks_a_waiting_put(make: Make, eventually: Wait) -> None:
    queue = make(1)
    queue.put([1])
    put = threading.Thread(target=queue.put, args=([2, 3],), daemon=True)
    put.start()

    queue.lift_capacity()

    eventually(lambda: queue.depth().ready == 3)
    put.join(30)


def test_a_hand_over_acknowledges_and_puts_in_one_step() -> None:
    lock = threading.RLock()
    before: MemoryQueue[int] = MemoryQueue(10, lock)
    after: MemoryQueue[str] = MemoryQueue(10, lock)
    before.put([1])
    lease = before.take(1)
    seen: list[tuple[int, int]] = []

    done = after.put(
        ["1"], ack=lease, on_put=lambda: seen.append((before.depth().in_flight, after.depth().ready))
    )

    assert done
    assert seen == [(0, 1)]


def test_a_hand_over_of_a_lost_lease_puts_nothing(make: Make) -> None:
    queue = make(10)
    queue.put([1])
    lease = queue.take(1)
    assert lease is not None
    lease.release()

    assert not queue.put([2], ack=lease, on_put=lambda: pytest.fail("must not be called"))

    assert queue.depth().ready == 1


def test_take_returns_none_after_its_timeout(make: Make) -> None:
    queue = make(10)
    assert queue.take(1, timeout=0) is None
    assert queue.take(1, timeout=0.01) is None


def test_a_waiting_take_can_be_cancelled(make: Make) -> None:
    queue = make(10)
    with pytest.raises(CancelledError):
        queue.take(1, cancelled=lambda: True)


def test_a_lingering_take_collects_later_items(make: Make) -> None:
    queue = make(10)
    queue.put([1])
    later = threading.Timer(0.02, queue.put, ([2],))
    later.start()

    lease = queue.take(2, linger=5)
    later.join(30)

    assert lease is not None
    assert lease.items == [1, 2]


def test_a_lingering_take_waits_no_longer_than_its_linger_time(make: Make) -> None:
    queue = make(10)
    queue.put([1])
    lease = queue.take(2, linger=0.01)
    assert lease is not None
    assert lease.items == [1]


def test_a_closed_queue_is_drained_only_when_no_lease_is_open(make: Make) -> None:
    queue = make(10)
    queue.put([1])
    lease = queue.take(1)
    assert lease is not None
    queue.close()

    assert queue.take(1, timeout=0) is None, "the lease may still come back"
    lease.ack()

    with pytest.raises(QueueClosedError):
        queue.take(1)
    with pytest.raises(QueueClosedError):
        queue.put([2])


def test_a_take_that_waits_for_open_leases_ends_when_the_queue_is_drained(make: Make) -> None:
    queue = make(10)
    queue.put([1])
    lease = queue.take(1)
    assert lease is not None
    queue.close()
    ended = threading.Event()

    def wait_for_the_end() -> None:
        with pytest.raises(QueueClosedError):
            queue.take(1)
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    lease.ack()

    assert ended.wait(30)


def test_discarding_keeps_leased_items() -> None:
    queue: MemoryQueue[int] = MemoryQueue(10)
    queue.put([1, 2, 3])
    lease = queue.take(1)
    assert lease is not None

    assert queue.discard_ready() == [2, 3]

    assert queue.depth() == Depth(0, 1, 10, None)


def test_a_queue_of_whole_puts_leases_the_same_sequence_as_was_put() -> None:
    # given two puts on a queue that counts items
    queue: MemoryQueue[int] = MemoryQueue(10, whole=True)
    first, second = range(3), range(5)
    queue.put(first)
    queue.put(second)

    # when one is taken and released
    lease = queue.take(1)
    assert lease is not None
    assert lease.items is first
    assert (queue.depth().ready, queue.depth().in_flight) == (5, 3)
    lease.release()

    # then it is the first again, followed by all of the other
    again, other = queue.take(1), queue.take(100)
    assert again is not None
    assert other is not None
    assert again.items is first
    assert other.items is second


def test_concurrent_takes_and_puts_neither_lose_nor_duplicate_items(make: Make) -> None:
    """Threads take, release and acknowledge at random; every number is acknowledged once."""
    queue = make(50)
    each = 500 if isinstance(queue, MemoryQueue) else 50
    acked: list[int] = []
    lock = threading.Lock()

    def work(seed: int) -> None:
        turn = seed
        while True:
            try:
                lease = queue.take(1 + turn % 7, linger=0.001 * (turn % 2), timeout=1)
            except QueueClosedError:
                return
            turn += 1
            if lease is None:
                continue
            if turn % 3 == 0:
                lease.release()
            else:
                lease.ack()
                with lock:
                    acked.extend(lease.items)

    def feed(start: int) -> None:
        for number in range(start, start + each, 5):
            queue.put(list(range(number, number + 5)))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    feeders = [threading.Thread(target=feed, args=(n * each,)) for n in range(4)]
    for thread in workers + feeders:
        thread.start()
    for thread in feeders:
        thread.join(20)
    queue.close()
    for thread in workers:
        thread.join(20)

    assert sorted(acked) == list(range(4 * each))
