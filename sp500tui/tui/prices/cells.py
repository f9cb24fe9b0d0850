"""Rendering of the price table: each line as cells of fixed width with the name of their style."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from textwrap import wrap
from typing import TypeAlias

from rich.cells import cell_len

from sp500tui.model import Constituent, MarketState
from sp500tui.price_text import NOTHING, change_text, price_text
from sp500tui.tui.prices.columns import (
    CURRENCY_WIDTH,
    GAP,
    MARGIN,
    SPECS,
    PlacedColumn,
    PriceColumn,
    PriceLayout,
)
from sp500tui.tui.prices.model import ChangeStats, PriceRow
from sp500tui.tui.prices.view import SectorLine, ViewOptions
from sp500tui.tui.render.formats import (
    arrow,
    clean,
    fit,
    fit_number,
    format_age,
    format_change,
    format_volume,
    printed_sign,
)

Cell: TypeAlias = tuple[str, str]
"""Text, and the name of its style."""

STYLES = (
    "row", "cursor", "cursor-blurred", "hover", "mark", "symbol", "name", "muted", "last", "converted", "up", "down",
    "level", "open", "stale", "missing", "trend-up", "trend-down", "trend-level", "flash-up", "flash-down", "header",
    "sorted", "sector", "sector-up", "sector-down", "sector-level", "sector-note", "notice",
)  # fmt: skip
"""Names of all styles of cells and whole lines."""
CURSOR_MARK = "▸"
SESSION_LABELS: Mapping[str, str] = {
    MarketState.PREPRE: "closed",
    MarketState.PRE: "pre",
    MarketState.REGULAR: "open",
    MarketState.POST: "post",
    MarketState.POSTPOST: "closed",
    MarketState.CLOSED: "closed",
    MarketState.OVERNIGHT: "night",
    MarketState.UNKNOWN: NOTHING,
}
_GAP = " " * GAP
_MESSAGE_WIDTH = 54
"""Maximum cells per line of the message in an empty table."""
_PERCENT_WIDTH = SPECS[PriceColumn.PERCENT].min_width
_PRICE_WIDTH = SPECS[PriceColumn.LAST].min_width
_NO_CELL: Cell = (NOTHING, "muted")
_EXCHANGED = {"last": "converted", "converted": "last"}
"""Styles of the two prices if the converted one is shown first."""


_DIRECTIONS = {1: "up", -1: "down", 0: "level"}
"""Styles of a change by its sign."""


def direction(text: str) -> str:
    """Style of a change as printed: up, down or level."""
    return _DIRECTIONS[printed_sign(text)]


def _last(row: PriceRow, _width: int) -> Cell:
    return (
        (fit_number(price_text(row.quote.price), row.quote.price, _PRICE_WIDTH), "last")
        if row.quote
        else _NO_CELL
    )


def _change(row: PriceRow, width: int) -> Cell:
    quote = row.quote
    if quote is None or quote.change is None:
        return _NO_CELL
    text = fit_number(change_text(quote.change, quote.price), quote.change, width)
    return text, direction(text)


def _percent(row: PriceRow, _width: int) -> Cell:
    return _percent_cell(row.quote.percent_change) if row.quote else _NO_CELL


def _percent_cell(percent: Decimal | None, prefix: str = "") -> Cell:
    """A change in percent, its arrow aligned with those of the other rows; `prefix` begins the style's name."""
    if percent is None:
        return _NO_CELL
    text = format_change(percent, " %")
    return arrow(text) + text.rjust(_PERCENT_WIDTH - 1), prefix + direction(text)


def _converted(row: PriceRow, width: int) -> Cell:
    converted = row.converted
    if converted is None or converted.converted_price is None:
        return _NO_CELL
    price = converted.converted_price
    return fit_number(price_text(price), price, width), "converted"


def _volume(row: PriceRow, _width: int) -> Cell:
    volume = row.quote.volume if row.quote else None
    return _NO_CELL if volume is None else (format_volume(volume), "muted")


