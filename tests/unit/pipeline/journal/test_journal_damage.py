"""Journal files cut or changed while they are open: the damage is named and counted, the rest is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sp500tui.errors import DatabaseError, JournalError
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.journal.segment import SUFFIX
from sp500tui.storage.batch_codec import encode_records
from sp500tui.storage.errors import is_bad_row
from tests.support.pipeline.rows import symbols_of
from tests.unit.pipeline.journal.test_journal import accept, crash, settled


class Shelf:
    """A journal with three batches on the disk and its dead letters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journal"
        self.letters = DeadLetters(folder / "dead-letters.jsonl")
        self.start()
        batches = [accept(self.journal, self.counters, 10 * number, 2) for number in range(3)]
        # The first is read first again.
        for batch in reversed(batches):
            self.journal.requeue(batch)

    def start(self) -> int:
        self.counters = LedgerCounters()
        self.journal = Journal(self.folder, self.counters, limit_bytes=1 << 20, dead_letters=self.letters)
        return self.journal.open()

    @property
    def file(self) -> Path:
        (path,) = self.folder.glob(f"*{SUFFIX}")
        return path

    def balanced(self) -> bool:
        with self.counters.lock:
            return (
                self.counters.fetched
                == sum(settled(self.counters)) + self.journal.in_progress + self.journal.spooled
            )

    def takes(self) -> list[list[str | None]]:
        """Take and settle all batches."""
        taken = []
        while (batch := self.journal.take_pending()) is not None:
            assert self.balanced()
            taken.append(symbols_of(batch.payload))
            self.journal.complete(batch, stored=batch.rows, dead=0)
        return taken


def change_first(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(40)
        file.write(b"?")


def cut_last(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def empty(path: Path) -> None:
    os.truncate(path, 0)


ALL = [["S0", "S1"], ["S10", "S11"], ["S20", "S21"]]


@pytest.mark.parametrize(
    ("harm", "left"),
    [(change_first, ALL[1:]), (cut_last, ALL[:-1]), (empty, [])],
)
def test_a_damaged_batch_is_quarantined_and_the_others_are_written(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path], None],
    left: list[list[str | None]],
) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.file
    harm(path)

    assert shelf.takes() == left

    dead = 6 - 2 * len(left)
    assert settled(shelf.counters) == (2 * len(left), 0, dead)
    assert (shelf.journal.in_progress, shelf.journal.spooled, shelf.journal.has_pending) == (0, 0, False)
    reasons = [letter.reason for letter in shelf.letters.listing()]
    assert len(reasons) == dead // 2
    assert all(path.name in reason and "2 rows are unreadable in the journal" in reason for reason in reasons)
    assert f"the file is kept as {path.with_suffix('.damaged').name}" in caplog.text
    shelf.journal.close()
    assert [kept.suffix for kept in shelf.folder.iterdir()] == [".damaged"]


def test_a_file_damaged_while_in_use_accepts_further_batches(tmp_path: Path) -> None:
    """Given a file that is truncated while it is open, when the program is killed, later batches are replayed."""
    shelf = Shelf(tmp_path)
    empty(shelf.file)
    assert shelf.takes() == []
    accept(shelf.journal, shelf.counters, 30, 2)
    crash(shelf.journal)

    assert shelf.start() == 2
    assert shelf.takes() == [["S30", "S31"]]
    shelf.journal.close()
    assert [kept.suffix for kept in shelf.folder.iterdir()] == [".damaged"]


def test_a_quarantined_batch_of_an_earlier_run_is_not_part_of_the_equation(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    crash(shelf.journal)
    assert shelf.start() == 6
    change_first(shelf.file)

    assert shelf.takes() == ALL[1:]

    assert settled(shelf.counters) == (0, 0, 0)
    assert (shelf.journal.snapshot().replayed, shelf.journal.snapshot().replay_left) == (4, 0)
    assert len(shelf.letters.listing()) == 1


@pytest.mark.parametrize("fault", ["read", "letter"])
def test_a_batch_that_cannot_be_read_now_goes_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Given a batch that cannot be read, or whose dead letter cannot be written, no row is lost."""
    shelf = Shelf(tmp_path)
    real = os.pread

    def sick(fd: int, length: int, at: int) -> bytes:
        if at == 0:
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, length, at)

    def full(_letters: object) -> None:
        raise JournalError("cannot write the dead letters: No space left on device")

    with monkeypatch.context() as fails:
        if fault == "read":
            fails.setattr(os, "pread", sick)
        else:
            change_first(shelf.file)
            fails.setattr(shelf.letters, "add", full)
        with pytest.raises(JournalError):
            shelf.takes()
        with pytest.raises(JournalError):
            shelf.takes()
        assert settled(shelf.counters) == (4, 0, 0), "the others are stored"
        assert (shelf.journal.in_progress, shelf.journal.spooled) == (0, 2)

    assert shelf.takes() == (ALL[:1] if fault == "read" else [])
    assert shelf.balanced()
    assert len(shelf.letters.listing()) == (0 if fault == "read" else 1)


def test_the_dead_letter_of_an_unreadable_batch_stays_after_a_replay() -> None:
    """It has no row to replay: the codec rejects it as a bad row, and the reason remains readable."""
    letter = DeadLetter.of({}, "3 rows are unreadable in the journal", None)
    with pytest.raises(DatabaseError) as refused:
        encode_records([letter.row])
    assert is_bad_row(refused.value.sqlstate or "")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_removed_while_in_use_is_replaced_by_a_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """Its contents can still be read, and later batches survive a crash."""
    shelf = Shelf(tmp_path)
    shelf.file.unlink()
    if what == "folder":
        shelf.folder.rmdir()

    accept(shelf.journal, shelf.counters, 30, 2)

    assert "was removed; starting a new one" in caplog.text
    assert shelf.takes() == ALL
    crash(shelf.journal)
    assert shelf.start() == 2
    assert shelf.takes() == [["S30", "S31"]]
