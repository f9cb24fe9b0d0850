"""Which rows of the book the table shows, and in which order: sort keys, filter and sector groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sp500tui.model import MarketState
from sp500tui.tui.prices.columns import SPECS, PriceColumn
from sp500tui.tui.prices.model import PriceModel, PriceRow

SortKey: TypeAlias = float | str

_SESSIONS: Mapping[str, float] = {state: float(place) for place, state in enumerate(MarketState)}
_LAST_SESSION = float(len(_SESSIONS))
"""Unknown sessions sort after the known ones."""


def _change(row: PriceRow) -> float | None:
    return float(row.quote.change) if row.quote and row.quote.change is not None else None


def _percent(row: PriceRow) -> float | None:
    return float(row.quote.percent_change) if row.quote and row.quote.percent_change is not None else None


def _converted(row: PriceRow) -> float | None:
    converted = row.converted
    return float(converted.converted_price) if converted and converted.converted_price is not None else None


def _volume(row: PriceRow) -> float | None:
    return float(row.quote.volume) if row.quote and row.quote.volume is not None else None


def _session(row: PriceRow) -> float | None:
    return _SESSIONS.get(row.quote.market_state, _LAST_SESSION) if row.quote else None


_KEYS: dict[PriceColumn, Callable[[PriceRow], SortKey | None]] = {
    PriceColumn.SYMBOL: lambda row: row.symbol,
    PriceColumn.NAME: lambda row: row.constituent.name.casefold() or None,
    PriceColumn.SECTOR: lambda row: row.constituent.sector.casefold() or None,
    PriceColumn.INDUSTRY: lambda row: row.constituent.sub_industry.casefold() or None,
    PriceColumn.LAST: lambda row: float(row.quote.price) if row.quote else None,
    PriceColumn.CHANGE: _change,
    PriceColumn.PERCENT: _percent,
    PriceColumn.CONVERTED: _converted,
    PriceColumn.VOLUME: _volume,
    PriceColumn.MARKET: _session,
    PriceColumn.AGE: lambda row: -row.quote.quote_time.timestamp() if row.quote else None,
    PriceColumn.TREND: lambda row: row.track.gain,
}


def sort_key(column: PriceColumn, row: PriceRow) -> SortKey | None:
    """What `column` sorts a row by; None where it has no value. All keys of one column are of one type."""
    return _KEYS[column](row)


def next_column(column: PriceColumn, step: int) -> PriceColumn:
    """The sort column `step` places right of `column`, round the end."""
    columns = list(PriceColumn)
    return columns[(columns.index(column) + step) % len(columns)]


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What a person chose to see."""

    sort: PriceColumn = PriceColumn.PERCENT
    descending: bool = True
    filter_text: str = ""
    grouped: bool = False

    def words(self, shown: int, total: int) -> str:
        """The arrangement for a title: `by change % ▼ · 12 of 503 match “bank”`."""
        parts = [f"by {self.sort} {'▼' if self.descending else '▲'}"]
        if self.grouped:
            parts.append("grouped by sector")
        if self.filter_text.strip():
            parts.append(f"{shown:,} of {total:,} match “{self.filter_text.strip()}”")
        elif total:
            parts.append(f"all {total:,}")
        return " · ".join(parts)


def first_direction(column: PriceColumn) -> bool:
    """Whether a newly chosen sort column starts descending: numbers do, words do not."""
    return SPECS[column].descending_first


@dataclass(frozen=True, slots=True)
class SectorLine:
    """The line above the rows of one sector."""

    sector: str
    shown: int
    """Rows below it that match the filter."""


Line: TypeAlias = str | SectorLine
"""One line of the table: the symbol of a row, or a sector's heading."""


