"""The journal: every batch of rows is on disk before a writer gets it, and gone after its commit.

It is also where rows wait while the database is away, and what the next start replays.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sp500tui.errors import JournalError
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.metrics import LedgerCounters
from sp500tui.pipeline.core.queue import Lease
from sp500tui.pipeline.core.snapshot import Health, JournalSnapshot
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.journal.segment import Segment, UnreadableError, orphaned_segments
from sp500tui.storage import batch_codec

_log = logging.getLogger(__name__)

_ROTATE_ABOVE = 32 << 20
"""Bytes of a file after which a new one is begun, so that a busy journal does not grow for ever."""


@dataclass(slots=True, eq=False)
class Batch:
    """Rows on their way to the database, in one writer's hand."""

    number: int
    payload: bytes
    """As `storage.rows.encode` made it."""
    rows: int
    segment: Segment
    replayed: bool
    """Whether an earlier run fetched them: they are no part of this run's equation."""
    quotes: Sequence[ConvertedQuote] = ()
    """The rows themselves; empty when the batch was read back from the disk."""
    crashes: int = 0
    """How many writer processes died with it."""
    on_disk: bool = True


@dataclass(slots=True)
class _Waiting:
    """Batches on disk that no writer holds, oldest first."""

    batches: deque[tuple[Segment, int, bool]] = field(default_factory=deque)
    rows: int = 0
    """Of this run."""
    replay_rows: int = 0
    """Of earlier runs, those in a writer's hand included."""


