"""Rows that no writer takes are spooled to the journal, whatever delays the writers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sp500tui.errors import JournalError
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.writer import spooler as spooler_module
from sp500tui.pipeline.writer.client import WriterDiedError
from sp500tui.pipeline.writer.spooler import must_spool
from tests.support.pipeline.fake_database import FakeClient
from tests.support.pipeline.rows import bad_row, row
from tests.support.pipeline.writer_harness import Open, WriterHarness
from tests.support.waiting import Wait


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the wait of rows from a second to a tenth of a second."""
    monkeypatch.setattr(spooler_module, "SPOOL_AGE", 0.1)
    monkeypatch.setattr(spooler_module, "_INTERVAL", 0.01)
    monkeypatch.setattr(spooler_module, "_IDLE_INTERVAL", 0.05)
    monkeypatch.setattr(spooler_module, "FULL_DISK_PAUSE", 0.01)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """Set by the test to let writers continue, and in any case at its end."""
    event = threading.Event()
    yield event
    event.set()


def found_by_the_next_start(harness: WriterHarness, folder: Path) -> int:
    """Number of rows that a program started after a `kill -9` now would find in the journal."""
    for number, segment in enumerate(harness.journal.segments()):
        (folder / f"copy-{number}{segment.path.suffix}").write_bytes(segment.path.read_bytes())
    journal = Journal(folder, LedgerCounters(), limit_bytes=1 << 24)
    try:
        return journal.open()
    finally:
        journal.close()


def has_spooled(harness: WriterHarness, rows: int) -> bool:
    return harness.ledger().spooled == rows


def hold_commits(harness: WriterHarness, go: threading.Event) -> None:
    def hold(_symbols: list[str]) -> None:
        assert go.wait(60)

    harness.database.before_commit = hold


def occupy_two_writers(harness: WriterHarness, eventually: Wait) -> None:
    """Put a batch for each of two writers; the second one only when the first writer prefetches nothing more."""
    for taken in (1, 2):
        harness.put([row(number) for number in range(10 * taken - 10, 10 * taken)])
        eventually(partial(has_batches, harness, taken))


def has_batches(harness: WriterHarness, count: int) -> bool:
    return len(harness.database.batches) == count


