"""The market map: a line per sector with a sign for each member's change, the largest company first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from textual import events

from sp500tui.tui.messages import SymbolSelected
from sp500tui.tui.prices.index_line import SECTOR_NAMES, sector_place
from sp500tui.tui.prices.model import ChangeStats, PriceRow
from sp500tui.tui.render.formats import ELLIPSIS, clean, fit, format_change
from sp500tui.tui.render.lines import Line, Role, Span, change_role, cut
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_STRONG = Decimal(1)
"""Change in percent from which the sign is filled."""
_NAME, _CHANGE = 14, 9
"""Cells of a sector's name, and of its change with the blank after it."""
_LEGEND = "▲ +1 % and more   △ up   = unchanged   ▽ down   ▼ −1 % and less"
_UNKNOWN = ("·", Role.DIM)


class SectorRow(NamedTuple):
    """One line of the map."""

    sector: str
    members: tuple[PriceRow, ...]
    """The largest company first."""


def sector_rows(rows: Iterable[PriceRow]) -> list[SectorRow]:
    """The rows by sector, in the order of the index line."""
    by_sector: dict[str, list[PriceRow]] = {}
    for row in rows:
        by_sector.setdefault(row.constituent.sector, []).append(row)
    return [
        SectorRow(sector, tuple(sorted(by_sector[sector], key=_size, reverse=True)))
        for sector in sorted(by_sector, key=sector_place)
    ]


def _size(row: PriceRow) -> Decimal:
    quote = row.quote
    return Decimal(quote.market_cap or 0) if quote is not None else Decimal(0)


def change_sign(percent: Decimal | None) -> tuple[str, Role]:
    """The sign of a change in percent; it differs by direction and strength without its colour."""
    if percent is None:
        return _UNKNOWN
    if not percent:
        return "=", Role.LABEL
    if percent > 0:
        return ("▲" if percent >= _STRONG else "△"), Role.GOOD
    return ("▼" if percent <= -_STRONG else "▽"), Role.BAD


def map_lines(
    rows: Sequence[SectorRow], sectors: Mapping[str, ChangeStats], width: int, height: int
) -> list[Line]:
    """The map in `height` lines of `width` cells; if a sector has more members than cells, the largest ones."""
    lines = [_sector_line(row, sectors.get(row.sector), width) for row in rows[:height]]
    if not lines:
        lines = [cut((Span("no constituents yet", Role.LABEL),), width)][:height]
    return lines + [cut((), width)] * (height - len(lines))


def _sector_line(row: SectorRow, stats: ChangeStats | None, width: int) -> Line:
    name = SECTOR_NAMES.get(row.sector, row.sector) or "no sector"
    text = format_change(stats.percent if stats is not None else None, " %")
    spans = [
        Span(fit(clean(name), _NAME), Role.LABEL),
        Span(fit(text, _CHANGE - 1, "right") + " ", change_role(text)),
    ]
    room = max(0, width - _NAME - _CHANGE)
    # The last cell shows that not all members fit.
    shown = len(row.members) if len(row.members) <= room else room - 1
    for member in row.members[: max(0, shown)]:
        sign, role = change_sign(member.quote.percent_change if member.quote is not None else None)
        if spans[-1].role is role and len(spans) > 2:
            spans[-1] = Span(spans[-1].text + sign, role)
        else:
            spans.append(Span(sign, role))
    more = ELLIPSIS if shown < len(row.members) else ""
    return cut((*spans, Span(more, Role.LABEL)), width)


class MarketMap(LinesWidget):
    """Draws the map; a click on a sign opens its symbol."""

    def __init__(self) -> None:
        super().__init__(id="map", classes="panel")
        self._rows: Sequence[SectorRow] = ()
        self._sectors: Mapping[str, ChangeStats] = {}

    def show(self, rows: Iterable[PriceRow], sectors: Mapping[str, ChangeStats]) -> None:
        """Show the prices, unless the window has no room for the map."""
        if self.display and self.size.width:
            self._rows, self._sectors = sector_rows(rows), sectors
            self._draw()

    def symbol_at(self, x: int, y: int) -> str:
        """The symbol of the sign in a cell; empty where there is none."""
        place = x - _NAME - _CHANGE
        members = self._rows[y].members if 0 <= y < len(self._rows) else ()
        if place == self.size.width - _NAME - _CHANGE - 1 and len(members) > place + 1:
            return ""  # of the ellipsis
        return members[place].symbol if 0 <= place < len(members) else ""

    def on_mount(self) -> None:
        """Show the title and the legend."""
        set_titles(self, "market map · largest company first", _LEGEND)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the map out for the new size."""
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Open the symbol under the pointer."""
        offset = event.get_content_offset(self)
        symbol = self.symbol_at(offset.x, offset.y) if offset is not None else ""
        if symbol:
            self.post_message(SymbolSelected(symbol))

    def _draw(self) -> None:
        if self.size.width and self.size.height:
            self.show_lines(map_lines(self._rows, self._sectors, *self.size))
