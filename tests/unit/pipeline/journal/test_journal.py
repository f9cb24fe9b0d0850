"""The journal: rows move from the queue to the disk to the database, and every row is counted once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sp500tui.errors import JournalError
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.pipeline.journal import journal as journal_module
from sp500tui.pipeline.journal import segment as segment_module
from sp500tui.pipeline.journal.journal import Batch, Journal
from sp500tui.pipeline.journal.segment import orphaned_segments
from sp500tui.storage import batch_codec as rowcodec
from tests.support.pipeline.rows import leased, row, symbols_of
from tests.unit.pipeline.journal.test_segment import abandon, no_space

MEGABYTE = 1 << 20


def new_journal(
    folder: Path, *, write_ahead: bool = True, limit: int = MEGABYTE
) -> tuple[Journal, LedgerCounters]:
    counters = LedgerCounters()
    journal = Journal(folder, counters, limit_bytes=limit, write_ahead=write_ahead)
    return journal, counters


def accept(journal: Journal, counters: LedgerCounters, first: int, count: int) -> Batch:
    rows = [row(number) for number in range(first, first + count)]
    batch = journal.accept(leased(counters, rows), rowcodec.encode(rows))
    assert batch is not None
    return batch


def crash(journal: Journal) -> None:
    """Abandon the files like a killed process."""
    for segment in journal.segments():
        abandon(segment)


def settled(counters: LedgerCounters) -> tuple[int, int, int]:
    return counters.stored, counters.duplicate, counters.dead


def test_an_accepted_batch_is_on_disk_and_in_progress(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path / "journal")
    assert journal.open() == 0

    batch = accept(journal, counters, 1, 3)

    assert batch.segment is not None
    assert (journal.in_progress, journal.spooled, journal.has_pending) == (3, 0, False)
    assert journal.snapshot().batches == 1
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700


def test_a_completed_batch_leaves_no_trace(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path)
    batch = accept(journal, counters, 1, 5)

    journal.complete(batch, stored=3, dead=1)

    assert settled(counters) == (3, 1, 1)
    assert journal.in_progress == 0
    journal.close()
    assert not list(tmp_path.iterdir())


def test_a_released_batch_waits_for_the_next_writer(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path)
    batch = accept(journal, counters, 1, 2)
    batch.crashes = 2

    journal.requeue(batch)

    assert (journal.in_progress, journal.spooled, journal.has_pending) == (0, 2, True)
    assert journal.snapshot().health is Health.DEGRADED
    again = journal.take_pending()
    assert again is not None
    assert (again.payload, again.crashes, again.replayed) == (batch.payload, 2, False)
    assert (journal.in_progress, journal.spooled) == (2, 0)
    assert journal.take_pending() is None


def test_a_lost_lease_leaves_nothing_behind(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path)
    lease = leased(counters, [row(1)])
    lease.release()

    assert journal.accept(lease, rowcodec.encode([row(1)])) is None

    assert journal.in_progress == 0
    assert journal.snapshot().batches == 0


def test_dead_lettered_rows_leave_the_queue_and_the_others_stay(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path)
    lease = leased(counters, [row(1), row(2), row(3)])

    journal.dead_letter(lease, [row(2)], 2)

    assert counters.dead == 2
    assert lease.queue.depth().ready == 1
    journal.dead_letter(lease, [], 3)
    assert counters.dead == 2, "the lease was over"


def test_rows_of_a_dead_program_are_replayed_and_counted_separately(tmp_path: Path) -> None:
    before, old_counters = new_journal(tmp_path)
    accept(before, old_counters, 1, 3)
    before.complete(accept(before, old_counters, 10, 4), stored=4, dead=0)
    crash(before)

    journal, counters = new_journal(tmp_path)
    assert journal.open() == 3
    batch = journal.take_pending()

    assert batch is not None
    assert batch.replayed
    assert symbols_of(batch.payload) == ["S1", "S2", "S3"]
    assert (journal.in_progress, journal.spooled) == (0, 0), "they are no part of this run's equation"
    assert journal.snapshot().replay_left == 3
    journal.complete(batch, stored=1, dead=0)
    assert settled(counters) == (0, 0, 0)
    assert (journal.snapshot().replayed, journal.snapshot().replay_left) == (3, 0)
    assert not list(tmp_path.iterdir()), "the file goes with its last batch"


@pytest.mark.parametrize("foreign", [b"trades\n{1,2}\n{3,4}", b"{1,2}\n{3,4}"], ids=["table", "columns"])
def test_rows_that_another_version_has_written_are_left_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, foreign: bytes
) -> None:
    # given the journal of a version that writes other tables or columns, followed by rows of this version
    before, old_counters = new_journal(tmp_path)
    journal_of_later = segment_module.Segment.create(tmp_path)
    journal_of_later.append(1, 2, foreign)
    accept(before, old_counters, 1, 3)
    crash(before)
    abandon(journal_of_later)

    # when this version replays them
    journal, counters = new_journal(tmp_path)
    assert journal.open() == 5
    batch = journal.take_pending()
    while batch is not None:
        assert symbols_of(batch.payload) == ["S1", "S2", "S3"]
        journal.complete(batch, stored=3, dead=0)
        batch = journal.take_pending()

    # then its own rows are stored, and the others stay in their file, which is named
    snapshot = journal.snapshot()
    assert (snapshot.replayed, snapshot.replay_left, snapshot.rows) == (3, 0, 0)
    assert not journal.has_pending
    assert settled(counters) == (0, 0, 0)
    assert f"2 rows in the journal file {journal_of_later.path.name}" in caplog.text
    journal.close()
    assert list(tmp_path.iterdir()) == [journal_of_later.path]
    (kept,) = orphaned_segments(tmp_path)
    assert kept.read(1) == foreign


def test_rows_that_wait_for_another_database_are_found(tmp_path: Path) -> None:
    # given what runs on two other databases left, and one that is running
    for name, rows in (("other", 3), ("other-bars", 2), ("own", 4)):
        journal, counters = new_journal(tmp_path / name)
        journal.open()
        accept(journal, counters, 0, rows)
        crash(journal)
    running, counters = new_journal(tmp_path / "running")
    running.open()
    accept(running, counters, 0, 5)
    # when a run with its own database looks for them
    own, _ = new_journal(tmp_path / "own")
    # then it finds those of dead programs, with the folder in which it would replay them
    expected = [
        (tmp_path / "other", 3, tmp_path / "own"),
        (tmp_path / "other-bars", 2, tmp_path / "own-bars"),
    ]
    assert own.left_elsewhere() == expected
    # and they are still there for a run with their database
    assert own.left_elsewhere() == expected
    assert new_journal(tmp_path / "other")[0].open() == 3


def test_a_replayed_batch_that_fails_waits_again(tmp_path: Path) -> None:
    before, old_counters = new_journal(tmp_path)
    accept(before, old_counters, 1, 3)
    crash(before)
    journal, _ = new_journal(tmp_path)
    journal.open()
    batch = journal.take_pending()
    assert batch is not None

    journal.requeue(batch)

    assert journal.snapshot().replay_left == 3
    assert journal.has_pending
    assert journal.spooled == 0


def test_damage_is_reported_and_the_rest_is_replayed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, counters = new_journal(tmp_path)
    accept(before, counters, 1, 1)
    accept(before, counters, 2, 1)
    (path,) = tmp_path.iterdir()
    crash(before)
    with path.open("r+b") as file:
        file.seek(30)
        file.write(b"?")

    journal, _ = new_journal(tmp_path)

    assert journal.open() == 1
    assert "is damaged; its readable batches will be replayed" in caplog.text


def test_an_empty_file_of_an_earlier_run_is_removed(tmp_path: Path) -> None:
    before, counters = new_journal(tmp_path)
    before.complete(accept(before, counters, 1, 1), stored=1, dead=0)
    crash(before)
    journal, _ = new_journal(tmp_path)
    assert journal.open() == 0
    assert not list(tmp_path.iterdir())


def test_two_programs_share_a_folder_and_leave_each_other_alone(tmp_path: Path) -> None:
    one, books_one = new_journal(tmp_path)
    accept(one, books_one, 1, 2)
    two, books_two = new_journal(tmp_path)
    assert two.open() == 0
    accept(two, books_two, 5, 1)
    crash(one)

    three, _ = new_journal(tmp_path)

    assert three.open() == 2


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_full_disk_leaves_the_rows_in_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    journal, counters = new_journal(tmp_path)
    lease = leased(counters, [row(1)])
    with monkeypatch.context() as full:
        full.setattr(os, call, no_space)
        with pytest.raises(JournalError, match="is full"):
            journal.accept(lease, rowcodec.encode([row(1)]))

    assert lease.open
    assert journal.in_progress == 0
    assert journal.snapshot().health is Health.DOWN
    assert "is full" in journal.snapshot().message
    batch = journal.accept(lease, rowcodec.encode([row(1)]))
    assert batch is not None
    assert journal.snapshot().health is Health.OK


def test_after_a_failed_sync_batches_go_to_a_new_file_and_no_files_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a batch on disk
    journal, counters = new_journal(tmp_path)
    accept(journal, counters, 1, 1)
    lease = leased(counters, [row(2)])

    # when the disk fails repeatedly, and then works
    with monkeypatch.context() as full:
        full.setattr(os, "fdatasync", no_space)
        for _ in range(5):
            with pytest.raises(JournalError, match="is full"):
                journal.accept(lease, rowcodec.encode([row(2)]))
    assert journal.accept(lease, rowcodec.encode([row(2)])) is not None

    # then the two batches are in two files, in addition to the last one, which failed
    assert len(list(tmp_path.iterdir())) <= 3
    assert journal.snapshot().batches == 2
    crash(journal)
    found = list(orphaned_segments(tmp_path))
    assert sum(len(segment.open_batches) for segment in found) == 2


def test_the_limit_holds_rows_back_until_there_is_room(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path, limit=500)
    first = accept(journal, counters, 1, 3)
    lease = leased(counters, [row(9)])
    with pytest.raises(JournalError, match="has reached its limit of 0 MB: intake waits"):
        journal.accept(lease, rowcodec.encode([row(9)] * 5))
    assert journal.snapshot().health is Health.DOWN

    journal.complete(first, stored=3, dead=0)

    assert journal.snapshot().health is Health.OK, "there is room again, whether or not it is used"
    assert journal.accept(lease, rowcodec.encode([row(9)])) is not None


def test_a_split_batch_waits_as_parts_in_order(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path)
    batch = accept(journal, counters, 1, 4)
    first, rest = rowcodec.split(batch.payload)
    second, third = rowcodec.split(rest)

    journal.split(batch, [first, second, third], crashes=2)

    assert (journal.in_progress, journal.spooled) == (0, 4)
    pieces = list(iter(journal.take_pending, None))
    assert {(tuple(symbols_of(p.payload)), p.crashes) for p in pieces} == {
        (("S1", "S2"), 2),
        (("S3",), 0),
        (("S4",), 0),
    }, "the crash count of a single row starts at zero"
    for piece in pieces:
        journal.complete(piece, stored=piece.rows, dead=0)
    assert counters.stored == 4
    journal.close()
    assert not list(tmp_path.iterdir())


def test_a_batch_that_cannot_be_split_on_a_full_disk_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, counters = new_journal(tmp_path)
    batch = accept(journal, counters, 1, 2)
    real, turns = segment_module.Segment.append, iter((True, False))

    def once(self: segment_module.Segment, number: int, rows: int, payload: bytes) -> None:
        if not next(turns):
            raise JournalError("full")
        real(self, number, rows, payload)

    with monkeypatch.context() as full:
        full.setattr(segment_module.Segment, "append", once)
        with pytest.raises(JournalError, match="full"):
            journal.split(batch, rowcodec.split(batch.payload), crashes=2)

    assert (journal.in_progress, journal.spooled) == (2, 0)
    assert journal.snapshot().batches == 1, "no piece is left on the disk"


def test_without_write_ahead_rows_reach_the_disk_only_when_no_writer_takes_them(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path, write_ahead=False)
    batch = accept(journal, counters, 1, 2)
    assert journal.snapshot().bytes == 0

    journal.requeue(batch)

    assert journal.snapshot().rows == 2
    again = journal.take_pending()
    assert again is not None
    assert again.payload == batch.payload


def test_without_write_ahead_a_batch_that_the_disk_refuses_stays_in_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, counters = new_journal(tmp_path, write_ahead=False)
    batch = accept(journal, counters, 1, 2)
    monkeypatch.setattr(os, "pwrite", no_space)
    with pytest.raises(JournalError):
        journal.requeue(batch)
    assert (journal.in_progress, journal.spooled) == (2, 0)


def test_without_the_journal_a_batch_reaches_the_disk_however_many_files_were_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a batch held by a writer, and others that fill two files and are committed
    monkeypatch.setattr(journal_module, "_ROTATE_ABOVE", 100)
    journal, counters = new_journal(tmp_path, write_ahead=False)
    batch = accept(journal, counters, 1, 2)
    for number in range(3, 6):
        journal.requeue(accept(journal, counters, number, 1))
        other = journal.take_pending()
        assert other is not None
        journal.complete(other, stored=1, dead=0)

    # when it is available again
    journal.requeue(batch)

    # then it waits on the disk
    assert journal.snapshot().rows == 2
    again = journal.take_pending()
    assert again is not None
    assert again.payload == batch.payload


def test_a_batch_that_cannot_be_read_now_stays_pending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, counters = new_journal(tmp_path)
    journal.requeue(accept(journal, counters, 1, 2))

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as sick:
        sick.setattr(os, "pread", broken)
        with pytest.raises(JournalError, match=r"batch 1 of .* cannot be read: Input/output"):
            journal.take_pending()

    assert (journal.in_progress, journal.spooled) == (0, 2)
    assert journal.take_pending() is not None


def test_a_long_file_is_followed_by_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_ROTATE_ABOVE", 100)
    journal, counters = new_journal(tmp_path)
    batches = [accept(journal, counters, number, 1) for number in range(4)]
    assert len(list(tmp_path.iterdir())) == 4

    for batch in batches:
        journal.complete(batch, stored=1, dead=0)
    accept(journal, counters, 9, 1)

    assert len(list(tmp_path.iterdir())) == 2, "one that is written, one that may still be"
    assert journal.snapshot().rows == 0
    assert journal.snapshot().batches == 1


def test_the_creation_of_a_file_is_retried_and_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_ROTATE_ABOVE", 100)
    journal, counters = new_journal(tmp_path)
    accept(journal, counters, 1, 1)
    held = journal.snapshot().bytes

    def full(_folder: Path) -> segment_module.Segment:
        raise JournalError("cannot write the journal: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(segment_module.Segment, "create", full)
        for _ in range(2):
            with pytest.raises(JournalError, match="No space left"):
                accept(journal, counters, 2, 1)

    assert journal.snapshot().bytes == held
    accept(journal, counters, 3, 1)
    assert journal.snapshot().batches == 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal, _ = new_journal(tmp_path / "file" / "journal")
    with pytest.raises(JournalError, match=r"cannot create the journal folder .*file/journal"):
        journal.open()


def test_closing_keeps_pending_batches_for_the_next_start(tmp_path: Path) -> None:
    journal, counters = new_journal(tmp_path)
    journal.requeue(accept(journal, counters, 1, 2))
    accept(journal, counters, 5, 1)
    journal.close()

    after, _ = new_journal(tmp_path)

    assert after.open() == 3