def _market(row: PriceRow, _width: int) -> Cell:
    if row.missing:
        return "missing", "missing"
    quote = row.quote
    if quote is None:
        return _NO_CELL
    word = SESSION_LABELS.get(quote.market_state) or clean(quote.market_state).lower()
    return word, "open" if quote.market_state == MarketState.REGULAR else "muted"


def _trend(row: PriceRow, width: int) -> Cell:
    """The session in the colour of the day's change."""
    change = row.quote.percent_change if row.quote else None
    return row.history.sparkline(min(width, row.history.LIMIT)), f"trend-{direction(format_change(change))}"


_TEXT_CELLS: dict[PriceColumn, Callable[[Constituent], Cell]] = {
    PriceColumn.SYMBOL: lambda constituent: (clean(constituent.symbol), "symbol"),
    PriceColumn.NAME: lambda constituent: (clean(constituent.name), "name"),
    PriceColumn.SECTOR: lambda constituent: (clean(constituent.sector), "muted"),
    PriceColumn.INDUSTRY: lambda constituent: (clean(constituent.sub_industry), "muted"),
}
"""Cells of the columns whose values do not change with the price."""
_VALUE_CELLS: dict[PriceColumn, Callable[[PriceRow, int], Cell]] = {
    PriceColumn.LAST: _last,
    PriceColumn.CHANGE: _change,
    PriceColumn.PERCENT: _percent,
    PriceColumn.CONVERTED: _converted,
    PriceColumn.VOLUME: _volume,
    PriceColumn.MARKET: _market,
    PriceColumn.TREND: _trend,
}


def row_age(row: PriceRow, now: datetime) -> str:
    """The quote's age; `none` for a missing price, a dash before the first one."""
    age = row.age(now)
    if age is None:
        return "none" if row.missing else NOTHING
    return format_age(age)


def render_row(row: PriceRow, layout: PriceLayout, now: datetime, flash: int, marked: bool) -> list[Cell]:
    """One row over the full width.

    Args:
        row: The symbol's row.
        layout: The columns.
        now: UTC.
        flash: +1 or -1 shortly after the price rose or fell, else 0.
        marked: Whether the row has the cursor.
    """
    stale = row.stale(now)
    cells: list[Cell] = [(CURSOR_MARK if marked else " " * MARGIN, "mark")]
    cells += _text_cells(row.constituent, layout, stale)
    blanks = ""
    for place in layout.value_columns:
        column, width = place.spec.column, place.width
        if column is PriceColumn.AGE:
            text, style = row_age(row, now), "missing" if row.missing else "muted"
        else:
            text, style = _VALUE_CELLS[column](row, width)
            if column is PriceColumn.LAST and layout.units and row.quote is not None:
                text += f" {clean(row.quote.currency):<{CURRENCY_WIDTH - 1}}"
        if layout.highlighted is PriceColumn.CONVERTED:
            style = _EXCHANGED.get(style, style)
        if stale and style != "missing":
            style = "stale"
        cell = _format_cell(text, place)
        if flash and column is layout.highlighted:
            blanks = _highlight(cells, blanks + cell, "flash-up" if flash > 0 else "flash-down")
        else:
            cells.append((blanks + cell, style))
            blanks = ""
    if blanks:
        cells.append((blanks, "row"))
    return _pad_to_edge(cells, layout)


@lru_cache(maxsize=1024)
def _text_cells(constituent: Constituent, layout: PriceLayout, stale: bool) -> Sequence[Cell]:
    """The cells of a row that do not change with the price."""
    cells = []
    for place in layout.text_columns:
        text, style = _TEXT_CELLS[place.spec.column](constituent)
        cells.append((_in_column(text, place), "stale" if stale else style))
    return cells


def _in_column(text: str, place: PlacedColumn) -> str:
    """The text padded to its column and the gap after it."""
    return fit(text, place.width, place.spec.align) + _GAP


def _format_cell(text: str, place: PlacedColumn) -> str:
    """A text of single-width characters padded to its column and the gap after it."""
    width = place.width
    if len(text) > width:
        return _in_column(text, place)
    return (text.rjust(width) if place.spec.align == "right" else text.ljust(width)) + _GAP


