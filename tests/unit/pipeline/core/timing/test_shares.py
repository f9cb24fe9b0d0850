"""Shares of time: states that add up, the part on the processor, and waiting for room in a queue."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import LockSnapshot, WorkerState
from sp500tui.pipeline.core.timing.accounting import StageAccounts, WorkerAccount
from sp500tui.pipeline.core.timing.second_sample import (
    LockSecond,
    QueueSecond,
    SecondSample,
    StageSecond,
    WorkerSecond,
)
from sp500tui.pipeline.core.timing.shares import Shares, held_back, lock_over, shares_over
from tests.support.tui.fake_pipeline import NOON
from tests.support.waiting import FakeClock

BUSY, IDLE, SOURCE = WorkerState.BUSY, WorkerState.IDLE, WorkerState.SOURCE


def sample(second: int, *workers: WorkerSecond, blocked: float = 0.0) -> SecondSample:
    seconds: dict[WorkerState, float] = {}
    for worker in workers:
        for state, part in worker.seconds.items():
            seconds[state] = seconds.get(state, 0.0) + part
    return SecondSample(
        second,
        NOON + timedelta(seconds=second),
        workers,
        (StageSecond(StageName.PRICE, seconds),),
        (QueueSecond(QueueName.QUOTES, blocked=blocked),),
    )


def price(name: str, seconds: dict[WorkerState, float], cpu: float = 0.0) -> WorkerSecond:
    return WorkerSecond(name, StageName.PRICE, seconds, cpu=cpu)


SAMPLES = [
    sample(1, price("price-1", {SOURCE: 1.0}), price("price-2", {IDLE: 1.0})),
    sample(
        2, price("price-1", {BUSY: 0.5, SOURCE: 0.5}, cpu=0.3), price("price-2", {IDLE: 1.0}), blocked=0.5
    ),
]


def test_shares_are_those_of_the_last_seconds_of_a_worker_or_a_stage() -> None:
    assert shares_over(SAMPLES, 1, StageName.PRICE, "price-1").states == {BUSY: 0.5, SOURCE: 0.5}
    assert shares_over(SAMPLES, 10, StageName.PRICE, "price-1").states == {BUSY: 0.25, SOURCE: 0.75}
    assert shares_over(SAMPLES, 10, StageName.PRICE).states == {BUSY: 0.125, SOURCE: 0.375, IDLE: 0.5}
    assert shares_over(SAMPLES, 10, StageName.WRITER) == Shares()


def test_working_without_the_processor_is_waiting_for_the_interpreter() -> None:
    found = shares_over(SAMPLES, 1, StageName.PRICE, "price-1")
    assert (found.processor, found.interpreter) == pytest.approx((0.3, 0.2))


def test_where_the_processor_time_is_not_known_nothing_is_estimated() -> None:
    unknown = [sample(1, price("price-1", {BUSY: 1.0}))]
    assert shares_over(unknown, 1, StageName.PRICE) == Shares({BUSY: 1.0})


def test_a_queue_holds_back_the_workers_that_fill_it() -> None:
    assert held_back(SAMPLES, QueueName.QUOTES) == pytest.approx(0.125)
    assert held_back(SAMPLES, QueueName.ROWS) is None
    assert held_back((), QueueName.QUOTES) is None


@pytest.mark.parametrize("seed", range(20))
def test_the_shares_of_a_worker_add_up_whatever_it_does(seed: int) -> None:
    # given a minute of random changes of state, collected at random times
    rng, clock = random.Random(seed), FakeClock()
    accounts, account = StageAccounts(), WorkerAccount("price-1", threading.Lock(), clock)
    accounts.add(account)
    cpu = 0.0
    account.measure_cpu(lambda: cpu)
    collected: dict[int, dict[WorkerState, float]] = {}
    used = 0.0
    while clock() < 160.0:
        account.switch(rng.choice([*WorkerState]))
        step = rng.expovariate(20)
        clock.now += step
        cpu += step * rng.random()
        if rng.random() < 0.05:
            for second, workers in accounts.collect(int(clock())).items():
                collected[second] = dict(workers["price-1"].seconds)
                used += workers["price-1"].cpu
    for second, workers in accounts.collect(int(clock())).items():
        collected[second] = dict(workers["price-1"].seconds)
        used += workers["price-1"].cpu
    # then the states of every second add up to it, and the processor time is counted once
    assert list(collected) == list(range(100, int(clock())))
    assert all(sum(seconds.values()) == pytest.approx(1.0, abs=0.01) for seconds in collected.values())
    assert used == pytest.approx(cpu)


def test_processor_time_is_divided_over_the_seconds_of_a_collection() -> None:
    clock, cpu = FakeClock(), 5.0
    accounts, account = StageAccounts(), WorkerAccount("price-1", threading.Lock(), clock)
    accounts.add(account)
    account.measure_cpu(lambda: cpu)
    cpu = 5.8
    clock.now += 4.0
    found = accounts.collect(104)
    assert [workers["price-1"].cpu for workers in found.values()] == pytest.approx([0.2] * 4)
    # and the clock of a thread that has ended is not read
    account.end()
    cpu = 99.0
    clock.now += 1.0
    assert accounts.collect(105) == {}


def test_processor_time_of_the_present_second_is_counted_in_it() -> None:
    # given a worker that computes all the time, whose seconds are collected late and then in time
    clock = FakeClock()
    accounts, account = StageAccounts(), WorkerAccount("price-1", threading.Lock(), clock)
    accounts.add(account)
    account.measure_cpu(clock)
    account.switch(BUSY)
    found: dict[int, float] = {}
    for step in (1.9, 0.1, 1.5, 0.5):
        clock.now += step
        collected = accounts.collect(int(clock()))
        found.update((second, workers["price-1"].cpu) for second, workers in collected.items())
    # then every second was spent on the processor
    assert found == pytest.approx(dict.fromkeys(range(100, 104), 1.0))


def test_the_processor_time_of_each_process_of_a_writer_is_counted_once() -> None:
    # given a writer whose process has used the processor before
    clock, used = FakeClock(), 3.0
    accounts, account = StageAccounts(), WorkerAccount("writer-1", threading.Lock(), clock)
    accounts.add(account)
    account.measure_process(lambda: used)
    used = 3.4
    # when the process dies, and the next one has used more than the first
    account.measure_process(lambda: 50.0)
    clock.now += 2.0
    found = accounts.collect(102)
    # then only the use since each began is counted
    assert [each["writer-1"].process_cpu for each in found.values()] == pytest.approx([0.2, 0.2])


def test_a_writers_process_is_on_the_processor_or_waits_for_the_server() -> None:
    second = WorkerSecond(
        "writer-1", StageName.WRITER, {WorkerState.DATABASE: 0.8, IDLE: 0.2}, process_cpu=0.3
    )
    found = shares_over([sample(1, second)], 1, StageName.WRITER)
    assert (found.process, found.committing, found.server) == pytest.approx((0.3, 0.8, 0.5))


def test_the_interpreter_lock_is_averaged_over_the_seconds_that_have_it() -> None:
    seconds = [
        replace(sample(1), interpreter_lock=LockSecond(20, held=0.2, wait=0.001, longest=0.004)),
        replace(sample(2), interpreter_lock=LockSecond(20, held=0.6, wait=0.003, longest=0.009)),
    ]
    assert lock_over([sample(0)], 10) is None
    assert lock_over([], 10) is None
    found = lock_over(seconds, 10)
    assert found is not None
    assert (found.held, found.wait_ms, found.longest_ms) == pytest.approx((0.4, 2.0, 9.0))
    last = lock_over(seconds, 1)
    assert last is not None
    assert last.held == 0.6


@pytest.mark.parametrize(
    ("held", "word"), [(0.0, "free"), (0.09, "free"), (0.1, "in use"), (0.5, "busy"), (1.0, "busy")]
)
def test_the_interpreter_lock_has_a_label(held: float, word: str) -> None:
    assert LockSnapshot(held).word == word
