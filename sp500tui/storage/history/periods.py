"""The periods into which bars are merged for a chart, and the windows that a chart can have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE_NAME = "America/New_York"
ZONE = ZoneInfo(ZONE_NAME)
"""Days, weeks and months are those of the exchange."""
OFFSET = 1800
"""Intraday periods are counted from the half hour, at which the exchange opens."""
_RECENT = timedelta(days=5)
"""A long weekend: the last trading day before it is still the current one."""


@dataclass(frozen=True, slots=True)
class Period:
    """The length of a candle."""

    name: str
    """`30-minute`, `daily`."""
    seconds: int
    """Length; the nominal one of periods longer than a day."""
    unit: str = "second"
    """`second`, or a unit of the exchange's calendar."""

    def start_of(self, moment: datetime) -> datetime:
        """The start of the period that contains a time, UTC; computed as in the queries."""
        if self.unit == "second":
            number = (moment.timestamp() - OFFSET) // self.seconds
            return datetime.fromtimestamp(number * self.seconds + OFFSET, UTC)
        day = moment.astimezone(ZONE).date()
        if self.unit == "week":
            day -= timedelta(days=day.weekday())
        elif self.unit == "month":
            day = day.replace(day=1)
        elif self.unit == "quarter":
            day = day.replace(month=day.month - (day.month - 1) % 3, day=1)
        elif self.unit == "year":
            day = day.replace(month=1, day=1)
        return datetime.combine(day, time(), ZONE).astimezone(UTC)


PERIODS = (
    *(Period(f"{seconds}-second", seconds) for seconds in (10, 30)),
    *(Period(f"{minutes}-minute", 60 * minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    Period("1-hour", 3_600),
    Period("2-hour", 7_200),
    Period("daily", 86_400, "day"),
    Period("weekly", 7 * 86_400, "week"),
    Period("monthly", 30 * 86_400, "month"),
    Period("quarterly", 91 * 86_400, "quarter"),
    Period("yearly", 365 * 86_400, "year"),
)
"""Shortest first."""


def window_start(days: int, newest: datetime, now: datetime) -> datetime:
    """Midnight at the exchange at the start of a window of calendar days that ends at the newest data, or now.

    After a weekend or a holiday the window ends with the last trading day, but not at older data.
    """
    last = newest if now - newest < _RECENT else now
    first = last.astimezone(ZONE).date() - timedelta(days=days - 1)
    return datetime.combine(first, time(), ZONE).astimezone(UTC)
