"""Detects when a source becomes slow, throttled or unavailable and when it recovers, and reports it in few lines."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sp500tui.pipeline.core.events import EventKind, PipelineEvent

SLOW_AFTER = 3.0
"""Seconds from which an answer counts as slow; a usual one takes less than half a second."""
_SLOW_IN_ROW = 2
_LINES, _WINDOW = 4, 300.0
"""At most so many lines within so many seconds; further changes are counted and reported with the next line."""


class Condition(StrEnum):
    """How a source does at present."""

    OK = "available"
    SLOW = "slow"
    THROTTLED = "throttled"
    DOWN = "down"


class Outcome(StrEnum):
    """How one question to a source ended."""

    GOOD = "good"
    SLOW = "slow"
    """A usable answer that took `SLOW_AFTER` seconds or more."""
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


@dataclass(frozen=True, slots=True)
class Notice:
    """One line about a source."""

    kind: EventKind
    message: str
    level: int
    """A level of the `logging` module."""


class SourceHealth:
    """The state machine of one source. Times are ticks in seconds; it has neither a clock nor a lock."""

    def __init__(
        self, name: str, *, down: str = "is down", back: str = "is back", tolerated: int = 2
    ) -> None:
        """`down` and `back` follow the name in messages; `tolerated` failures in a row are not an outage."""
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
        """How long each condition lasted since the source was last reported as available."""
        self._affected: set[str] = set()
        self._lines: deque[float] = deque(maxlen=_LINES)
        self._unreported = 0
        """Changes since the last line."""

    def observe(
        self, now: float, outcome: Outcome, *, reason: str = "", symbols: Iterable[str] = ()
    ) -> Notice | None:
        """Take account of one outcome; `symbols` are those it was about. Returns the line to report, if any."""
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
            # Single failures that made no outage.
            self._affected.clear()
        return self.settle(now)

    @property
    def pending(self) -> bool:
        """Whether a change was held back."""
        return self.condition is not self._reported

    def settle(self, now: float) -> Notice | None:
        """The line about a change that was held back, once it is due."""
        if not self.pending:
            return None
        if len(self._lines) == _LINES and now - self._lines[0] < _WINDOW:
            return None
        more = self._unreported - 1
        message = self._message(now) + (f"; {more} more changes since the last report" if more else "")
        level = logging.INFO if self.condition is Condition.OK else logging.WARNING
        self._reported = self.condition
        self._unreported = 0
        self._lines.append(now)
        if self.condition is Condition.OK:
            self._seconds.clear()
            self._affected.clear()
        return Notice(_KINDS[self.condition], message, level)

    def close(self, now: float) -> Notice | None:
        """The line at the end of a run about what lasts or was not reported; None where all is well."""
        if self.condition is not Condition.OK:
            message = f"{self._name}: still {self.condition} at the end of the run, {self._lasted(now)}"
            return Notice(_KINDS[self.condition], message, logging.WARNING)
        if self._unreported:
            message = (
                f"{self._name}: {self._unreported} more changes since the last report, {self._lasted(now)}"
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
        # Messages of errors begin with the source's name, as the line does.
        self._reason = reason.removeprefix(self._name).lstrip(": ")
        self._unreported += 1

    def _message(self, now: float) -> str:
        match self.condition:
            case Condition.OK:
                return f"{self._name} {self._back}: {self._lasted(now)}"
            case Condition.DOWN:
                return f"{self._name} {self._down}: {self._reason}"
            case Condition.SLOW:
                return f"{self._name} is slow: {self._reason}"
            case Condition.THROTTLED:
                return f"{self._name} is throttled: {self._reason}"

    def _lasted(self, now: float) -> str:
        """How long it was in which condition, and how many symbols that affected."""
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
    """Reports the health of one source as events. Thread-safe."""

    def __init__(
        self,
        health: SourceHealth,
        tell: Callable[[PipelineEvent], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def condition(self) -> Condition:
        """How the source does at present."""
        return self._health.condition

    def answered(self, seconds: float = 0.0) -> None:
        """A question was answered, after so many seconds."""
        slow = seconds >= SLOW_AFTER
        reason = f"its answers take {seconds:.1f} s" if slow else ""
        self.observe(Outcome.SLOW if slow else Outcome.GOOD, reason)

    def observe(self, outcome: Outcome, reason: str = "", symbols: Iterable[str] = ()) -> None:
        """A question about these symbols ended so; `reason` is one line."""
        self._report(lambda now: self._health.observe(now, outcome, reason=reason, symbols=symbols))

    def settle(self) -> None:
        """Report a change that was held back, once it is due."""
        if self._health.pending:
            self._report(self._health.settle)

    def close(self) -> None:
        """Report what lasts at the end of the run."""
        self._report(self._health.close)

    def _report(self, decide: Callable[[float], Notice | None]) -> None:
        with self._lock:
            notice = decide(self._clock())
        if notice is not None:
            self._tell(PipelineEvent(notice.kind, notice.message, notice.level, datetime.now(UTC)))


class SourceWatches:
    """The sources of a run."""

    def __init__(
        self, tell: Callable[[PipelineEvent], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.yahoo = SourceWatch(SourceHealth("Yahoo Finance"), tell, clock)
        self.wikipedia = SourceWatch(
            SourceHealth(
                "Wikipedia", down="gives no usable list", back="gives a usable list again", tolerated=0
            ),
            tell,
            clock,
        )
        self.rates = SourceWatch(
            SourceHealth("exchange rates", down="are not available", back="are available again"),
            tell,
            clock,
        )
        self._all = (self.yahoo, self.wikipedia, self.rates)

    def settle(self) -> None:
        """Report changes that were held back, once they are due."""
        for watch in self._all:
            watch.settle()

    def close(self) -> None:
        """Report what lasts at the end of the run."""
        for watch in self._all:
            watch.close()
