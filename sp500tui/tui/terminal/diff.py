"""Writes only changed cells to the terminal, with cursor movements between them and no repeated colour codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.app import App
from textual.filter import LineFilter, Monochrome, NoColor
from textual.geometry import Region
from textual.screen import Screen, ScreenResultType
from textual.strip import SGR_STYLES, Strip

ReturnType = TypeVar("ReturnType")
_NO_COLOR, _GREY = NoColor(), Monochrome()
_BOLD, _DIM = 1, 2
"""Rich's attribute bits for bold and dim; one code resets both."""
_ON_BLANKS = sum(
    1 << bit for bit, code in enumerate(SGR_STYLES) if code not in ("1", "2", "3", "5", "6", "8")
)
"""Rich's attribute bits that are visible on blanks: underline, strike, frame and reverse."""


class DiffingApp(App[ReturnType]):
    """An app whose partial updates contain only the cells of the regions to be redrawn.

    Textual 8.2 writes a widget's line from its left edge to the end of each such region, and each segment with all its
    colours and a reset, so that a live table mostly sends what the terminal shows already.
    """

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the line filters; with NO_COLOR the one that suits the current theme.

        Textual chooses it before the theme is set, and its grey filter makes the terminal's own colours black on black.
        """
        filters = super().get_line_filters()
        if not self.no_color:
            return filters
        without = _NO_COLOR if self.native_ansi_color else _GREY
        return [*(one for one in filters if not isinstance(one, NoColor | Monochrome)), without]

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        """The screens visible behind the current one: none if it is opaque.

        Textual 8.2 includes the next screen even then, and each of its changes redraws the whole present one.
        """
        return super()._background_screens if self.screen.styles.background.a < 1 else []

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if type(renderable) is ChopsUpdate:
            renderable = DiffUpdate(renderable.chops, renderable.spans, renderable.chop_ends)
        super()._display(screen, renderable)


class DiffingCompositor(Compositor):
    """Renders, for a partial update, only the widgets of the regions to be redrawn.

    Textual 8.2 renders every widget in the rectangle around all of them: a change in the first and in the last line of
    the screen renders everything between.
    """

    _drawn: Sequence[Region] | None = None
    """The regions of the partial update that is being rendered."""

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if crop is None or self._drawn is None:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            if seen and any(map(seen.overlaps, self._drawn)):
                yield region, clip, widget.render_lines(seen.translate(-region.offset))

    def render_partial_update(self) -> ChopsUpdate | None:
        """Render the regions that have changed."""
        self._drawn = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._drawn = None


class DiffingScreen(Screen[ScreenResultType]):
    """A screen whose partial updates render only the widgets that changed."""

    def __init__(
        self,
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(name, id, classes)
        self._compositor = DiffingCompositor()


class DiffUpdate(ChopsUpdate):
    """Renders the same as the compositor's update in fewer bytes."""

    def render_segments(self, console: Console) -> str:
        """Return the escape sequences and text for the terminal."""
        system = console._color_system or ColorSystem.TRUECOLOR
        output: list[str] = []
        style = plain = Style.null()
        at = (-1, -1)
        for x, y, segments in self._pieces():
            if at != (x, y):
                output.append(f"\x1b[{x - at[0]}C" if y == at[1] and x > at[0] else f"\x1b[{y + 1};{x + 1}H")
            for text, wanted, _ in segments:
                if wanted is None:
                    wanted = plain
                if wanted._link:
                    output += [change(style, plain, system)[0], Strip.render_style(wanted, text, system)]
                    style = plain
                else:
                    if wanted is not style:
                        codes, style = change(style, wanted, system, blank=not text.strip(" "))
                        output.append(codes)
                    output.append(text)
                x += len(text) if text.isascii() else cell_len(text)
            at = (x, y)
        output.append(change(style, plain, system)[0])
        return "".join(output)

    def _pieces(self) -> Iterator[tuple[int, int, Iterable[Segment]]]:
        """Yield column, row and cells of each run, from the top left to the bottom right."""
        for y, left, right in self.spans:
            for end, (start, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=True):
                if strip is not None and start < right and end > left:
                    whole = left <= start and end <= right
                    cells = strip if whole else between(strip, left - start, right - start)
                    yield max(start, left), y, cells


def between(cells: Iterable[Segment], left: int, right: int) -> Iterator[Segment]:
    """Yield the cells from column `left` up to column `right`."""
    start = 0
    for cell in cells:
        end = start + (len(cell.text) if cell.text.isascii() else cell_len(cell.text))
        if end > left:
            if end > right:
                cell = cell.split_cells(right - start)[0]
            yield cell.split_cells(left - start)[1] if start < left else cell
            if end >= right:
                return
        start = end


@lru_cache(4096)
def change(old: Style, new: Style, system: ColorSystem, *, blank: bool = False) -> tuple[str, Style]:
    """Return the codes that switch the terminal from style `old` to `new`, and the resulting style. Ignores links.

    For blanks only the background has to match.
    """
    had, has = (style._attributes & style._set_attributes for style in (old, new))
    if blank and not (had | has) & _ON_BLANKS:
        if old.bgcolor and not new.bgcolor:
            return "\x1b[0m", Style.null()
        new, has = old + Style(bgcolor=new.bgcolor), had
    colours = _changed_colours(old, new, system)
    if colours is None or (had & ~has) & ~_BOLD or (had & ~has and has & _DIM):
        words = Strip.render_ansi(new, system)
        return (f"\x1b[0;{words}m" if words else "\x1b[0m"), new
    codes = ["22"] if had & ~has else []
    codes += [code for bit, code in enumerate(SGR_STYLES) if has & ~had & (1 << bit)]
    codes += colours
    return (f"\x1b[{';'.join(codes)}m" if codes else ""), new


def _changed_colours(old: Style, new: Style, system: ColorSystem) -> list[str] | None:
    """Return the codes of the colours that differ; None if one of them has to be reset."""
    codes: list[str] = []
    for before, after, foreground in ((old.color, new.color, True), (old.bgcolor, new.bgcolor, False)):
        if before != after:
            if after is None:
                return None
            codes += after.downgrade(system).get_ansi_codes(foreground)
    return codes
