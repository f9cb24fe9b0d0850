"""The columns of the price table and their layout for a given width."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class PriceColumn(StrEnum):
    """The columns from left to right; the values are the names used in sentences."""

    SYMBOL = "symbol"
    NAME = "name"
    SECTOR = "sector"
    INDUSTRY = "sub-industry"
    LAST = "last price"
    CHANGE = "change"
    PERCENT = "change %"
    CONVERTED = "converted price"
    VOLUME = "volume"
    MARKET = "market state"
    AGE = "quote age"
    TREND = "session"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """Title, width limits and alignment of a column."""

    column: PriceColumn
    title: str
    min_width: int
    """Terminal cells; with fewer the column is left out."""
    max_width: int
    """Terminal cells; the column is never wider."""
    align: str = "left"
    """`left`, or `right` for numbers."""
    descending_first: bool = False
    """Whether the first sort by this column is descending."""


_C = PriceColumn
SPECS = {
    spec.column: spec
    for spec in (
        ColumnSpec(_C.SYMBOL, "Symbol", 6, 8),
        ColumnSpec(_C.NAME, "Name", 11, 34),
        ColumnSpec(_C.SECTOR, "Sector", 22, 22),
        ColumnSpec(_C.INDUSTRY, "Sub-industry", 20, 36),
        ColumnSpec(_C.LAST, "Last", 10, 10, align="right", descending_first=True),
        ColumnSpec(_C.CHANGE, "Change", 9, 9, align="right", descending_first=True),
        ColumnSpec(_C.PERCENT, "Change %", 11, 11, align="right", descending_first=True),
        ColumnSpec(_C.CONVERTED, "Converted", 10, 11, align="right", descending_first=True),
        ColumnSpec(_C.VOLUME, "Volume", 8, 8, align="right", descending_first=True),
        ColumnSpec(_C.MARKET, "Market", 8, 8),
        ColumnSpec(_C.AGE, "Age", 6, 6, align="right"),
        ColumnSpec(_C.TREND, "Session", 10, 20, descending_first=True),
    )
}
_PRIORITY = (
    _C.LAST, _C.CONVERTED, _C.PERCENT, _C.NAME, _C.AGE, _C.CHANGE, _C.TREND, _C.VOLUME, _C.SECTOR, _C.MARKET,
    _C.INDUSTRY,
)  # fmt: skip
"""The order in which columns get room, after the symbol and the sorted column."""
_CONVERTED_FIRST = tuple(
    column
    for each in PriceColumn
    if each is not _C.CONVERTED
    for column in ((_C.CONVERTED, each) if each is _C.LAST else (each,))
)
"""The columns from left to right with the converted price before the quoted one."""
_TEXT_COLUMNS = (_C.SYMBOL, _C.NAME, _C.SECTOR, _C.INDUSTRY)

CURRENCY_WIDTH = 4
"""Cells of a blank and the currency code after a price, if the rows have several currencies."""
GAP = 2
"""Blank cells between two columns."""
SORT_MARK_WIDTH = 2
"""Cells of the arrow next to the sorted column's title, and its blank."""
MARGIN = 1
"""Cells to the left of the first column, for the cursor's mark, and to the right of the last column."""


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """A column with its position in a line."""

    spec: ColumnSpec
    start: int
    """First terminal cell."""
    width: int
    """Terminal cells without the gap."""


@dataclass(frozen=True, slots=True, eq=False)
class PriceLayout:
    """The columns that fit a width, from left to right; cached, so equal requests return the same object."""

    text_columns: tuple[PlacedColumn, ...]
    """Columns from the list of constituents, to the left of the others."""
    value_columns: tuple[PlacedColumn, ...]
    """Columns that change with the prices."""
    tail: str
    """The blanks after the last column."""
    width: int
    """Terminal cells of the whole line."""
    highlighted: PriceColumn
    """The price column that flashes on a change: the preferred currency, as the other changes with it."""
    units: bool
    """Whether each row names the currency of its price."""

    @property
    def placed(self) -> tuple[PlacedColumn, ...]:
        """All columns."""
        return self.text_columns + self.value_columns

    def column_at(self, x: int) -> PriceColumn | None:
        """The column at cell `x`; the gap to its right belongs to it."""
        for place in self.placed:
            if place.start <= x < place.start + place.width + GAP:
                return place.spec.column
        return None

    @property
    def columns(self) -> tuple[PriceColumn, ...]:
        """The columns shown."""
        return tuple(place.spec.column for place in self.placed)


def _min_width(column: PriceColumn, sort: PriceColumn, units: bool) -> int:
    """Cells below which a column is left out; the name column is narrowed for the currency codes."""
    spec = SPECS[column]
    width = spec.min_width
    if column is sort:
        width = max(width, len(spec.title) + SORT_MARK_WIDTH)
    if units and column is _C.LAST:
        width += CURRENCY_WIDTH
    elif units and column is _C.NAME:
        width -= CURRENCY_WIDTH
    return width


def _min_widths(
    width: int, sort: PriceColumn, *, converted_first: bool, grouped: bool, units: bool
) -> dict[PriceColumn, int]:
    """The columns that fit, by priority, with their smallest widths; the symbol and the sorted column always do."""
    swap = {_C.LAST: _C.CONVERTED, _C.CONVERTED: _C.LAST} if converted_first else {}
    always = (_C.SYMBOL, sort)
    room = width - 2 * MARGIN + GAP
    chosen: dict[PriceColumn, int] = {}
    for column in dict.fromkeys((*always, *(swap.get(column, column) for column in _PRIORITY))):
        if grouped and column is _C.SECTOR is not sort:
            continue
        size = _min_width(column, sort, units)
        if size + GAP > room and column not in always:
            break
        room -= size + GAP
        chosen[column] = size
    return chosen


@lru_cache(maxsize=64)
def price_layout(
    width: int,
    sort: PriceColumn = PriceColumn.PERCENT,
    *,
    converted_first: bool = False,
    grouped: bool = False,
    units: bool = False,
) -> PriceLayout:
    """The columns for a table of `width` terminal cells, at fixed widths so that numbers do not jitter.

    Remaining cells widen the symbol and the converted price, then the name, the session and the sub-industry.

    Args:
        width: Terminal cells of a line.
        sort: The sorted column, which is always shown.
        converted_first: Whether the converted price is before the quoted one, and is kept if only one fits.
        grouped: Whether the rows are grouped by sector, which makes the sector column redundant.
        units: Whether each row names the currency of its price.
    """
    widths = _min_widths(width, sort, converted_first=converted_first, grouped=grouped, units=units)
    spare = width - 2 * MARGIN + GAP - sum(size + GAP for size in widths.values())
    for column in (_C.SYMBOL, _C.CONVERTED, _C.NAME, _C.TREND, _C.INDUSTRY):
        if column in widths and spare > 0:
            more = min(spare, SPECS[column].max_width - widths[column])
            widths[column] += more
            spare -= more
    placed: list[PlacedColumn] = []
    start = MARGIN
    for column in _CONVERTED_FIRST if converted_first else PriceColumn:
        if column in widths:
            placed.append(PlacedColumn(SPECS[column], start, widths[column]))
            start += widths[column] + GAP
    texts = sum(place.spec.column in _TEXT_COLUMNS for place in placed)
    tail = " " * max(0, width - placed[-1].start - placed[-1].width)
    highlighted = _C.CONVERTED if converted_first else _C.LAST
    return PriceLayout(tuple(placed[:texts]), tuple(placed[texts:]), tail, width, highlighted, units)
