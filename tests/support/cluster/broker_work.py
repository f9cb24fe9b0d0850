"""Numbered items through a broker's queue under faults: none may be lost or duplicated."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.queue.stream_queue import StreamQueue
from tests.support.cluster.valkey import NumberCodec
from tests.support.waiting import Wait


def queue_on(broker: Broker, capacity: int = 1000) -> StreamQueue[int]:
    """A queue of whole numbers."""
    return StreamQueue(broker, "quotes", NumberCodec(), capacity, consumer="here", put_counter="fetched")


def assert_work_survives(broker: Broker, eventually: Wait, disturb: Callable[[], None]) -> None:
    """Inject a fault three times while one thread puts numbers and two take them."""
    queue = queue_on(broker, capacity=40)
    acked: list[int] = []
    lock = threading.Lock()
    done = threading.Event()

    def put_all() -> None:
        for number in range(0, 400, 4):
            queue.put(list(range(number, number + 4)))

    def take_all() -> None:
        while not done.is_set():
            lease = queue.take(5, timeout=0.2)
            if lease is not None and lease.ack():
                with lock:
                    acked.extend(lease.items)

    threads = [threading.Thread(target=work) for work in (put_all, take_all, take_all)]
    for thread in threads:
        thread.start()
    for share in (60, 150, 250):
        eventually(lambda share=share: len(acked) >= share)  # type: ignore[misc]
        disturb()
    eventually(lambda: len(acked) >= 400)
    done.set()
    for thread in threads:
        thread.join(10)

    assert sorted(acked) == list(range(400))
    assert (queue.reading().total_in, queue.reading().total_out, queue.depth().in_flight) == (400, 400, 0)
