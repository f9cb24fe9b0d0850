"""The columns of the price table and their layout for a given width."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class PriceColumn(StrEnum):
    """The columns from left to right; the value is the name used in sentences."""

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
    """Terminal cells; the column is left out where there are fewer."""
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
        ColumnSpec(_C.SYMBOL, "Symbol", 8, 8),
        ColumnSpec(_C.NAME, "Name", 11, 34),
        ColumnSpec(_C.SECTOR, "Sector", 22, 22),
        ColumnSpec(_C.INDUSTRY, "Sub-industry", 20, 36),
        ColumnSpec(_C.LAST, "Last", 10, 10, align="right", descending_first=True),
        ColumnSpec(_C.CHANGE, "Change", 9, 9, align="right", descending_first=True),
        ColumnSpec(_C.PERCENT, "Change %", 11, 11, align="right", descending_first=True),
        ColumnSpec(_C.CONVERTED, "Converted", 11, 11, align="right", descending_first=True),
        ColumnSpec(_C.VOLUME, "Volume", 8, 8, align="right", descending_first=True),
        ColumnSpec(_C.MARKET, "Market", 8, 8),
        ColumnSpec(_C.AGE, "Age", 6, 6, align="right"),
        ColumnSpec(_C.TREND, "Session", 10, 20, descending_first=True),
    )
}
_PRIORITY = (
    _C.SYMBOL, _C.LAST, _C.PERCENT, _C.CONVERTED, _C.NAME, _C.AGE, _C.CHANGE, _C.TREND,
    _C.VOLUME, _C.SECTOR, _C.MARKET, _C.INDUSTRY,
)  # fmt: skip
"""Which column gets room first."""
_TEXT_COLUMNS = (_C.SYMBOL, _C.NAME, _C.SECTOR, _C.INDUSTRY)

CURRENCY_WIDTH = 4
"""Cells of a blank and the currency code after a price, where the rows have several currencies."""
GAP = 2
"""Blank cells between two columns."""
MARGIN = 1
"""Cells left of the first column, for the cursor's mark, and right of the last column."""


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
    """The columns that fit a width, from left to right; cached, so equal requests give the same object."""

    text_columns: tuple[PlacedColumn, ...]
    """Columns from the list of constituents, left of the others."""
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


def _min_width(column: PriceColumn, units: bool) -> int:
    """Cells below which a column is left out; the name gives up cells for the currency codes."""
    min_width = SPECS[column].min_width
    if not units:
        return min_width
    return (
        min_width + CURRENCY_WIDTH
        if column is _C.LAST
        else min_width - CURRENCY_WIDTH
        if column is _C.NAME
        else min_width
    )


def _fitting_columns(width: int, converted_first: bool, grouped: bool, units: bool) -> list[PriceColumn]:
    """The columns that fit, by priority; `converted_first` exchanges the two currencies."""
    needs: Iterable[PriceColumn] = _PRIORITY
    if converted_first:
        swap = {_C.LAST: _C.CONVERTED, _C.CONVERTED: _C.LAST}
        needs = [swap.get(column, column) for column in needs]
    if grouped:
        needs = [column for column in needs if column is not _C.SECTOR]
    room = width - 2 * MARGIN + GAP
    chosen: list[PriceColumn] = []
    for column in needs:
        cost = _min_width(column, units) + GAP
        if cost > room and chosen:
            break
        room -= cost
        chosen.append(column)
    return chosen


@lru_cache(maxsize=64)
def price_layout(
    width: int, converted_first: bool = False, grouped: bool = False, units: bool = False
) -> PriceLayout:
    """The columns for a table of `width` terminal cells, at fixed widths so that numbers do not jitter.

    Remaining cells widen the name, then the session, then the sub-industry.

    Args:
        width: Terminal cells of a line.
        converted_first: Whether the converted price has priority over the quoted one.
        grouped: Whether the rows are grouped by sector, which makes the sector column redundant.
        units: Whether each row names the currency of its price.
    """
    fitting = _fitting_columns(width, converted_first, grouped, units)
    widths = {column: _min_width(column, units) for column in fitting}
    spare = width - 2 * MARGIN + GAP - sum(size + GAP for size in widths.values())
    for column in (_C.NAME, _C.TREND, _C.INDUSTRY):
        if column in widths and spare > 0:
            more = min(spare, SPECS[column].max_width - widths[column])
            widths[column] += more
            spare -= more
    placed: list[PlacedColumn] = []
    start = MARGIN
    for column in PriceColumn:
        if column in widths:
            placed.append(PlacedColumn(SPECS[column], start, widths[column]))
            start += widths[column] + GAP
    texts = sum(place.spec.column in _TEXT_COLUMNS for place in placed)
    tail = " " * max(0, width - placed[-1].start - placed[-1].width)
    highlighted = _C.CONVERTED if converted_first else _C.LAST
    return PriceLayout(tuple(placed[:texts]), tuple(placed[texts:]), tail, width, highlighted, units)
