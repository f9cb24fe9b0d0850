"""A line-API widget that knows what every line on the screen was painted from, and repaints only what differs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sp500tui.tui.render.terminal_diff import DiffingApp

_MIN_SCROLL = 8
"""Unchanged cells between two changed ones from which on it takes fewer bytes to pass over them."""


class WholeStrip(Strip):
    """A strip that is not kept alive by itself: Textual's own remembers, uncut, itself as the way it was cut.

    Lines that come and go many times a second would pile up until Python looks for such circles.
    """

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """The parts between the cuts; itself where there is none before its end."""
        cuts = [cut for cut in cuts if cut <= self.cell_length]
        if cuts == [self.cell_length]:
            return [self]
        return super().divide(cuts)


class Painted(NamedTuple):
    """One finished line."""

    strip: Strip
    cells: Mapping[int, Segment]
    """By the column at which they start."""


_NOTHING: tuple[Hashable, Painted | None] = (None, None)
"""Of a screen line that was never drawn."""


class CachedLineView(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines of styled cells; a subclass says what a line looks like and by which key that look is known.

    Two lines of equal keys look the same, so a finished line is kept under its key until the styles change.
    The cost of a change is therefore that of the lines on the screen it touches, however many there are, and
    what is sent is the cells that differ.
    """

    PREFIX: ClassVar[str]
    """Of the component classes: style `up` is the component class `<PREFIX>--up`."""
    KEPT: ClassVar[int] = 256
    """Finished lines kept."""

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.drawn_width = 0
        """Terminal cells of the line for which `line_cells` is asked."""
        self.scrolled = 0
        """Lines above the first on the screen; cheaper to read for every line than `scroll_offset`."""
        self._shown: dict[int, tuple[Hashable, Painted | None]] = {}
        """By screen line the key and the look it has, or will have with the next frame."""
        self._finished: LRUCache[Hashable, Painted] = LRUCache(self.KEPT)
        self._styles: dict[tuple[str, str], Style] = {}
        self._drawn: dict[str, dict[str, Style]] = {}

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

    def set_line_total(self, total: int) -> None:
        """Take over how many lines there are, on the screen and beyond it.

        A new virtual size has Textual place every widget of the screen anew. That is needed where the scroll bar
        comes or goes; else the bar is all that it changes.
        """
        size = Size(0, total)
        if size == self.virtual_size:
            return
        if self.show_vertical_scrollbar is not (total > self.container_size.height):
            self.virtual_size = size
            return
        self.set_reactive(CachedLineView.virtual_size, size)
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = total

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

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Know what is on the screen."""
        self.scrolled = round(new_value)
        super().watch_scroll_y(old_value, new_value)

    def render_line(self, y: int) -> Strip:
        """The line for the compositor."""
        return self._look(y, self.line_width).strip

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines for the compositor.

        Where nothing is drawn around them they go past Textual's own cache, which would put each new line together
        again for border, padding, filters and scroll bar.
        """
        upright, level = self.scrollbars_enabled
        if self.styles.gutter or level or self.opacity < 1:
            return super().render_lines(crop)
        width, whole = self.line_width, self.outer_size.width
        strips = [self._look(y, width).strip for y in crop.line_range]
        if width < whole and not upright:
            blank = Style(bgcolor=self.background_colors[1].rich_color)
            strips = [strip.extend_cell_length(whole, blank) for strip in strips]
        left, right = crop.column_span
        return strips if left == 0 and right >= whole else [strip.crop(left, right) for strip in strips]

    def _look(self, y: int, width: int) -> Painted:
        """Screen line `y` as it is now, drawn unless it is kept."""
        key = self.line_key(y), width
        known, painted = self._shown.get(y, _NOTHING)
        if painted is None or known != key:
            painted = self._finished.get(key)
            if painted is None:
                painted = self._finished[key] = self._paint(y, width)
            self._shown[y] = key, painted
        return painted

    def _paint(self, y: int, width: int) -> Painted:
        """The line drawn anew, exactly as wide as the widget."""
        self.drawn_width = width
        row, worded = self.line_cells(y)
        styles = self._drawn.setdefault(row, {})
        cells: dict[int, Segment] = {}
        at = 0
        for text, cell in worded:
            if text:
                cells[at] = Segment(text, styles.get(cell) or self._style(row, cell))
                at += len(text) if text.isascii() else cell_len(text)
        if at < width:
            cells[at] = Segment(" " * (width - at), self._style(row, row))
        elif at > width:
            cells = _placed(Strip(cells.values(), at).crop(0, width))
        return Painted(WholeStrip(cells.values(), width), cells)

    def _style(self, row: str, cell: str) -> Style:
        """The style of a cell as the terminal can show it: filtered once, not with every line."""
        styles = self._drawn.setdefault(row, {})
        if cell not in styles:
            segments = [Segment(" ", self.cell_style(row, cell))]
            for line_filter in self.get_line_filters():
                segments = line_filter.apply(segments, self.background_colors[1])
            styles[cell] = segments[0].style or Style.null()
        return styles[cell]

    def forget_lines(self) -> None:
        """Draw every line anew, because something changed that is in no key."""
        self._finished.clear()
        self._shown.clear()

    def repaint_changed(self) -> None:
        """Have the cells of those lines drawn anew whose key is another than when they were drawn."""
        if not self.is_attached:
            return
        area = self.scrollable_content_region
        changed: list[Region] = []
        for y in range(area.height):
            _, before = self._shown.get(y, _NOTHING)
            now = self._look(y, area.width)
            if before is None:
                changed.append(Region(0, y, area.width, 1))
            elif before is not now:
                spans = changed_spans(before.cells, now.cells, area.width)
                if spans and not isinstance(self.app, DiffingApp):
                    spans = [
                        (0, area.width)
                    ]  # by itself Textual would write each span from the line's edge on
                changed += [Region(left, y, right - left, 1) for left, right in spans]
        if changed:
            self.refresh(*changed)

    def notify_style_update(self) -> None:
        """Forget everything drawn in the old styles."""
        super().notify_style_update()
        self._styles.clear()
        self._drawn.clear()
        self.forget_lines()


def _placed(strip: Strip) -> dict[int, Segment]:
    """The cells of a line by the column at which they start."""
    cells: dict[int, Segment] = {}
    at = 0
    for cell in strip:
        cells[at] = cell
        at += cell.cell_length
    return cells


def changed_spans(
    old: Mapping[int, Segment], new: Mapping[int, Segment], width: int
) -> list[tuple[int, int]]:
    """The columns, from and to, in which a line of `width` columns has to be drawn anew, near ones together.

    Blanks with which a cell began and begins are left out.
    """
    spans: list[tuple[int, int]] = []
    for (start, cell), end in zip(new.items(), [*new, width][1:], strict=True):
        before = old.get(start)
        if before == cell:
            continue
        if before is not None and before.style is cell.style:
            start += min(_indent(before.text), _indent(cell.text))
        if spans and start - spans[-1][1] < _MIN_SCROLL:
            spans[-1] = spans[-1][0], end
        else:
            spans.append((start, end))
    return spans


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))
