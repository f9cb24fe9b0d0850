"""The writer stage: each worker takes batches from the queue or the batch store and has its own process commit them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Generic

from sp500tui.errors import DatabaseError, JournalError
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.metrics import LatencyHistogram
from sp500tui.pipeline.core.queue import Lease, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.service_thread import restart_delay
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import batches_of
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.writer.batch_store import B, BatchStore
from sp500tui.pipeline.writer.bisection import Outcome, UnavailableError, commit_batch
from sp500tui.pipeline.writer.client import Answer, WriterClient, WriterDiedError
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.storage import batch_codec
from sp500tui.storage.errors import TOO_MANY_CONNECTIONS

_log = logging.getLogger(__name__)

LINGER = 0.05
"""Seconds a writer waits for more rows to fill a batch."""
_MAX_CRASHES = 3
"""Writer processes that may die holding a batch before it is split."""
FULL_DISK_PAUSE = 1.0
"""Seconds between two attempts to write to a disk that is full."""
_COMMIT_GRACE = 1.0
"""Seconds a running commit may still take after spooling has begun."""
_START_TIMEOUT = 20.0
"""Seconds a new process may take to start and connect, however short the commit timeout."""
_CONNECTION_PAUSE = 1.0
"""Shortest time in seconds until a writer without a connection requests one again."""
_END_CHECK = 0.25
"""Seconds between two checks by a writer without a connection whether the run is ending."""
_MAX_PARTS = 32
"""Parts into which a batch is split whose writers crashed."""
_SERVER_SHARE = 0.8
"""Statement timeout as a share of the commit timeout: the server's error is more specific than a timeout here."""


@dataclass(eq=False)
class WriterStage(Generic[B]):
    """The dependencies shared by all writers."""

    rows: LeasedQueue[ConvertedQuote]
    batch_store: BatchStore[B]
    _: KW_ONLY
    health: DatabaseHealth
    dead_letters: DeadLetters
    latest_prices: LatestPrices | None
    """Where committed prices are marked; None for rows other than prices."""
    end_to_end: LatencyHistogram
    url: Callable[[], str]
    """Returns the URL of the database."""
    batch_size: int
    """Rows of one commit."""
    commit_timeout: float
    """Seconds."""
    spooling_since: float | None = field(default=None, init=False)
    """Monotonic time at which `ShutdownLevel.SPOOL` was reached: since then rows go to the batch store."""
    taken_at: float = field(default_factory=time.monotonic, init=False)
    """Monotonic time at which a writer last took a batch."""
    connected: set[WriterTask[B]] = field(default_factory=set, init=False)
    """The writers that have a connection to the database."""
    lacks_connections: bool = field(default=False, init=False)
    """Whether a writer is waiting because the server has no free connection."""

    def encode(self, lease: Lease[ConvertedQuote]) -> bytes | None:
        """The payload of the rows of a lease.

        None when rows were dead-lettered because they cannot be encoded; the others are back in the queue.

        Raises:
            JournalError: the dead letters cannot be written; the lease stays open.
        """
        try:
            return batch_codec.encode(lease.items)
        except DatabaseError:
            encodable, unencodable = _separate(lease.items)
        if not unencodable:
            return batch_codec.encode(encodable)
        self.dead_letters.add(unencodable)
        self.batch_store.dead_letter(lease, encodable, len(unencodable))
        return None

    def make_task(self, worker: Worker) -> WriterTask[B]:
        """The task of one writer; its process is started with the first batch."""
        return WriterTask(self, worker)


