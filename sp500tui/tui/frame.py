"""A frame as the terminal gets it: the cells that changed, moves between them, and no colour told twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeVar

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

ReturnType = TypeVar("ReturnType")


class SparingApp(App[ReturnType]):
    """An app whose partial updates hold nothing but the cells of the regions that were to be drawn anew.

    Textual 8.2 writes a widget's line from its left edge to the end of each such region, and every piece of a line
    with all its colours and a reset. Most of what a live table sends is then what the terminal shows already.
    """

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if type(renderable) is ChopsUpdate:
            renderable = SparingUpdate(renderable.chops, renderable.spans, renderable.chop_ends)
        super()._display(screen, renderable)


class SparingUpdate(ChopsUpdate):
    """The same picture as the compositor's own update in fewer bytes."""

    def render_segments(self, console: Console) -> str:
        """The bytes for the terminal."""
        system = console._color_system or ColorSystem.TRUECOLOR
        words: list[str] = []
        style = plain = Style.null()
        at = (-1, -1)
        for x, y, segments in self._pieces():
            if at != (x, y):
                words.append(f"\x1b[{x - at[0]}C" if y == at[1] and x > at[0] else f"\x1b[{y + 1};{x + 1}H")
            for text, wanted, _ in segments:
                if wanted is None:
                    wanted = plain
                if wanted._link:
                    words += [change(style, plain, system), Strip.render_style(wanted, text, system)]
                    style = plain
                else:
                    if wanted is not style:
                        words.append(change(style, wanted, system))
                        style = wanted
                    words.append(text)
                x += len(text) if text.isascii() else cell_len(text)
            at = (x, y)
        words.append(change(style, plain, system))
        return "".join(words)

    def _pieces(self) -> Iterator[tuple[int, int, Iterable[Segment]]]:
        """Where each run of cells starts, and the cells, from the top left to the bottom right."""
        for y, left, right in self.spans:
            for end, (start, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=True):
                if strip is not None and start < right and end > left:
                    whole = left <= start and end <= right
                    cells = strip if whole else between(strip, left - start, right - start)
                    yield max(start, left), y, cells


def between(cells: Iterable[Segment], left: int, right: int) -> Iterator[Segment]:
    """The cells from column `left` up to column `right`."""
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
def change(old: Style, new: Style, system: ColorSystem) -> str:
    """What makes a terminal that draws in `old` draw in `new`; links apart."""
    if old is new:
        return ""
    before, after = (Strip.render_ansi(style, system) for style in (old, new))
    if before == after:
        return ""
    if not after:
        return "\x1b[0m"
    if old._attributes & old._set_attributes == new._attributes & new._set_attributes:
        colours = _changed_colours(old, new, system)
        if colours:
            return f"\x1b[{';'.join(colours)}m"
    return f"\x1b[0;{after}m"


def _changed_colours(old: Style, new: Style, system: ColorSystem) -> list[str]:
    """The codes of the colours that differ; none where one of them has to be taken back."""
    codes: list[str] = []
    for before, after, foreground in ((old.color, new.color, True), (old.bgcolor, new.bgcolor, False)):
        if before == after:
            continue
        if after is None:
            return []
        codes += after.downgrade(system).get_ansi_codes(foreground)
    return codes
