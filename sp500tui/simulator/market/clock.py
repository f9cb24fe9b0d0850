"""The demo clock: quote times are real, but the trading day can pass faster."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor

from sp500tui.model import MarketState

DAY = 86_400
OPENING = 34_200
"""09:30 in seconds of the exchange's day."""
CLOSING = 57_600
"""16:00 in seconds of the exchange's day."""
_ENDS = (7_200, 14_400, OPENING, CLOSING, 72_000, 79_200, DAY)
"""End of each session in seconds of the exchange's day."""
_SESSIONS = (
    MarketState.CLOSED,
    MarketState.PREPRE,
    MarketState.PRE,
    MarketState.REGULAR,
    MarketState.POST,
    MarketState.POSTPOST,
    MarketState.CLOSED,
)
TRADING = frozenset({MarketState.PRE, MarketState.REGULAR, MarketState.POST})
"""Sessions in which prices move."""


@dataclass(frozen=True, slots=True)
class TradingPeriods:
    """Start and end of one demo day's sessions as real time, seconds since 1970."""

    pre: tuple[int, int]
    regular: tuple[int, int]
    post: tuple[int, int]

    def named(self) -> tuple[tuple[str, tuple[int, int]], ...]:
        """The sessions with Yahoo Finance's names."""
        return ("pre", self.pre), ("regular", self.regular), ("post", self.post)


class DemoClock:
    """Counts real seconds since the first opening and maps them to trading sessions."""

    def __init__(
        self, speed: float = 1.0, start_at: float = OPENING + 60, now: Callable[[], float] = time.time
    ) -> None:
        """Begin the demo day at `start_at` seconds after midnight; it passes `speed` times faster than real time."""
        self.speed = speed
        self._now = now
        since_opening = (start_at - OPENING) % DAY
        self.epoch = now() - since_opening / speed
        """Real time of second 0, the opening of day 0."""
        self._elapsed = 0.0

    def elapsed(self) -> float:
        """Real seconds since the first opening; monotonic even if the system's clock is set back."""
        self._elapsed = max(self._elapsed, self._now() - self.epoch)
        return self._elapsed

    def stamp(self, second: int) -> int:
        """The real time of a second, as Yahoo Finance prints it: whole seconds since 1970."""
        return int(self.epoch) + second

    def state(self, elapsed: float) -> MarketState:
        """The session at a time."""
        return _SESSIONS[bisect_right(_ENDS, (OPENING + elapsed * self.speed) % DAY)]

    def next_change(self, elapsed: float) -> tuple[MarketState, int]:
        """The session after the current one, and its start in real time, seconds since 1970."""
        passed = OPENING + elapsed * self.speed
        end = _ENDS[bisect_right(_ENDS, passed % DAY)]
        if end == DAY:
            end += _ENDS[0]
        return _SESSIONS[bisect_right(_ENDS, end % DAY)], self.real(floor(passed / DAY), end)

    def day(self, elapsed: float) -> int:
        """Number of openings since the first one."""
        return floor(elapsed * self.speed / DAY)

    def next_trading(self, second: int) -> int:
        """The first whole second from `second` on within a trading session."""
        while self.state(second) not in TRADING:
            of_day = (OPENING + second * self.speed) % DAY
            pre_opening = 14_400 if of_day < 14_400 else 14_400 + DAY
            second = max(second + 1, ceil(second + (pre_opening - of_day) / self.speed))
        return second

    def real(self, day: int, of_day: float) -> int:
        """The real time of `of_day` seconds after midnight of a demo day."""
        return int(self.epoch) + ceil((day * DAY + of_day - OPENING) / self.speed)

    def date_number(self, elapsed: float) -> int:
        """Number of midnights of the demo since the one before the first opening."""
        return floor((OPENING + elapsed * self.speed) / DAY)

    def periods(self, elapsed: float) -> TradingPeriods:
        """The sessions of the demo day that contains a time."""
        return self.periods_of(self.date_number(elapsed))

    def periods_of(self, day: int) -> TradingPeriods:
        """The sessions of a demo day; every trade of a session lies within it, to the second."""
        marks = [self.real(day, of_day) for of_day in (14_400, OPENING, CLOSING, 72_000)]
        return TradingPeriods((marks[0], marks[1]), (marks[1], marks[2]), (marks[2], marks[3]))
