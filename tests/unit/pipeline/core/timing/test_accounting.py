"""Time by state: the states of a worker always add up to the elapsed time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.pipeline.core.events import EventKind, EventLog, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.queue import Depth, MemoryQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.accounting import DepthAccount, StageAccounts, WorkerAccount
from sp500tui.pipeline.core.timing.second_history import SampledDepth, SecondHistory
from sp500tui.pipeline.core.timing.second_sample import SECONDS_KEPT, SecondSample
from tests.support.waiting import FakeClock

STATES = [state for state in WorkerState if state not in (WorkerState.DRAINING, WorkerState.HUNG)]


class Bench:
    """Accounts of price workers and of the tickers queue with a clock set by the test."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.wall = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
        self.events = EventLog(self.clock)
        self.prices = StageAccounts()
        self.journal = DepthAccount(threading.RLock(), self.clock)
        self.lock = threading.RLock()
        self.tickers: MemoryQueue[int] = MemoryQueue(100, self.lock, self.clock)
        self.history = SecondHistory(
            {StageName.PRICE: self.prices},
            {QueueName.TICKERS: self.tickers.account},
            self.journal,
            self.events,
            clock=self.clock,
            wall_clock=lambda: self.wall,
        )

    def worker(self, name: str = "price-1") -> WorkerAccount:
        account = WorkerAccount(name, threading.Lock(), self.clock)
        self.prices.add(account)
        return account

    def samples(self, after: int = 0) -> Sequence[SecondSample]:
        return self.history.since(after)[1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@given(
    changes=st.lists(
        st.tuples(st.floats(0, 5), st.sampled_from(STATES), st.booleans()), min_size=1, max_size=40
    )
)
def test_the_states_of_a_worker_add_up_to_every_second(
    changes: list[tuple[float, WorkerState, bool]],
) -> None:
    # given a worker that changes its state at any times, whether or not the samples are asked for in between
    bench = Bench()
    account = bench.worker()
    for seconds, state, ask in changes:
        bench.clock.now += seconds
        account.switch(state)
        if ask:
            bench.samples()
    # when the last second is over
    bench.clock.now += 1
    samples = bench.samples()
    # then each second is recorded once and is complete
    assert [sample.second for sample in samples] == list(range(1, int(bench.clock.now) - 100 + 1))[-180:]
    for sample in samples:
        (worker,) = sample.workers
        assert sum(worker.seconds.values()) == pytest.approx(1.0, abs=0.01)
        assert all(duration > 0 for duration in worker.seconds.values())
        assert sample.stages[0].seconds == worker.seconds


def test_a_burst_of_50_ms_is_seen(bench: Bench) -> None:
    account = bench.worker()
    account.switch(WorkerState.IDLE)
    bench.clock.now += 0.3
    account.switch(WorkerState.BUSY)
    bench.clock.now += 0.05
    account.finish_lease(50)
    account.switch(WorkerState.IDLE)
    bench.clock.now += 1
    (sample,) = bench.samples()
    assert sample.workers[0].seconds == pytest.approx({WorkerState.IDLE: 0.95, WorkerState.BUSY: 0.05})
    assert sample.workers[0].busy == pytest.approx(0.05)
    assert sample.stages[0].items == 50


def test_an_hour_in_one_state_fills_the_seconds_that_are_kept(bench: Bench) -> None:
    # given a worker that was paused for an hour while nothing polled
    account = bench.worker()
    account.switch(WorkerState.PAUSED)
    bench.clock.now += 3600
    # when it continues
    account.switch(WorkerState.BUSY)
    bench.clock.now += 1
    last, samples = bench.history.since(0)
    # then only the last three minutes are kept
    assert last == 3601
    assert [sample.second for sample in samples] == list(range(3601 - SECONDS_KEPT + 1, 3602))
    assert samples[0].workers[0].seconds == {WorkerState.PAUSED: 1.0}
    assert samples[-1].workers[0].seconds == {WorkerState.BUSY: 1.0}


def test_only_newer_seconds_are_returned(bench: Bench) -> None:
    bench.worker()
    assert bench.history.since(0) == (0, [])
    bench.clock.now += 3.5
    assert [sample.second for sample in bench.samples(after=1)] == [2, 3]
    assert bench.history.since(3) == (3, [])
    assert bench.history.since(99) == (3, [])


def test_the_wall_clock_may_be_set_back(bench: Bench) -> None:
    bench.worker()
    bench.clock.now += 1
    first = bench.samples()[0]
    # when the wall clock is set back by an hour
    bench.wall -= timedelta(hours=1)
    bench.clock.now += 1
    second = bench.samples()[1]
    # then the seconds continue with the time that the clock shows
    assert (first.second, second.second) == (1, 2)
    assert second.at < first.at
    assert sum(second.workers[0].seconds.values()) == pytest.approx(1.0)


def test_a_pool_scaled_up_and_down_within_a_second(bench: Bench) -> None:
    # given 64 workers, 63 of which exist for half a second
    accounts = [bench.worker(f"price-{number}") for number in range(1, 65)]
    for account in accounts:
        account.switch(WorkerState.IDLE)
    bench.clock.now += 0.5
    for account in accounts[1:]:
        account.end()
    bench.clock.now += 2.5
    first, second, third = bench.samples()
    # then each is in the sample with the time for which it existed, and afterwards only one is left
    assert [worker.name for worker in first.workers] == [f"price-{number}" for number in range(1, 65)]
    assert first.stages[0].seconds == {WorkerState.IDLE: pytest.approx(1 + 63 / 2)}
    assert [worker.name for worker in second.workers] == ["price-1"]
    assert [worker.name for worker in third.workers] == ["price-1"]


def test_a_worker_and_its_successor_of_the_same_name_are_one(bench: Bench) -> None:
    before = bench.worker()
    before.switch(WorkerState.BUSY)
    bench.clock.now += 0.25
    before.end()
    # when the successor starts, and the abandoned worker continues
    after = bench.worker()
    before.switch(WorkerState.SOURCE)
    before.finish_lease(7)
    before.fail_lease()
    bench.clock.now += 0.75
    after.switch(WorkerState.IDLE)
    (sample,) = bench.samples()
    # then the time of the name is one second, and nothing of the abandoned worker is counted
    (worker,) = sample.workers
    assert worker.seconds == {WorkerState.BUSY: 0.25, WorkerState.STARTING: 0.75}
    assert (worker.items, worker.failed) == (0, 0)


def test_ended_workers_are_forgotten_once_their_last_second_was_collected(bench: Bench) -> None:
    bench.worker().end()
    bench.clock.now += 1
    assert bench.samples()
    bench.clock.now += 1
    assert bench.samples(after=1)[0].workers == ()
    assert bench.prices.collect(10_000) == {}


def test_the_depth_of_a_queue_is_integrated(bench: Bench) -> None:
    # given 80 items for 50 ms, of which 20 stay for another 200 ms
    bench.tickers.put(range(80))
    bench.clock.now += 0.05
    lease = bench.tickers.take(60)
    assert lease is not None
    bench.clock.now += 0.2
    rest = bench.tickers.take(20)
    assert rest is not None
    rest.ack()
    lease.ack()
    bench.clock.now += 1
    # when the second is over
    (sample,) = bench.samples()
    queue = sample.queue(QueueName.TICKERS)
    # then mean and maximum are those of the whole second
    assert queue.mean_ready == pytest.approx(80 * 0.05 + 20 * 0.2)
    assert (queue.max_ready, queue.max_in_flight) == (80, 80)
    assert queue.mean_in_flight == pytest.approx(60 * 0.2)


def test_the_maximum_of_a_second_includes_what_was_there_at_its_start(bench: Bench) -> None:
    bench.tickers.put(range(9))
    bench.clock.now += 1.5
    bench.tickers.discard_ready()
    bench.clock.now += 1
    assert [sample.queue(QueueName.TICKERS).max_ready for sample in bench.samples()] == [9, 9]


def test_time_blocked_by_a_full_queue_is_counted(bench: Bench) -> None:
    # given a full queue and a put that waits for room
    bench.tickers.put(range(100))
    full = threading.Event()
    putting = threading.Thread(target=lambda: bench.tickers.put(range(10), on_full=full.set))
    putting.start()
    assert full.wait(60)
    with bench.lock:  # the put waits once it has released the lock
        pass
    bench.clock.now += 0.4
    lease = bench.tickers.take(50)
    assert lease is not None
    putting.join(10)
    bench.clock.now += 1
    assert bench.samples()[0].queue(QueueName.TICKERS).blocked == pytest.approx(0.4)


def test_a_queue_on_a_broker_has_the_depth_of_the_collection() -> None:
    clock = FakeClock()
    sampled = SampledDepth(lambda: Depth(7, 3, 100, None), clock)
    assert [(second, bucket.max_ready) for second, bucket in sampled.collect(102)] == [(100, 7), (101, 7)]
    assert sampled.collect(102) == []
    assert len(sampled.collect(5000)) == SECONDS_KEPT


def test_events_belong_to_their_second(bench: Bench) -> None:
    event = PipelineEvent(EventKind.PAUSED, "the intake is paused", 20, bench.wall)
    bench.clock.now += 0.999
    first = bench.events.record(event)
    bench.clock.now += 0.001
    second = bench.events.record(event)
    bench.clock.now += 1
    assert (first.number, first.second, second.number, second.second) == (1, 1, 2, 2)
    assert [sample.events for sample in bench.samples()] == [(first,), (second,)]
    assert bench.events.since(0) == (2, [first, second])
    assert bench.events.since(1) == (2, [second])
    assert bench.events.since(2) == (2, [])


def test_the_number_of_events_is_bounded(bench: Bench) -> None:
    # given many events in one second
    event = PipelineEvent(EventKind.SCALED, "price workers 1 → 64", 20, bench.wall)
    for _ in range(5000):
        bench.events.record(event)
    # then the latest are kept
    last, events = bench.events.since(0)
    assert (last, len(events), events[-1].number) == (5000, 1000, 5000)


def test_totals_are_the_sum_of_all_seconds_also_of_those_no_longer_kept(bench: Bench) -> None:
    # given a worker that is blocked for half of every second
    worker = bench.worker()
    seconds = SECONDS_KEPT + 20
    for _ in range(seconds):
        worker.switch(WorkerState.BLOCKED)
        bench.clock.now += 0.5
        worker.switch(WorkerState.IDLE)
        bench.clock.now += 0.5
        bench.history.roll()
    # then its totals cover all of them
    totals = bench.history.totals()[StageName.PRICE]
    assert totals[WorkerState.BLOCKED] == pytest.approx(seconds / 2)
    assert totals[WorkerState.IDLE] == pytest.approx(seconds / 2)
