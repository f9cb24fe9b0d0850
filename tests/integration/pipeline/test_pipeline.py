"""The whole pipeline in this process: the demo market's quotes, real writer processes, a real database."""

from __future__ import annotations

import logging
import os
import re
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sp500tui.errors import ExitCode, JournalError
from sp500tui.model import Resolution
from sp500tui.pipeline.api import PipelineControl, ShutdownLevel
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import Phase, Snapshot, WorkerState
from sp500tui.pipeline.core.verdict import VerdictKind
from sp500tui.pipeline.journal.segment import Segment
from sp500tui.pipeline.report import exit_code
from sp500tui.pipeline.runtime import lifecycle
from tests.faults.rig.engine import EngineStarter
from tests.faults.rig.steps import FIFTY
from tests.support.ports import free_port
from tests.unit.pipeline.journal.test_segment import abandon

FEW = "AAPL,MSFT,BRK.B"


def kinds(pipeline: PipelineControl) -> list[EventKind]:
    return [event.kind for event in pipeline.events_since(0)[1]]


SYMBOLS = len(FIFTY.split(","))


def test_one_cycle_stores_every_symbol_once(start: EngineStarter, database_url: str) -> None:
    run = start(database_url, symbols=FEW, once=True)
    assert run.pipeline.join(40)

    report = run.pipeline.outcome()

    assert exit_code(report) is ExitCode.OK
    assert (report.outcome, report.cycles, report.ledger.fetched, report.ledger.stored) == (
        "completed",
        1,
        3,
        3,
    )
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT symbol, price * fx_rate = converted_price FROM prices").fetchall()
    assert sorted(rows) == [("AAPL", True), ("BRK.B", True), ("MSFT", True)]
    seen = run.snapshot()
    assert seen.phase is Phase.STOPPED
    assert seen.database.rows_total == 3
    assert seen.market.next_change is None
    assert run.unbalanced == []
    kinds = {event.kind for event in run.events}
    assert {EventKind.CYCLE_STARTED, EventKind.CYCLE_FINISHED, EventKind.WORKER_LEFT} <= kinds


@pytest.mark.thorough
def test_cycles_that_come_too_fast_are_skipped_and_never_stacked(
    start: EngineStarter, database_url: str
) -> None:
    """Full pools, a slow market, a start every 0.2 s: each cycle ends before the next begins."""
    start.market.set_faults(latency=0.3)
    run = start(database_url, symbols=FIFTY, interval=0.2, cycles=3, price_workers=8, writers=2)
    crowded: list[Snapshot] = []

    def is_over(seen: Snapshot) -> bool:
        if seen.queue(QueueName.TICKERS).ready + seen.queue(QueueName.TICKERS).in_flight > SYMBOLS:
            crowded.append(seen)
        return run.pipeline.join(0)

    run.waits_for(is_over, "the end of the run")

    report = run.pipeline.outcome()
    assert exit_code(report) is ExitCode.OK
    assert run.unbalanced == []
    assert crowded == []
    assert (report.cycles, report.ledger.fetched) == (3, 3 * SYMBOLS)
    assert EventKind.CYCLE_SKIPPED in {event.kind for event in run.events}


