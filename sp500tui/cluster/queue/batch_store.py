"""The writer's batch store in a cluster: rows stay leased on the broker until the database has committed them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sp500tui.cluster.queue.stream_queue import StreamLease
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.queue import Lease
from sp500tui.storage import batch_codec


@dataclass(slots=True, eq=False)
class _SharedLease:
    """A lease with the results so far; shared by the batches into which it was split."""

    lease: StreamLease[ConvertedQuote]
    pending_parts: int = 1
    """Batches that are not completed."""
    stored: int = 0
    duplicate: int = 0
    dead: int = 0


@dataclass(slots=True, eq=False)
class LeasedBatch:
    """Leased rows being written to the database."""

    shared: _SharedLease
    payload: bytes
    rows: int
    quotes: Sequence[ConvertedQuote] = ()
    crashes: int = 0
    replayed: bool = False
    """Always False: rows of an earlier run are in the queue."""


class LeaseBatchStore:
    """Implements `pipeline.writer.batch_store.BatchStore`; the broker's append-only file is the journal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: deque[LeasedBatch] = deque()

    @property
    def accepts_when_down(self) -> bool:
        """False: rows stay on the broker while the database is unavailable."""
        return False

    @property
    def has_pending(self) -> bool:
        """Whether batches whose writer crashed are waiting to be retried."""
        return bool(self._pending)

    def take_pending(self) -> LeasedBatch | None:
        """The oldest batch waiting to be retried; None without one."""
        with self._lock:
            return self._pending.popleft() if self._pending else None

    def accept(
        self,
        lease: Lease[ConvertedQuote],
        payload: bytes,
        *,
        on_disk: bool = True,  # noqa: ARG002  # the rows are on the broker
    ) -> LeasedBatch | None:
        """Register the rows of a lease as a batch; None when the lease was lost."""
        assert isinstance(lease, StreamLease)  # noqa: S101  # the only kind of lease that the rows queue of a cluster returns
        if not lease.open:
            return None
        return LeasedBatch(_SharedLease(lease), payload, len(lease.items), lease.items)

    def dead_letter(
        self, lease: Lease[ConvertedQuote], survivors: Sequence[ConvertedQuote], dead: int
    ) -> None:
        """Count dead-lettered rows and release the `survivors`, atomically."""
        assert isinstance(lease, StreamLease)  # noqa: S101  # as above
        lease.release(survivors, counters={"dead": dead})

    def split(self, batch: LeasedBatch, pieces: Sequence[bytes], *, crashes: int) -> None:
        """Replace a batch by its pieces; the lease ends when all of them are completed."""
        counts = [batch_codec.count(piece) for piece in pieces]
        with self._lock:
            batch.shared.pending_parts += len(pieces) - 1
            # A single row starts with no crashes: another row of the batch may have caused them.
            self._pending.extendleft(
                LeasedBatch(batch.shared, piece, rows, crashes=crashes if rows > 1 else 0)
                for piece, rows in zip(reversed(pieces), reversed(counts), strict=True)
            )

    def requeue(self, batch: LeasedBatch) -> None:
        """Return untried rows to the broker for any node's writer; keep batches whose writer crashed."""
        with self._lock:
            if batch.crashes or batch.shared.pending_parts > 1:
                self._pending.appendleft(batch)
                return
        batch.shared.lease.release()

    def complete(self, batch: LeasedBatch, *, stored: int, dead: int) -> None:
        """Count a committed batch, and acknowledge the lease with its last part.

        If the lease was lost, another node has the rows and counts them as duplicates.
        """
        shared = batch.shared
        with self._lock:
            shared.pending_parts -= 1
            shared.stored += stored
            shared.duplicate += batch.rows - stored - dead
            shared.dead += dead
            ended = not shared.pending_parts
        if ended:
            shared.lease.ack({"stored": shared.stored, "duplicate": shared.duplicate, "dead": shared.dead})

    def release_all(self) -> None:
        """Return all pending batches to the broker, because this node is leaving."""
        with self._lock:
            shared_leases = {id(batch.shared): batch.shared for batch in self._pending}
            self._pending.clear()
        for shared in shared_leases.values():
            shared.lease.release()
