"""The schedule of the cycles: when one starts, is skipped or finishes, and when there is no further one."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from sp500tui.pipeline.core.snapshot import CycleSnapshot

WARM_UP = 5.0
"""Seconds after the stages are ready in which the first cycle opens its connections and may exceed the interval."""


class ScheduleAction(StrEnum):
    """The next action of the scheduler."""

    WAIT = "wait"
    START = "start"
    SKIP = "skip"
    """A start was due while the last cycle was still running."""
    END = "end"


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of a run."""

    cycles: int | None = None
    """Maximum number of cycles; None for no limit."""
    duration: float | None = None
    """Seconds from the start of the run after which no cycle starts; None for no limit."""


def next_action(
    plan: Plan, *, now: float, started: float, due: float, number: int, running: bool, requested: bool
) -> ScheduleAction:
    """Decide on the next action, all times monotonic: `due` is the next start, `requested` a request to start now."""
    over = plan.duration is not None and now - started >= plan.duration
    if over or (plan.cycles is not None and number >= plan.cycles and not running):
        return ScheduleAction.END
    if plan.cycles is not None and number >= plan.cycles:
        return ScheduleAction.WAIT
    if running:
        return ScheduleAction.SKIP if now >= due else ScheduleAction.WAIT
    return ScheduleAction.START if requested or now >= due else ScheduleAction.WAIT


