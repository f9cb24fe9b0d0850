"""The columns of the price table, and which of them a given width has room for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class PriceColumn(StrEnum):
    """The columns in their order from left to right; the value is the word for them in sentences."""

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
    """How one column is laid out."""

    column: PriceColumn
    title: str
    narrowest: int
    """Terminal cells below which the column is left out."""
    widest: int
    """Terminal cells beyond which more room does not help it."""
    align: str = "left"
    """`left` or `right`, as numbers are."""
    descending_first: bool = False
    """Sorted from the highest down when first chosen."""


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
"""Which column is given room first."""
_WORDS = (_C.SYMBOL, _C.NAME, _C.SECTOR, _C.INDUSTRY)

UNIT = 4
"""Cells of a blank and a currency's code behind a price, where the rows have several currencies."""
GAP = 2
"""Blank cells between two columns."""
MARGIN = 1
"""Cells left of the first column, where the cursor's mark stands, and right of the last."""


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """One column at its place in a line."""

    spec: ColumnSpec
    start: int
    """First terminal cell."""
    width: int
    """Terminal cells, the gap not counted."""


@dataclass(frozen=True, slots=True, eq=False)
class PriceLayout:
    """The columns that fit a width, from left to right; one and the same object for the same wishes."""

    words: tuple[PlacedColumn, ...]
    """Of what the list of constituents says; left of the others."""
    figures: tuple[PlacedColumn, ...]
    """Of what changes with the prices."""
    tail: str
    """The blanks behind the last column."""
    width: int
    """Terminal cells of the whole line."""
    highlighted: PriceColumn
    """The price that lights up when it changes: the preferred one, as the other moves with it."""
    units: bool
    """Each row says the currency of its price."""

    @property
    def placed(self) -> tuple[PlacedColumn, ...]:
        """All columns."""
        return self.words + self.figures

    def column_at(self, x: int) -> PriceColumn | None:
        """The column a click at cell `x` means: the gap right of a column belongs to it."""
        for place in self.placed:
            if place.start <= x < place.start + place.width + GAP:
                return place.spec.column
        return None

    @property
    def columns(self) -> tuple[PriceColumn, ...]:
        """The columns shown."""
        return tuple(place.spec.column for place in self.placed)


def _narrowest(column: PriceColumn, units: bool) -> int:
    """Cells below which a column is left out; the name makes room for the currencies."""
    narrowest = SPECS[column].narrowest
    if not units:
        return narrowest
    return narrowest + UNIT if column is _C.LAST else narrowest - UNIT if column is _C.NAME else narrowest


def _chosen(width: int, converted_first: bool, grouped: bool, units: bool) -> list[PriceColumn]:
    """The columns that fit, by need; the second currency takes the place of the first where it is preferred."""
    needs: Iterable[PriceColumn] = _PRIORITY
    if converted_first:
        swap = {_C.LAST: _C.CONVERTED, _C.CONVERTED: _C.LAST}
        needs = [swap.get(column, column) for column in needs]
    if grouped:
        needs = [column for column in needs if column is not _C.SECTOR]
    room = width - 2 * MARGIN + GAP
    chosen: list[PriceColumn] = []
    for column in needs:
        cost = _narrowest(column, units) + GAP
        if cost > room and chosen:
            break
        room -= cost
        chosen.append(column)
    return chosen


@lru_cache(maxsize=64)
def price_layout(
    width: int, converted_first: bool = False, grouped: bool = False, units: bool = False
) -> PriceLayout:
    """The columns for a table `width` terminal cells wide, at fixed widths so that numbers never jitter.

    What room is left over widens the name, then the session, then the sub-industry. Grouped rows need no column
    for the sector, which stands above them. With `units` the price has room for its currency.
    """
    chosen = _chosen(width, converted_first, grouped, units)
    widths = {column: _narrowest(column, units) for column in chosen}
    spare = width - 2 * MARGIN + GAP - sum(size + GAP for size in widths.values())
    for column in (_C.NAME, _C.TREND, _C.INDUSTRY):
        if column in widths and spare > 0:
            more = min(spare, SPECS[column].widest - widths[column])
            widths[column] += more
            spare -= more
    placed: list[PlacedColumn] = []
    start = MARGIN
    for column in PriceColumn:
        if column in widths:
            placed.append(PlacedColumn(SPECS[column], start, widths[column]))
            start += widths[column] + GAP
    words = sum(place.spec.column in _WORDS for place in placed)
    tail = " " * max(0, width - placed[-1].start - placed[-1].width)
    highlighted = _C.CONVERTED if converted_first else _C.LAST
    return PriceLayout(tuple(placed[:words]), tuple(placed[words:]), tail, width, highlighted, units)
