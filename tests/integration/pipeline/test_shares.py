"""Waits injected into a real pipeline are recorded with their reason and duration."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from itertools import product

import psycopg
import pytest

from sp500tui.model import ConvertedQuote, FetchedQuote
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.processor_clocks import portable_process_clock
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.shares import WINDOWS, Shares, shares_over
from sp500tui.pipeline.stages.fx import FxRates
from tests.faults.rig.engine import Engine, EngineStarter
from tests.faults.rig.steps import FIFTY

pytestmark = pytest.mark.thorough

LONG = 600.0
"""Seconds of random load."""


def durations(run: Engine, stage: StageName, state: WorkerState, longer_than: float) -> list[float]:
    """The seconds of the spans of that state that have ended, without the short ones of opening a connection."""
    report = run.pipeline.spans(120.0)
    return [
        span.end - span.start
        for worker in report.workers
        if worker.stage is stage
        for span in worker.spans
        if span.state is state and span.end < report.monotonic and span.end - span.start > longer_than
    ]


def test_two_seconds_in_the_source_and_half_a_second_in_the_commit(
    start: EngineStarter, database_url: str
) -> None:
    # given a pipeline whose requests are answered after two seconds, and whose commits take half a second
    start.market.set_faults(latency=2.0)
    run = start(database_url, symbols=FIFTY, interval=0.5, batch_size=5, price_workers=10, writers=1)
    run.waits_for(lambda s: s.ledger.stored > 0, "the first rows")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'"
        )
        connection.execute(
            "CREATE TRIGGER slow AFTER INSERT ON prices FOR EACH STATEMENT EXECUTE FUNCTION be_slow()"
        )

    def requests() -> list[float]:
        return durations(run, StageName.PRICE, WorkerState.SOURCE, 1.0)

    def commits() -> list[float]:
        return durations(run, StageName.WRITER, WorkerState.DATABASE, 0.4)

    # when several of both have happened
    run.waits_for(lambda _: len(requests()) >= 20 and len(commits()) >= 4, "slow requests and commits")
    # then the shortest of them, which the machine delayed least, have the injected durations
    assert min(requests()) == pytest.approx(2.0, rel=0.05)
    assert min(commits()) == pytest.approx(0.5, rel=0.05)
    run.ends()


@pytest.mark.parametrize("portable", [False, True], ids=["clocks of threads", "own clocks"])
def test_a_converter_that_computes_is_on_the_processor_or_waits_for_the_interpreter(
    start: EngineStarter, database_url: str, monkeypatch: pytest.MonkeyPatch, portable: bool
) -> None:
    # given a converter that computes for 8 ms a quote, on Linux or on a system without its clocks
    if portable:
        monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
        monkeypatch.setattr("sp500tui.pipeline.core.worker.process_clock", portable_process_clock)
    convert = FxRates.convert

    def compute(rates: FxRates, quote: FetchedQuote) -> ConvertedQuote:
        begin = time.thread_time()
        while time.thread_time() - begin < 0.008:
            pass
        return convert(rates, quote)

    monkeypatch.setattr(FxRates, "convert", compute)
    run = start(database_url, symbols=FIFTY, interval=0.2, batch_size=10, converters=1)

    def shares() -> Shares:
        return shares_over(run.pipeline.seconds_since(0)[1], 10, StageName.CONVERTER)

    # when it has been busy for some seconds
    run.waits_for(lambda _: shares().states.get(WorkerState.BUSY, 0.0) > 0.5, "a busy converter")
    # then that is accounted as computing or waiting for the interpreter, and most of its time as working
    found = shares()
    assert found.processor > 0.0
    assert found.processor + found.interpreter == pytest.approx(found.states[WorkerState.BUSY], abs=0.05)
    run.ends()


@pytest.mark.soak
def test_the_shares_of_every_worker_add_up_over_ten_minutes_of_random_load(
    start: EngineStarter, database_url: str
) -> None:
    # given a pipeline that is scaled, paused, slowed down and killed at random
    run = start(database_url, symbols=FIFTY, interval=0.5, batch_size=5, price_workers=6, writers=2)
    run.waits_for(lambda s: s.ledger.stored > 0, "the first rows")
    rng = random.Random(15)
    samples: dict[int, SecondSample] = {}
    scaled: set[int] = set()
    ends = time.monotonic() + LONG
    while time.monotonic() < ends:
        last, found = run.pipeline.seconds_since(max(samples, default=0))
        samples.update((sample.second, sample) for sample in found)
        scaled.update(range(last, last + 4) if disturb(run, rng) else ())
        time.sleep(rng.expovariate(1.0))
    run.ends()
    # then every second is recorded once, and the states of each worker add up to the time for which it existed
    assert sorted(samples) == list(range(1, max(samples) + 1))
    complete = 0
    for second, sample in sorted(samples.items()):
        for worker in sample.workers:
            spent = sum(worker.seconds.values())
            assert 0 <= spent <= 1 + 1e-6, (second, worker)
            assert 0 <= worker.cpu <= spent + 1e-6, (second, worker)
            assert 0 <= worker.process_cpu <= spent + 1e-6, (second, worker)
            if second not in scaled and lived_through(worker.name, samples, second):
                complete += 1
                assert spent == pytest.approx(1.0, abs=1e-6), (second, worker)
        for stage in sample.stages:
            members = [worker for worker in sample.workers if worker.stage is stage.name]
            whole = sum(sum(worker.seconds.values()) for worker in members)
            assert sum(stage.seconds.values()) == pytest.approx(whole)
        assert sample.interpreter_lock is None or 0 <= sample.interpreter_lock.held <= 1
    assert complete > LONG
    # and so do the shares over each window
    ordered = [samples[second] for second in sorted(samples)]
    for end in range(1, len(ordered) + 1, 7):
        for seconds, name in product(WINDOWS, StageName):
            shares = shares_over(ordered[:end], seconds, name)
            assert not shares.states or sum(shares.states.values()) == pytest.approx(1.0)
            assert 0 <= shares.processor + shares.interpreter <= 1 + 1e-6


def lived_through(name: str, samples: Mapping[int, SecondSample], second: int) -> bool:
    """Whether a worker also exists in the seconds before and after."""
    beside = [samples.get(second - 1), samples.get(second + 1)]
    return all(each is not None and any(w.name == name for w in each.workers) for each in beside)


def disturb(run: Engine, rng: random.Random) -> bool:
    """Make a random change; returns whether it changed the number of workers."""
    pipeline, market = run.pipeline, run.pipeline.demo_market
    stage = rng.choice([StageName.PRICE, StageName.CONVERTER, StageName.WRITER])
    kind = rng.choice(["scale", "pause", "resume", "resume", "kill", "latency", "interval"])
    if kind == "scale":
        pipeline.scale(stage, rng.randint(1, 8))
    elif kind == "pause":
        pipeline.pause(stage)
    elif kind == "resume":
        pipeline.resume(stage)
    elif kind == "kill":
        pipeline.kill_worker(f"writer-{rng.randint(1, 2)}")
    elif kind == "latency" and market is not None:
        market.set_faults(latency=rng.choice([0.0, 0.05, 1.0]))
    else:
        pipeline.set_interval(rng.choice([0.2, 1.0, 5.0]))
    return kind == "scale"