def idle_time(plan: Plan, *, now: float, started: float, due: float, number: int) -> float:
    """Seconds until `next_action` has to be called again, unless a cycle ends or is requested; may be infinite."""
    deadlines = [] if plan.cycles is not None and number >= plan.cycles else [due]
    if plan.duration is not None:
        deadlines.append(started + plan.duration)
    return max(0.0, min(deadlines, default=math.inf) - now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """The state of the schedule. Times are monotonic, in seconds."""

    due: float
    """The next start."""
    interval: float
    """Seconds from start to start."""
    number: int = 0
    """Number of the current or last cycle; 0 before the first one."""
    total: int = 0
    """Its symbols."""
    running: bool = False
    complete: bool = True
    """Whether all of its tickers have been put on the queue."""
    started_at: float = 0.0
    seconds: float = 0.0
    """Duration of the last finished cycle."""
    skipped: int = 0
    """Starts that were skipped while it was running."""


class FinishedCycle(NamedTuple):
    """A finished cycle."""

    number: int
    seconds: float
    """Its duration."""


class SkippedStarts:
    """Counts skipped starts and limits their messages: the first immediately, then at most one per minute."""

    _MESSAGE_INTERVAL = 60.0
    """Seconds between two messages."""

    def __init__(self) -> None:
        self._number = 0
        self._skipped = 0
        self._unreported = 0
        self._reported_at: float | None = None

    def record(self, now: float, number: int, skipped: int) -> tuple[str, int]:
        """Record that `skipped` starts have been skipped during cycle `number`.

        Returns the message that is due now, or "", and the number of skipped starts that it covers.
        """
        self._unreported += skipped - (self._skipped if number == self._number else 0)
        self._number, self._skipped = number, skipped
        last = self._reported_at
        if not self._unreported or (last is not None and now - last < self._MESSAGE_INTERVAL):
            return "", 0
        count, self._unreported, self._reported_at = self._unreported, 0, now
        starts = "a start was" if count == 1 else f"{count:,} starts were"
        span = "" if last is None or count == 1 else f" in the last {now - last:.0f} s"
        return f"cycle {number} is still running: {starts} skipped{span}", count


class CycleSchedule:
    """The schedule of a run. Thread-safe."""

    def __init__(self, plan: Plan, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._clock = clock
        self._lock = threading.Lock()
        self._run_started_at = clock()
        self._state = ScheduleState(due=self._run_started_at, interval=interval)
        self._requested = False
        self._ready_at: float | None = None
        """Monotonic time at which the stages were ready; None before that."""
        self._last_warmed_up = False
        """Whether the last finished cycle ended during its warm-up."""
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change of the schedule, on the thread that makes it."""
        self._listeners.append(listener)

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()

    def mark_ready(self) -> None:
        """Record that every stage has started its workers, which begins the warm-up of the first cycle."""
        with self._lock:
            if self._ready_at is not None:
                return
            self._ready_at = self._clock()
        self._notify()

    @property
    def _warm_at(self) -> float:
        """Time at which the warm-up ends; infinite before the stages are ready."""
        return math.inf if self._ready_at is None else self._ready_at + WARM_UP

    def _is_warming_up(self, now: float) -> bool:
        """Whether the first cycle is running and may still exceed the interval."""
        state = self._state
        return state.running and state.number == 1 and now < self._warm_at

    def _next_due(self, now: float) -> float:
        """Time of the next start; none is skipped during the warm-up."""
        return max(self._state.due, self._warm_at) if self._is_warming_up(now) else self._state.due

    def idle_time(self) -> float:
        """Seconds until `next_action` has to be called again, unless the schedule changes before."""
        with self._lock:
            now = self._clock()
            return idle_time(
                self._plan,
                now=now,
                started=self._run_started_at,
                due=self._next_due(now),
                number=self._state.number,
            )

    def next_action(self) -> ScheduleAction:
        """Decide on the next action; a skipped start is counted."""
        with self._lock:
            now = self._clock()
            action = next_action(
                self._plan,
                now=now,
                started=self._run_started_at,
                due=self._next_due(now),
                number=self._state.number,
                running=self._state.running,
                requested=self._requested,
            )
            if action is ScheduleAction.SKIP:
                state = self._state
                missed = 1 + int((now - state.due) / state.interval)
                self._state = replace(
                    state, skipped=state.skipped + missed, due=state.due + missed * state.interval
                )
            return action

    def begin(self, total: int) -> int:
        """Start a cycle over `total` symbols; returns its number."""
        with self._lock:
            now = self._clock()
            state = self._state
            # Count from the due time, so that the interval is exact, unless the cycle is the first, late or requested.
            restart = now - state.due >= state.interval or self._requested or not state.number
            self._requested = False
            number = state.number + 1
            self._state = replace(
                state,
                due=(now if restart else state.due) + state.interval,
                number=number,
                total=total,
                running=True,
                complete=False,
                started_at=now,
                skipped=0,
            )
        self._notify()
        return number

    def mark_complete(self) -> None:
        """Record that every ticker of the cycle is on the queue."""
        with self._lock:
            self._state = replace(self._state, complete=True)

    def retract(self, number: int) -> None:
        """Undo the start of cycle `number`, whose tickers could not all be put; it is due again immediately."""
        with self._lock:
            state = self._state
            if state.running and not state.complete and state.number == number:
                self._state = replace(
                    state, number=number - 1, running=False, complete=True, due=self._clock()
                )
        self._notify()

    def finish(self) -> FinishedCycle:
        """Finish the cycle."""
        with self._lock:
            now = self._clock()
            self._last_warmed_up = self._is_warming_up(now)
            state = self._state = replace(self._state, running=False, seconds=now - self._state.started_at)
        # The next cycle may begin immediately, on another thread.
        self._notify()
        return FinishedCycle(state.number, state.seconds)

    def request(self) -> bool:
        """Request the next cycle now; False while one is running."""
        with self._lock:
            if self._state.running:
                return False
            self._requested = True
        self._notify()
        return True

    def set_interval(self, seconds: float) -> None:
        """Change the interval; the next cycle is due one new interval after the last one started."""
        with self._lock:
            state = self._state
            due = max(self._clock(), state.started_at + seconds) if state.number else state.due
            self._state = replace(state, interval=seconds, due=due)
        self._notify()

    def state(self) -> ScheduleState:
        """The current state."""
        return self._state

    def load(self, state: ScheduleState) -> None:
        """Continue from a state, such as that of another node."""
        with self._lock:
            self._state = state
        self._notify()

    @property
    def running(self) -> bool:
        """Whether a cycle is running."""
        return self._state.running

    @property
    def complete(self) -> bool:
        """Whether a cycle is running and all of its tickers have been put on the queue."""
        state = self._state
        return state.running and state.complete

    @property
    def number(self) -> int:
        """Number of the current or last cycle."""
        return self._state.number

    @property
    def interval(self) -> float:
        """Seconds from start to start."""
        return self._state.interval

    def snapshot(self, outstanding: int, *, stopping: bool) -> CycleSnapshot:
        """The current or last cycle, of whose symbols `outstanding` are not finished yet."""
        with self._lock:
            now = self._clock()
            state = self._state
            last = self._plan.cycles is not None and state.number >= self._plan.cycles
            return CycleSnapshot(
                number=state.number,
                total=state.total,
                done=max(0, state.total - outstanding) if state.running else state.total,
                running=state.running,
                seconds=now - state.started_at if state.running else state.seconds,
                last_seconds=None if self._last_warmed_up else state.seconds or None,
                next_in=None if stopping or last else max(0.0, state.due - now),
                skipped=state.skipped,
                interval=state.interval,
                warming_up=self._is_warming_up(now) if state.running else self._last_warmed_up,
            )
