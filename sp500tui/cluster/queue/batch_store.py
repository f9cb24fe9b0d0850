"""A writer's batch in a cluster: its rows stay leased on the broker until the database has committed them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sp500tui.cluster.queue.stream_queue import StreamLease
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.queue import Lease
from sp500tui.storage import batch_codec as rowcodec


@dataclass(slots=True, eq=False)
class _Stake:
    """One lease and what is still to be settled of it; several batches hold it when it was divided."""

    lease: StreamLease[ConvertedQuote]
    components: int = 1
    stored: int = 0
    duplicate: int = 0
    dead: int = 0


@dataclass(slots=True, eq=False)
class LeasedBatch:
    """Rows on their way to the database, under a lease."""

    stake: _Stake
    payload: bytes
    rows: int
    quotes: Sequence[ConvertedQuote] = ()
    crashes: int = 0
    replayed: bool = False
    """Never: what an earlier run left is in the queue like everything else."""


class LeaseBatchStore:
    """Implements `pipeline.batch_store.BatchStore` without a disk: the broker's log is the journal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[LeasedBatch] = deque()

    @property
    def accepts_when_down(self) -> bool:
        """Rows wait on the broker while the database is away."""
        return False

    @property
    def has_pending(self) -> bool:
        """Whether batches that killed a writer wait for another try."""
        return bool(self._waiting)

    def take_pending(self) -> LeasedBatch | None:
        """The oldest batch that waits for another try; None when none does."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def accept(
        self, lease: Lease[ConvertedQuote], rows: Sequence[ConvertedQuote], payload: bytes
    ) -> LeasedBatch | None:
        """Answer for the rows; None when the lease was lost."""
        assert isinstance(lease, StreamLease)  # noqa: S101  # a cluster's rows queue gives no other
        if not lease.open:
            return None
        return LeasedBatch(_Stake(lease), payload, len(rows), tuple(rows))

    def dead_letter(
        self, lease: Lease[ConvertedQuote], survivors: Sequence[ConvertedQuote], dead: int
    ) -> None:
        """Count `dead` rows as dead and put the `survivors` back, in one step."""
        assert isinstance(lease, StreamLease)  # noqa: S101  # as above
        lease.release(survivors, counters={"dead": dead})

    def split(self, batch: LeasedBatch, pieces: Sequence[bytes], *, crashes: int) -> None:
        """Have the pieces tried one by one; the lease ends when all of them are settled."""
        counts = [rowcodec.count(piece) for piece in pieces]
        with self._lock:
            batch.stake.components += len(pieces) - 1
            # A row that stands alone is judged by its own crashes: it may be the victim of its neighbour.
            self._waiting.extendleft(
                LeasedBatch(batch.stake, piece, rows, crashes=crashes if rows > 1 else 0)
                for piece, rows in zip(reversed(pieces), reversed(counts), strict=True)
            )

    def requeue(self, batch: LeasedBatch) -> None:
        """Give untouched rows back to the broker, where any node's writer finds them; keep those that killed one."""
        with self._lock:
            if batch.crashes or batch.stake.components > 1:
                self._waiting.appendleft(batch)
                return
        batch.stake.lease.release()

    def complete(self, batch: LeasedBatch, *, stored: int, dead: int) -> None:
        """Count a committed batch, and end the lease with the last part of it.

        Where the lease was lost meanwhile, somebody else has the rows and counts them: as known already.
        """
        stake = batch.stake
        with self._lock:
            stake.components -= 1
            stake.stored += stored
            stake.duplicate += batch.rows - stored - dead
            stake.dead += dead
            ended = not stake.components
        if ended:
            stake.lease.ack({"stored": stake.stored, "duplicate": stake.duplicate, "dead": stake.dead})

    def release_all(self) -> None:
        """Give everything that waits back to the broker: this node leaves."""
        with self._lock:
            stakes = {id(batch.stake): batch.stake for batch in self._waiting}
            self._waiting.clear()
        for stake in stakes.values():
            stake.lease.release()
