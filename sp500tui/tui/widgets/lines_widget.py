"""A widget that shows a list of lines and repaints only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from sp500tui.tui.render.lines import Line, Role, Span, cut, width_of

_MIN_SKIP = 24
"""Number of unchanged cells above which a separate region costs less than repainting them."""


def changed_columns(old: Line, new: Line, width: int) -> list[tuple[int, int]]:
    """The ranges of cells in which two lines of `width` cells differ; nearby ranges are merged.

    Lines with a character that is not one cell wide differ as a whole.
    """
    ranges: list[tuple[int, int]] = []
    at = 0
    for was, now in zip_longest(old, new, fillvalue=Span("")):
        if was != now:
            if len(was.text) != len(now.text) or not (_is_narrow(was) and _is_narrow(now)):
                before, after = _cells(old), _cells(new)
                whole = before is None or after is None or len(before) != len(after)
                return [(0, width)] if whole else _changed(before or (), after or ())
            cells = range(len(now.text))
            for cell in cells if was.role is now.role else ():
                if was.text[cell] != now.text[cell]:
                    _add(ranges, at + cell, at + cell + 1)
            if was.role is not now.role:
                _add(ranges, at, at + len(now.text))
        at += len(now.text) if now.text.isascii() else cell_len(now.text)
    return ranges


def _changed(before: Sequence[tuple[str, Role]], after: Sequence[tuple[str, Role]]) -> list[tuple[int, int]]:
    """The ranges in which two equally long sequences of cells differ."""
    ranges: list[tuple[int, int]] = []
    for at, (was, now) in enumerate(zip(before, after, strict=True)):
        if was != now:
            _add(ranges, at, at + 1)
    return ranges


def _add(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    """Append a range that is not empty, or extend the last one if it is near."""
    if start == end:
        return
    if ranges and start - ranges[-1][1] < _MIN_SKIP:
        ranges[-1] = ranges[-1][0], end
    else:
        ranges.append((start, end))


def _is_narrow(span: Span) -> bool:
    """Whether each character is one cell wide."""
    return span.text.isascii() or cell_len(span.text) == len(span.text)


def _cells(line: Line) -> list[tuple[str, Role]] | None:
    """Character and role of each cell; None if a character is wider or narrower than a cell."""
    if not all(map(_is_narrow, line)):
        return None
    return [(character, span.role) for span in line for character in span.text]


def _marked_cut(line: Line, width: int) -> Line:
    """The line, with an ellipsis at its end if it is wider than `width`."""
    return cut(line, width) if width_of(line) > width else line


class LinesWidget(Widget):
    """Shows rendered lines; each role is a component class that the theme styles."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{role}" for role in Role}
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self._styles: dict[Role, Style] = {}

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Replace the contents and repaint the cells that differ."""
        old = self._lines
        self._lines = list(lines)
        width = self.size.width
        changed: list[Region] = []
        for y in range(max(len(old), len(lines))):
            if y >= len(old) or y >= len(lines):
                changed.append(Region(0, y, width, 1))
            elif old[y] != lines[y]:
                changed += [
                    Region(left, y, right - left, 1)
                    for left, right in changed_columns(
                        _marked_cut(old[y], width), _marked_cut(lines[y], width), width
                    )
                ]
        if changed:
            self.refresh(*changed)

    def lines_shown(self) -> Sequence[str]:
        """Return the contents as plain text."""
        return ["".join(span.text for span in line) for line in self._lines]

    def render_line(self, y: int) -> Strip:
        """Return one line as styled segments of the widget's width; a wider line is cut with an ellipsis."""
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(self.size.width, base)
        width = self.size.width
        line = _marked_cut(self._lines[y], width)
        segments = [Segment(span.text, self._style(span.role)) for span in line]
        return Strip(segments).adjust_cell_length(width, base)

    def notify_style_update(self) -> None:
        """Discard the cached styles of the previous theme."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, role: Role) -> Style:
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = self.get_component_rich_style(f"line--{role}")
        return style
