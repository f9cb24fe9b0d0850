"""The trading days before the demo market's first one: weekdays without holidays, some of which close early."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
_PRE, _OPENING, _CLOSING, _POST = time(4), time(9, 30), time(16), time(20)
_EARLY_CLOSING, _EARLY_POST = time(13), time(17)


def local_date(stamp: float) -> date:
    """The exchange's date at a real time."""
    return datetime.fromtimestamp(max(stamp, 0.0), UTC).astimezone(NEW_YORK).date()


def real_time(day: date, moment: time = time()) -> int:
    """The real time of a moment of a date at the exchange, midnight by default."""
    return int(datetime.combine(day, moment, NEW_YORK).timestamp())


def trading_days_before(day: date) -> Iterator[date]:
    """Trading days before `day`, newest first."""
    while True:
        day -= timedelta(days=1)
        if is_trading_day(day):
            yield day


def is_trading_day(day: date) -> bool:
    """Whether the exchange opens on this date."""
    return day.weekday() < 5 and day not in _holidays(day.year)


def closes_early(day: date) -> bool:
    """Whether trading ends at 13:00: before Independence Day, after Thanksgiving and on Christmas Eve."""
    return is_trading_day(day) and (
        (day.month, day.day) in ((7, 3), (12, 24)) or day == _weekday(day.year, 11, 3, 4) + timedelta(days=1)
    )


def opening(day: date) -> int:
    """The real time at which the regular session of a date begins."""
    return real_time(day, _OPENING)


def edges(day: date) -> tuple[int, int, int, int]:
    """The real times at which the three sessions of a date begin, and the last one ends."""
    early = closes_early(day)
    closing, post = (_EARLY_CLOSING, _EARLY_POST) if early else (_CLOSING, _POST)
    return real_time(day, _PRE), opening(day), real_time(day, closing), real_time(day, post)


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    easter = _easter(year)
    return frozenset(
        {
            _observed(date(year, 1, 1)),
            _weekday(year, 1, 0, 3),
            _weekday(year, 2, 0, 3),
            easter - timedelta(days=2),
            _weekday(year, 6, 0, 1) - timedelta(days=7),
            _observed(date(year, 6, 19)),
            _observed(date(year, 7, 4)),
            _weekday(year, 9, 0, 1),
            _weekday(year, 11, 3, 4),
            _observed(date(year, 12, 25)),
        }
    )


def _weekday(year: int, month: int, weekday: int, number: int) -> date:
    """The n-th Monday (0), Tuesday (1), … of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _observed(day: date) -> date:
    """The weekday on which a holiday is observed."""
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian algorithm."""
    a, b, c = year % 19, year // 100, year % 100
    d, e, f = b // 4, b % 4, (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)
