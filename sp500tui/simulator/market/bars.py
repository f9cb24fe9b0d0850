"""Trade records of one instrument: the current day and its one-minute bars."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low and close of a period, and the number of shares traded."""

    start: int
    """Seconds since 1970."""
    open: float
    high: float
    low: float
    close: float
    volume: int


class MinuteBars:
    """One-minute bars in order of time, in flat arrays: about 50 KB for a day."""

    __slots__ = ("_starts", "_values")

    def __init__(self) -> None:
        self._starts = array("q")
        self._values = array("d")

    def trade(self, stamp: int, price: float, volume: int) -> None:
        """Add a trade at `stamp` seconds since 1970; trades arrive in order of time."""
        start = stamp - stamp % MINUTE
        values = self._values
        if self._starts and self._starts[-1] == start:
            values[-4] = max(values[-4], price)
            values[-3] = min(values[-3], price)
            values[-2] = price
            values[-1] += volume
        else:
            self._starts.append(start)
            values.extend((price, price, price, price, volume))

    def forget_before(self, stamp: int) -> None:
        """Remove bars that start before `stamp`."""
        cut = bisect_left(self._starts, stamp)
        del self._starts[:cut]
        del self._values[: 5 * cut]

    def __iter__(self) -> Iterator[Bar]:
        for index, start in enumerate(self._starts):
            first, high, low, last, volume = self._values[5 * index : 5 * index + 5]
            yield Bar(start, first, high, low, last, int(volume))


@dataclass(slots=True)
class DayRecord:
    """The regular session of one day so far."""

    start: int
    """Real time of its opening, seconds since 1970."""
    previous_close: float
    previous_time: int
    """Real time of the previous close, seconds since 1970."""
    open: float
    high: float
    low: float
    price: float
    """Latest trade; the closing price once the session is over."""
    time: int
    """Real time of the latest trade, seconds since 1970."""
    volume: int

    def trade(self, stamp: int, price: float, volume: int) -> None:
        """Add a trade."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.price = price
        self.time = stamp
        self.volume += volume

    def bar(self) -> Bar:
        """The session as one bar."""
        return Bar(self.start, self.open, self.high, self.low, self.price, self.volume)


def merge(bars: list[Bar], start: int) -> Bar:
    """Merge bars, given in order of time, into one that starts at `start`."""
    return Bar(
        start,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )
