"""The writers: a batch from the queue or the journal, through a process of its own, to a commit."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic

from sp500tui.errors import DatabaseError, JournalError
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.metrics import LatencyHistogram
from sp500tui.pipeline.core.queue import Lease, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.writer.batch_store import B, BatchStore
from sp500tui.pipeline.writer.client import Answer, WriterClient, WriterDiedError
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.storage import batch_codec as rowcodec
from sp500tui.storage.errors import is_bad_row

_LINGER = 0.05
"""Seconds a writer waits for more rows than the first, to commit them together."""
_MAX_CRASHES = 3
"""Processes that may die with a batch before it is taken apart."""
_SPOOL_FILL = 0.5
"""Share of the rows queue above which rows go to the journal while the database is away."""
_SPOOL_AGE = 1.0
"""Seconds after which they go there in any case, so that an end of this program costs no more than that."""
_FULL_DISK_PAUSE = 1.0
_LAST_COMMIT = 1.0
"""Seconds a commit under way may still take once spooling has begun."""
_START_TIMEOUT = 20.0
"""Seconds a new process gets to start and to reach the database, however short the commit time-out."""
_PIECES = 32
_SERVER_SHARE = 0.8
"""Share of the commit time-out after which the server is to give up by itself, which says more than silence."""


@dataclass(slots=True)
class _Outcome:
    """What became of a batch, part by part."""

    stored: int = 0
    refused: list[DeadLetter] = field(default_factory=list)
    """Single rows that the database will never take."""


class WriterStage(Generic[B]):
    """What all writers share, and the maker of their bodies."""

    def __init__(
        self,
        rows: LeasedQueue[ConvertedQuote],
        batch_store: BatchStore[B],
        *,
        health: DatabaseHealth,
        dead_letters: DeadLetters,
        latest_prices: LatestPrices,
        end_to_end: LatencyHistogram,
        url: Callable[[], str],
        batch_size: int,
        commit_timeout: float,
    ) -> None:
        self.rows = rows
        self.batch_store = batch_store
        self.health = health
        self.dead_letters = dead_letters
        self.latest_prices = latest_prices
        self.end_to_end = end_to_end
        self.url = url
        self.batch_size = batch_size
        self.commit_timeout = commit_timeout
        self.spooling_since: float | None = None
        """Tick of the stop ladder's second step: from then on rows go to the journal, not to the database."""

    def make_task(self, worker: Worker) -> WriterTask[B]:
        """One writer's body; its process is started when there is something to write."""
        return WriterTask(self, worker)