def _highlight(cells: list[Cell], text: str, style: str) -> str:
    """Add a column with only its digits highlighted; returns the blanks after them, for the next column.

    Blanks in a separate cell would cost another colour change in the terminal's output.
    """
    shown = text.strip(" ")
    start = text.index(shown)
    cells += [(text[:start], "name"), (shown, style)]
    return text[start + len(shown) :]


def _pad_to_edge(cells: list[Cell], layout: PriceLayout) -> list[Cell]:
    """The cells, with the last gap extended to the edge of the line."""
    text, style = cells[-1]
    cells[-1] = (text[:-GAP] + layout.tail, style)
    return cells


def _title(place: PlacedColumn, options: ViewOptions, currency: str, converted: str) -> str:
    """A column's title, with the arrow of the sort order on the inner side."""
    column = place.spec.column
    title = place.spec.title
    if column is PriceColumn.LAST and currency:
        title = f"{title} {currency}"
    elif column is PriceColumn.CONVERTED and converted:
        title = converted
    if column is options.sort:
        mark = "▼" if options.descending else "▲"
        title = f"{mark} {title}" if place.spec.align == "right" else f"{title} {mark}"
    return title


def render_header(layout: PriceLayout, options: ViewOptions, currency: str, converted: str) -> list[Cell]:
    """The column titles over the full width.

    Args:
        layout: The columns.
        options: The sort order.
        currency: Code of the quoted prices; unused where each row names its own.
        converted: Code of the converted prices.
    """
    currency = "" if layout.units else currency
    cells: list[Cell] = [(" " * MARGIN, "header")]
    for place in layout.placed:
        sorted_by = place.spec.column is options.sort
        title = _title(place, options, currency, converted)
        cells.append((_in_column(title, place), "sorted" if sorted_by else "header"))
    return _pad_to_edge(cells, layout)


def render_sector_heading(line: SectorLine, stats: ChangeStats, layout: PriceLayout) -> list[Cell]:
    """A sector's heading.

    Name and number of rows are above the text columns, advancers and decliners above the prices, and the
    weighted change is above the changes in percent.
    """
    percent = stats.percent
    shown = f"{line.shown:,}" if line.shown == stats.members else f"{line.shown:,} of {stats.members:,}"
    counts = f"▲{stats.advancers:,} ▼{stats.decliners:,}"
    values: dict[PriceColumn, Cell] = {
        PriceColumn.CHANGE: ("weighted", "sector-note"),
        PriceColumn.PERCENT: _percent_cell(percent, "sector-"),
    }
    start = next((place.start for place in layout.placed if place.spec.align == "right"), layout.width)
    end = next((p.start + p.width for p in layout.placed if p.spec.align == "right"), layout.width)
    room = max(0, min(end - len(counts), start) - MARGIN - 1)
    name = fit(f"{clean(line.sector) or 'no sector'}  {shown}", room)
    space = " " * (end - len(counts) - MARGIN - cell_len(name))
    cells: list[Cell] = [
        (" " * MARGIN, "mark"),
        (name + space, "sector"),
        (counts + " " * GAP, "sector-note"),
    ]
    for place in layout.placed:
        if place.start > end:
            text, style = values.get(place.spec.column, ("", "sector"))
            cells.append((_in_column(text, place), style))
    return _pad_to_edge(cells, layout)


def render_message(message: str, y: int, width: int, height: int) -> list[Cell]:
    """Screen line `y` of an empty table with a centred message, wrapped to the width of the table.

    If the table is too low for it, blank lines are left out first, then the last lines.
    """
    room = min(_MESSAGE_WIDTH, max(1, width - 1))
    lines = [part for line in message.split("\n") for part in wrap(line, room) or [""]]
    if len(lines) > height:
        lines = [line for line in lines if line]
    index = y - max(0, (height - len(lines)) // 2)
    text = fit(lines[index], min(width, cell_len(lines[index]))) if 0 <= index < len(lines) else ""
    left = (width - cell_len(text)) // 2
    return [(" " * left, "row"), (text, "notice")]
