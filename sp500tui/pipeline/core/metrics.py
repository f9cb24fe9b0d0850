"""Rates, latency percentiles and queue statistics."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import Latency, QueueSnapshot

Clock = Callable[[], float]

_SECONDS_KEPT = 64
_BUCKET_GROWTH = 1.15
_SMALLEST_MS = 0.01
_BUCKETS = 130
_LATENCY_SECONDS = 10
"""Seconds over which latencies are given."""


class Meter:
    """Counts items per second. One thread adds; any thread reads, possibly without the latest addition."""

    __slots__ = ("_buckets", "_clock", "_last", "_started", "total")

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._buckets = [0] * _SECONDS_KEPT
        self._last = int(clock())
        self._started = clock()
        self.total = 0
        """Items since the start."""

    def add(self, items: int) -> None:
        """Count `items` in the current second."""
        self._advance(int(self._clock()))
        self._buckets[self._last % _SECONDS_KEPT] += items
        self.total += items

    def _advance(self, second: int) -> None:
        if second - self._last >= _SECONDS_KEPT:
            self._buckets = [0] * _SECONDS_KEPT
        else:
            for passed in range(self._last + 1, second + 1):
                self._buckets[passed % _SECONDS_KEPT] = 0
        self._last = max(second, self._last)

    def rate(self, seconds: int) -> float:
        """Items per second over the last `seconds` whole seconds (at most 60), or since the start if shorter."""
        now = self._clock()
        lived = max(1.0, min(float(seconds), now - self._started))
        return sum(self._last_buckets(int(now), seconds)) / lived

    def history(self, seconds: int) -> tuple[float, ...]:
        """Items in each of the last `seconds` whole seconds, oldest first."""
        return tuple(float(n) for n in self._last_buckets(int(self._clock()), seconds))

    def _last_buckets(self, now: int, seconds: int) -> list[int]:
        # Without the current second, which is incomplete and would make every rate dip when it starts.
        return [
            self._buckets[second % _SECONDS_KEPT] if self._last - _SECONDS_KEPT < second <= self._last else 0
            for second in range(now - seconds, now)
        ]


class QueueStats(Protocol):
    """The statistics of a queue: `queue.MemoryQueue`, or the known ones of a queue on a broker."""

    @property
    def total_in(self) -> int:
        """Items ever put in."""

    @property
    def total_out(self) -> int:
        """Items taken and acknowledged."""

    @property
    def high_water(self) -> int:
        """Highest number of ready items so far."""

    def depth(self) -> Depth:
        """The current depth."""


class QueueMeter:
    """Derives rates from a queue's totals. The supervisor samples; any thread takes a snapshot."""

    def __init__(self, name: QueueName, queue: QueueStats) -> None:
        self._name = name
        self._queue = queue
        self._in = Meter()
        self._out = Meter()

    def sample(self) -> None:
        """Count the items put and taken since the last sample."""
        self._in.add(self._queue.total_in - self._in.total)
        self._out.add(self._queue.total_out - self._out.total)

    def snapshot(self) -> QueueSnapshot:
        """Depth, high-water mark and rates."""
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


def _bucket_of(milliseconds: float) -> int:
    if milliseconds <= _SMALLEST_MS:
        return 0
    return min(_BUCKETS - 1, 1 + int(math.log(milliseconds / _SMALLEST_MS, _BUCKET_GROWTH)))


def _upper_bound(bucket: int) -> float:
    return _SMALLEST_MS * _BUCKET_GROWTH**bucket


DURATION_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of `Durations`, in seconds."""


@dataclass(frozen=True, slots=True)
class Durations:
    """All durations since the start, as a monitoring system collects them."""

    counts: tuple[int, ...] = (0,) * (len(DURATION_BOUNDS) + 1)
    """Number of durations up to each of `DURATION_BOUNDS` and above the one before; the last is above all of them."""
    seconds: float = 0.0
    """Their sum."""


class LatencyHistogram:
    """Durations of the last ten seconds and since the start, in logarithmic buckets 15 % wide from 10 µs to 18 min.

    In addition it counts all durations since the start in a few wide buckets.
    """

    __slots__ = ("_all", "_clock", "_counts", "_lock", "_second", "_seconds", "_windows")

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: deque[list[int]] = deque([[0] * _BUCKETS], maxlen=_LATENCY_SECONDS)
        self._second = int(clock())
        self._all = [0] * _BUCKETS
        self._counts = [0] * (len(DURATION_BOUNDS) + 1)
        self._seconds = 0.0

    def record(self, seconds: float, count: int = 1) -> None:
        """Count `count` durations of `seconds` each."""
        with self._lock:
            self._rotate()
            bucket = _bucket_of(seconds * 1000)
            self._windows[-1][bucket] += count
            self._all[bucket] += count
            self._counts[bisect_left(DURATION_BOUNDS, seconds)] += count
            self._seconds += seconds * count

    def _rotate(self) -> None:
        second = int(self._clock())
        for _ in range(min(second - self._second, _LATENCY_SECONDS)):
            self._windows.append([0] * _BUCKETS)
        self._second = second

    def durations(self) -> Durations:
        """All durations since the start."""
        with self._lock:
            return Durations(tuple(self._counts), self._seconds)

    def latency(self) -> Latency:
        """The percentiles of the last ten seconds; None if nothing finished in them."""
        with self._lock:
            self._rotate()
            counts = [sum(column) for column in zip(*self._windows, strict=True)]
        return percentiles(counts)

    def overall(self) -> Latency:
        """The percentiles since the start."""
        with self._lock:
            counts = list(self._all)
        return percentiles(counts)


def percentiles(counts: list[int]) -> Latency:
    """p50, p95 and p99 in milliseconds of a histogram's bucket counts, each at the middle of its bucket."""
    total = sum(counts)
    if not total:
        return Latency()
    found: list[float] = []
    seen, bucket = 0, -1
    for share in (0.5, 0.95, 0.99):
        while seen < share * total:
            bucket += 1
            seen += counts[bucket]
        found.append(_upper_bound(bucket) / math.sqrt(_BUCKET_GROWTH))
    return Latency(*found)
