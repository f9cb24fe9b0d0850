"""Sparklines of a session's prices in block characters."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

BLOCKS = "▁▂▃▄▅▆▇"
"""Without the full block, which would touch the line above."""


LEAST_RANGE = 0.01
"""Smallest difference between the lowest and the highest block, relative to the price."""


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as blocks, padded on the left; no values give blanks.

    The blocks span the values, and at least one percent of them, so that a move of a few hundredths of a percent is
    drawn as the level line that it is.
    """
    shown = values[-width:] if width > 0 else values[:0]
    if not shown:
        return " " * max(0, width)
    low, high = min(shown), max(shown)
    middle, half = (low + high) / 2, max(high - low, LEAST_RANGE * abs(high)) / 2
    top = len(BLOCKS) - 1
    if half <= 0:
        return (BLOCKS[top // 2] * len(shown)).rjust(width)
    return "".join([BLOCKS[round(((value - middle) / half + 1) / 2 * top)] for value in shown]).rjust(width)


class PriceHistory:
    """A symbol's prices since the start, downsampled to at most `LIMIT` points.

    When it is full, every second point is dropped and later prices are sampled half as often, so the history
    always reaches back to the first price. The last point is always the newest price.
    """

    LIMIT = 20
    __slots__ = ("_points", "_seen", "_stride")

    def __init__(self) -> None:
        self._points = array("f")
        self._stride = 1
        self._seen = 0

    def add(self, price: float) -> None:
        """Append a price: every `stride`-th becomes a new point, the others replace the last one."""
        points = self._points
        if self._seen % self._stride == 0 or not points:
            if len(points) == self.LIMIT:
                self._points = points = points[::2]
                self._stride *= 2
            points.append(price)
        else:
            points[-1] = price
        self._seen += 1

    def __len__(self) -> int:
        return len(self._points)

    def __iter__(self) -> Iterator[float]:
        return iter(self._points)

    def sparkline(self, width: int) -> str:
        """The history as blocks, `width` cells wide; blank before there are two prices."""
        return sparkline(self._points, width) if len(self._points) > 1 else " " * width

    @property
    def gain(self) -> float | None:
        """Relative change from the first to the last price; None before there are two."""
        points = self._points
        return points[-1] / points[0] - 1 if len(points) > 1 and points[0] else None
