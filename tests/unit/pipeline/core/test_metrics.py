"""Rates, latencies and ledger counters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.metrics import LatencyHistogram, Meter, QueueMeter, percentiles
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.snapshot import Latency
from tests.support.waiting import FakeClock


@pytest.mark.parametrize(
    ("adds", "now", "seconds", "rate"),
    [
        ([(0, 10), (1, 20)], 2, 10, 15.0),
        ([(0, 10)], 10, 10, 1.0),
        ([(0, 10)], 11, 10, 0.0),
        ([(5, 7)], 5, 1, 0.0),  # the current second does not count yet
        ([(5, 7)], 6, 1, 7.0),
        ([(0, 100)], 500, 60, 0.0),  # long ago
        ([(s, 2) for s in range(60)], 60, 60, 2.0),
    ],
)
def test_a_rate_is_that_of_the_last_whole_seconds(
    adds: list[tuple[int, int]], now: int, seconds: int, rate: float
) -> None:
    clock = FakeClock()
    meter = Meter(clock)
    for at, items in adds:
        clock.now = 100.0 + at
        meter.add(items)
    clock.now = 100.0 + now
    assert meter.rate(seconds) == pytest.approx(rate)


def test_a_history_is_one_number_a_second_oldest_first() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    for items in (1, 2, 3):
        meter.add(items)
        clock.now += 1
    assert meter.history(4) == (0.0, 1.0, 2.0, 3.0)
    clock.now += 100
    meter.add(9)
    clock.now += 1
    assert meter.history(3) == (0.0, 0.0, 9.0)


@given(
    st.lists(st.tuples(st.floats(0, 20, allow_nan=False), st.integers(0, 1000)), max_size=40),
)
def test_a_meter_loses_no_item(steps: list[tuple[float, int]]) -> None:
    clock = FakeClock()
    meter = Meter(clock)
    for wait, items in steps:
        clock.now += wait
        meter.add(items)
    clock.now += 1
    assert meter.total == sum(items for _, items in steps)
    assert sum(meter.history(60)) <= meter.total


def test_percentiles_of_no_measurements_are_none() -> None:
    assert percentiles([0] * 130) == Latency()
    assert LatencyHistogram().latency() == Latency()


@given(st.lists(st.floats(0.00002, 600), min_size=1, max_size=200))
def test_percentiles_are_right_within_a_bucket(seconds: list[float]) -> None:
    histogram = LatencyHistogram(FakeClock())
    for each in seconds:
        histogram.record(each)
    found = histogram.latency()
    for share, guess in ((0.5, found.p50), (0.95, found.p95), (0.99, found.p99)):
        exact = sorted(seconds)[math.ceil(share * len(seconds)) - 1] * 1000
        assert guess is not None
        assert exact / 1.16 <= guess <= exact * 1.16


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e9])
def test_extreme_durations_have_a_bucket(seconds: float) -> None:
    histogram = LatencyHistogram()
    histogram.record(seconds)
    assert histogram.latency().p50 is not None


def test_latencies_are_those_of_the_last_ten_seconds() -> None:
    clock = FakeClock()
    histogram = LatencyHistogram(clock)
    histogram.record(1.0, count=100)
    clock.now += 7
    histogram.record(0.001)
    assert histogram.latency().p50 == pytest.approx(1000, rel=0.16)
    clock.now += 4
    assert histogram.latency().p99 == pytest.approx(1, rel=0.16)
    clock.now += 10
    assert histogram.latency() == Latency()
    # when nothing was recorded for a long time
    clock.now += 1e6
    assert histogram.latency() == Latency()
    histogram.record(0.001)
    # then the totals since the start are still known
    assert histogram.latency().p50 == pytest.approx(1, rel=0.16)
    assert histogram.overall().p50 == pytest.approx(1000, rel=0.16)


def test_the_ledger_counters_add_up() -> None:
    counters = LedgerCounters()
    counters.count_fetched(10)
    counters.count_written(5, 3, 2)
    assert (counters.fetched, counters.stored, counters.duplicate, counters.dead) == (10, 5, 3, 2)


def test_a_queue_meter_reads_depth_and_flow() -> None:
    queue: MemoryQueue[int] = MemoryQueue(4)
    meter = QueueMeter(QueueName.ROWS, queue)
    queue.put([1, 2, 3])
    lease = queue.take(1)
    assert lease is not None
    lease.ack()
    meter.sample()
    meter.sample()

    seen = meter.snapshot()

    assert (seen.ready, seen.in_flight, seen.capacity, seen.high_water) == (2, 0, 4, 3)
    assert seen.fill == 0.5
    assert (queue.total_in, queue.total_out) == (3, 1)