class WriterTask(Generic[B]):
    """One writer: this thread, its process and their pipe."""

    def __init__(self, shared: WriterStage[B], worker: Worker) -> None:
        self._shared = shared
        self._worker = worker
        self._link: WriterClient | None = None
        self._prefetched: B | None = None
        """The batch after the one that is being committed; only within a step."""
        self._sent = 0

    def run_once(self) -> None:
        """Bring a batch to the database, and the full ones behind it; or rows to the disk while there is none."""
        shared = self._shared
        if shared.spooling_since is not None or not shared.health.ready.is_set() or shared.health.retry_in:
            self._spool_or_wait()
            return
        if self._link is None and not self._connect():
            return
        batch = shared.batch_store.take_pending() or self._admit()
        while batch is not None:
            self._write(batch)
            batch, self._prefetched = self._prefetched, None
            if batch is not None and self._worker.abandoned:
                # Its successor commits it.
                self._requeue(batch)
                return

    # --- while the database cannot be used ---------------------------------------------------------------------

    def _spool_or_wait(self) -> None:
        """Spool rows when they pile up or the run is ending; else wait for the database."""
        shared, worker = self._shared, self._worker
        if not shared.batch_store.accepts_when_down:
            pause = shared.health.retry_in
            worker.wait(0.1 if pause is None else pause, WorkerState.WAITING, shared.health.message)
            return
        depth = shared.rows.depth()
        spooling = shared.spooling_since is not None
        ended = not depth.ready and not shared.batch_store.has_pending
        old = (depth.oldest_age or 0.0) > _SPOOL_AGE
        if spooling or ended or old or depth.ready > depth.capacity * _SPOOL_FILL:
            # Looking for rows is also how a writer learns that there will be none any more.
            lease = worker.take(shared.rows, shared.batch_size, timeout=0.0 if ended else 0.1)
            batch = None if lease is None else self._to_journal(lease)
            if batch is not None:
                self._requeue(batch)
            if lease is not None:
                return
        pause = shared.health.retry_in
        worker.wait(min(0.1 if pause is None else pause, 0.1), WorkerState.WAITING, shared.health.message)

    def _connect(self) -> bool:
        """Start the process; whether it reached the database."""
        shared, worker = self._shared, self._worker
        worker.set_state(WorkerState.STARTING, "connects to the database")
        self._link = WriterClient(shared.url(), worker.name, shared.commit_timeout * _SERVER_SHARE)
        worker.pid = self._link.pid
        answer = self._link.connect(max(_START_TIMEOUT, shared.commit_timeout), self._cut_short)
        if answer.committed:
            shared.health.record_success()
            return True
        self._disconnect()
        shared.health.record_failure(answer.message, answer.sqlstate)
        return False

    # --- from the queue to the commit --------------------------------------------------------------------------

    def _admit(self) -> B | None:
        """Lease rows and have the journal take them over."""
        shared, worker = self._shared, self._worker
        lease = worker.take(shared.rows, shared.batch_size, linger=_LINGER)
        if lease is None:
            return None
        worker.start_work(f"{len(lease.items)} rows to the journal")
        return self._to_journal(lease)

    def _to_journal(self, lease: Lease[ConvertedQuote]) -> B | None:
        """The journal's batch of a lease; None, and the rows back in the queue, while the disk takes nothing."""
        worker = self._worker
        try:
            return self._accept(lease)
        except JournalError as error:
            worker.last_error = str(error)
            worker.wait(_FULL_DISK_PAUSE, WorkerState.WAITING, str(error))
            return None

    def _accept(self, lease: Lease[ConvertedQuote]) -> B | None:
        """The journal's batch of a lease.

        Raises:
            JournalError: the disk takes nothing now; the rows are back in the queue.
        """
        shared = self._shared
        rows, payload, unwritable = _encode(lease.items)
        try:
            if unwritable:
                shared.dead_letters.add(unwritable)
                shared.batch_store.dead_letter(lease, rows, len(unwritable))
                return None
            return shared.batch_store.accept(lease, rows, payload)
        except JournalError:
            lease.release()
            raise
        finally:
            self._worker.lease = None

    def _prefetch(self) -> None:
        """While the database commits one batch, bring the next to the journal, if it is full already."""
        shared, worker = self._shared, self._worker
        if self._prefetched is not None or worker.stopping.is_set() or worker.abandoned or worker.pool.paused:
            return
        if shared.spooling_since is not None or shared.batch_store.has_pending:
            return
        if shared.rows.depth().ready < shared.batch_size:
            return
        # Whatever hinders it is met again, and told, when this batch's turn has come.
        with suppress(QueueClosedError, JournalError):
            worker.lease = shared.rows.take(shared.batch_size, timeout=0.0)
            if worker.lease is not None:
                self._prefetched = self._accept(worker.lease)

    def _write(self, batch: B) -> None:
        shared, worker = self._shared, self._worker
        started = time.monotonic()
        worker.start_work(f"{batch.rows} rows to PostgreSQL" + (" (replayed)" if batch.replayed else ""))
        outcome = _Outcome()
        try:
            if batch.crashes >= _MAX_CRASHES:
                self._bisect(batch, outcome)
            else:
                self._commit(batch.payload, outcome)
            shared.dead_letters.add(outcome.refused)
        except _UnavailableError as refusal:
            self._requeue(batch)
            shared.health.record_failure(str(refusal), refusal.sqlstate)
        except WriterDiedError as death:
            # One that was made to end, or that a slow database made late, says nothing against the rows.
            batch.crashes += death.by_itself
            self._requeue(batch)
            self._disconnect(at_once=True)
            if not self._cut_short():
                raise
        except BaseException as error:
            # Whatever it was, the rows stay; a batch that does this again and again is taken apart.
            batch.crashes += not isinstance(error, JournalError)
            self._requeue(batch)
            raise
        else:
            self._settle(batch, outcome, time.monotonic() - started)

    def _requeue(self, batch: B) -> None:
        """Leave a batch, and the one behind it, to the journal until somebody can commit them."""
        ahead, self._prefetched = self._prefetched, None
        # What is given back last is taken first.
        for each in (ahead, batch):
            while each is not None:
                try:
                    self._shared.batch_store.requeue(each)
                    break
                except JournalError as error:
                    # Only with the journal off: the batch is in memory, and there it stays until the disk takes it.
                    self._worker.set_state(WorkerState.WAITING, str(error))
                    time.sleep(_FULL_DISK_PAUSE)
        # The journal wakes nobody: those who wait for rows learn here that a batch waits.
        self._worker.pool.wake()

    def _commit(self, payload: bytes, outcome: _Outcome) -> None:
        """Have a payload committed; where a row is at fault, halve it until that row stands alone."""
        shared = self._shared
        assert self._link is not None  # noqa: S101  # step() connects first
        answer = self._link.commit(
            self._next_number(), payload, shared.commit_timeout, self._cut_short, self._prefetch
        )
        if answer.committed:
            shared.health.record_success()
            shared.health.commit.record(answer.seconds)
            outcome.stored += answer.stored
        elif not is_bad_row(answer.sqlstate or ""):
            raise _UnavailableError(answer)
        elif rowcodec.count(payload) == 1:
            outcome.refused.append(
                DeadLetter.of(rowcodec.decode(payload)[0], answer.message, answer.sqlstate)
            )
        else:
            for half in rowcodec.split(payload):
                self._commit(half, outcome)

    def _bisect(self, batch: B, outcome: _Outcome) -> None:
        """Take a batch apart that killed its writers, until the row that does so stands alone."""
        if batch.rows == 1:
            reason = f"its writer process died {batch.crashes} times"
            outcome.refused.append(DeadLetter.of(rowcodec.decode(batch.payload)[0], reason, None))
            return
        self._shared.batch_store.split(batch, _pieces(batch.payload), crashes=_MAX_CRASHES - 1)
        batch.rows = 0
        self._worker.pool.wake()

    def _settle(self, batch: B, outcome: _Outcome, seconds: float) -> None:
        shared, worker = self._shared, self._worker
        if not batch.rows:
            return
        shared.batch_store.complete(batch, stored=outcome.stored, dead=len(outcome.refused))
        now = time.monotonic()
        for tick, quotes in Counter(row.fetched_monotonic for row in batch.quotes).items():
            shared.end_to_end.record(now - tick, quotes)
        shared.latest_prices.mark_written(batch.quotes, worker.name)
        worker.finish_work(batch.rows, seconds)
        for letter in outcome.refused:
            message = f"{letter.row.get('symbol')} is a dead letter: {letter.reason}"
            worker.pool.emit(EventKind.DEAD_LETTER, message, logging.WARNING, worker.name)

    def _next_number(self) -> int:
        self._sent += 1
        return self._sent

    def _cut_short(self) -> bool:
        since = self._shared.spooling_since
        return since is not None and time.monotonic() - since > _LAST_COMMIT

    def _disconnect(self, *, at_once: bool = False) -> None:
        link, self._link = self._link, None
        self._worker.pid = os.getpid()
        if link is not None:
            link.close(at_once=at_once)

    def kill(self) -> bool:
        """End the process as a fault would; False when there is none."""
        link = self._link
        if link is None:
            return False
        link.kill()
        return True

    def close(self) -> None:
        """Let the process go, and the batch behind the one that failed."""
        ahead, self._prefetched = self._prefetched, None
        if ahead is not None:
            self._requeue(ahead)
        self._disconnect()


