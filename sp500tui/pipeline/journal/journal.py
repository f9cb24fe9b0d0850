"""Write-ahead journal: every batch is on disk before a writer sends it and is removed after its commit.

Rows are spooled here while the database is down, and replayed by the next start.
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
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.queue import Lease
from sp500tui.pipeline.core.snapshot import Health, JournalSnapshot
from sp500tui.pipeline.core.timing.accounting import DepthAccount
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.journal.segment import Segment, UnreadableError, describe, orphaned_segments, rows_left
from sp500tui.storage import batch_codec

_log = logging.getLogger(__name__)

_ROTATE_ABOVE = 32 << 20
"""File size in bytes above which a new segment is begun, so that the old one can be removed."""


@dataclass(slots=True, eq=False)
class Batch:
    """Rows that one writer is committing."""

    number: int
    payload: bytes
    """The rows as `storage.batch_codec.encode` encodes them."""
    rows: int
    segment: Segment | None
    """The file that holds the rows; None while they are only in memory."""
    replayed: bool
    """Whether an earlier run fetched the rows; they are not part of this run's conservation equation."""
    quotes: Sequence[ConvertedQuote] = ()
    """The rows themselves; empty when the batch was read back from disk."""
    crashes: int = 0
    """How many writer processes died while they held it."""
    has_waited: bool = False
    """Whether it has waited in the journal, for the database or for another writer."""


@dataclass(slots=True)
class _PendingBatches:
    """Batches on disk that no writer holds, oldest first, and their numbers of rows."""

    batches: deque[tuple[Segment, int, bool]] = field(default_factory=deque)
    rows: int = 0
    """Rows of this run."""
    replay_rows: int = 0
    """Rows of earlier runs, including those that a writer is committing."""