def test_an_outage_of_the_source_is_reported_with_its_end(
    start: EngineStarter, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # given a run that fetches
    caplog.set_level(logging.INFO)
    run = start(database_url, symbols=FIFTY, interval=0.5, batch_size=5)
    run.stores(SYMBOLS)
    # when the source answers every request with an error, then works again
    start.market.set_faults(server_error=1.0)

    def reported(kind: EventKind) -> bool:
        return kind in [event.kind for event in run.events]

    run.waits_for(lambda _: reported(EventKind.SOURCE_FAILED), "the report of the outage")
    start.market.clear_faults()
    run.waits_for(lambda _: reported(EventKind.SOURCE_RECOVERED), "the report of its end")
    run.ends()
    # then the log has a line for each, with the duration and the number of symbols
    (down,) = [text for text in caplog.messages if text.startswith("Yahoo Finance is down: ")]
    (back,) = [text for text in caplog.messages if text.startswith("Yahoo Finance is back: ")]
    assert "answered 50" in down
    assert re.search(r"down for [0-9.]+ s.*; [0-9]+ symbols affected", back)


def test_a_symbol_that_leaves_the_list_is_not_missing_any_longer(
    start: EngineStarter, database_url: str
) -> None:
    # given a run in which a symbol had no price before it left the list, and one of the list has none
    run = start(database_url, symbols=f"{FEW},NOPE")
    run.pipeline.components.missing.add([("GONE", "no longer traded")])
    # when a cycle over the current list has ended
    run.waits_for(lambda seen: seen.cycle.number >= 2, "a second cycle")
    # then only the symbol of the list is missing
    run.waits_for(lambda seen: [each.symbol for each in seen.missing] == ["NOPE"], "one missing symbol")
    run.ends()
    assert run.pipeline.outcome().missing == ("NOPE",)


def test_a_front_end_sees_prices_workers_and_queues(start: EngineStarter, database_url: str) -> None:
    run = start(database_url, symbols=FEW)
    run.stores(3)
    version, prices = run.pipeline.prices_since(0)
    assert {price.row.quote.symbol for price in prices} == set(FEW.split(","))
    assert version >= 3
    price = run.pipeline.price_of("BRK.B")
    assert price is not None
    assert price.row.fetched_by.startswith("price-")
    run.waits_for(lambda _: (p := run.pipeline.price_of("BRK.B")) and p.written_by, "the writer's name")
    run.waits_for(lambda seen: seen.market.next_change, "the next session")
    seen = run.snapshot()
    assert seen.queue(QueueName.ROWS).capacity > 0
    assert seen.stage(StageName.WRITER).alive == 2
    assert [line.symbol for line in run.pipeline.constituents()] == FEW.split(",")
    assert run.pipeline.database_url == database_url
    assert not run.pipeline.kill_worker("price-1")
    run.ends()


def test_the_death_of_an_idle_writer_is_noticed_before_its_next_batch(
    start: EngineStarter, database_url: str
) -> None:
    # given writers that have stored a cycle and wait for the next one
    run = start(database_url, symbols=FEW, interval=600, writers=1)
    run.waits_for(lambda s: s.cycle.number == 1 and not s.cycle.running, "the first cycle")
    assert run.snapshot().database.rows_total == 3
    # when the process of one is killed
    assert run.pipeline.kill_worker("writer-1")
    # then it is replaced, and the event names the signal
    run.waits_for(lambda s: s.stage(StageName.WRITER).restarts == 1, "a restart")
    run.waits_for(lambda _: EventKind.WORKER_DIED in kinds(run.pipeline), "the report of its death")
    (died,) = [e for e in run.pipeline.events_since(0)[1] if e.kind is EventKind.WORKER_DIED]
    assert "signal 9" in died.message
    run.waits_for(lambda _: EventKind.WORKER_RESTARTED in kinds(run.pipeline), "the report of its return")
    (back,) = [e for e in run.pipeline.events_since(0)[1] if e.kind is EventKind.WORKER_RESTARTED]
    assert (back.worker, back.stage) == ("writer-1", StageName.WRITER)
    assert run.snapshot().cycle.number == 1
    run.ends()


def test_a_pause_and_its_end_are_one_event_each(start: EngineStarter, database_url: str) -> None:
    run = start(database_url, symbols=FEW, interval=0.5)
    run.stores(3)
    # when the intake is paused twice and resumed twice
    for _ in range(2):
        run.pipeline.pause()
    assert run.snapshot().verdict.kind is VerdictKind.PAUSED
    for _ in range(2):
        run.pipeline.resume()
    run.waits_for(lambda s: s.verdict.kind is not VerdictKind.PAUSED, "another verdict")
    # then there is one event for each, the second with the duration
    events = [
        event
        for event in run.pipeline.events_since(0)[1]
        if event.kind in (EventKind.PAUSED, EventKind.RESUMED)
    ]
    assert [event.kind for event in events] == [EventKind.PAUSED, EventKind.RESUMED]
    assert events[1].seconds is not None
    assert events[0].number < events[1].number
    assert 0 < events[0].second <= events[1].second
    run.ends()


@pytest.mark.thorough
def test_an_outage_of_the_database_is_reported_with_what_was_replayed(start: EngineStarter) -> None:
    # given a run that stores in the embedded database, by two writers: the commit of one can succeed after the other
    # has failed
    run = start(None, symbols=FIFTY, interval=0.5, batch_size=5, writers=2)
    run.stores(SYMBOLS)
    # when the database is stopped until rows wait in the journal
    assert run.pipeline.stop_database(1.5)
    run.waits_for(lambda s: s.journal.rows > 0, "rows in the journal")
    assert run.snapshot().verdict.kind is VerdictKind.DATABASE_DOWN
    run.waits_for(lambda _: EventKind.REPLAYED in kinds(run.pipeline), "the report of the replay")
    run.ends()
    # then it is one outage, and the report has its duration and that all rows are there
    events = run.pipeline.events_since(0)[1]
    assert [event.kind for event in events].count(EventKind.DATABASE_DOWN) == 1
    (back,) = [event for event in events if event.kind is EventKind.DATABASE_BACK]
    # A batch whose commit failed after the first ones were replayed is replayed, and reported, on its own.
    replayed, *others = [event for event in events if event.kind is EventKind.REPLAYED]
    assert all(
        re.fullmatch(r"[0-9,]+ rows replayed from the journal, none missing", each.message) for each in others
    )
    assert re.fullmatch(
        r"the database was down for [0-9.]+ s: [0-9,]+ rows replayed from the journal in [0-9.]+ s, none missing",
        replayed.message,
    )
    assert replayed.seconds == back.seconds is not None
    assert replayed.count > 0
    assert any(sample.journal.max_rows for sample in run.pipeline.seconds_since(0)[1])
    # and the writers' time was spent on waiting for the database, not on work
    waited = [
        stage.seconds.get(WorkerState.DATABASE_DOWN, 0.0)
        for sample in run.pipeline.seconds_since(0)[1]
        if (stage := sample.stage(StageName.WRITER)) is not None
    ]
    assert sum(waited) >= 1.0


def test_requests_of_a_front_end_are_carried_out(start: EngineStarter, database_url: str) -> None:
    """Pause, resume, an immediate cycle, another interval, other pool sizes."""
    run = start(database_url, symbols=FEW, interval=60)
    run.waits_for(lambda s: s.cycle.number == 1 and not s.cycle.running, "the first cycle")
    assert run.pipeline.run_cycle_now()
    run.waits_for(lambda s: s.cycle.number == 2 and not s.cycle.running, "the second cycle")
    run.pipeline.pause()
    assert run.snapshot().phase is Phase.PAUSED
    # a stage of the intake that is resumed on its own is not reported as paused
    run.pipeline.resume(StageName.PRICE)
    assert run.snapshot().phase is Phase.RUNNING
    assert run.snapshot().verdict.sentence == "paused: the scraper takes no work"
    run.pipeline.pause()
    run.pipeline.pause(StageName.WRITER)
    run.waits_for(
        lambda s: all(w.state is WorkerState.PAUSED for w in s.workers if w.stage is StageName.WRITER),
        "paused writers",
    )
    run.pipeline.resume(StageName.WRITER)
    run.pipeline.resume()
    assert run.pipeline.set_interval(0.01) == 0.2
    run.waits_for(lambda s: s.cycle.number > 3, "a quicker rhythm")
    assert run.pipeline.scale(StageName.SCRAPER, 9).new == 1
    assert run.pipeline.scale(StageName.CONVERTER, 0).new == 1
    assert run.pipeline.scale(StageName.CONVERTER, 4).new == 4
    run.waits_for(lambda s: s.stage(StageName.CONVERTER).alive == 4, "four converters")
    run.ends()


def test_the_history_stage_is_shown_scaled_and_paused_like_the_others(
    start: EngineStarter, database_url: str
) -> None:
    # given a pipeline without a request for bars
    run = start(database_url, symbols=FEW, interval=60, history_workers=3)
    run.waits_for(lambda s: s.cycle.number == 1 and not s.cycle.running, "the first cycle")
    stage = run.snapshot().stage(StageName.HISTORY)
    assert (stage.size, stage.alive, run.snapshot().has_history) == (3, 0, False)
    # when it is scaled and paused, and bars are requested then
    scaled = run.pipeline.scale(StageName.HISTORY, 4)
    assert (scaled.old, scaled.new) == (3, 4)
    run.pipeline.pause(StageName.HISTORY)
    now, symbols = datetime.now(UTC), FEW.split(",")
    assert run.pipeline.heal(Resolution.DAY, now - timedelta(days=20), now, symbols)
    # then its requests wait, and the live prices are not affected
    run.waits_for(
        lambda s: s.queue(QueueName.HISTORY).ready == len(symbols) and s.stage(StageName.HISTORY).alive == 4,
        "requests in the queue",
    )
    paused = run.snapshot()
    assert paused.has_history
    assert paused.verdict.kind is not VerdictKind.PAUSED
    assert (paused.queue(QueueName.HISTORY).oldest_age or 0.0) >= 0.0
    # and are made when it is resumed
    run.pipeline.resume(StageName.HISTORY)
    run.waits_for(
        lambda s: s.stage(StageName.HISTORY).items >= len(symbols) and not run.pipeline.history().busy,
        "stored bars",
    )
    workers = [worker for worker in run.snapshot().workers if worker.stage is StageName.HISTORY]
    assert [worker.name for worker in workers if worker.is_scaled] == [f"history-{n}" for n in range(1, 5)]
    # and the writer of bars is shown as well, with its process
    (writer,) = [worker for worker in workers if not worker.is_scaled]
    assert writer.name == "bar-writer-1"
    assert writer.items > 0
    assert writer.pid != os.getpid()
    run.waits_for(lambda _: run.pipeline.seconds_since(0)[1], "the first recorded second")
    sample = run.pipeline.seconds_since(0)[1][-1]
    seconds = sample.stage(StageName.HISTORY)
    assert seconds is not None
    assert sample.queue(QueueName.HISTORY).name is QueueName.HISTORY
    run.ends()


@pytest.mark.thorough
def test_a_writer_killed_as_a_demonstration_is_replaced(start: EngineStarter, database_url: str) -> None:
    run = start(database_url, symbols=FEW, writers=1)
    run.stores(3)
    run.waits_for(lambda _: run.pipeline.kill_worker("writer-1"), "a writer to kill")
    run.waits_for(lambda s: s.stage(StageName.WRITER).restarts == 1, "its replacement")
    run.stores()
    run.ends()


def test_the_second_step_ends_at_once_and_keeps_everything(start: EngineStarter, database_url: str) -> None:
    run = start(database_url, symbols=FEW)
    run.stores(3)
    run.pipeline.stop(ShutdownLevel.SPOOL)
    assert run.pipeline.join(60)
    ledger = run.snapshot().ledger
    assert ledger.queued + ledger.in_flight == 0
    assert ledger.is_balanced
    assert run.pipeline.outcome().outcome == "interrupted"


def test_a_requested_end_does_not_wait_for_the_request_limit(start: EngineStarter, database_url: str) -> None:
    # given a worker that may send its request only after many seconds
    run = start(database_url, symbols=FIFTY, batch_size=1, interval=60, requests_per_second=0.05)
    run.waits_for(
        lambda seen: any(worker.state is WorkerState.LIMIT for worker in seen.workers), "a worker that waits"
    )
    # when the run is stopped
    asked = time.monotonic()
    run.pipeline.stop(ShutdownLevel.DRAIN)
    # then that request is not sent, and nothing is reported as missing, because the user stopped the run
    assert run.pipeline.join(60)
    assert time.monotonic() - asked < 15
    report = run.pipeline.outcome()
    assert report.ledger.fetched == report.ledger.stored < SYMBOLS
    assert (report.outcome, report.missing) == ("interrupted", ())


@pytest.mark.slow
def test_symbols_that_a_run_does_not_request_in_its_duration_are_missing(
    start: EngineStarter, database_url: str
) -> None:
    run = start(
        database_url,
        symbols=FIFTY,
        batch_size=1,
        once=True,
        requests_per_second=0.05,
        duration=4.0,
        drain_timeout=1.0,
    )
    assert run.pipeline.join(60)

    report = run.pipeline.outcome()

    assert len(report.missing) == SYMBOLS - report.ledger.fetched > 0
    reasons = {each.reason for each in run.snapshot().missing}
    assert reasons == {"not requested before the end of the run"}
    assert exit_code(report) is ExitCode.INCOMPLETE


@pytest.mark.slow
def test_rows_in_the_journal_of_another_database_are_reported(
    start: EngineStarter, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # given rows that a run with another URL left
    other = start.folder / "data" / "live" / "journal" / "0123456789ab"
    other.mkdir(parents=True)
    segment = Segment.create(other)
    segment.append(1, 7, b"rows")
    abandon(segment)
    # when a run starts
    run = start(database_url, symbols=FEW, once=True)
    assert run.pipeline.join(60)
    # then the log names them, with the remedy
    (line,) = [text for text in caplog.messages if text.startswith("the journal of another database, ")]
    assert f"{other}, holds 7 rows" in line
    assert "move the files to " in line


@pytest.mark.slow
def test_a_database_that_waits_for_a_lock_at_the_start_is_reported(
    start: EngineStarter, migrated_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given another session that has locked a table
    monkeypatch.setattr(lifecycle, "_SLOW_OPENING", 0.3)
    with psycopg.connect(migrated_url) as other:
        other.execute("LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE")
        # when a run starts
        run = start(migrated_url, symbols=FEW, once=True)
        run.waits_for(lambda _: "is not open yet: a lock of another session" in caplog.text, "the report")
    # then it is reported once, and the run begins when the lock is released
    assert run.pipeline.join(60)
    assert exit_code(run.pipeline.outcome()) is ExitCode.OK
    assert caplog.text.count("is not open yet") == 1


def test_a_duration_that_ends_before_the_first_cycle_fails_the_run(
    start: EngineStarter, database_url: str
) -> None:
    run = start(database_url, symbols=FEW, once=True, duration=0.001)
    assert run.pipeline.join(60)

    report = run.pipeline.outcome()

    assert report.failure == "the duration of 0.001 s ended before the first cycle; raise --duration"
    assert exit_code(report) is ExitCode.INCOMPLETE


def test_a_killed_run_claims_no_count_of_rows(start: EngineStarter, database_url: str) -> None:
    # given a run that has counted the rows of its database
    run = start(database_url, interval=60)
    run.waits_for(lambda snapshot: snapshot.database.rows_total is not None, "a count")

    # when it is killed
    run.pipeline.stop(ShutdownLevel.KILL)
    assert run.pipeline.join(60)

    # then its report has no count instead of an outdated one
    assert run.pipeline.outcome().database.rows_total is None


def test_a_folder_that_cannot_hold_a_journal_fails_with_a_message(
    start: EngineStarter,
) -> None:
    journal = start.folder / "data" / "live" / "journal"
    journal.mkdir(parents=True)
    (journal / "embedded").touch()
    run = start(None, symbols=FEW, once=True)
    assert run.pipeline.join(40)
    assert "cannot create the journal folder" in run.pipeline.outcome().failure


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the journal's disk."""

    def full(*_: object) -> None:
        raise JournalError("the disk of the journal is full")

    monkeypatch.setattr(Segment, "append", full)


@pytest.mark.slow
def test_a_full_disk_is_reported_and_costs_no_row_that_the_database_takes_at_the_end(
    start: EngineStarter, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a run whose journal has no room
    run = start(database_url, symbols=FEW)
    run.stores(3)
    fill_disk(monkeypatch)
    run.waits_for(lambda _: EventKind.JOURNAL_DOWN in kinds(run.pipeline), "the report of the full disk")

    # when it ends
    run.pipeline.stop(ShutdownLevel.DRAIN)
    assert run.pipeline.join(40)

    # then everything is stored
    report = run.pipeline.outcome()
    assert report.unstored == 0
    assert report.ledger.fetched == report.ledger.stored + report.ledger.duplicate
    assert [kind for kind in kinds(run.pipeline) if "journal" in kind] == [EventKind.JOURNAL_DOWN]


@pytest.mark.slow
def test_rows_that_neither_the_database_nor_the_disk_takes_fail_the_run(
    start: EngineStarter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given a run without a database, whose journal has no room
    fill_disk(monkeypatch)
    run = start(f"postgresql://127.0.0.1:{free_port()}/none", symbols=FEW)
    run.waits_for(lambda seen: seen.ledger.queued + seen.ledger.in_flight >= 3, "rows that wait")

    # when it has to end
    run.pipeline.stop(ShutdownLevel.SPOOL)
    assert run.pipeline.join(40)

    # then it reports that rows are lost, and why
    assert re.search(
        r"\d+ rows are lost, neither stored nor in the journal: the disk .* is full", caplog.text
    )
    assert run.pipeline.outcome().outcome == "failed"
