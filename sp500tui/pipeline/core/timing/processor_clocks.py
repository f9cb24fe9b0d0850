"""Clocks of the processor time of threads and processes, and a meter of a clock that may be replaced or end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf

CpuClock = Callable[[], float]
"""Seconds on a processor."""
_CPUCLOCK_SCHED = 2
"""Kind of a processor clock in its number (linux/posix-timers.h): time on a processor."""


def has_thread_clocks() -> bool:
    """Whether a thread can read the processor clock of another one: on Linux, but not on macOS."""
    return hasattr(time, "pthread_getcpuclockid")


def thread_clock() -> CpuClock:
    """A clock of the processor time of the calling thread that other threads can read.

    Where the system has none, it returns the last reading of the thread itself (`OwnClock`).
    """
    if not has_thread_clocks():
        return OwnClock()
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)


class OwnClock:
    """The processor time of the thread that creates it, which only this thread can read from the system.

    Other threads see the time that it read last.
    """

    __slots__ = ("_seconds", "_thread")

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._seconds = time.thread_time()

    def __call__(self) -> float:
        """The time in seconds."""
        if threading.get_ident() == self._thread:
            self._seconds = time.thread_time()
        return self._seconds


def process_clock(pid: int) -> CpuClock:
    """A clock of the processor time of a process. A call raises OSError once the process is gone.

    On Linux its number is that of clock_getcpuclockid(3).
    """
    if sys.platform != "linux":
        return portable_process_clock(pid)
    clock = ~pid << 3 | _CPUCLOCK_SCHED
    return lambda: time.clock_gettime(clock)


def portable_process_clock(pid: int) -> CpuClock:
    """Like `process_clock`, but on every system."""
    import psutil

    def read() -> float:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error as error:
            raise ProcessLookupError(str(error)) from None
        return float(times.user + times.system)

    return read


class CpuMeter:
    """Processor time as read from a clock that may be replaced by another one, or end."""

    def __init__(self) -> None:
        self._clock: CpuClock | None = None
        self._at = self._used = self._taken = 0.0

    def use(self, clock: CpuClock | None) -> None:
        """Switch to this clock; None for none."""
        self.read()
        self._clock = None
        with suppress(OSError):
            self._at = clock() if clock is not None else 0.0
            self._clock = clock

    def read(self) -> None:
        """Read the clock. One whose thread or process has gone adds nothing."""
        if self._clock is not None:
            with suppress(OSError):
                now = self._clock()
                self._used, self._at = self._used + max(0.0, now - self._at), now

    def take(self, most: float = inf) -> float:
        """The processor time since the last call in seconds; any excess over `most` is left for the next call."""
        self.read()
        taken = min(most, self._used - self._taken)
        self._taken += taken
        return taken
