"""Detects when a source becomes slow, throttled or unavailable and when it recovers, and limits the messages."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum

from sp500tui.pipeline.core.events import EventKind, Notice, PipelineEvent

SLOW_AFTER = 3.0
"""Seconds after which a response counts as slow; normal ones take less than half a second."""
_SLOW_IN_ROW = 2
_MAX_NOTICES, _NOTICE_WINDOW = 4, 60.0
"""Limit of notices per window of seconds; further changes are counted and reported with the next notice."""


class Condition(StrEnum):
    """The condition of a source."""

    OK = "available"
    SLOW = "slow"
    THROTTLED = "throttled"
    DOWN = "down"


class Outcome(StrEnum):
    """The outcome of one request."""

    GOOD = "good"
    SLOW = "slow"
    """A usable response that took `SLOW_AFTER` seconds or more."""
    THROTTLED = "throttled"
    FAILED = "failed"
    HELD_BACK = "held back"
    """Not sent, because of an earlier outcome."""


_KINDS = {
    Condition.OK: EventKind.SOURCE_RECOVERED,
    Condition.SLOW: EventKind.SOURCE_SLOW,
    Condition.THROTTLED: EventKind.THROTTLED,
    Condition.DOWN: EventKind.SOURCE_FAILED,
}


class SourceHealth:
    """State machine of one source's condition. Times are monotonic, in seconds; it has neither a clock nor a lock."""

    def __init__(
        self, name: str, *, down: str = "is down", back: str = "is back", tolerated: int = 2
    ) -> None:
        """Create the health of a source that is available.

        Args:
            name: of the source, with which every message starts.
            down: follows the name in the message of an outage.
            back: follows the name in the message of a recovery.
            tolerated: failures in a row that are not an outage.
        """
        self._name = name
        self._down = down
        self._back = back
        self._tolerated = tolerated
        self.condition = Condition.OK
        self._reported = Condition.OK
        self._failures = self._slow = 0
        """In a row."""
        self._reason = ""
        self._changed_at = 0.0
        self._seconds: dict[Condition, float] = {}
        """Duration of each condition since the source was last reported as available."""
        self._affected: set[str] = set()
        self._noticed_at: deque[float] = deque(maxlen=_MAX_NOTICES)
        self._unreported = 0
        """Changes since the last notice."""

    def record(
        self, now: float, outcome: Outcome, *, reason: str = "", symbols: Iterable[str] = ()
    ) -> Notice | None:
        """Record one outcome, of a request for `symbols`; returns the notice that is due, if any."""
        if outcome is Outcome.GOOD or outcome is Outcome.SLOW:
            self._failures = 0
            self._slow = self._slow + 1 if outcome is Outcome.SLOW else 0
        else:
            self._failures += outcome is Outcome.FAILED
            self._affected.update(symbols)
        condition = self._next(outcome)
        if condition is not self.condition:
            self._enter(now, condition, reason)
        if outcome is Outcome.GOOD and not self.pending and not self._unreported:
            # Single failures were no outage.
            self._affected.clear()
        return self.pending_notice(now)

    @property
    def pending(self) -> bool:
        """Whether a change has not been reported yet."""
        return self.condition is not self._reported

    def pending_notice(self, now: float) -> Notice | None:
        """The notice of a change that was not reported, once the limit allows it."""
        if not self.pending:
            return None
        if len(self._noticed_at) == _MAX_NOTICES and now - self._noticed_at[0] < _NOTICE_WINDOW:
            return None
        more = self._unreported - 1
        message = self._message(now) + (f"; {more} more changes since the last report" if more else "")
        level = logging.INFO if self.condition is Condition.OK else logging.WARNING
        self._reported = self.condition
        self._unreported = 0
        self._noticed_at.append(now)
        seconds = None
        if self.condition is Condition.OK:
            seconds = sum(self._seconds.values())
            self._seconds.clear()
            self._affected.clear()
        return Notice(_KINDS[self.condition], message, level, seconds=seconds)

    def final_notice(self, now: float) -> Notice | None:
        """The notice at the end of a run: a persisting condition, or unreported changes; None if there is neither."""
        if self.condition is not Condition.OK:
            message = f"{self._name}: still {self.condition} at the end of the run, {self._durations(now)}"
            return Notice(_KINDS[self.condition], message, logging.WARNING)
        if self._unreported:
            message = (
                f"{self._name}: {self._unreported} more changes since the last report, {self._durations(now)}"
            )
            return Notice(EventKind.SOURCE_RECOVERED, message, logging.INFO)
        return None

    def _next(self, outcome: Outcome) -> Condition:
        match outcome:
            case Outcome.GOOD:
                return Condition.OK
            case Outcome.SLOW if self._slow >= _SLOW_IN_ROW:
                return Condition.SLOW
            case Outcome.THROTTLED:
                return Condition.THROTTLED
            case Outcome.FAILED if self._failures > self._tolerated:
                return Condition.DOWN
        return self.condition

    def _enter(self, now: float, condition: Condition, reason: str) -> None:
        if self.condition is not Condition.OK:
            self._seconds[self.condition] = self._seconds.get(self.condition, 0.0) + now - self._changed_at
        self.condition, self._changed_at = condition, now
        # Error messages start with the source's name, as the notice does.
        self._reason = reason.removeprefix(self._name).lstrip(": ")
        self._unreported += 1

    def _message(self, now: float) -> str:
        match self.condition:
            case Condition.OK:
                return f"{self._name} {self._back}: {self._durations(now)}"
            case Condition.DOWN:
                return f"{self._name} {self._down}: {self._reason}"
            case Condition.SLOW:
                return f"{self._name} is slow: {self._reason}"
            case Condition.THROTTLED:
                return f"{self._name} is throttled: {self._reason}"

    def _durations(self, now: float) -> str:
        """The duration of each condition and the number of affected symbols."""
        seconds = dict(self._seconds)
        if self.condition is not Condition.OK:
            seconds[self.condition] = seconds.get(self.condition, 0.0) + now - self._changed_at
        spans = ", ".join(f"{condition} for {_span(length)}" for condition, length in seconds.items())
        count = len(self._affected)
        symbols = f"; {count:,} symbol{'s' if count != 1 else ''} affected" if count else ""
        return spans + symbols


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


