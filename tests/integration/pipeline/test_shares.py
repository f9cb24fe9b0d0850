"""Waits that are injected into a real pipeline appear under their reason, with their duration."""

from __future__ import annotations

import time

import psycopg
import pytest

from sp500tui.model import ConvertedQuote, FetchedQuote
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.shares import Shares, shares_over
from sp500tui.pipeline.stages.fx import FxRates
from tests.faults.rig.engine import Engine, EngineStarter
from tests.faults.rig.steps import FIFTY

pytestmark = pytest.mark.thorough


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
    # then the shortest of them, which the machine delayed least, took what was injected
    assert min(requests()) == pytest.approx(2.0, rel=0.05)
    assert min(commits()) == pytest.approx(0.5, rel=0.05)
    run.ends()


def test_a_converter_that_computes_is_on_the_processor_or_waits_for_the_interpreter(
    start: EngineStarter, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a converter that computes for 20 ms a quote
    convert = FxRates.convert

    def compute(rates: FxRates, quote: FetchedQuote) -> ConvertedQuote:
        begin = time.thread_time()
        while time.thread_time() - begin < 0.02:
            pass
        return convert(rates, quote)

    monkeypatch.setattr(FxRates, "convert", compute)
    run = start(database_url, symbols=FIFTY, interval=0.2, batch_size=10, converters=1)

    def shares() -> Shares:
        return shares_over(run.pipeline.seconds_since(0)[1], 5, StageName.CONVERTER)

    # when it has been busy for some seconds
    run.waits_for(lambda _: shares().states.get(WorkerState.BUSY, 0.0) > 0.8, "a busy converter")
    # then that is accounted as computing or waiting for the interpreter, and most of its time as working
    found = shares()
    assert found.processor > 0.0
    assert found.processor + found.interpreter == pytest.approx(found.states[WorkerState.BUSY], rel=0.05)
    run.ends()
