"""The writers against a database that fails in every way it can, in memory."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sp500tui.errors import JournalError
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.metrics import LedgerCounters
from sp500tui.pipeline.core.snapshot import Health, WorkerState
from sp500tui.pipeline.journal.dead_letters import DeadLetter
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.writer import worker as writing_module
from sp500tui.pipeline.writer.client import WriterDiedError
from sp500tui.pipeline.writer.database_health import backoff_delay
from sp500tui.pipeline.writer.worker import WriterTask
from tests.support.faults_database import RefusedError
from tests.support.faults_rows import bad_row, row
from tests.support.faults_writers import Open

Wait = Callable[[Callable[[], object]], None]


def rows(count: int, first: int = 0) -> list[ConvertedQuote]:
    return [row(number) for number in range(first, first + count)]


def names(count: int, first: int = 0) -> set[str]:
    return {one.quote.symbol for one in rows(count, first)}


def test_rows_are_committed_in_batches_and_counted(open_desk: Open, eventually: Wait) -> None:
    with open_desk() as desk:
        desk.latest_prices.update(rows(25))
        desk.put(rows(25))
        eventually(desk.settled)
        assert desk.database.symbols == names(25)
        assert [len(batch) for batch in desk.database.batches] == [10, 10, 5]
        assert desk.ledger().stored == 25
        shown = desk.latest_prices.get("S3")
        assert shown is not None
        assert shown.written_by == "writer-1"
        assert desk.end_to_end.latency().p50 is not None
        assert desk.health.commit.latency().p50 is not None
        assert desk.database.clients[0].statement_timeout < desk.writer_stage.commit_timeout
    assert not any((desk.journal._folder).iterdir())


def test_rows_that_are_there_already_count_as_duplicates(open_desk: Open, eventually: Wait) -> None:
    with open_desk() as desk:
        desk.put(rows(5))
        eventually(desk.settled)
        desk.put(rows(8))
        eventually(desk.settled)
        assert (desk.ledger().stored, desk.ledger().duplicate) == (8, 5)


@pytest.mark.parametrize(
    "sqlstate", ["53100", "25006", "53300", "57P01", "40001", "40P01", "08006", "42P01", None]
)
def test_a_refusal_that_is_no_rows_fault_is_waited_out(
    open_desk: Open, eventually: Wait, sqlstate: str | None
) -> None:
    with open_desk(2) as desk:
        refusing = threading.Event()
        refusing.set()

        def refuse(_symbols: list[str]) -> None:
            if refusing.is_set():
                raise RefusedError(sqlstate, "could not extend file: No space left on device")

        desk.database.before_commit = refuse
        desk.put(rows(30))
        eventually(lambda: desk.health.down)
        assert desk.health.sqlstate == sqlstate
        assert "No space left" in desk.health.message
        assert desk.health.retry_in is not None
        eventually(lambda: desk.stage.workers[0].snapshot().state is WorkerState.WAITING)
        assert desk.buried() == []

        refusing.clear()

        eventually(desk.settled)
        assert desk.database.symbols == names(30)
        assert desk.health.status is Health.OK
        assert desk.ledger().dead == 0
    kinds = [event.kind for event in desk.events]
    assert kinds.index(EventKind.DATABASE_DOWN) < kinds.index(EventKind.DATABASE_BACK)


def test_a_database_that_lets_nobody_in_is_waited_for(open_desk: Open, eventually: Wait) -> None:
    with open_desk(away=True) as desk:
        desk.database.refuse_entry = RefusedError("53300", "too many connections")
        desk.health.ready.set()
        desk.put(rows(5))
        eventually(lambda: desk.health.message == "too many connections")
        desk.database.refuse_entry = None
        eventually(desk.settled)
        assert desk.restarts() == 0


def test_only_the_bad_row_is_buried(open_desk: Open, eventually: Wait) -> None:
    def refuse(symbols: list[str]) -> None:
        if {"S7", "S13"} & set(symbols):
            raise RefusedError("23514", "violates check constraint")

    with open_desk(batch=16) as desk:
        desk.database.before_commit = refuse
        desk.put(rows(16))
        eventually(desk.settled)
        assert desk.database.symbols == names(16) - {"S7", "S13"}
        assert sorted(map(str, desk.buried())) == ["S13", "S7"]
        (letter, _) = desk.dead_letters.listing()
        assert (letter.reason, letter.sqlstate) == ("violates check constraint", "23514")
        assert (desk.ledger().stored, desk.ledger().dead) == (14, 2)
    told = [event.message for event in desk.events if event.kind is EventKind.DEAD_LETTER]
    assert len(told) == 2
    assert told[0].endswith("was dead-lettered: violates check constraint")


def test_a_row_that_cannot_be_written_at_all_is_buried_and_its_neighbours_are_stored(
    open_desk: Open, eventually: Wait
) -> None:
    with open_desk() as desk:
        desk.put([row(1), bad_row(2), row(3)])
        desk.put([bad_row(4)])
        eventually(desk.settled)
        assert desk.database.symbols == {"S1", "S3"}
        assert len(desk.buried()) == 2
        assert desk.ledger().dead == 2


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_a_writer_that_dies_has_its_batch_written_by_the_next(
    open_desk: Open, eventually: Wait, moment: str
) -> None:
    crashes = iter([True, True])

    def die(_symbols: list[str]) -> None:
        if next(crashes, False):
            raise WriterDiedError("writer-1 ended by signal 9", crashed=True)

    with open_desk() as desk:
        setattr(desk.database, moment, die)
        desk.put(rows(10))
        eventually(desk.settled)
        assert desk.database.symbols == names(10)
        assert desk.ledger().dead == 0
        assert desk.restarts() == 2
        assert desk.stage.workers[0].last_error == "writer-1 ended by signal 9"
        assert (desk.ledger().stored == 10) is (moment == "before_commit")


def test_a_row_that_kills_its_writers_is_found_and_buried_alone(open_desk: Open, eventually: Wait) -> None:
    """Given a row whose writer dies each time, every other row is stored and only that one is buried."""

    def die(symbols: list[str]) -> None:
        if "S33" in symbols:
            raise WriterDiedError("ended by signal 11", crashed=True)

    with open_desk(batch=100) as desk:
        desk.database.before_commit = die
        desk.put(rows(100))
        eventually(desk.settled)
        assert desk.database.symbols == names(100) - {"S33"}
        assert desk.buried() == ["S33"]
        assert desk.dead_letters.listing()[0].reason == "its writer process died 3 times"
        assert desk.restarts() < 15


def test_late_answers_say_nothing_against_the_rows(open_desk: Open, eventually: Wait) -> None:
    """A table locked for minutes makes writer after writer late; not one row may be buried for that."""
    late = iter([True] * 8)

    def hang(_symbols: list[str]) -> None:
        if next(late, False):
            raise WriterDiedError("did not answer in time")

    with open_desk() as desk:
        desk.database.before_commit = hang
        desk.put(rows(10))
        eventually(desk.settled)
        assert desk.buried() == []
        assert desk.ledger().stored == 10
        assert desk.restarts() == 8


def test_rows_go_to_the_journal_while_the_database_is_away(open_desk: Open, eventually: Wait) -> None:
    with open_desk(capacity=20, away=True) as desk:
        desk.put(rows(15))
        eventually(lambda: desk.ledger().spooled >= 10)
        assert desk.journal.snapshot().health is Health.DEGRADED
        desk.put(rows(15, first=15))
        eventually(lambda: desk.ledger().spooled == 30)  # few rows, too, after a second

        desk.health.ready.set()

        eventually(desk.settled)
        assert desk.database.symbols == names(30)


def test_the_second_step_of_the_ladder_spools_everything(
    open_desk: Open, eventually: Wait, tmp_path: Path
) -> None:
    hanging = threading.Event()
    with open_desk() as desk:

        def hang(_symbols: list[str]) -> None:
            hanging.wait(20)
            raise WriterDiedError("told to stop before its commit was confirmed")

        desk.database.before_commit = hang
        desk.put(rows(25))
        eventually(lambda: desk.database.batches)
        desk.writer_stage.spooling_since = time.monotonic() - 60
        hanging.set()
        desk.rows.close()
        desk.stage.begin_shutdown()
        assert desk.stage.join(10)
        assert desk.ledger().spooled == 25
        assert desk.restarts() == 0
    counters = LedgerCounters()
    assert Journal(tmp_path / "journal", counters, limit_bytes=1 << 20).open() == 25


def test_a_full_disk_holds_the_rows_back_and_says_so(
    open_desk: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_module, "_FULL_DISK_PAUSE", 0.02)
    with open_desk() as desk:
        real = desk.journal.accept

        def full(*_: object) -> None:
            raise JournalError("the disk of the journal is full")

        desk.journal.accept = full  # type: ignore[method-assign, assignment]
        desk.put([row(1), bad_row(2)])
        eventually(lambda: desk.stage.workers[0].last_error == "the disk of the journal is full")
        eventually(lambda: desk.ledger().dead == 1)
        assert desk.ledger().queued + desk.ledger().in_flight == 1

        desk.journal.accept = real  # type: ignore[method-assign]

        eventually(desk.settled)
        assert desk.database.symbols == {"S1"}
        assert len(desk.buried()) == 1, "the bad row is buried once, however often the good ones are tried"


def test_dead_letters_that_cannot_be_written_keep_their_batch(
    open_desk: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(symbols: list[str]) -> None:
        if "S3" in symbols:
            raise RefusedError("22003", "out of range")

    with open_desk() as desk:
        desk.database.before_commit = refuse
        failures = [True, True]
        real = desk.dead_letters.add

        def full(letters: Sequence[DeadLetter]) -> None:
            if letters and failures and failures.pop():
                raise JournalError("cannot write dead.jsonl: No space left on device")
            real(letters)

        monkeypatch.setattr(desk.dead_letters, "add", full)
        desk.put(rows(10))
        eventually(desk.settled)
        assert desk.buried() == ["S3"]
        assert desk.database.symbols == names(10) - {"S3"}


def test_without_the_journal_a_batch_waits_in_memory_until_the_disk_takes_it(
    open_desk: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_module, "_FULL_DISK_PAUSE", 0.01)
    with open_desk(write_ahead=False) as desk:
        full, faults = iter([True, True]), iter([True])
        real = desk.journal.requeue

        def requeue(batch: object) -> None:
            if next(full, False):
                raise JournalError("the disk of the journal is full")
            real(batch)  # type: ignore[arg-type]

        monkeypatch.setattr(desk.journal, "requeue", requeue)

        def refuse(_symbols: list[str]) -> None:
            if next(faults, False):
                raise RefusedError("57P01", "terminating connection")

        desk.database.before_commit = refuse
        desk.put(rows(5))
        eventually(desk.settled)
        assert desk.database.symbols == names(5)


def test_a_fault_nobody_foresaw_costs_no_row(open_desk: Open, eventually: Wait) -> None:
    """Given a writer that fails in its own code with a batch in hand, the batch goes to the next attempt."""
    with open_desk() as desk:
        faults = iter([True])

        def fail(_symbols: list[str]) -> None:
            if next(faults, False):
                raise ZeroDivisionError("a slip of the program")

        desk.database.before_commit = fail
        desk.put(rows(5))
        eventually(desk.settled)
        assert desk.database.symbols == names(5)
        assert desk.restarts() == 1


def test_a_writer_can_be_killed_as_a_demonstration(open_desk: Open, eventually: Wait) -> None:
    with open_desk() as desk:
        assert not WriterTask(desk.writer_stage, desk.stage.workers[0]).kill(), "there is no process yet"
        desk.put(rows(1))
        eventually(desk.settled)
        task = desk.stage.workers[0].task
        assert isinstance(task, WriterTask)
        assert desk.stage.workers[0].pid == desk.database.clients[0].pid
        assert task.kill()
        desk.put(rows(5, first=1))
        eventually(desk.settled)
        assert len(desk.database.clients) == 2


@pytest.mark.parametrize(
    ("failures", "jitter", "pause"), [(1, 1.0, 0.2), (1, 0.0, 0.1), (2, 1.0, 0.4), (99, 1.0, 2.0)]
)
def test_the_pause_before_the_database_is_tried_again(failures: int, jitter: float, pause: float) -> None:
    assert backoff_delay(failures, jitter) == pytest.approx(pause)


def test_a_storm_of_every_fault_loses_and_alters_nothing(
    open_desk: Open, eventually: Wait, rng: random.Random
) -> None:
    """Given 3 000 rows and up to six writers, when 150 faults strike, each row ends in the table or is buried."""
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

    with open_desk(4, batch=50) as desk:
        desk.database.before_commit = desk.database.after_commit = strike
        for start in range(0, 3000, 100):
            desk.put(rows(100, first=start))
            desk.stage.scale(rng.randint(1, 6))
        eventually(desk.settled)
        assert not faults
        assert set(desk.buried()) >= {"S100", "S2000"}
        assert desk.database.symbols | set(desk.buried()) == names(3000)
        assert desk.ledger().dead == len(desk.buried())