class Journal:
    """Implements `BatchStore` on disk, and counts every row between the rows queue and the commit."""

    def __init__(
        self,
        folder: Path,
        counters: LedgerCounters,
        *,
        limit_bytes: int,
        write_ahead: bool = True,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        """`dead_letters`: where a batch that cannot be read back is recorded, in addition to the log."""
        self.folder = folder
        """The folder of the segment files."""
        self._counters = counters
        self._limit = limit_bytes
        self._write_ahead = write_ahead
        self._numbers = itertools.count(1)
        self._active: Segment | None = None
        self._active_lock = threading.Lock()
        self._retired: list[Segment] = []
        self._recovered: list[Segment] = []
        self._pending = _PendingBatches()
        self._crashes: dict[tuple[Path, int], int] = {}
        self._dead_letters = dead_letters
        self._in_progress = 0
        self.account = DepthAccount(counters.lock)
        """Its waiting rows and those in progress, integrated over time."""
        self._replayed = 0
        self._waited_in_progress = 0
        """Rows of this run that have waited here and that writers are committing."""
        self.written_after_wait = 0
        """Rows that waited in the journal and have since been written."""
        self.dead_after_wait = 0
        """How many of these were dead-lettered."""
        self._error = ""
        self._rejected_bytes = 0
        """Size in bytes of the last batch rejected because of the limit; 0 when it would be accepted now."""

    def open(self) -> int:
        """Recover the segments of dead processes; returns the number of rows to be replayed.

        Raises:
            JournalError: the folder cannot be created or read.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise JournalError(
                f"cannot create the journal folder {self.folder}: {describe(error)}"
            ) from error
        found = 0
        for segment in orphaned_segments(self.folder):
            if segment.damaged:
                _log.warning(
                    "the journal file %s is damaged; its readable batches will be replayed", segment.path.name
                )
            if not segment.open_batches:
                segment.close()
                continue
            rows = sum(record.rows for record in segment.open_batches.values())
            with self._counters.lock:
                self._recovered.append(segment)
                self._pending.batches.extend((segment, number, True) for number in segment.open_batches)
                self._pending.replay_rows += rows
                self._rows_changed()
            found += rows
        return found

    def left_elsewhere(self) -> list[tuple[Path, int, Path]]:
        """The journals of other databases whose rows wait for a run with their URL.

        For each its folder, the number of rows, and the folder of this database for rows of the same table.
        """
        try:
            folders = sorted(folder for folder in self.folder.parent.iterdir() if folder.is_dir())
        except OSError:
            return []
        found: list[tuple[Path, int, Path]] = []
        for folder in folders:
            key, dash, kind = folder.name.partition("-")
            if key != self.folder.name and (rows := rows_left(folder)):
                found.append((folder, rows, self.folder.with_name(f"{self.folder.name}{dash}{kind}")))
        return found

    def accept(self, lease: Lease[ConvertedQuote], payload: bytes, *, on_disk: bool = True) -> Batch | None:
        """Write the rows of a lease to disk as one batch, then acknowledge it; None when the lease was lost.

        `on_disk`: False to keep the rows only in memory until they are committed.

        Raises:
            JournalError: the disk cannot be written or the journal's limit is reached; the lease stays open.
        """
        rows, number = lease.items, next(self._numbers)
        segment: Segment | None = None
        if self._write_ahead and on_disk:
            self._check_limit(len(payload))
            segment = self._append(number, len(rows), payload)
        with self._counters.lock:
            if lease.ack():
                self._in_progress += len(rows)
                self._rows_changed()
                return Batch(number, payload, len(rows), segment, False, rows)
        if segment is not None:
            segment.mark_committed(number)
        return None

    def spool(self, lease: Lease[ConvertedQuote], payload: bytes) -> None:
        """Write the rows of a lease to disk, after the batches already waiting for a writer, then acknowledge it.

        Raises:
            JournalError: the disk cannot be written or the journal's limit is reached; the lease stays open.
        """
        rows, number = len(lease.items), next(self._numbers)
        self._check_limit(len(payload))
        segment = self._append(number, rows, payload)
        with self._counters.lock:
            if lease.ack():
                self._pending.batches.append((segment, number, False))
                self._pending.rows += rows
                self._rows_changed()
                return
        segment.mark_committed(number)

    def dead_letter(
        self, lease: Lease[ConvertedQuote], survivors: Sequence[ConvertedQuote], dead: int
    ) -> None:
        """End a lease of which `dead` rows were dead-lettered; the `survivors` go back to the queue."""
        with self._counters.lock:
            if lease.release(survivors):
                self._counters.count_written(0, 0, dead)

    def split(self, batch: Batch, pieces: Sequence[bytes], *, crashes: int) -> None:
        """Replace a batch by smaller ones; those of more than one row start with `crashes` crashes.

        Raises:
            JournalError: the disk cannot be written; the batch is unchanged.
        """
        written: list[tuple[Segment, int, int]] = []
        try:
            for piece in pieces:
                number, rows = next(self._numbers), batch_codec.count(piece)
                written.append((self._append(number, rows, piece), number, rows))
        except JournalError:
            for segment, number, _ in written:
                segment.mark_committed(number)
            raise
        with self._counters.lock:
            self._leave_progress(batch)
            for segment, number, rows in written:
                # A single row starts at zero: another row of the batch may have caused the crashes.
                self._crashes[segment.path, number] = crashes if rows > 1 else 0
                self._requeue_batch(segment, number, rows, batch.replayed)
        self._leave_disk(batch)

    def _segment(self) -> Segment:
        with self._active_lock:
            if self._active is None:
                self._active = Segment.create(self.folder)
            elif self._active.removed:
                _log.error("the journal file %s was removed; starting a new one", self._active.path)
                # If the folder cannot be created, creating the segment reports it.
                with suppress(OSError):
                    self.folder.mkdir(parents=True, mode=0o700)
                self._active = self._roll_over(self._active)
            elif self._active.failed or self._active.size > _ROTATE_ABOVE:
                self._active = self._roll_over(self._active)
            return self._active

    def _roll_over(self, last: Segment) -> Segment:
        following = Segment.create(self.folder)
        for segment in [old for old in self._retired if not old.open_batches]:
            self._retired.remove(segment)
            segment.close()
        # It stays open: another writer may still append to it.
        self._retired.append(last)
        return following

    def segments(self) -> list[Segment]:
        """The segment files that may hold open batches: those of earlier runs, then those of this one, oldest first."""
        return [*self._recovered, *self._retired, *([self._active] if self._active else [])]

    def _check_limit(self, more: int) -> None:
        if self._is_beyond_limit(more):
            self._rejected_bytes = more
            raise JournalError(self._limit_message())

    def _is_beyond_limit(self, more: int) -> bool:
        held = sum(segment.open_bytes for segment in self.segments())
        return bool(held) and held + more > self._limit

    def _limit_message(self) -> str:
        return f"the journal has reached its limit of {self._limit / 1e6:,.0f} MB: intake waits"

    def _append(self, number: int, rows: int, payload: bytes) -> Segment:
        """Write a batch to disk; returns the file."""
        try:
            segment = self._segment()
            segment.append(number, rows, payload)
        except JournalError as error:
            self._error = str(error)
            raise
        self._error = ""
        return segment

    def take_pending(self) -> Batch | None:
        """Take the oldest batch on disk that no writer holds; None when there is none.

        A damaged batch is recorded as a dead letter and skipped. A batch written by another version of the program,
        for a table or columns unknown to this one, stays in its file for that version.

        Raises:
            JournalError: the disk cannot be read, or a dead letter cannot be written; the batch goes to the end.
        """
        while True:
            with self._counters.lock:
                if not self._pending.batches:
                    return None
                segment, number, replayed = self._pending.batches.popleft()
                batch = Batch(
                    number, b"", segment.open_batches[number].rows, segment, replayed, has_waited=True
                )
                if not replayed:
                    self._pending.rows -= batch.rows
                    self._in_progress += batch.rows
                    self._waited_in_progress += batch.rows
                    self._rows_changed()
            try:
                batch.payload = segment.read(number)
            except UnreadableError as damage:
                self._quarantine(batch, segment, damage)
            except JournalError:
                self._rotate_to_end(batch, segment)
                raise
            else:
                if replayed and not batch_codec.is_known(batch.payload):
                    self._leave_to_other_version(batch, segment)
                    continue
                batch.crashes = self._crashes.get((segment.path, number), 0)
                return batch

    def _leave_to_other_version(self, batch: Batch, segment: Segment) -> None:
        """Remove a batch from the waiting ones; its file is kept, because the batch stays open in it."""
        with self._counters.lock:
            self._pending.replay_rows -= batch.rows
            self._rows_changed()
        _log.warning(
            "%d rows in the journal file %s were written by another version of sp500tui, which this one cannot store; "
            "they stay there until that version runs",
            batch.rows,
            segment.path.name,
        )

    def _quarantine(self, batch: Batch, segment: Segment, damage: UnreadableError) -> None:
        """Count an unreadable batch's rows as dead, record one dead letter for them, and keep its file."""
        reason = f"{batch.rows:,} rows are unreadable in the journal: {damage}"
        try:
            if self._dead_letters is not None:
                self._dead_letters.add([DeadLetter.of({}, reason, None)])
        except JournalError:
            self._rotate_to_end(batch, segment)
            raise
        _log.error("%s; the file is kept as %s", reason, segment.quarantine().name)
        self.complete(batch, stored=0, dead=batch.rows)

    def _leave_progress(self, batch: Batch) -> None:
        if batch.has_waited and not batch.replayed:
            self._waited_in_progress -= batch.rows

    def _rotate_to_end(self, batch: Batch, segment: Segment) -> None:
        with self._counters.lock:
            self._leave_progress(batch)
            self._requeue_batch(segment, batch.number, batch.rows, batch.replayed)
            self._pending.batches.rotate(-1)

    def _requeue_batch(self, segment: Segment, number: int, rows: int, replayed: bool) -> None:
        self._pending.batches.appendleft((segment, number, replayed))
        if not replayed:
            self._in_progress -= rows
            self._pending.rows += rows
            self._rows_changed()

    def _rows_changed(self) -> None:
        self.account.record(self._pending.rows + self._pending.replay_rows, self._in_progress)

    def requeue(self, batch: Batch) -> None:
        """Put a batch that could not be committed back to the front of the waiting batches.

        Raises:
            JournalError: a batch in memory could not be written to disk; it is unchanged.
        """
        segment = batch.segment
        if segment is None:
            segment = batch.segment = self._append(batch.number, batch.rows, batch.payload)
        if batch.crashes:
            self._crashes[segment.path, batch.number] = batch.crashes
        with self._counters.lock:
            self._leave_progress(batch)
            self._requeue_batch(segment, batch.number, batch.rows, batch.replayed)

    def complete(self, batch: Batch, *, stored: int, dead: int) -> None:
        """End a committed batch: `stored` rows were new, `dead` were dead-lettered, the others were duplicates."""
        with self._counters.lock:
            if batch.replayed:
                self._pending.replay_rows -= batch.rows
                self._replayed += batch.rows - dead
            else:
                self._in_progress -= batch.rows
                self._counters.count_written(stored, batch.rows - stored - dead, dead)
            if batch.has_waited:
                self._leave_progress(batch)
                self.written_after_wait += batch.rows
                self.dead_after_wait += dead
            self._rows_changed()
        self._leave_disk(batch)

    def _leave_disk(self, batch: Batch) -> None:
        """Mark a batch as done in its file; close that of an earlier run if it holds no open batch."""
        segment = batch.segment
        if segment is None:
            return
        self._crashes.pop((segment.path, batch.number), None)
        segment.mark_committed(batch.number)
        with self._counters.lock:
            finished = segment in self._recovered and not segment.open_batches
            if finished:
                self._recovered.remove(segment)
        if finished:
            segment.close()

    @property
    def accepts_when_down(self) -> bool:
        """True: while the database is down rows are spooled to disk, where a crash does not lose them."""
        return True

    @property
    def has_pending(self) -> bool:
        """Whether batches wait on disk for a writer."""
        return bool(self._pending.batches)

    @property
    def waiting(self) -> int:
        """Rows that have waited in the journal and are not written yet."""
        return self._pending.rows + self._waited_in_progress + self._pending.replay_rows

    @property
    def in_progress(self) -> int:
        """Rows of this run that writers are committing. Exact while the counters' lock is held."""
        return self._in_progress

    @property
    def spooled(self) -> int:
        """Rows of this run that wait on disk. Exact while the counters' lock is held."""
        return self._pending.rows

    @property
    def error(self) -> str:
        """Why it accepts no rows; empty if it does."""
        if self._rejected_bytes and not self._is_beyond_limit(self._rejected_bytes):
            self._rejected_bytes = 0
        return self._error or (self._limit_message() if self._rejected_bytes else "")

    def snapshot(self) -> JournalSnapshot:
        """The batches on disk, and the journal's health."""
        with self._counters.lock:
            segments = self.segments()
            batches = sum(len(segment.open_batches) for segment in segments)
            size = sum(segment.open_bytes for segment in segments)
            rows = self._pending.rows + self._pending.replay_rows
            replayed, left = self._replayed, self._pending.replay_rows
            error = self.error
        health = Health.DOWN if error else Health.DEGRADED if self._pending.rows else Health.OK
        message = error or (
            f"{self._pending.rows:,} rows wait in the journal for the database" if self._pending.rows else ""
        )
        return JournalSnapshot(health, message, batches, rows, size, self._limit, replayed, left)

    def close(self) -> None:
        """Close every segment; those with open batches stay on disk for the next start."""
        with self._counters.lock:
            segments = self.segments()
            self._recovered.clear()
            self._retired.clear()
            self._active = None
        for segment in segments:
            segment.close()
