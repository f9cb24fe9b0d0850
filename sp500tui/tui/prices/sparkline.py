"""A session's course in a handful of block characters."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

BLOCKS = "▁▂▃▄▅▆▇"
"""Without the full block, which would run into the line above."""


def course(values: Sequence[float], width: int) -> str:
    """The newest `width` of `values` as blocks between their own lowest and highest, padded on the left.

    A course that never moved is drawn at its middle height; no values give blanks.
    """
    shown = values[-width:] if width > 0 else values[:0]
    if not shown:
        return " " * max(0, width)
    low, high = min(shown), max(shown)
    span = high - low
    top = len(BLOCKS) - 1
    if span <= 0:
        return (BLOCKS[top // 2] * len(shown)).rjust(width)
    return "".join([BLOCKS[round((value - low) / span * top)] for value in shown]).rjust(width)


class PriceHistory:
    """The course of one price since the start, in at most `LIMIT` points however long it runs.

    When it is full every second point goes and the next ones are taken half as often, so the track always
    reaches back to the first price. The newest price is always its last point.
    """

    LIMIT = 20
    __slots__ = ("_points", "_seen", "_stride")

    def __init__(self) -> None:
        self._points = array("f")
        self._stride = 1
        self._seen = 0

    def add(self, price: float) -> None:
        """Take the next price; every `stride`-th starts a point of its own, the others move the last one."""
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

    def line(self, width: int) -> str:
        """The track as blocks, `width` cells wide; blank before there are two prices to compare."""
        return course(self._points, width) if len(self._points) > 1 else " " * width

    @property
    def gain(self) -> float | None:
        """Relative difference of the last to the first price; None before there are two."""
        points = self._points
        return points[-1] / points[0] - 1 if len(points) > 1 and points[0] else None
