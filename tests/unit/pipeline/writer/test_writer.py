"""The writers with an in-memory database that fails in every way."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sp500tui.errors import JournalError
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.snapshot import Health, WorkerState
from sp500tui.pipeline.journal.dead_letters import DeadLetter
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.journal.segment import Segment
from sp500tui.pipeline.writer import worker as writing_module
from sp500tui.pipeline.writer.client import WriterDiedError
from sp500tui.pipeline.writer.worker import WriterTask
from tests.support.pipeline.fake_database import RefusedError
from tests.support.pipeline.rows import bad_row, row
from tests.support.pipeline.writer_harness import Open, WriterHarness
from tests.support.waiting import Wait


def rows(count: int, first: int = 0) -> list[ConvertedQuote]:
    return [row(number) for number in range(first, first + count)]


def names(count: int, first: int = 0) -> set[str]:
    return {one.quote.symbol for one in rows(count, first)}


def dead_letters_one_of(count: int, symbol: str, harness: WriterHarness, eventually: Wait) -> None:
    """Of a number of rows, the one of this symbol becomes a dead letter, and all others are stored."""
    harness.put(rows(count))
    eventually(harness.settled)
    assert harness.database.symbols == names(count) - {symbol}
    assert harness.dead_lettered() == [symbol]


def test_rows_are_committed_in_batches_and_counted(open_writers: Open, eventually: Wait) -> None:
    with open_writers() as harness:
        harness.latest_prices.update(rows(25))
        harness.put(rows(25))
        eventually(harness.settled)
        assert harness.database.symbols == names(25)
        assert [len(batch) for batch in harness.database.batches] == [10, 10, 5]
        assert harness.ledger().stored == 25
        shown = harness.latest_prices.get("S3")
        assert shown is not None
        assert shown.written_by == "writer-1"
        assert harness.end_to_end.latency().p50 is not None
        assert harness.health.commit.latency().p50 is not None
        assert harness.database.clients[0].statement_timeout < harness.writer_stage.commit_timeout
    assert not any((harness.journal.folder).iterdir())


def test_rows_that_are_there_already_count_as_duplicates(open_writers: Open, eventually: Wait) -> None:
    with open_writers() as harness:
        harness.put(rows(5))
        eventually(harness.settled)
        harness.put(rows(8))
        eventually(harness.settled)
        assert (harness.ledger().stored, harness.ledger().duplicate) == (8, 5)


@pytest.mark.parametrize(
    "sqlstate", ["53100", "25006", "53300", "57P01", "40001", "40P01", "08006", "42P01", None]
)
def test_a_rejection_that_no_row_caused_is_retried(
    open_writers: Open, eventually: Wait, sqlstate: str | None
) -> None:
    with open_writers(2) as harness:
        refusing = threading.Event()
        refusing.set()

        def refuse(_symbols: list[str]) -> None:
            if refusing.is_set():
                raise RefusedError(sqlstate, "could not extend file: No space left on device")

        harness.database.before_commit = refuse
        harness.put(rows(30))
        eventually(lambda: harness.health.down)
        assert harness.health.sqlstate == sqlstate
        assert "No space left" in harness.health.message
        assert harness.health.retry_in is not None
        eventually(lambda: harness.stage.workers[0].snapshot().state is WorkerState.DATABASE_DOWN)
        assert harness.dead_lettered() == []

        refusing.clear()

        eventually(harness.settled)
        assert harness.database.symbols == names(30)
        assert harness.health.status is Health.OK
        assert harness.ledger().dead == 0
    kinds = [event.kind for event in harness.events]
    assert kinds.index(EventKind.DATABASE_DOWN) < kinds.index(EventKind.DATABASE_BACK)


@pytest.mark.parametrize(("refused", "outages"), [(1, 1), (2, 2)])
def test_a_connection_from_before_an_outage_is_no_second_one(
    open_writers: Open, eventually: Wait, refused: int, outages: int
) -> None:
    # given an outage that began and ended while the writer was idle
    with open_writers() as harness:
        harness.put(rows(5))
        eventually(harness.settled)
        harness.health.record_failure("the server was stopped", "57P01", time.monotonic())
        harness.health.record_success(time.monotonic())
        attempts = [RefusedError("57P01", "terminating connection")] * refused

        def refuse(_symbols: list[str]) -> None:
            if attempts:
                raise attempts.pop()

        # when its connection, and perhaps the next one, turns out to be closed
        harness.database.before_commit = refuse
        harness.put(rows(5, first=5))
        eventually(harness.settled)

        # then only the failure of the new one is another outage
        assert harness.database.symbols == names(10)
    assert [event.kind for event in harness.events].count(EventKind.DATABASE_DOWN) == outages


def test_a_failing_connection_is_retried(open_writers: Open, eventually: Wait) -> None:
    with open_writers(away=True) as harness:
        harness.database.refuse_entry = RefusedError("53300", "too many connections")
        harness.health.ready.set()
        harness.put(rows(5))
        eventually(lambda: harness.health.message == "too many connections")
        harness.database.refuse_entry = None
        eventually(harness.settled)
        assert harness.restarts() == 0


def test_only_the_bad_row_is_dead_lettered(open_writers: Open, eventually: Wait) -> None:
    def refuse(symbols: list[str]) -> None:
        if {"S7", "S13"} & set(symbols):
            raise RefusedError("23514", "violates check constraint")

    with open_writers(batch=16) as harness:
        harness.database.before_commit = refuse
        harness.put(rows(16))
        eventually(harness.settled)
        assert harness.database.symbols == names(16) - {"S7", "S13"}
        assert sorted(map(str, harness.dead_lettered())) == ["S13", "S7"]
        (letter, _) = harness.dead_letters.listing()
        assert (letter.reason, letter.sqlstate) == ("violates check constraint", "23514")
        assert (harness.ledger().stored, harness.ledger().dead) == (14, 2)
    messages = [event.message for event in harness.events if event.kind is EventKind.DEAD_LETTER]
    assert len(messages) == 2
    assert messages[0].endswith("was dead-lettered: violates check constraint")


@pytest.mark.parametrize("sqlstate", ["P0001", "P0004", "09000", "44000", "U1234"])
def test_a_row_that_a_trigger_refuses_is_dead_lettered_and_holds_up_no_other(
    open_writers: Open, eventually: Wait, sqlstate: str
) -> None:
    def refuse(symbols: list[str]) -> None:
        if "S7" in symbols:
            raise RefusedError(sqlstate, "S7 is not traded here")

    with open_writers(batch=16) as harness:
        harness.database.before_commit = refuse
        dead_letters_one_of(16, "S7", harness, eventually)
        assert (harness.ledger().stored, harness.ledger().dead) == (15, 1)
        # also if it is the only one
        harness.put([row(7)])
        eventually(harness.settled)
        assert harness.ledger().dead == 2
    assert EventKind.DATABASE_DOWN not in {event.kind for event in harness.events}


@pytest.mark.parametrize("count", [2, 100])
def test_a_trigger_that_refuses_every_row_holds_them_up_and_rejects_none(
    open_writers: Open, eventually: Wait, count: int
) -> None:
    refusing = threading.Event()
    refusing.set()

    def refuse(_symbols: list[str]) -> None:
        if refusing.is_set():
            raise RefusedError("P0001", "the table is frozen")

    with open_writers(batch=count) as harness:
        harness.database.before_commit = refuse
        harness.put(rows(count))
        eventually(lambda: harness.health.down)
        assert harness.health.message == "the table is frozen"
        assert len(harness.database.batches) < 40, "it is not asked row by row"

        refusing.clear()

        eventually(harness.settled)
        assert harness.database.symbols == names(count)
        assert harness.dead_lettered() == []


def test_an_unexpected_error_of_the_journal_loses_no_row(open_writers: Open, eventually: Wait) -> None:
    """Such as too many open files: the lease must return to the queue."""
    with open_writers() as harness:
        failures, real = [OSError(24, "Too many open files")], harness.journal.accept

        def accept(*arguments: Any) -> Any:
            if failures:
                raise failures.pop()
            return real(*arguments)

        harness.journal.accept = accept  # type: ignore[method-assign, assignment]
        harness.put(rows(5))
        eventually(harness.settled)
        assert harness.database.symbols == names(5)


def test_a_writer_for_which_no_connection_is_left_waits_and_the_others_store(
    open_writers: Open, eventually: Wait
) -> None:
    # given a writer that is connected, and a server that accepts no further one
    with open_writers() as harness:
        harness.put(rows(5))
        eventually(harness.settled)
        harness.database.refuse_entry = RefusedError("53300", "too many connections")
        harness.stage.scale(3)
        eventually(
            lambda: [each.last_error for each in harness.stage.workers].count("too many connections") == 2
        )

        # when more rows arrive
        harness.put(rows(20, first=5))
        eventually(harness.settled)

        # then they are stored, and there was no outage
        assert harness.restarts() == 0
        assert EventKind.DATABASE_DOWN not in {event.kind for event in harness.events}


def test_a_row_that_cannot_be_encoded_is_dead_lettered_and_the_others_are_stored(
    open_writers: Open, eventually: Wait
) -> None:
    with open_writers() as harness:
        harness.put([row(1), bad_row(2), row(3)])
        harness.put([bad_row(4)])
        eventually(harness.settled)
        assert harness.database.symbols == {"S1", "S3"}
        assert len(harness.dead_lettered()) == 2
        assert harness.ledger().dead == 2


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_the_batch_of_a_writer_that_died_is_written_by_the_next(
    open_writers: Open, eventually: Wait, moment: str
) -> None:
    crashes = iter([True, True])

    def die(_symbols: list[str]) -> None:
        if next(crashes, False):
            raise WriterDiedError("writer-1 ended by signal 9", crashed=True)

    with open_writers() as harness:
        setattr(harness.database, moment, die)
        harness.put(rows(10))
        eventually(harness.settled)
        assert harness.database.symbols == names(10)
        assert harness.ledger().dead == 0
        assert harness.restarts() == 2
        assert harness.stage.workers[0].last_error == (
            "writer-1 ended by signal 9; its 10 rows go to the next writer"
        )
        assert (harness.ledger().stored == 10) is (moment == "before_commit")


def test_a_row_that_crashes_its_writers_is_isolated_and_dead_lettered(
    open_writers: Open, eventually: Wait
) -> None:
    """Given a row whose writer dies each time, every other row is stored and only that one is dead-lettered."""

    def die(symbols: list[str]) -> None:
        if "S33" in symbols:
            raise WriterDiedError("ended by signal 11", crashed=True)

    with open_writers(batch=100) as harness:
        harness.database.before_commit = die
        dead_letters_one_of(100, "S33", harness, eventually)
        assert harness.dead_letters.listing()[0].reason == "its writer process died 3 times"
        assert harness.restarts() < 15


def test_time_outs_do_not_count_against_the_batch(open_writers: Open, eventually: Wait) -> None:
    """A table locked for minutes causes repeated time-outs; no row may become a dead letter for that."""
    late = iter([True] * 8)

    def hang(_symbols: list[str]) -> None:
        if next(late, False):
            raise WriterDiedError("did not answer in time")

    with open_writers() as harness:
        harness.database.before_commit = hang
        harness.put(rows(10))
        eventually(harness.settled)
        assert harness.dead_lettered() == []
        assert harness.ledger().stored == 10
        assert harness.restarts() == 8


def test_rows_are_spooled_while_the_database_is_down(open_writers: Open, eventually: Wait) -> None:
    with open_writers(capacity=20, away=True, spooling=True) as harness:
        harness.put(rows(15))
        eventually(lambda: harness.ledger().spooled >= 10)
        assert harness.journal.snapshot().health is Health.DEGRADED
        harness.put(rows(15, first=15))
        eventually(lambda: harness.ledger().spooled == 30)  # few rows, too, after a second

        harness.health.ready.set()

        eventually(harness.settled)
        assert harness.database.symbols == names(30)


def test_shutdown_level_spool_spools_everything(open_writers: Open, eventually: Wait, tmp_path: Path) -> None:
    hanging = threading.Event()
    with open_writers() as harness:

        def hang(_symbols: list[str]) -> None:
            hanging.wait(20)
            raise WriterDiedError("stopped before its commit was confirmed")

        harness.database.before_commit = hang
        harness.put(rows(25))
        eventually(lambda: harness.database.batches)
        harness.writer_stage.spooling_since = time.monotonic() - 60
        hanging.set()
        harness.rows.close()
        harness.stage.begin_shutdown()
        assert harness.stage.join(60)
        assert harness.ledger().spooled == 25
        assert harness.restarts() == 0
    counters = LedgerCounters()
    assert Journal(tmp_path / "journal", counters, limit_bytes=1 << 20).open() == 25


def test_a_full_disk_keeps_the_rows_in_the_queue_and_is_reported(
    open_writers: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_module, "FULL_DISK_PAUSE", 0.02)
    with open_writers() as harness:
        real = harness.journal.accept

        def full(*_: object) -> None:
            raise JournalError("the disk of the journal is full")

        harness.journal.accept = full  # type: ignore[method-assign, assignment]
        harness.put([row(1), bad_row(2)])
        eventually(lambda: harness.stage.workers[0].last_error == "the disk of the journal is full")
        eventually(lambda: harness.ledger().dead == 1)
        assert harness.ledger().queued + harness.ledger().in_flight == 1

        harness.journal.accept = real  # type: ignore[method-assign]

        eventually(harness.settled)
        assert harness.database.symbols == {"S1"}
        assert len(harness.dead_lettered()) == 1, (
            "the bad row is dead-lettered once, however often the good ones are tried"
        )


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the journal's disk."""

    def full(*_: object) -> None:
        raise JournalError("the disk of the journal is full")

    monkeypatch.setattr(Segment, "append", full)
    monkeypatch.setattr(writing_module, "FULL_DISK_PAUSE", 0.02)