class _UnavailableError(Exception):
    """The database refused a batch for a reason that will pass, or that a person has to mend."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.sqlstate = answer.sqlstate


def _encode(
    rows: Sequence[ConvertedQuote],
) -> tuple[Sequence[ConvertedQuote], bytes, list[DeadLetter]]:
    """The payload of the rows that can be written, those rows, and the others with the reason."""
    try:
        return rows, rowcodec.encode(rows), []
    except DatabaseError:
        good: list[ConvertedQuote] = []
        bad: list[DeadLetter] = []
        for row in rows:
            try:
                rowcodec.encode([row])
                good.append(row)
            except DatabaseError as error:
                bad.append(DeadLetter.of(_record(row), str(error), error.sqlstate))
        return good, rowcodec.encode(good), bad


def _record(row: ConvertedQuote) -> dict[str, str | None]:
    """A row that the codec refuses, for a person to read."""
    fields = {name: getattr(row.quote, name, getattr(row, name, None)) for name in rowcodec.COLUMNS}
    return {name: None if value is None else str(value) for name, value in fields.items()}


def _pieces(payload: bytes) -> list[bytes]:
    """The payload in up to 32 parts."""
    components = [payload]
    while len(components) < _PIECES and any(rowcodec.count(part) > 1 for part in components):
        components = [
            piece
            for part in components
            for piece in (rowcodec.split(part) if rowcodec.count(part) > 1 else (part,))
        ]
    return components
