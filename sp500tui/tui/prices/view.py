"""The lines of the price table: filter, sort order and sector groups."""

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


SORT_KEYS: dict[PriceColumn, Callable[[PriceRow], SortKey | None]] = {
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
    PriceColumn.TREND: lambda row: row.history.gain,
}
"""The value by which each column sorts a row; None if it has none. All values of a column have one type."""


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """Sort order, filter and grouping."""

    sort: PriceColumn = PriceColumn.PERCENT
    descending: bool = True
    filter_text: str = ""
    grouped: bool = False

    def summary(self, shown: int, total: int) -> str:
        """The options for the panel's title: `by change % ▼ · 12 of 503 match “bank”`."""
        parts = [f"by {self.sort} {'▼' if self.descending else '▲'}"]
        if self.grouped:
            parts.append("grouped by sector")
        if self.filter_text.strip():
            parts.append(f"{shown:,} of {total:,} match “{self.filter_text.strip()}”")
        elif total:
            parts.append(f"all {total:,}")
        return " · ".join(parts)


def starts_descending(column: PriceColumn) -> bool:
    """Whether a newly chosen sort column starts descending: numbers do, text does not."""
    return SPECS[column].descending_first


@dataclass(frozen=True, slots=True)
class SectorLine:
    """The heading of one sector."""

    sector: str
    shown: int
    """Rows below it that match the filter."""


Line: TypeAlias = str | SectorLine
"""One line of the table: a row's symbol, or a sector's heading."""


class PriceListView:
    """The table's lines in their order.

    Changed rows are only collected; `apply_changes` sorts once for all of them. The list is then nearly sorted,
    which Python's sort takes advantage of: 500 changes among 50,000 rows cost some milliseconds.
    """

    def __init__(self, model: PriceModel) -> None:
        self.lines: Sequence[Line] = ()
        self.shown = 0
        """Symbols among the lines."""
        self.options = ViewOptions()
        self._model = model
        self._search_texts: dict[str, str] = {}
        self._keys: dict[str, tuple[SortKey, str]] = {}
        self._with_key: list[str] = []
        self._without_key: dict[str, None] = {}
        self._added: list[str] = []
        self._changed: set[str] = set()
        self._order_dirty = False
        self._needs_rebuild = False

    def set_options(self, options: ViewOptions) -> None:
        """Apply other options."""
        self.options = options
        self.rebuild()

    def rebuild(self) -> None:
        """Rebuild the lines from the model, after a change of the list, the sort column or the filter."""
        rows = self._model.rows
        if self._search_texts.keys() != rows.keys():
            self._search_texts = {symbol: _search_text(row) for symbol, row in rows.items()}
        symbols: Iterable[str] = rows
        terms = self.options.filter_text.casefold().split()
        if terms:
            symbols = [s for s, text in self._search_texts.items() if all(term in text for term in terms)]
        key = SORT_KEYS[self.options.sort]
        self._keys, absent = {}, []
        for symbol in symbols:
            value = key(rows[symbol])
            if value is None:
                absent.append(symbol)
            else:
                self._keys[symbol] = (value, symbol)
        self._with_key, self._added = list(self._keys), []
        self._changed.clear()
        self._without_key = dict.fromkeys(sorted(absent))
        self._order_dirty, self._needs_rebuild = True, False
        self.apply_changes()

    def mark_changed(self, symbols: Iterable[str]) -> None:
        """Collect changed rows for the next `apply_changes`."""
        self._changed.update(symbols)

    def _update_keys(self) -> None:
        """Update the sort keys of the changed rows, except those the filter hides."""
        key = SORT_KEYS[self.options.sort]
        keys, absent, rows = self._keys, self._without_key, self._model.rows
        for symbol in self._changed:
            if symbol in keys:
                value = key(rows[symbol])
                if value is None:
                    self._needs_rebuild = True
                elif keys[symbol][0] != value:
                    keys[symbol] = (value, symbol)
                    self._order_dirty = True
            elif symbol in absent:
                value = key(rows[symbol])
                if value is not None:
                    keys[symbol] = (value, symbol)
                    del absent[symbol]
                    self._added.append(symbol)
                    self._order_dirty = True
            elif symbol not in self._search_texts:
                self._needs_rebuild = True
        self._changed.clear()

    def apply_changes(self) -> bool:
        """Sort the lines after changes; returns whether the order changed."""
        self._update_keys()
        if self._needs_rebuild:
            self.rebuild()
            return True
        if not self._order_dirty:
            return False
        self._order_dirty = False
        self._with_key += self._added
        self._added = []
        self._with_key.sort(key=self._keys.__getitem__)
        present = self._with_key[::-1] if self.options.descending else self._with_key
        symbols = [*present, *self._without_key]
        self.shown = len(symbols)
        self.lines = self._grouped(symbols) if self.options.grouped else symbols
        return True

    def _grouped(self, symbols: Sequence[str]) -> list[Line]:
        """The symbols below their sectors' headings, in the given order within each sector."""
        rows = self._model.rows
        groups: dict[str, list[str]] = {}
        for symbol in symbols:
            groups.setdefault(rows[symbol].constituent.sector, []).append(symbol)
        lines: list[Line] = []
        for sector in self._sector_order(groups):
            lines.append(SectorLine(sector, len(groups[sector])))
            lines.extend(groups[sector])
        return lines

    def _sector_order(self, sectors: Iterable[str]) -> list[str]:
        """By weighted change when the rows are sorted by a change, else by name; the empty name last."""
        options = self.options
        ordered = sorted(sectors, key=lambda sector: (not sector, sector))
        if options.sort not in (PriceColumn.CHANGE, PriceColumn.PERCENT):
            reverse = options.descending and options.sort is PriceColumn.SECTOR
            return ordered[::-1] if reverse else ordered
        percents = {sector: self._model.sectors[sector].percent for sector in ordered}
        known = [sector for sector in ordered if percents[sector] is not None]
        known.sort(key=lambda sector: percents[sector] or 0, reverse=options.descending)
        return known + [sector for sector in ordered if percents[sector] is None]


def _search_text(row: PriceRow) -> str:
    """The text that the filter searches."""
    constituent = row.constituent
    return f"{constituent.symbol}\n{constituent.name}\n{constituent.sector}".casefold()
