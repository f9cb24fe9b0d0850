"""A line-API widget that caches rendered lines by key and repaints only the cells that differ."""

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

from sp500tui.tui.terminal.diff import DiffingApp

_MIN_SCROLL = 8
"""Number of unchanged cells above which moving the cursor takes fewer bytes than repainting them."""


class WholeStrip(Strip):
    """A strip without a reference to itself.

    Textual caches an undivided strip as its own division. Lines that change many times a second would accumulate
    as reference cycles until the garbage collector runs.
    """

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """Return the parts between the cuts, or the strip itself if no cut lies before its end."""
        cuts = [cut for cut in cuts if cut <= self.cell_length]
        if cuts == [self.cell_length]:
            return [self]
        return super().divide(cuts)


class Painted(NamedTuple):
    """A rendered line."""

    strip: Strip
    cells: Mapping[int, Segment]
    """Segments by the column at which they start."""


_NOTHING: tuple[Hashable, Painted | None] = (None, None)
"""Placeholder for a screen line that was not rendered yet."""


class CachedLineView(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines of styled cells; a subclass renders a line and names the key that determines its appearance.

    Lines with equal keys look the same, so a rendered line is cached under its key until the styles change. The cost
    of a change depends on the visible lines that it affects, not on the number of lines, and only cells that differ
    are sent to the terminal.
    """

    PREFIX: ClassVar[str]
    """Prefix of the component classes: style `up` is the component class `<PREFIX>--up`."""
    KEPT: ClassVar[int] = 256
    """Number of rendered lines in the cache."""

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.drawn_width = 0
        """Width, in terminal cells, of the line that `line_cells` renders."""
        self.scrolled = 0
        """Lines above the first visible one; cheaper to read for every line than `scroll_offset`."""
        self._shown: dict[int, tuple[Hashable, Painted | None]] = {}
        """Key and rendered line of each screen line, as of the next frame."""
        self._cache: LRUCache[Hashable, Painted] = LRUCache(self.KEPT)
        self._styles: dict[tuple[str, str], Style] = {}
        self._drawn: dict[str, dict[str, Style]] = {}

    @abstractmethod
    def line_key(self, y: int) -> Hashable:
        """Return what determines the appearance of screen line `y`, apart from styles and width."""

    @abstractmethod
    def line_cells(self, y: int) -> tuple[str, Sequence[tuple[str, str]]]:
        """Return the style of screen line `y`, and the text and style of each of its cells."""

    @property
    def line_width(self) -> int:
        """Width of a line in terminal cells."""
        return self.scrollable_content_region.width

    @property
    def line_count(self) -> int:
        """Number of visible lines."""
        return self.scrollable_content_region.height

    def set_line_total(self, total: int) -> None:
        """Set the total number of lines.

        Textual lays out the whole screen when a virtual size changes. That is needed only where the scroll bar appears
        or disappears; otherwise only the scroll bar is updated.
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
        """Return the style of a cell, on top of the background and emphasis of its line."""
        style = self._styles.get((line, cell))
        if style is None:
            style = self._styles[line, cell] = self._composed(
                f"{self.PREFIX}--{line}", f"{self.PREFIX}--{cell}"
            )
        return style

    def _composed(self, line: str, cell: str) -> Style:
        """Combine both component classes into one style.

        A reversed line, which ANSI themes use for the cursor, has no other colours in it, or it would consist of
        coloured blocks. A visual style omits `reverse`, so it is added here.
        """
        if self.get_component_styles(line).text_style.reverse:
            return self.get_visual_style(line).rich_style + Style(reverse=True)
        style = self.get_visual_style(*dict.fromkeys((line, cell))).rich_style
        return style + Style(reverse=True) if self.get_component_styles(cell).text_style.reverse else style

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Update the number of lines above the first visible one."""
        self.scrolled = round(new_value)
        super().watch_scroll_y(old_value, new_value)

    def render_line(self, y: int) -> Strip:
        """Return the line for the compositor."""
        return self._rendered(y, self.line_width).strip

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines for the compositor.

        Without border, padding or opacity they bypass Textual's own cache, which would compose each new line again.
        """
        upright, level = self.scrollbars_enabled
        if self.styles.gutter or level or self.opacity < 1:
            return super().render_lines(crop)
        width, whole = self.line_width, self.outer_size.width
        strips = [self._rendered(y, width).strip for y in crop.line_range]
        if width < whole and not upright:
            blank = Style(bgcolor=self.background_colors[1].rich_color)
            strips = [strip.extend_cell_length(whole, blank) for strip in strips]
        left, right = crop.column_span
        return strips if left == 0 and right >= whole else [strip.crop(left, right) for strip in strips]

    def _rendered(self, y: int, width: int) -> Painted:
        """Return screen line `y`, rendered unless it is cached."""
        key = self.line_key(y), width
        known, painted = self._shown.get(y, _NOTHING)
        if painted is None or known != key:
            painted = self._cache.get(key)
            if painted is None:
                painted = self._cache[key] = self._paint(y, width)
            self._shown[y] = key, painted
        return painted

    def _paint(self, y: int, width: int) -> Painted:
        """Render a line to exactly the width of the widget."""
        self.drawn_width = width
        row, worded = self.line_cells(y)
        styles = self._drawn.setdefault(row, {})
        cells: dict[int, Segment] = {}
        at = 0
        for text, cell in worded:
            if text:
                style = styles.get(cell)
                cells[at] = Segment(text, self._style(row, cell) if style is None else style)
                at += len(text) if text.isascii() else cell_len(text)
        if at < width:
            cells[at] = Segment(" " * (width - at), self._style(row, row))
        elif at > width:
            cells = _placed(Strip(cells.values(), at).crop(0, width))
        return Painted(WholeStrip(cells.values(), width), cells)

    def _style(self, row: str, cell: str) -> Style:
        """Return the style of a cell with the line filters applied; cached, so that it is filtered once."""
        styles = self._drawn.setdefault(row, {})
        if cell not in styles:
            segments = [Segment(" ", self.cell_style(row, cell))]
            for line_filter in self.get_line_filters():
                segments = line_filter.apply(segments, self.background_colors[1])
            styles[cell] = segments[0].style or Style.null()
        return styles[cell]

    def forget_lines(self) -> None:
        """Discard all rendered lines, because something changed that is part of no key."""
        self._cache.clear()
        self._shown.clear()

    def repaint_changed(self) -> None:
        """Repaint the cells of the lines whose key has changed since they were rendered."""
        if not self.is_attached:
            return
        area = self.scrollable_content_region
        changed: list[Region] = []
        for y in range(area.height):
            _, before = self._shown.get(y, _NOTHING)
            now = self._rendered(y, area.width)
            if before is None:
                changed.append(Region(0, y, area.width, 1))
            elif before is not now:
                spans = changed_spans(before.cells, now.cells, area.width)
                if spans and not isinstance(self.app, DiffingApp):
                    # Textual's update writes each span from the left edge of the line.
                    spans = [(0, area.width)]
                changed += [Region(left, y, right - left, 1) for left, right in spans]
        if changed:
            self.refresh(*changed)

    def notify_style_update(self) -> None:
        """Discard everything rendered in the old styles."""
        super().notify_style_update()
        self._styles.clear()
        self._drawn.clear()
        self.forget_lines()


def _placed(strip: Strip) -> dict[int, Segment]:
    """Return the cells of a line by the column at which they start."""
    cells: dict[int, Segment] = {}
    at = 0
    for cell in strip:
        cells[at] = cell
        at += cell.cell_length
    return cells


def changed_spans(
    old: Mapping[int, Segment], new: Mapping[int, Segment], width: int
) -> list[tuple[int, int]]:
    """Return the column ranges in which a line of `width` columns has to be repainted, adjacent ones merged.

    Leading blanks that a cell had before and still has are left out.
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
