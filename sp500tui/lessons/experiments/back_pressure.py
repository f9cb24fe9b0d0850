"""Back-pressure: a fast producer and a slow consumer, with and without a bound on the queue between them."""

from __future__ import annotations

import time

from sp500tui.lessons.bench import Bench
from sp500tui.lessons.lesson import Figure, Lesson, Measured, Needs, Source, Value, number, ratio
from sp500tui.pipeline.core.queue import CancelledError, MemoryQueue, QueueClosedError
from sp500tui.pipeline.core.service_thread import ServiceThread

_CAPACITY = 200
_CHUNK = 20
_PRODUCER_PAUSE = 0.002
_CONSUMER_PAUSE = 0.02
_DURATION = 1.5
_MIN_GROWTH = 2.0


class _Line:
    """A producer and a consumer with a queue between them."""

    def __init__(self, *, bounded: bool) -> None:
        self.queue: MemoryQueue[int] = MemoryQueue(_CAPACITY)
        if not bounded:
            self.queue.lift_capacity()
        self.blocked = 0.0
        """Seconds for which the producer waited for space."""
        self._ending = False
        self._producer = ServiceThread("lesson-producer", self._produce, attempts=1)
        self._consumer = ServiceThread("lesson-consumer", self._consume, attempts=1)

    def _produce(self) -> float | None:
        started = time.monotonic()
        try:
            self.queue.put(range(_CHUNK), cancelled=lambda: self._ending)
        except (CancelledError, QueueClosedError):
            return None
        finally:
            self.blocked += time.monotonic() - started
        return _PRODUCER_PAUSE

    def _consume(self) -> float | None:
        lease = self.queue.take(_CHUNK, timeout=0.1)
        if lease is not None:
            lease.ack()
        return _CONSUMER_PAUSE

    def run(self, bench: Bench) -> tuple[int, float, float]:
        """Run for a while; returns the items in the queue, the age of the oldest and the seconds blocked."""
        self._producer.start()
        self._consumer.start()
        try:
            bench.sleep(_DURATION)
            depth = self.queue.depth()
            return depth.ready, depth.oldest_age or 0.0, self.blocked
        finally:
            self._ending = True
            self._producer.stop()
            self._consumer.stop()
            self.queue.interrupt()
            self._producer.join(5.0)
            self._consumer.join(5.0)


def _measure(bench: Bench) -> dict[str, Value]:
    bench.report(f"a queue of at most {_CAPACITY} items")
    bounded, bounded_age, blocked = _Line(bounded=True).run(bench)
    bench.report("the same without a bound")
    unbounded, unbounded_age, _ = _Line(bounded=False).run(bench)
    return {
        "capacity": _CAPACITY,
        "bounded_items": bounded,
        "bounded_oldest_seconds": bounded_age,
        "producer_blocked_seconds": blocked,
        "unbounded_items": unbounded,
        "unbounded_oldest_seconds": unbounded_age,
    }


def _effect(measured: Measured) -> bool:
    return (
        number(measured, "bounded_items") <= number(measured, "capacity")
        and number(measured, "producer_blocked_seconds") > 0
        and ratio(measured, "unbounded_items", "capacity") >= _MIN_GROWTH
        and number(measured, "unbounded_oldest_seconds") > number(measured, "bounded_oldest_seconds")
    )


LESSON = Lesson(
    name="back-pressure",
    title="Back-pressure, and a queue without a bound",
    question=(
        "A producer is several times as fast as its consumer. The queue between them holds 200 items. What "
        "happens once it is full, and what would happen without a bound?"
    ),
    answers=(
        "the oldest items are dropped; without a bound nothing is lost, so it is better",
        "the producer waits; without a bound the queue and the age of its items keep growing",
        "the producer fails; without a bound both are equally fast",
    ),
    correct=1,
    change=(
        f"A producer and a consumer run for {_DURATION:g} s each on this program's queue: once with a capacity of "
        f"{_CAPACITY} items, once with the bound lifted."
    ),
    claim=(
        f"The bounded queue never exceeds {_CAPACITY} items and its producer waits; without a bound there are at "
        f"least {_MIN_GROWTH:g} times as many, and the oldest is older."
    ),
    why=(
        "A full queue blocks the stage that feeds it, and so on up to the source: the whole pipeline runs at the "
        "speed of its slowest stage, with a bounded delay. Without a bound the surplus goes to memory: every price "
        "waits longer than the one before it, and in the end the program runs out of memory."
    ),
    source=(Source("pipeline/core/queue.py", "MemoryQueue.put"),),
    figures=(
        Figure("capacity", "capacity of the bounded queue", "items"),
        Figure("bounded_items", "bounded: items in the queue at the end", "items"),
        Figure("bounded_oldest_seconds", "bounded: age of the oldest", "s", 2),
        Figure("producer_blocked_seconds", "bounded: the producer waited", "s", 2),
        Figure("unbounded_items", "unbounded: items in the queue at the end", "items"),
        Figure("unbounded_oldest_seconds", "unbounded: age of the oldest", "s", 2),
    ),
    measure=_measure,
    effect=_effect,
    needs=Needs.PROCESSOR,
)