class Journal:
    """Owns the files and knows of every row between the rows queue and the commit where it is."""

    def __init__(
        self,
        folder: Path,
        counters: LedgerCounters,
        *,
        limit_bytes: int,
        write_ahead: bool = True,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        """`dead_letters`: where a batch that cannot be read back is named; without, only the log names it."""
        self._folder = folder
        self._books = counters
        self._limit = limit_bytes
        self._write_ahead = write_ahead
        self._numbers = itertools.count(1)
        self._own: Segment | None = None
        self._own_lock = threading.Lock()
        self._retired: list[Segment] = []
        self._recovered: list[Segment] = []
        self._waiting = _Waiting()
        self._crashes: dict[tuple[Path, int], int] = {}
        self._dead_letters = dead_letters
        self._in_progress = 0
        self._replayed = 0
        self._trouble = ""
        self._rejected_bytes = 0
        """Bytes of the batch that was last refused because of the limit."""

    def open(self) -> int:
        """Take over what dead processes left; returns how many rows will be replayed.

        Raises:
            JournalError: the folder cannot be made or read.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise JournalError(f"cannot make the journal folder {self._folder}: {error.strerror}") from error
        found = 0
        for segment in orphaned_segments(self._folder):
            if segment.damaged:
                _log.warning(
                    "the journal file %s is damaged; what is readable will be replayed", segment.path.name
                )
            if not segment.open_batches:
                segment.close()
                continue
            rows = sum(record.rows for record in segment.open_batches.values())
            with self._books.lock:
                self._recovered.append(segment)
                self._waiting.batches.extend((segment, number, True) for number in segment.open_batches)
                self._waiting.replay_rows += rows
            found += rows
        return found

    def accept(
        self,
        lease: Lease[ConvertedQuote],
        rows: Sequence[ConvertedQuote],
        payload: bytes,
    ) -> Batch | None:
        """Take rows over from the queue: on disk first, then acknowledged. None when the lease was lost.

        Raises:
            JournalError: the disk is full or fails, or the journal's limit is reached; the lease stays open.
        """
        segment, number = self._segment(), next(self._numbers)
        if self._write_ahead:
            self._check_limit(len(payload))
            self._append(segment, number, len(rows), payload)
        with self._books.lock:
            if lease.ack():
                self._in_progress += len(rows)
                return Batch(
                    number, payload, len(rows), segment, False, tuple(rows), on_disk=self._write_ahead
                )
        if self._write_ahead:
            segment.done(number)
        return None

    def dead_letter(
        self, lease: Lease[ConvertedQuote], survivors: Sequence[ConvertedQuote], dead: int
    ) -> None:
        """Take `dead` rows, which are dead letters now, out of the queue; the `survivors` go back to it."""
        with self._books.lock:
            if lease.release(survivors):
                self._books.count_written(0, 0, dead)

    def split(self, batch: Batch, pieces: Sequence[bytes], *, crashes: int) -> None:
        """Put a batch back as several smaller ones, those of many rows already charged with `crashes`.

        Raises:
            JournalError: the disk takes no more; the batch stays whole and in hand.
        """
        segment = self._segment()
        written: list[tuple[int, int]] = []
        try:
            for piece in pieces:
                number, rows = next(self._numbers), batch_codec.count(piece)
                self._append(segment, number, rows, piece)
                written.append((number, rows))
        except JournalError:
            for number, _ in written:
                segment.done(number)
            raise
        with self._books.lock:
            for number, rows in written:
                # A row that stands alone is judged by its own crashes: it may be the victim of its neighbour.
                self._crashes[segment.path, number] = crashes if rows > 1 else 0
                self._requeue_batch(segment, number, rows, batch.replayed)
            self._crashes.pop((batch.segment.path, batch.number), None)
        if batch.on_disk:
            batch.segment.done(batch.number)
        self._sweep(batch.segment)

    def _segment(self) -> Segment:
        with self._own_lock:
            if self._own is None:
                self._own = Segment.create(self._folder)
            elif self._own.removed:
                _log.error("somebody has removed the journal file %s; a new one is begun", self._own.path)
                # Where the folder cannot be made either, making the file says so.
                with suppress(OSError):
                    self._folder.mkdir(parents=True, mode=0o700)
                self._own = self._after(self._own)
            elif self._own.size > _ROTATE_ABOVE:
                # Only those retired at an earlier turn are closed: a writer may still append to the last one.
                for segment in [old for old in self._retired if not old.open_batches]:
                    self._retired.remove(segment)
                    segment.close()
                self._own = self._after(self._own)
            return self._own

    def _after(self, last: Segment) -> Segment:
        following = Segment.create(self._folder)
        self._retired.append(last)
        return following

    def _segments(self) -> list[Segment]:
        return [*self._recovered, *self._retired, *([self._own] if self._own else [])]

    def _check_limit(self, more: int) -> None:
        if self._is_beyond_limit(more):
            self._rejected_bytes = more
            raise JournalError(self._limit_message())

    def _is_beyond_limit(self, more: int) -> bool:
        held = sum(segment.open_bytes for segment in self._segments())
        return bool(held) and held + more > self._limit

    def _limit_message(self) -> str:
        return f"the journal has reached its limit of {self._limit / 1e6:,.0f} MB: intake waits"

    def _append(self, segment: Segment, number: int, rows: int, payload: bytes) -> None:
        try:
            segment.append(number, rows, payload)
        except JournalError as error:
            self._trouble = str(error)
            raise
        self._trouble = ""

    def take_pending(self) -> Batch | None:
        """The oldest batch that waits on disk, for a writer; None when none does.

        One that was damaged on the disk is set aside as a dead letter, and the next is taken.

        Raises:
            JournalError: the disk cannot be read, or a dead letter not be written, now; others come first then.
        """
        while True:
            with self._books.lock:
                if not self._waiting.batches:
                    return None
                segment, number, replayed = self._waiting.batches.popleft()
                batch = Batch(number, b"", segment.open_batches[number].rows, segment, replayed)
                if not replayed:
                    self._waiting.rows -= batch.rows
                    self._in_progress += batch.rows
            try:
                batch.payload = segment.read(number)
            except UnreadableError as damage:
                self._quarantine(batch, damage)
            except JournalError:
                self._rotate_to_end(batch)
                raise
            else:
                batch.crashes = self._crashes.get((segment.path, number), 0)
                return batch

    def _quarantine(self, batch: Batch, damage: UnreadableError) -> None:
        """Count an unreadable batch's rows as dead, with one letter for all of them, and keep its file."""
        reason = f"{batch.rows:,} rows are unreadable in the journal: {damage}"
        try:
            if self._dead_letters is not None:
                self._dead_letters.add([DeadLetter.of({}, reason, None)])
        except JournalError:
            self._rotate_to_end(batch)
            raise
        _log.error("%s; the file is kept as %s", reason, batch.segment.keep().name)
        self.complete(batch, stored=0, dead=batch.rows)

    def _rotate_to_end(self, batch: Batch) -> None:
        with self._books.lock:
            self._requeue_batch(batch.segment, batch.number, batch.rows, batch.replayed)
            self._waiting.batches.rotate(-1)

    def _requeue_batch(self, segment: Segment, number: int, rows: int, replayed: bool) -> None:
        self._waiting.batches.appendleft((segment, number, replayed))
        if not replayed:
            self._in_progress -= rows
            self._waiting.rows += rows

    def requeue(self, batch: Batch) -> None:
        """A writer could not commit it: it waits on disk for the next.

        Raises:
            JournalError: the journal is off, and the batch cannot be put on the disk now; it stays in hand.
        """
        if not batch.on_disk:
            self._append(batch.segment, batch.number, batch.rows, batch.payload)
            batch.on_disk = True
        if batch.crashes:
            self._crashes[batch.segment.path, batch.number] = batch.crashes
        with self._books.lock:
            self._requeue_batch(batch.segment, batch.number, batch.rows, batch.replayed)

    def complete(self, batch: Batch, *, stored: int, dead: int) -> None:
        """It is committed: `stored` rows were new, `dead` were refused for good, the others known already."""
        with self._books.lock:
            if batch.replayed:
                self._waiting.replay_rows -= batch.rows
                self._replayed += batch.rows - dead
            else:
                self._in_progress -= batch.rows
                self._books.count_written(stored, batch.rows - stored - dead, dead)
            self._crashes.pop((batch.segment.path, batch.number), None)
        if batch.on_disk:
            batch.segment.done(batch.number)
        self._sweep(batch.segment)

    def _sweep(self, segment: Segment) -> None:
        """Close an earlier run's file when it holds no open batch any more."""
        with self._books.lock:
            finished = segment in self._recovered and not segment.open_batches
            if finished:
                self._recovered.remove(segment)
        if finished:
            segment.close()

    @property
    def accepts_when_down(self) -> bool:
        """Rows are brought here while the database is away: in this program's memory they would not be safe."""
        return True

    @property
    def has_pending(self) -> bool:
        """Whether batches wait on disk for a writer."""
        return bool(self._waiting.batches)

    @property
    def in_progress(self) -> int:
        """Rows of this run in the writers' hands. Exact while the books' lock is held."""
        return self._in_progress

    @property
    def spooled(self) -> int:
        """Rows of this run that wait on disk. Exact while the books' lock is held."""
        return self._waiting.rows

    def snapshot(self) -> JournalSnapshot:
        """How much lies on disk."""
        with self._books.lock:
            segments = self._segments()
            batches = sum(len(segment.open_batches) for segment in segments)
            size = sum(segment.open_bytes for segment in segments)
            rows = self._waiting.rows + self._waiting.replay_rows
            replayed, left = self._replayed, self._waiting.replay_rows
            if self._rejected_bytes and not self._is_beyond_limit(self._rejected_bytes):
                self._rejected_bytes = 0
            trouble = self._trouble or (self._limit_message() if self._rejected_bytes else "")
        health = Health.DOWN if trouble else Health.DEGRADED if self._waiting.rows else Health.OK
        message = trouble or (
            f"{self._waiting.rows:,} rows wait in the journal for the database" if self._waiting.rows else ""
        )
        return JournalSnapshot(health, message, batches, rows, size, self._limit, replayed, left)

    def close(self) -> None:
        """Close every file; those with open batches stay for the next start."""
        with self._books.lock:
            segments = self._segments()
            self._recovered.clear()
            self._retired.clear()
            self._own = None
        for segment in segments:
            segment.close()
