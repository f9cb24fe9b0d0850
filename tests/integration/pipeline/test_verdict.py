"""The advice of the verdict, checked by experiments: what it recommends helps, and what it rules out does not."""

from __future__ import annotations

import psycopg
import pytest

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.verdict import VerdictKind
from tests.faults.rig.engine import Engine, EngineStarter
from tests.faults.rig.steps import FIFTY

ADDS_ONE = "+ adds one"


def fastest_cycle(run: Engine, cycles: int = 3) -> float:
    """The shortest of the next cycles in seconds, which is affected least by load on the machine."""
    first = run.snapshot().cycle.number + 1
    seen: dict[int, float] = {}

    def done(snapshot: object) -> bool:
        cycle = run.snapshot().cycle
        if not cycle.running and cycle.number > first:
            seen[cycle.number] = cycle.seconds
        return len(seen) >= cycles

    run.waits_for(done, f"{cycles} cycles")
    return min(seen.values())


@pytest.mark.thorough
def test_one_worker_more_helps_when_requests_wait_for_a_worker(
    start: EngineStarter, database_url: str
) -> None:
    # given responses that take 0.8 s, ten requests per cycle, and two workers
    start.market.set_faults(latency=0.8)
    run = start(database_url, symbols=FIFTY, interval=0.5, batch_size=5, price_workers=2)
    run.waits_for(
        lambda s: s.verdict.advice == ADDS_ONE and "Yahoo Finance answers in" in s.verdict.sentence,
        "the advice",
    )
    verdict = run.snapshot().verdict
    assert (verdict.kind, verdict.stage) == (VerdictKind.BEHIND, StageName.PRICE)
    before = fastest_cycle(run)
    # when one is added
    run.pipeline.scale(StageName.PRICE, 3)
    after = fastest_cycle(run)
    # then a cycle takes four rounds of requests instead of five
    assert after < 0.9 * before
    run.ends()


@pytest.mark.thorough
def test_more_workers_do_not_help_when_all_requests_are_in_flight(
    start: EngineStarter, database_url: str
) -> None:
    # given responses that take a second, and a worker for each request of a cycle
    start.market.set_faults(latency=1.0)
    run = start(database_url, symbols=FIFTY, interval=0.5, batch_size=5, price_workers=12)
    run.waits_for(lambda s: s.verdict.kind is VerdictKind.BEHIND and s.cycle.number > 2, "the verdict")
    verdict = run.snapshot().verdict
    assert verdict.advice == "more price workers would not help"
    assert "Yahoo Finance" in verdict.sentence
    # and cycles of one round of requests, more or less delayed by the machine
    assert 1.0 <= fastest_cycle(run) < 2.0
    # when there are twice as many, then a cycle still waits for one whole response
    run.pipeline.scale(StageName.PRICE, 24)
    assert fastest_cycle(run) >= 1.0
    run.ends()


@pytest.mark.thorough
def test_more_workers_do_not_help_against_the_request_limit(start: EngineStarter, database_url: str) -> None:
    # given 50 requests per cycle and a limit of 20 requests per second
    run = start(
        database_url, symbols=FIFTY, interval=0.5, batch_size=1, price_workers=6, requests_per_second=20.0
    )
    run.waits_for(lambda s: s.verdict.kind is VerdictKind.BEHIND and s.cycle.number > 1, "the verdict")
    verdict = run.snapshot().verdict
    assert "the request limit (20/s) sets the pace" in verdict.sentence
    assert verdict.advice == "more price workers would not help"
    before = fastest_cycle(run)
    run.pipeline.scale(StageName.PRICE, 20)
    # The limit admits a burst after a pause, so that single cycles differ; 20 workers could fetch three times as fast.
    assert fastest_cycle(run) > 0.7 * before
    run.ends()


@pytest.mark.thorough
def test_one_writer_more_helps_when_commits_are_slow(start: EngineStarter, database_url: str) -> None:
    # given a run whose commits take 0.3 s, with one writer and batches of five rows
    run = start(
        database_url, symbols=FIFTY, interval=0.5, batch_size=5, writers=1, write_batch=5, price_workers=8
    )
    run.waits_for(lambda s: s.cycle.number >= 1 and not s.cycle.running, "the first cycle")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'"
        )
        connection.execute(
            "CREATE TRIGGER slow AFTER INSERT ON prices FOR EACH STATEMENT EXECUTE FUNCTION be_slow()"
        )
    run.waits_for(
        lambda s: s.verdict.stage is StageName.WRITER and s.verdict.advice == ADDS_ONE,
        "the advice",
    )
    assert "a commit takes" in run.snapshot().verdict.sentence
    before = fastest_cycle(run)
    # when a writer is added, then the rows of a cycle are stored sooner
    run.pipeline.scale(StageName.WRITER, 2)
    assert fastest_cycle(run) < 0.8 * before
    run.ends()