def test_rows_are_safe_while_every_writer_is_still_connecting(
    open_writers: Open, eventually: Wait, go: threading.Event, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connect = FakeClient.connect

    def late(self: FakeClient, timeout: float, cancelled: Callable[[], bool]) -> object:
        assert go.wait(60)
        return connect(self, timeout, cancelled)

    monkeypatch.setattr(FakeClient, "connect", late)
    with open_writers(3, spooling=True) as harness:
        harness.put([row(number) for number in range(25)])
        eventually(lambda: harness.ledger().spooled == 25)
        copy = tmp_path / "copy"
        copy.mkdir()
        assert found_by_the_next_start(harness, copy) == 25
        go.set()
        eventually(harness.settled)
        assert harness.ledger().stored == 25


def test_rows_are_safe_while_no_writer_process_can_be_started(
    open_writers: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_writers(2, away=True, spooling=True) as harness:
        client = harness.database.client

        def refuse(*_: object) -> object:
            raise WriterDiedError("cannot start a writer process: Resource temporarily unavailable")

        monkeypatch.setattr("sp500tui.pipeline.writer.worker.WriterClient", refuse)
        harness.health.ready.set()
        harness.put([row(number) for number in range(25)])
        eventually(lambda: harness.ledger().spooled == 25)
        monkeypatch.setattr("sp500tui.pipeline.writer.worker.WriterClient", client)
        eventually(harness.settled)
        assert harness.ledger().stored == 25


def test_rows_are_safe_while_every_writer_waits_for_an_answer(
    open_writers: Open, eventually: Wait, go: threading.Event
) -> None:
    with open_writers(2, batch=10, spooling=True) as harness:
        hold_commits(harness, go)
        occupy_two_writers(harness, eventually)
        harness.put([row(number) for number in range(20, 25)])
        eventually(lambda: harness.ledger().spooled == 5)
        assert harness.ledger().in_flight == 20, "the batches at the database stay with their writers"
        go.set()
        eventually(harness.settled)
        assert harness.ledger().stored == 25


def test_rows_that_waited_longest_are_committed_first(open_writers: Open, eventually: Wait) -> None:
    with open_writers(away=True, spooling=True) as harness:
        for number in range(5):
            harness.put([row(number)])
            eventually(partial(has_spooled, harness, number + 1))
        harness.health.ready.set()
        eventually(harness.settled)
        assert harness.database.batches == [[f"S{number}"] for number in range(5)]


@pytest.mark.parametrize(
    ("ready", "oldest_age", "idle_seconds", "down", "ending", "spooled"),
    [
        (0, None, 99.0, True, True, False),  # there is nothing
        (1, 0.09, 99.0, False, False, False),  # a writer may still take it
        (1, 0.11, 99.0, False, False, True),
        (
            100,
            60.0,
            0.09,
            False,
            False,
            False,
        ),  # the writers are only slow: the full queue delays the others
        (1, 0.09, 0.0, True, False, False),
        (1, 0.11, 0.0, True, False, True),
        (50, 0.0, 0.0, True, False, False),
        (51, 0.0, 0.0, True, False, True),  # the queue fills up
        (1, 0.0, 0.0, False, True, True),
    ],
)
def test_when_rows_are_spooled(
    ready: int, oldest_age: float | None, idle_seconds: float, down: bool, ending: bool, spooled: bool
) -> None:
    depth = Depth(ready, 0, 100, oldest_age)
    assert must_spool(depth, idle_seconds=idle_seconds, down=down, ending=ending) is spooled


def test_paused_writers_leave_the_rows_in_the_queue(open_writers: Open, eventually: Wait) -> None:
    with open_writers(spooling=True) as harness:
        harness.stage.pause()
        harness.put([row(1)])
        eventually(lambda: (harness.rows.depth().oldest_age or 0.0) > 0.5)
        assert harness.ledger().queued == 1
        harness.stage.resume()
        eventually(harness.settled)


def test_a_full_journal_leaves_the_rows_in_the_queue(open_writers: Open, eventually: Wait) -> None:
    with open_writers(away=True, spooling=True, journal_limit=1) as harness:
        harness.put([row(1)])
        eventually(lambda: harness.ledger().spooled == 1)  # one batch is always accepted
        harness.put([row(2)])
        eventually(lambda: harness.journal.snapshot().health is Health.DOWN)
        assert "has reached its limit" in harness.journal.snapshot().message
        eventually(lambda: harness.ledger().queued == 1)
        assert harness.spooler.thread.failures == 0
        harness.health.ready.set()
        eventually(harness.settled)
        assert harness.ledger().stored == 2


def test_a_row_that_cannot_be_encoded_does_not_hold_up_the_others(
    open_writers: Open, eventually: Wait
) -> None:
    with open_writers(away=True, spooling=True) as harness:
        harness.put([row(1), bad_row(2), row(3)])
        eventually(lambda: (harness.ledger().spooled, harness.ledger().dead) == (2, 1))


def test_rows_that_abandoned_writers_have_left_are_spooled_at_the_end(open_writers: Open) -> None:
    with open_writers(away=True) as harness:
        harness.put([row(number) for number in range(25)])
        harness.spooler.close()
        assert harness.ledger().spooled == 25


def test_a_disk_that_is_full_at_the_end_is_an_error(
    open_writers: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise JournalError("the disk of the journal is full")

    with open_writers(away=True) as harness:
        harness.put([row(1)])
        with monkeypatch.context() as patch:
            patch.setattr(harness.journal, "spool", full)
            with pytest.raises(JournalError):
                harness.spooler.close()
        assert harness.ledger().queued == 1


def test_a_writer_does_not_leave_batches_that_were_spooled_behind_it(
    open_writers: Open, eventually: Wait, go: threading.Event
) -> None:
    """Given a closed queue, when its last rows are spooled instead of taken by a writer, they are committed."""
    with open_writers(2, batch=10, spooling=True) as harness:
        hold_commits(harness, go)
        occupy_two_writers(harness, eventually)
        harness.put([row(20)])
        harness.rows.close()
        harness.stage.begin_shutdown()
        eventually(lambda: harness.ledger().spooled == 1)
        go.set()
        eventually(lambda: not harness.stage.workers)
        assert harness.ledger().stored == 21
