"""When a cycle starts, when it is over, and when there will be no more."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sp500tui.pipeline.core.snapshot import CycleSnapshot


class ScheduleAction(StrEnum):
    """What the scheduler should do now."""

    WAIT = "wait"
    START = "start"
    SKIP = "skip"
    """A start fell due while the last cycle was still under way."""
    END = "end"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked for."""

    cycles: int | None = None
    """How many at most; None for no limit."""
    duration: float | None = None
    """Seconds from the start after which no cycle begins any more."""


def next_move(
    plan: Plan, *, now: float, started: float, due: float, number: int, running: bool, asked: bool
) -> ScheduleAction:
    """Decide, all times as ticks: `due` is when the next cycle falls due, `asked` that somebody pressed for it."""
    over = plan.duration is not None and now - started >= plan.duration
    if over or (plan.cycles is not None and number >= plan.cycles and not running):
        return ScheduleAction.END
    if plan.cycles is not None and number >= plan.cycles:
        return ScheduleAction.WAIT
    if running:
        return ScheduleAction.SKIP if now >= due else ScheduleAction.WAIT
    return ScheduleAction.START if asked or now >= due else ScheduleAction.WAIT


def idle_time(plan: Plan, *, now: float, started: float, due: float, number: int) -> float:
    """Seconds for which `next_move` goes on to say WAIT, unless a cycle ends or is asked for; infinite at the end."""
    moments = [] if plan.cycles is not None and number >= plan.cycles else [due]
    if plan.duration is not None:
        moments.append(started + plan.duration)
    return max(0.0, min(moments, default=math.inf) - now)


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """How the schedule stands; times are ticks."""

    number: int
    total: int
    running: bool
    began: float
    due: float
    seconds: float
    """How long the last cycle took."""
    skipped: int
    interval: float


class FoldedSkips:
    """Words for skipped starts: the first at once, then at most one line a minute with their number."""

    _PAUSE = 60.0
    """Seconds between two lines."""

    def __init__(self) -> None:
        self._number = 0
        self._skipped = 0
        self._unreported = 0
        self._reported_at: float | None = None

    def note(self, now: float, number: int, skipped: int) -> str:
        """Count that cycle `number` has cost `skipped` starts so far; the line to report now, else empty."""
        self._unreported += skipped - (self._skipped if number == self._number else 0)
        self._number, self._skipped = number, skipped
        last = self._reported_at
        if not self._unreported or (last is not None and now - last < self._PAUSE):
            return ""
        count, self._unreported, self._reported_at = self._unreported, 0, now
        starts = "a start was" if count == 1 else f"{count:,} starts were"
        span = "" if last is None or count == 1 else f" in the last {now - last:.0f} s"
        return f"cycle {number} is still under way: {starts} skipped{span}"


class CycleSchedule:
    """The state behind the decision. Thread-safe."""

    def __init__(self, plan: Plan, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._clock = clock
        self._lock = threading.Lock()
        self._started = self._due = clock()
        self._interval = interval
        self._requested = False
        self._running = False
        self._complete = True
        self._number = 0
        self._total = 0
        self._skipped = 0
        self._started_at = 0.0
        self._seconds = 0.0
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after every change of the schedule, from whatever thread makes it."""
        self._listeners.append(listener)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def idle_time(self) -> float:
        """Seconds until `move` has to be asked again, unless the schedule changes before."""
        with self._lock:
            return idle_time(
                self._plan, now=self._clock(), started=self._started, due=self._due, number=self._number
            )

    def move(self) -> ScheduleAction:
        """What to do now; a skipped start is counted here."""
        with self._lock:
            now = self._clock()
            move = next_move(
                self._plan,
                now=now,
                started=self._started,
                due=self._due,
                number=self._number,
                running=self._running,
                asked=self._requested,
            )
            if move is ScheduleAction.SKIP:
                missed = 1 + int((now - self._due) / self._interval)
                self._skipped += missed
                self._due += missed * self._interval
            return move

    def begin(self, total: int) -> int:
        """A cycle over `total` symbols starts; returns its number."""
        with self._lock:
            now = self._clock()
            # From due time to due time, so that cycles keep their rhythm; a first, late or asked-for one starts anew.
            late = now - self._due >= self._interval or self._requested or not self._number
            self._due = (now if late else self._due) + self._interval
            self._requested = False
            self._running, self._started_at, self._total, self._skipped = True, now, total, 0
            self._complete = False
            self._number += 1
            number = self._number
        self._tell()
        return number

    def completed(self) -> None:
        """Record that every ticker of the cycle has been put on the queue; the scraper calls it."""
        with self._lock:
            self._complete = True

    def retract(self, number: int) -> None:
        """Undo the start of cycle `number`, whose tickers could not all be put; it is due again at once."""
        with self._lock:
            if self._running and not self._complete and self._number == number:
                self._number -= 1
                self._running, self._complete = False, True
                self._due = self._clock()
        self._tell()

    def finish(self) -> float:
        """The cycle is over; returns how many seconds it took."""
        with self._lock:
            self._running = False
            seconds = self._seconds = self._clock() - self._started_at
        self._tell()
        return seconds

    def ask(self) -> bool:
        """Have the next cycle start at once; False while one is under way."""
        with self._lock:
            if self._running:
                return False
            self._requested = True
        self._tell()
        return True

    def set_interval(self, seconds: float) -> None:
        """Change the rhythm; the next cycle falls due one new interval after the last one began."""
        with self._lock:
            self._interval = seconds
            if self._number:
                self._due = max(self._clock(), self._started_at + seconds)
        self._tell()

    def record(self) -> ScheduleState:
        """How the schedule stands."""
        with self._lock:
            return ScheduleState(
                self._number,
                self._total,
                self._running,
                self._started_at,
                self._due,
                self._seconds,
                self._skipped,
                self._interval,
            )

    def restore(self, record: ScheduleState) -> None:
        """Go on from where somebody else was."""
        with self._lock:
            self._number, self._total, self._running = record.number, record.total, record.running
            self._started_at, self._due, self._seconds = record.began, record.due, record.seconds
            self._skipped, self._interval = record.skipped, record.interval
        self._tell()

    @property
    def running(self) -> bool:
        """Whether a cycle is under way."""
        return self._running

    @property
    def complete(self) -> bool:
        """Whether a cycle is under way and all of its tickers have been put on the queue."""
        return self._running and self._complete

    @property
    def number(self) -> int:
        """Of the present or last cycle."""
        return self._number

    @property
    def interval(self) -> float:
        """Seconds from start to start."""
        return self._interval

    def snapshot(self, outstanding: int, *, stopping: bool) -> CycleSnapshot:
        """The present or last cycle, of whose symbols `outstanding` are not settled yet."""
        with self._lock:
            now = self._clock()
            last = self._plan.cycles is not None and self._number >= self._plan.cycles
            return CycleSnapshot(
                number=self._number,
                total=self._total,
                done=max(0, self._total - outstanding) if self._running else self._total,
                running=self._running,
                seconds=now - self._started_at if self._running else self._seconds,
                next_in=None if stopping or last else max(0.0, self._due - now),
                skipped=self._skipped,
                interval=self._interval,
            )
