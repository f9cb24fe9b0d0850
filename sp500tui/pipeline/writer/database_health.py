"""Health of the database as seen by the writers and the monitor, and the back-off after failures."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sp500tui.backoff import BackOff
from sp500tui.pipeline.core.events import EventKind, PipelineEvent, deliver
from sp500tui.pipeline.core.metrics import LatencyHistogram
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health

_RETRY = BackOff(base=0.2, cap=2.0)
"""Short, so that writing resumes within five seconds after the database recovers."""


@dataclass(frozen=True, slots=True, eq=False)
class Outage:
    """A finished outage of the database."""

    seconds: float
    ended_at: float
    """Monotonic time."""


class DatabaseHealth:
    """Shared by all writers, so that one failure delays all of them. Thread-safe.

    Attempts overlap, and their outcomes arrive in any order. One that began before the last change between down and
    up says nothing about the state since, and is ignored: an outage is reported once, whatever was in progress
    when it began and ended.
    """

    def __init__(
        self,
        listener: Callable[[PipelineEvent], None],
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._listener = listener
        self._jitter = jitter
        self._clock = clock
        self._failures = 0
        self._changed_at = 0.0
        """Monotonic time of the last change between down and up."""
        self._retry_at = 0.0
        self._down_since = 0.0
        self.status = Health.STARTING
        self.message = "the database is being opened"
        self.sqlstate: str | None = None
        self.ready = threading.Event()
        """Set once the database is open and its schema up to date."""
        self.commit = LatencyHistogram()
        self.last_outage: Outage | None = None

    def record_failure(self, message: str, sqlstate: str | None, began: float | None = None) -> None:
        """Record a refused batch or a failed connection, and report the first of a series.

        `began`: monotonic time at which the attempt began; None for an attempt that overlaps with no other.
        """
        with self._lock:
            first = self.status is not Health.DOWN
            if first and self._is_outdated(began):
                return
            self._set_down(message, sqlstate)
        if first:
            self._emit(EventKind.DATABASE_DOWN, f"database: {message}", logging.WARNING)

    def mark_failed(self, message: str, sqlstate: str | None) -> None:
        """Record a permanent failure to open the database; the caller reports it."""
        with self._lock:
            self._set_down(message, sqlstate)

    def _set_down(self, message: str, sqlstate: str | None) -> None:
        now = self._clock()
        if self.status is not Health.DOWN:
            self._down_since = self._changed_at = now
        self._failures += 1
        self.status, self.message, self.sqlstate = Health.DOWN, message, sqlstate
        self._retry_at = now + _RETRY.delay(self._failures, self._jitter())

    def record_success(self, began: float | None = None) -> None:
        """Record a committed batch or another answer, and report the end of an outage.

        `began`: monotonic time at which the attempt began; None for an attempt that overlaps with no other.
        """
        with self._lock:
            was_down = self.status is Health.DOWN
            if was_down and self._is_outdated(began):
                return
            now = self._clock()
            if was_down:
                self.last_outage = Outage(now - self._down_since, now)
                self._changed_at = now
            self._failures = 0
            self.status, self.message, self.sqlstate = Health.OK, "", None
        if was_down:
            outage = now - self._down_since
            message = f"the database is back after {outage:.1f} s"
            self._emit(EventKind.DATABASE_BACK, message, logging.INFO, outage)

    def _is_outdated(self, began: float | None) -> bool:
        return began is not None and began < self._changed_at

    @property
    def down(self) -> bool:
        """Whether the last attempt failed."""
        return self.status is Health.DOWN

    @property
    def retry_in(self) -> float | None:
        """Seconds until the next attempt; None unless the last one failed."""
        return max(0.0, self._retry_at - self._clock()) if self.down else None

    def _emit(self, kind: EventKind, message: str, level: int, seconds: float | None = None) -> None:
        event = PipelineEvent(kind, message, level, datetime.now(UTC), StageName.WRITER, seconds=seconds)
        deliver(event, self._listener)