class SourceWatch:
    """Emits the health of one source as events. Thread-safe."""

    def __init__(
        self,
        health: SourceHealth,
        emit: Callable[[PipelineEvent], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def condition(self) -> Condition:
        """The current condition of the source."""
        return self._health.condition

    def record_response(self, seconds: float = 0.0) -> None:
        """Record a request that was answered after `seconds`."""
        slow = seconds >= SLOW_AFTER
        reason = f"its answers take {seconds:.1f} s" if slow else ""
        self.record(Outcome.SLOW if slow else Outcome.GOOD, reason)

    def record(self, outcome: Outcome, reason: str = "", symbols: Iterable[str] = ()) -> None:
        """Record the outcome of a request for `symbols`; `reason` is one line."""
        self._report(lambda now: self._health.record(now, outcome, reason=reason, symbols=symbols))

    def report_pending(self) -> None:
        """Report a change that was not reported before, once the limit allows it."""
        if self._health.pending:
            self._report(self._health.pending_notice)

    def close(self) -> None:
        """Report a condition that persists at the end of the run."""
        self._report(self._health.final_notice)

    def _report(self, decide: Callable[[float], Notice | None]) -> None:
        with self._lock:
            notice = decide(self._clock())
        if notice is not None:
            self._emit(notice.event())


class SourceWatches:
    """The watches of all sources of a run."""

    def __init__(
        self, emit: Callable[[PipelineEvent], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.yahoo = SourceWatch(SourceHealth("Yahoo Finance"), emit, clock)
        self.wikipedia = SourceWatch(
            SourceHealth(
                "Wikipedia", down="gives no usable list", back="gives a usable list again", tolerated=0
            ),
            emit,
            clock,
        )
        self.rates = SourceWatch(
            SourceHealth("exchange rates", down="are not available", back="are available again"),
            emit,
            clock,
        )
        self._all = (self.yahoo, self.wikipedia, self.rates)

    def report_pending(self) -> None:
        """Report changes that were not reported before, once the limit allows it."""
        for watch in self._all:
            watch.report_pending()

    def close(self) -> None:
        """Report conditions that persist at the end of the run."""
        for watch in self._all:
            watch.close()
