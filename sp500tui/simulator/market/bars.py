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

    def multiplied(self, factor: float) -> Bar:
        """The bar with all prices multiplied, and the volume divided."""
        first, high, low, last = (price * factor for price in (self.open, self.high, self.low, self.close))
        return Bar(self.start, first, high, low, last, round(self.volume / factor))


class MinuteBars:
    """One-minute bars in order of time, in flat arrays: about 11 KB per day."""

    __slots__ = ("_prices", "_starts", "_volumes")

    def __init__(self) -> None:
        self._starts = array("I")
        self._prices = array("f")
        self._volumes = array("Q")

    def trade(self, stamp: int, price: float, volume: int, origin: int = 0) -> None:
        """Add a trade at `stamp` seconds since 1970; trades arrive in order of time; minutes count from `origin`."""
        start = stamp - (stamp - origin) % MINUTE
        prices = self._prices
        if self._starts and self._starts[-1] == start:
            prices[-3] = max(prices[-3], price)
            prices[-2] = min(prices[-2], price)
            prices[-1] = price
            self._volumes[-1] += volume
        else:
            self._starts.append(start)
            prices.extend((price, price, price, price))
            self._volumes.append(volume)

    def forget_before(self, stamp: int, most: int = 20_000) -> None:
        """Remove bars that start before `stamp`, and the oldest ones beyond a number of them."""
        cut = max(bisect_left(self._starts, max(stamp, 0)), len(self._starts) - most)
        del self._starts[:cut]
        del self._prices[: 4 * cut]
        del self._volumes[:cut]

    def multiply(self, factor: float) -> None:
        """Multiply all prices, and divide the volumes."""
        self._prices = array("f", [price * factor for price in self._prices])
        self._volumes = array("Q", [round(volume / factor) for volume in self._volumes])

    def between(self, start: int, end: int) -> Iterator[Bar]:
        """The bars that start from `start` up to, not including, `end`."""
        for index in range(bisect_left(self._starts, start), bisect_left(self._starts, end)):
            first, high, low, last = self._prices[4 * index : 4 * index + 4]
            yield Bar(self._starts[index], first, high, low, last, self._volumes[index])

    def __iter__(self) -> Iterator[Bar]:
        return self.between(0, 2**32 - 1)


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

    def multiply(self, factor: float) -> None:
        """Multiply all prices, and divide the volume."""
        for name in ("previous_close", "open", "high", "low", "price"):
            setattr(self, name, round(getattr(self, name) * factor, 4))
        self.volume = round(self.volume / factor)

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
