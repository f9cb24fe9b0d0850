"""A line-API widget that knows what every line on the screen was painted from, and repaints only what differs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.scroll_view import ScrollView
from textual.strip import Strip


class PaintedLines(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines of styled cells; a subclass says what a line looks like and by which key that look is known.

    Two lines of equal keys look the same, so a finished line is kept under its key until the styles change.
    The cost of a change is therefore that of the lines on the screen it touches, however many there are.
    """

    PREFIX: ClassVar[str]
    """Of the component classes: style `up` is the component class `<PREFIX>--up`."""
    KEPT: ClassVar[int] = 1024
    """Finished lines kept."""

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._painted: dict[int, Hashable] = {}
        self._strips: LRUCache[Hashable, Strip] = LRUCache(self.KEPT)
        self._styles: dict[tuple[str, str], Style] = {}

    @abstractmethod
    def line_key(self, y: int) -> Hashable:
        """What decides the look of screen line `y`, apart from styles and width."""

    @abstractmethod
    def line_cells(self, y: int) -> tuple[str, Sequence[tuple[str, str]]]:
        """Screen line `y`: the style of the whole line, and text and style of its cells."""

    @property
    def line_width(self) -> int:
        """Terminal cells of a line."""
        return self.scrollable_content_region.width

    @property
    def line_count(self) -> int:
        """Lines on the screen."""
        return self.scrollable_content_region.height

    def cell_style(self, line: str, cell: str) -> Style:
        """The style of a cell in a line of the given style: the line's background and emphasis below its own."""
        style = self._styles.get((line, cell))
        if style is None:
            style = self._styles[line, cell] = self._composed(
                f"{self.PREFIX}--{line}", f"{self.PREFIX}--{cell}"
            )
        return style

    def _composed(self, line: str, cell: str) -> Style:
        """Both component classes as one style.

        A reversed line, as themes without colours of their own mark one, has no other colours in it, or it would
        fall into coloured blocks. A visual style leaves `reverse` out, so it is added here.
        """
        if self.get_component_styles(line).text_style.reverse:
            return self.get_visual_style(line).rich_style + Style(reverse=True)
        style = self.get_visual_style(*dict.fromkeys((line, cell))).rich_style
        return style + Style(reverse=True) if self.get_component_styles(cell).text_style.reverse else style

    def render_line(self, y: int) -> Strip:
        """The line for the compositor."""
        key = (self.line_key(y), self.line_width)
        self._painted[y] = key[0]
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self.paint(y)
        return strip

    def paint(self, y: int) -> Strip:
        """The line drawn anew, exactly as wide as the widget."""
        row, cells = self.line_cells(y)
        segments = [Segment(text, self.cell_style(row, cell)) for text, cell in cells if text]
        width = self.line_width
        length = sum(len(text) if text.isascii() else cell_len(text) for text, _ in cells)
        strip = Strip(segments, length)
        return strip if length == width else strip.adjust_cell_length(width, self.cell_style(row, row))

    def repaint_changed(self) -> None:
        """Have those lines on the screen drawn anew whose key is another than when they were drawn."""
        if not self.is_attached:
            return
        top = self.scroll_offset.y
        painted = self._painted
        start: int | None = None
        for y in range(self.line_count):
            if painted.get(y) != self.line_key(y):
                start = y if start is None else start
            elif start is not None:
                self.refresh_lines(top + start, y - start)
                start = None
        if start is not None:
            self.refresh_lines(top + start, self.line_count - start)

    def notify_style_update(self) -> None:
        """Forget everything drawn in the old styles."""
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()
