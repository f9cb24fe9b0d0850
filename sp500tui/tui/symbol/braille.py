"""A canvas of braille dots: two across and four down in every terminal cell."""

from __future__ import annotations

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of the dot in each row and column of a cell."""
_BLANK = 0x2800


class BrailleCanvas:
    """Dots that were set, printed as lines of text."""

    def __init__(self, width: int, height: int) -> None:
        """Make an empty canvas of `width` times `height` terminal cells."""
        self.dots_across = 2 * width
        self.dots_down = 4 * height
        self._cells = [[0] * width for _ in range(height)]

    def dot(self, x: int, y: int) -> None:
        """Set the dot at `x` from the left and `y` from the top; outside the canvas nothing happens."""
        if 0 <= x < self.dots_across and 0 <= y < self.dots_down:
            self._cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """Set the dots from one point to another."""
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            self.dot(x0 + round((x1 - x0) * step / steps), y0 + round((y1 - y0) * step / steps))

    def text(self, row: int) -> str:
        """A row of cells; those without a dot are blanks."""
        return "".join(chr(_BLANK | bits) if bits else " " for bits in self._cells[row])