class PriceListView:
    """The lines of the table in their order.

    Changed rows only mark the order as unsettled; `settle` sorts once for all of them. The list is nearly in
    order then, which the sort takes advantage of: 500 changes among 50,000 rows cost some milliseconds.
    """

    def __init__(self, book: PriceModel) -> None:
        self.lines: Sequence[Line] = ()
        self.shown = 0
        """Symbols among the lines."""
        self.arrangement = ViewOptions()
        self._book = book
        self._texts: dict[str, str] = {}
        self._keys: dict[str, tuple[SortKey, str]] = {}
        self._present: list[str] = []
        self._absent: dict[str, None] = {}
        self._arrived: list[str] = []
        self._touched: set[str] = set()
        self._unsettled = False
        self._unsplit = False

    def arrange(self, arrangement: ViewOptions) -> None:
        """Show the rows as `arrangement` says, at once."""
        self.arrangement = arrangement
        self.rebuild()

    def rebuild(self) -> None:
        """Take the rows anew from the book: for another list, sort column or filter."""
        rows = self._book.rows
        if self._texts.keys() != rows.keys():
            self._texts = {symbol: _searched(row) for symbol, row in rows.items()}
        symbols: Iterable[str] = rows
        words = self.arrangement.filter_text.casefold().split()
        if words:
            symbols = [s for s, text in self._texts.items() if all(word in text for word in words)]
        key = _KEYS[self.arrangement.sort]
        self._keys, absent = {}, []
        for symbol in symbols:
            value = key(rows[symbol])
            if value is None:
                absent.append(symbol)
            else:
                self._keys[symbol] = (value, symbol)
        self._present, self._arrived = list(self._keys), []
        self._touched.clear()
        self._absent = dict.fromkeys(sorted(absent))
        self._unsettled, self._unsplit = True, False
        self.settle()

    def touch(self, symbols: Iterable[str]) -> None:
        """Note that these rows changed; what that means for their order is looked at when it is settled."""
        self._touched.update(symbols)

    def _sort_in(self) -> None:
        """Take over the sort keys of the rows that changed; costs nothing for rows the filter hides."""
        key = _KEYS[self.arrangement.sort]
        keys, absent, rows = self._keys, self._absent, self._book.rows
        for symbol in self._touched:
            if symbol in keys:
                value = key(rows[symbol])
                if value is None:
                    self._unsplit = True
                elif keys[symbol][0] != value:
                    keys[symbol] = (value, symbol)
                    self._unsettled = True
            elif symbol in absent:
                value = key(rows[symbol])
                if value is not None:
                    keys[symbol] = (value, symbol)
                    del absent[symbol]
                    self._arrived.append(symbol)
                    self._unsettled = True
            elif symbol not in self._texts:
                self._unsplit = True
        self._touched.clear()

    def settle(self) -> bool:
        """Bring the lines into order after changes; whether there was anything to do."""
        self._sort_in()
        if self._unsplit:
            self.rebuild()
            return True
        if not self._unsettled:
            return False
        self._unsettled = False
        self._present += self._arrived
        self._arrived = []
        self._present.sort(key=self._keys.__getitem__)
        present = self._present[::-1] if self.arrangement.descending else self._present
        symbols = [*present, *self._absent]
        self.shown = len(symbols)
        self.lines = self._grouped(symbols) if self.arrangement.grouped else symbols
        return True

    def _grouped(self, symbols: Sequence[str]) -> list[Line]:
        """The symbols below the headings of their sectors, each sector in the order given."""
        rows = self._book.rows
        groups: dict[str, list[str]] = {}
        for symbol in symbols:
            groups.setdefault(rows[symbol].constituent.sector, []).append(symbol)
        lines: list[Line] = []
        for sector in self._sector_order(groups):
            lines.append(SectorLine(sector, len(groups[sector])))
            lines.extend(groups[sector])
        return lines

    def _sector_order(self, sectors: Iterable[str]) -> list[str]:
        """By weighted change when the rows are sorted by a change, else by name; nameless ones last."""
        arrangement = self.arrangement
        ordered = sorted(sectors, key=lambda sector: (not sector, sector))
        if arrangement.sort not in (PriceColumn.CHANGE, PriceColumn.PERCENT):
            reverse = arrangement.descending and arrangement.sort is PriceColumn.SECTOR
            return ordered[::-1] if reverse else ordered
        percents = {sector: self._book.sectors[sector].percent for sector in ordered}
        known = [sector for sector in ordered if percents[sector] is not None]
        known.sort(key=lambda sector: percents[sector] or 0, reverse=arrangement.descending)
        return known + [sector for sector in ordered if percents[sector] is None]


def _searched(row: PriceRow) -> str:
    """The text a filter looks through."""
    constituent = row.constituent
    return f"{constituent.symbol}\n{constituent.name}\n{constituent.sector}".casefold()
