"""A gauge of the interpreter lock (GIL): how often a thread that becomes ready finds it held, and for how long.

A thread sleeps for random durations. The time by which a sleep exceeds its request is the wait for the lock, less the
wait for a processor, which Linux reports (`/proc/thread-self/schedstat`, second field: nanoseconds runnable but not
running). Sampled at random times, the share of sleeps that end with a wait is the share of time for which the lock is
held.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from sp500tui.closable import Closable
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.timing.accounting import Clock, SecondAccount

HELD_FROM = 0.000_3
"""Minimum wait in seconds for which the lock counts as held: a wake-up alone takes up to 0.25 ms."""
_MEAN_SLEEP = 0.05
"""Seconds between two samples, on average."""
_QUIET_SLEEP = 1.0
"""Seconds between two readings of the processor time while the program is nearly idle."""
_QUIET = 0.03
"""Share of a core below which the program counts as nearly idle: the lock is not held for longer."""
_QUIET_AFTER = 5
"""Seconds without work after which sampling pauses."""


@dataclass(slots=True)
class LockBucket:
    """The samples of one second."""

    samples: int = 0
    held: int = 0
    """Samples that found the lock held."""
    waited: float = 0.0
    """Seconds, summed over the samples."""
    longest: float = 0.0
    """Seconds."""


class LockAccount(SecondAccount[LockBucket]):
    """The samples of each second."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._own_lock = threading.Lock()
        super().__init__(self._own_lock, clock)

    def _new_bucket(self) -> LockBucket:
        return LockBucket()

    def _add(self, bucket: LockBucket, seconds: float) -> None:
        """Do nothing: a second without samples stays empty."""

    def record(self, seconds: float) -> None:
        """Add a sample with its wait in seconds."""
        with self._own_lock:
            bucket = self._advance()
            bucket.samples += 1
            if seconds >= HELD_FROM:
                bucket.held += 1
                bucket.waited += seconds
                bucket.longest = max(bucket.longest, seconds)


class WorkWatch:
    """Detects by its processor time whether the program is working."""

    def __init__(self, clock: Clock, cpu_clock: Clock) -> None:
        """Start with a program that is working."""
        self._clock, self._cpu_clock = clock, cpu_clock
        self._read_at, self._cpu = clock(), cpu_clock()
        self._quiet_seconds = 0.0

    def is_quiet(self) -> bool:
        """Whether the program has been nearly idle for `_QUIET_AFTER` seconds, as of the last reading."""
        now = self._clock()
        elapsed = now - self._read_at
        if elapsed >= _QUIET_SLEEP / 2:
            used = self._cpu_clock() - self._cpu
            self._read_at, self._cpu = now, self._cpu + used
            self._quiet_seconds = self._quiet_seconds + elapsed if used < _QUIET * elapsed else 0.0
        return self._quiet_seconds >= _QUIET_AFTER


class LockGauge(Closable):
    """The thread that takes the samples: twenty per second, and none while the program is nearly idle."""

    def __init__(self, *, cpu_clock: Clock = time.process_time) -> None:
        """`cpu_clock`: processor time of the program in seconds."""
        self.account = LockAccount()
        self._work = WorkWatch(time.monotonic, cpu_clock)
        self._run_delay: _RunDelay | None = None
        self.thread = ServiceThread("interpreter-lock", self._step, on_exit=self._end)

    def start(self) -> None:
        """Start sampling; does nothing on an interpreter without the lock."""
        if has_lock():
            self.thread.start()

    def close(self) -> None:
        """End the thread."""
        self.thread.stop()
        if self.thread.started:
            self.thread.join(2.0)

    def _step(self) -> float:
        """Take one sample; returns the seconds until the next one, 0 while the program is working."""
        self._run_delay = self._run_delay or _RunDelay()
        if self._work.is_quiet():
            return _QUIET_SLEEP
        self._sample(random.uniform(0.0, 2 * _MEAN_SLEEP), self._run_delay)  # noqa: S311
        return 0.0

    def _sample(self, seconds: float, run_delay: _RunDelay) -> None:
        delayed, started = run_delay.seconds(), time.monotonic()
        if self.thread.wait(seconds):
            return
        late = time.monotonic() - started - seconds
        self.account.record(max(0.0, late - (run_delay.seconds() - delayed)))

    def _end(self) -> None:
        if self._run_delay is not None:
            self._run_delay.close()


def has_lock() -> bool:
    """Whether this interpreter has the lock: a free-threaded Python has none by default."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return True if is_enabled is None else bool(is_enabled())


class _RunDelay:
    """How long the calling thread has been ready to run, but waited for a processor; 0 if unknown."""

    def __init__(self) -> None:
        self._file: int | None = None
        with suppress(OSError):
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def seconds(self) -> float:
        """Since the start of the thread."""
        if self._file is None:
            return 0.0
        try:
            return int(os.pread(self._file, 100, 0).split()[1]) / 1e9
        except (OSError, LookupError, ValueError):
            return 0.0

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
