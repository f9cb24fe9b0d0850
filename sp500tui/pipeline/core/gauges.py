"""The readings of one queue: depth, high-water mark and rates."""

from __future__ import annotations

from typing import Protocol

from sp500tui.pipeline.core.metrics import Meter
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import QueueName, QueueSnapshot


class QueueStats(Protocol):
    """A queue that counts: `queues.MemoryQueue`, or what is known of one on a broker."""

    @property
    def total_in(self) -> int:
        """Items ever put in."""

    @property
    def total_out(self) -> int:
        """Items taken and acknowledged."""

    @property
    def high_water(self) -> int:
        """Most items that were ready at once."""

    def depth(self) -> Depth:
        """How full it is now."""


class QueueMeter:
    """Turns a queue's totals into rates. The supervisor samples; any thread takes a snapshot."""

    def __init__(self, name: QueueName, queue: QueueStats) -> None:
        self._name = name
        self._queue = queue
        self._in = Meter()
        self._out = Meter()

    def sample(self) -> None:
        """Count what has come and gone since the last sample."""
        self._in.add(self._queue.total_in - self._in.total)
        self._out.add(self._queue.total_out - self._out.total)

    def snapshot(self) -> QueueSnapshot:
        """How the queue stands."""
        depth = self._queue.depth()
        return QueueSnapshot(
            name=self._name,
            ready=depth.ready,
            in_flight=depth.in_flight,
            capacity=depth.capacity,
            high_water=self._queue.high_water,
            oldest_age=depth.oldest_age,
            rate_in=self._in.rate(10),
            rate_out=self._out.rate(10),
        )
