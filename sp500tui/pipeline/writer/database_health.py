"""What the writers and the keeper know of the database: whether it takes rows, why not, and when to try again."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sp500tui.pipeline.core.events import EventKind, PipelineEvent, deliver
from sp500tui.pipeline.core.metrics import LatencyHistogram
from sp500tui.pipeline.core.snapshot import Health

_LONGEST_PAUSE = 2.0
"""Seconds; short, so that a database that comes back is in use again within five."""


def backoff_delay(failures: int, jitter: float) -> float:
    """Seconds until the next attempt after `failures` in a row: 0.1·2ⁿ with half of it by chance, at most 2."""
    longest = min(_LONGEST_PAUSE, 0.1 * 2 ** min(failures, 10))
    return float(longest * (0.5 + 0.5 * jitter))


class DatabaseHealth:
    """One for all writers: what one of them learns, all of them heed. Thread-safe."""

    def __init__(
        self, listener: Callable[[PipelineEvent], None], jitter: Callable[[], float] = random.random
    ) -> None:
        self._lock = threading.Lock()
        self._listener = listener
        self._jitter = jitter
        self._failures = 0
        self._retry_at = 0.0
        self._down_since = 0.0
        self.status = Health.STARTING
        self.message = "the database is being opened"
        self.sqlstate: str | None = None
        self.ready = threading.Event()
        """Set once the database was opened and its schema is there."""
        self.commit = LatencyHistogram()

    def record_failure(self, message: str, sqlstate: str | None) -> None:
        """It refused or could not be reached."""
        with self._lock:
            first = self.status is not Health.DOWN
            self._note(message, sqlstate)
        if first:
            self._tell(EventKind.DATABASE_DOWN, f"database: {message}", logging.WARNING)

    def mark_failed(self, message: str, sqlstate: str | None) -> None:
        """It could not be opened, and nobody will try again; who gives up tells so."""
        with self._lock:
            self._note(message, sqlstate)

    def _note(self, message: str, sqlstate: str | None) -> None:
        now = time.monotonic()
        if self.status is not Health.DOWN:
            self._down_since = now
        self._failures += 1
        self.status, self.message, self.sqlstate = Health.DOWN, message, sqlstate
        self._retry_at = now + backoff_delay(self._failures, self._jitter())

    def record_success(self) -> None:
        """It took a batch, or answered."""
        with self._lock:
            was_down = self.status is Health.DOWN
            away = time.monotonic() - self._down_since
            self._failures = 0
            self.status, self.message, self.sqlstate = Health.OK, "", None
        if was_down:
            message = f"the database is back after {away:.1f} s"
            self._tell(EventKind.DATABASE_BACK, message, logging.INFO)

    @property
    def down(self) -> bool:
        """Whether the last attempt failed."""
        return self.status is Health.DOWN

    @property
    def retry_in(self) -> float | None:
        """Seconds until the next attempt; None while it works."""
        return max(0.0, self._retry_at - time.monotonic()) if self.down else None

    def _tell(self, kind: EventKind, message: str, level: int) -> None:
        deliver(PipelineEvent(kind, message, level, datetime.now(UTC)), self._listener)