class WriterTask(Generic[B]):
    """One writer: its process, the pipe to it, and the batch in progress."""

    def __init__(self, stage: WriterStage[B], worker: Worker) -> None:
        self._stage = stage
        self._worker = worker
        self._client: WriterClient | None = None
        self._prefetched: B | None = None
        """The batch after the one that is being committed; only set within `run_once`."""
        self._sent = 0
        self._began = 0.0
        """Monotonic time at which the current attempt to reach the database began."""
        self._usable_at = 0.0
        """Monotonic time at which the connection last worked, or since which the next attempt opens a new one."""
        self._denials = 0
        """Consecutive attempts for which the server had no free connection."""

    def run_once(self) -> None:
        """Write pending batches to the database; while it is down, wait for it, and at the end spool rows."""
        stage = self._stage
        self._began = time.monotonic()
        if stage.spooling_since is not None or not stage.health.ready.is_set() or stage.health.retry_in:
            self._spool_or_wait()
            return
        if self._client is not None:
            self._client.check()
        elif not self._connect():
            return
        batch = stage.batch_store.take_pending() or self._admit()
        while batch is not None:
            stage.taken_at = time.monotonic()
            self._write(batch)
            batch, self._prefetched = self._prefetched, None
            if batch is not None and self._worker.abandoned:
                # The worker that replaced this one commits it.
                self._requeue(batch)
                return

    # --- while the database is down ---------------------------------------------------------------------

    def _spool_or_wait(self) -> None:
        """Spool rows when the run is ending; otherwise wait for the database, while the `Spooler` takes the rows."""
        stage = self._stage
        if not stage.batch_store.accepts_when_down:
            pause = stage.health.retry_in
            self._wait_for_database(0.1 if pause is None else pause)
            return
        ended = not stage.rows.depth().ready and not stage.batch_store.has_pending
        if stage.spooling_since is not None or ended:
            # `take` also raises once the queue is closed and drained.
            lease = self._take(timeout=0.0 if ended else 0.1)
            batch = None if lease is None else self._to_batch_store(lease)
            if batch is not None:
                self._requeue(batch)
            if lease is not None:
                return
        pause = stage.health.retry_in
        self._wait_for_database(min(0.1 if pause is None else pause, 0.1))

    def _wait_for_database(self, seconds: float) -> None:
        """Wait until the database is opened, or for the next attempt; if it is usable, wait for rows."""
        health = self._stage.health
        usable = WorkerState.IDLE if health.ready.is_set() else WorkerState.STARTING
        self._worker.wait(seconds, WorkerState.DATABASE_DOWN if health.down else usable, health.message)

    def _connect(self) -> bool:
        """Start the process; False when it could not connect to the database."""
        stage, worker = self._stage, self._worker
        worker.set_state(WorkerState.STARTING, "connects to the database")
        self._client = WriterClient(stage.url(), worker.name, stage.commit_timeout * _SERVER_SHARE)
        worker.use_process(self._client.pid)
        answer = self._client.connect(max(_START_TIMEOUT, stage.commit_timeout), self._is_expedited)
        if answer.committed:
            stage.connected.add(self)
            stage.lacks_connections, self._denials = False, 0
            stage.health.record_success(self._began)
            self._usable_at = time.monotonic()
            return True
        self._disconnect()
        if answer.sqlstate == TOO_MANY_CONNECTIONS and stage.connected:
            self._wait_for_connection(answer.message)
        else:
            stage.health.record_failure(answer.message, answer.sqlstate, self._began)
        return False

    def _wait_for_connection(self, message: str) -> None:
        """Wait without a connection while other writers have one; this is not an outage.

        Raises:
            QueueClosedError: the run ends; the other writers store the remaining rows.
        """
        stage, worker = self._stage, self._worker
        if not stage.lacks_connections:
            stage.lacks_connections = True
            _log.warning("%d writers are connected, %s waits: %s", len(stage.connected), worker.name, message)
        self._denials += 1
        worker.last_error = message
        until = time.monotonic() + _CONNECTION_PAUSE + restart_delay(self._denials, worker.pool.jitter())
        while time.monotonic() < until and not worker.pool.expedited:
            if worker.pool.ending:
                raise QueueClosedError
            if not (stage.connected and worker.wait(_END_CHECK, WorkerState.BACKOFF, message)):
                return

    # --- from the queue to the commit --------------------------------------------------------------------------

    def _admit(self) -> B | None:
        """Lease rows and hand them to the batch store."""
        worker = self._worker
        lease = self._take(linger=LINGER)
        if lease is None:
            return None
        worker.start_work(f"{len(lease.items)} rows to the journal", batches_of(lease.items))
        # At the end of a run, rows that the database can accept do not wait for the disk.
        return self._to_batch_store(lease, must_be_on_disk=not worker.pool.ending)

    def _take(self, *, linger: float = 0.0, timeout: float | None = None) -> Lease[ConvertedQuote] | None:
        """Lease up to one batch of rows; None without rows, and while batches wait in the store of a drained queue.

        Raises:
            QueueClosedError: everything is committed, or stays in the store for the next start.
        """
        stage = self._stage
        try:
            return self._worker.take(stage.rows, stage.batch_size, linger=linger, timeout=timeout)
        except QueueClosedError:
            # The rows that were taken last may have reached the store since this writer last checked it.
            if stage.spooling_since is None and stage.batch_store.has_pending:
                return None
            raise

    def _to_batch_store(self, lease: Lease[ConvertedQuote], *, must_be_on_disk: bool = True) -> B | None:
        """The batch of a lease; None, with the rows back in the queue, while the disk is full.

        Raises:
            QueueClosedError: the disk is full although rows must be spooled; the spooler tries it a last time.
        """
        worker = self._worker
        try:
            return self._accept(lease, must_be_on_disk=must_be_on_disk)
        except JournalError as error:
            worker.last_error = str(error)
            if self._stage.spooling_since is not None:
                raise QueueClosedError from error
            worker.wait(FULL_DISK_PAUSE, WorkerState.JOURNAL, str(error))
            return None

    def _accept(self, lease: Lease[ConvertedQuote], *, must_be_on_disk: bool = True) -> B | None:
        """The batch of a lease; None when it was lost or had rows to dead-letter.

        Raises:
            JournalError: the disk cannot be written; the rows are back in the queue.
        """
        stage = self._stage
        try:
            if (payload := stage.encode(lease)) is None:
                return None
            with self._worker.during(WorkerState.JOURNAL):
                try:
                    return stage.batch_store.accept(lease, payload)
                except JournalError:
                    if must_be_on_disk:
                        raise
                    return stage.batch_store.accept(lease, payload, on_disk=False)
        except BaseException:
            lease.release()
            raise
        finally:
            self._worker.lease = None

    def _prefetch(self) -> None:
        """While the database commits one batch, prepare the next if a full one is waiting."""
        stage, worker = self._stage, self._worker
        if self._prefetched is not None or worker.stopping.is_set() or worker.abandoned or worker.pool.paused:
            return
        if stage.spooling_since is not None or stage.batch_store.has_pending:
            return
        if stage.rows.depth().ready < stage.batch_size:
            return
        # An error here occurs again, and is reported, when the next batch is taken.
        with suppress(QueueClosedError, JournalError), worker.during(WorkerState.BUSY):
            worker.lease = stage.rows.take(stage.batch_size, timeout=0.0)
            if worker.lease is not None:
                self._prefetched = self._accept(worker.lease)

    def _write(self, batch: B) -> None:
        stage, worker = self._stage, self._worker
        started = time.monotonic()
        what = f"{batch.rows} rows to PostgreSQL" + (" (replayed)" if batch.replayed else "")
        worker.start_work(what, batches_of(batch.quotes))
        try:
            if batch.crashes < _MAX_CRASHES:
                outcome = commit_batch(batch.payload, self._commit)
            elif batch.rows > 1:
                self._split(batch)
                return
            else:
                reason = f"its writer process died {batch.crashes} times"
                outcome = Outcome(
                    rejected=[DeadLetter.of(batch_codec.decode(batch.payload)[0], reason, None)]
                )
            stage.dead_letters.add(outcome.rejected)
        except UnavailableError as refusal:
            self._requeue(batch)
            # A connection older than a finished outage does not indicate another one; the process has closed
            # it, so the next attempt opens a new one.
            stage.health.record_failure(str(refusal), refusal.sqlstate, min(self._usable_at, self._began))
            self._usable_at = time.monotonic()
        except WriterDiedError as error:
            # A process that was killed or timed out does not count against the batch.
            batch.crashes += error.crashed
            self._requeue(batch)
            self._disconnect(kill=True)
            if not self._is_expedited():
                raise WriterDiedError(
                    f"{error}; its {batch.rows:,} rows go to the next writer", crashed=error.crashed
                ) from error
        except BaseException as error:
            # The rows are kept whatever the error; a batch that fails repeatedly is split.
            batch.crashes += not isinstance(error, JournalError)
            self._requeue(batch)
            raise
        else:
            self._complete(batch, outcome, time.monotonic() - started)

    def _requeue(self, batch: B) -> None:
        """Put a batch and the prefetched one back into the batch store."""
        ahead, self._prefetched = self._prefetched, None
        # LIFO: the batch requeued last is taken first.
        for each in (ahead, batch):
            while each is not None:
                try:
                    self._stage.batch_store.requeue(each)
                    break
                except JournalError as error:
                    # The batch is only in memory until the disk can be written.
                    if self._is_expedited():
                        _log.error("%d rows are lost: %s", each.rows, error)
                        break
                    self._worker.set_state(WorkerState.JOURNAL, str(error))
                    time.sleep(FULL_DISK_PAUSE)
        # Writers wait on the rows queue; wake them for the batch in the store.
        self._worker.pool.wake()

    def _commit(self, payload: bytes) -> Answer:
        """Send a payload to the process, and prepare the next batch while it is committed."""
        stage = self._stage
        assert self._client is not None  # noqa: S101  # run_once() connects first
        with self._worker.during(WorkerState.DATABASE):
            answer = self._client.commit(
                self._next_number(), payload, stage.commit_timeout, self._is_expedited, self._prefetch
            )
        if answer.committed:
            stage.health.record_success(self._began)
            self._began = self._usable_at = time.monotonic()
            stage.health.commit.record(answer.seconds)
        return answer

    def _split(self, batch: B) -> None:
        """Split a batch whose writers crashed repeatedly, to find the row that causes it."""
        parts = batch_codec.split(batch.payload, _MAX_PARTS)
        self._stage.batch_store.split(batch, parts, crashes=_MAX_CRASHES - 1)
        self._worker.pool.wake()

    def _complete(self, batch: B, outcome: Outcome, seconds: float) -> None:
        stage, worker = self._stage, self._worker
        with worker.during(WorkerState.JOURNAL):
            stage.batch_store.complete(batch, stored=outcome.stored, dead=len(outcome.rejected))
        if stage.latest_prices is not None:
            now = time.monotonic()
            for fetched_at, quotes in Counter(row.fetched_monotonic for row in batch.quotes).items():
                stage.end_to_end.record(now - fetched_at, quotes)
            stage.latest_prices.mark_written(batch.quotes, worker.name)
        worker.finish_work(batch.rows, seconds)
        for letter in outcome.rejected:
            message = f"{letter.row.get('symbol')} was dead-lettered: {letter.reason}"
            worker.pool.emit(EventKind.DEAD_LETTER, message, logging.WARNING, worker.name)

    def _next_number(self) -> int:
        self._sent += 1
        return self._sent

    def _is_expedited(self) -> bool:
        since = self._stage.spooling_since
        return since is not None and time.monotonic() - since > _COMMIT_GRACE

    def _disconnect(self, *, kill: bool = False) -> None:
        client, self._client = self._client, None
        self._stage.connected.discard(self)
        self._worker.use_process(None)
        if client is not None:
            client.close(kill=kill)

    @property
    def process_exited(self) -> bool:
        """Whether its process has ended without being closed."""
        client = self._client
        return client is not None and client.exited

    def kill(self) -> bool:
        """Kill the process like a fault; False when there is none."""
        client = self._client
        if client is None:
            return False
        client.kill()
        return True

    def close(self) -> None:
        """Requeue the prefetched batch and end the process."""
        ahead, self._prefetched = self._prefetched, None
        if ahead is not None:
            self._requeue(ahead)
        self._disconnect()


def _separate(rows: Sequence[ConvertedQuote]) -> tuple[list[ConvertedQuote], list[DeadLetter]]:
    """The rows that can be encoded, and the others as dead letters."""
    encodable: list[ConvertedQuote] = []
    unencodable: list[DeadLetter] = []
    for row in rows:
        try:
            batch_codec.encode([row])
            encodable.append(row)
        except DatabaseError as error:
            unencodable.append(DeadLetter.of(batch_codec.record_of(row), str(error), error.sqlstate))
    return encodable, unencodable