def test_at_the_end_of_a_run_rows_are_committed_without_a_disk_that_is_full(
    open_writers: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given rows that wait for a full disk, although the database works
    fill_disk(monkeypatch)
    with open_writers() as harness:
        harness.put(rows(25))
        eventually(lambda: harness.journal.error == "the disk of the journal is full")
        assert harness.ledger().stored == 0

        # when the run ends
        harness.rows.close()
        harness.stage.begin_shutdown()

        # then nothing is lost
        assert harness.stage.join(10)
        assert harness.database.symbols == names(25)
        assert harness.settled()


def test_rows_that_neither_the_database_nor_the_disk_takes_are_left_to_the_spooler(
    open_writers: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given rows that must be spooled at the end of a run
    with monkeypatch.context() as patch, open_writers(away=True) as harness:
        fill_disk(patch)
        harness.put(rows(25))
        harness.writer_stage.spooling_since = time.monotonic()
        harness.rows.close()
        harness.stage.begin_shutdown()
        harness.stage.expedite()

        # when the disk is full, the writers end, and hold no row that is unknown to the spooler
        assert harness.stage.join(10)
        assert harness.ledger().queued == 25
        with pytest.raises(JournalError, match="is full"):
            harness.spooler.close()

        # then they are written to the disk once there is room
        patch.undo()
        harness.spooler.close()
        assert harness.ledger().spooled == 25


def test_a_batch_in_memory_does_not_hold_up_the_end_of_a_run(
    open_writers: Open,
    eventually: Wait,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # given a batch that is only in memory, and a database that rejects it
    fill_disk(monkeypatch)
    refused = threading.Event()
    with open_writers() as harness:

        def refuse(_symbols: list[str]) -> None:
            refused.set()
            raise RefusedError("57P01", "terminating connection")

        harness.database.before_commit = refuse
        harness.put(rows(5))
        harness.rows.close()
        harness.stage.begin_shutdown()
        assert refused.wait(10)

        # when rows must be spooled
        harness.writer_stage.spooling_since = time.monotonic() - 60

        # then the writer ends and reports what is lost
        assert harness.stage.join(10)
        assert "5 rows are lost: the disk of the journal is full" in caplog.text


def test_dead_letters_that_cannot_be_written_keep_their_batch(
    open_writers: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(symbols: list[str]) -> None:
        if "S3" in symbols:
            raise RefusedError("22003", "out of range")

    with open_writers() as harness:
        harness.database.before_commit = refuse
        failures = [True, True]
        real = harness.dead_letters.add

        def full(letters: Sequence[DeadLetter]) -> None:
            if letters and failures and failures.pop():
                raise JournalError("cannot write dead.jsonl: No space left on device")
            real(letters)

        monkeypatch.setattr(harness.dead_letters, "add", full)
        harness.put(rows(10))
        eventually(harness.settled)
        assert harness.dead_lettered() == ["S3"]
        assert harness.database.symbols == names(10) - {"S3"}


def test_without_write_ahead_a_batch_waits_in_memory_until_the_disk_can_be_written(
    open_writers: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_module, "FULL_DISK_PAUSE", 0.01)
    with open_writers(write_ahead=False) as harness:
        full, faults = iter([True, True]), iter([True])
        real = harness.journal.requeue

        def requeue(batch: object) -> None:
            if next(full, False):
                raise JournalError("the disk of the journal is full")
            real(batch)  # type: ignore[arg-type]

        monkeypatch.setattr(harness.journal, "requeue", requeue)

        def refuse(_symbols: list[str]) -> None:
            if next(faults, False):
                raise RefusedError("57P01", "terminating connection")

        harness.database.before_commit = refuse
        harness.put(rows(5))
        eventually(harness.settled)
        assert harness.database.symbols == names(5)


def test_an_unexpected_error_loses_no_row(open_writers: Open, eventually: Wait) -> None:
    """Given a writer that fails in its own code while it holds a batch, the batch is retried."""
    with open_writers() as harness:
        faults = iter([True])

        def fail(_symbols: list[str]) -> None:
            if next(faults, False):
                raise ZeroDivisionError("a slip of the program")

        harness.database.before_commit = fail
        harness.put(rows(5))
        eventually(harness.settled)
        assert harness.database.symbols == names(5)
        assert harness.restarts() == 1


def test_a_writer_can_be_killed_as_a_demonstration(open_writers: Open, eventually: Wait) -> None:
    with open_writers() as harness:
        assert not WriterTask(harness.writer_stage, harness.stage.workers[0]).kill(), (
            "there is no process yet"
        )
        harness.put(rows(1))
        eventually(harness.settled)
        task = harness.stage.workers[0].task
        assert isinstance(task, WriterTask)
        assert harness.stage.workers[0].pid == harness.database.clients[0].pid
        assert task.kill()
        harness.put(rows(5, first=1))
        eventually(harness.settled)
        assert len(harness.database.clients) == 2


def test_random_faults_lose_and_alter_no_row(
    open_writers: Open, eventually: Wait, rng: random.Random
) -> None:
    """Given 3 000 rows and up to six writers, when 150 faults strike, each row is stored or dead-lettered."""
    faults = deque(rng.choices(["", "", "57P01", "40001", "dead", "late"], k=150))

    def strike(symbols: list[str]) -> None:
        if {"S100", "S2000"} & set(symbols):
            raise RefusedError("22003", "out of range")
        kind = faults.popleft() if faults else ""
        if kind == "dead":
            raise WriterDiedError("ended by signal 9", crashed=True)
        if kind == "late":
            raise WriterDiedError("did not answer in time")
        if kind:
            raise RefusedError(kind)

    with open_writers(4, batch=50, spooling=True) as harness:
        harness.database.before_commit = harness.database.after_commit = strike
        for start in range(0, 3000, 100):
            harness.put(rows(100, first=start))
            harness.stage.scale(rng.randint(1, 6))
        eventually(harness.settled)
        assert not faults
        assert set(harness.dead_lettered()) >= {"S100", "S2000"}
        assert harness.database.symbols | set(harness.dead_lettered()) == names(3000)
        assert harness.ledger().dead == len(harness.dead_lettered())
