"""Moves rows to the journal while no writer takes them: all are connecting, waiting for an answer or restarting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sp500tui.errors import JournalError
from sp500tui.pipeline.core.queue import Depth, QueueClosedError
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.writer.worker import FULL_DISK_PAUSE, WriterStage

SPOOL_AGE = 1.0
"""Seconds that rows may wait in memory while no writer takes any: the most that a crash of this program can lose."""
_SPOOL_FILL = 0.5
"""Fill level of the rows queue above which rows are spooled earlier while the database is down."""
_INTERVAL = 0.1
"""Seconds between two checks of a queue with rows."""
_IDLE_INTERVAL = SPOOL_AGE / 2
"""Seconds between two checks of an empty queue: rows put after one are younger than `SPOOL_AGE` at the next."""


def must_spool(depth: Depth, *, idle_seconds: float, down: bool, ending: bool) -> bool:
    """Whether rows must be spooled now.

    Args:
        depth: the fill level of the rows queue.
        idle_seconds: seconds since a writer last took a batch.
        down: whether the database cannot be used.
        ending: whether the run ends without waiting for the database.
    """
    if not depth.ready:
        return False
    if ending or (down and depth.ready > depth.capacity * _SPOOL_FILL):
        return True
    return (down or idle_seconds > SPOOL_AGE) and (depth.oldest_age or 0.0) > SPOOL_AGE


class Spooler:
    """Empties the rows queue into the journal while the writers cannot; they commit the rows later.

    Writers that are only slow still take batches, and the full queue blocks the stages before it. Rows also stay in
    the queue while the writers are paused.
    """

    def __init__(
        self,
        stage: WriterStage[Any],
        journal: Journal,
        *,
        paused: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        """`paused`: whether the writers must not take rows; `wake` makes idle writers check the journal."""
        self._stage = stage
        self._journal = journal
        self._paused = paused
        self._wake = wake
        self.thread = ServiceThread("spooler", self._step)

    def _step(self) -> float | None:
        try:
            while self._is_due() and self._spool():
                pass
        except QueueClosedError:
            return None
        except JournalError:
            # The journal's snapshot reports it; the rows are back in the queue.
            return FULL_DISK_PAUSE
        return _INTERVAL if self._stage.rows.depth().ready else _IDLE_INTERVAL

    def _is_due(self) -> bool:
        stage = self._stage
        health = stage.health
        return not self._paused() and must_spool(
            stage.rows.depth(),
            idle_seconds=time.monotonic() - stage.taken_at,
            down=health.down or not health.ready.is_set(),
            ending=stage.spooling_since is not None,
        )

    def _spool(self) -> bool:
        """Move one batch to the journal; False if there is none.

        Raises:
            QueueClosedError: the queue is closed and drained.
            JournalError: the disk cannot be written; the rows are back in the queue.
        """
        stage = self._stage
        lease = stage.rows.take(stage.batch_size, timeout=0.0)
        if lease is None:
            return False
        try:
            payload = stage.encode(lease)
            if payload is not None:
                self._journal.spool(lease, payload)
        finally:
            lease.release()  # no effect once it is acknowledged
        self._wake()
        return True

    def close(self) -> None:
        """Stop the thread, and spool what abandoned writers have left in the queue.

        Raises:
            JournalError: the disk cannot be written.
        """
        self.thread.stop()
        self.thread.join()
        try:
            while self._spool():
                pass
        except QueueClosedError:
            return
