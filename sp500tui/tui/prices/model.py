"""The data of the price table: one row per symbol, and statistics per sector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sp500tui.model import Constituent, ConvertedQuote, MarketState, Quote
from sp500tui.pipeline.core.snapshot import LivePrice, MissingSymbol
from sp500tui.tui.prices.sparkline import PriceHistory

_STALE_AFTER: Mapping[str, float] = {
    MarketState.PRE: 3600.0,
    MarketState.REGULAR: 300.0,
    MarketState.POST: 3600.0,
}
_STALE_CLOSED = 4 * 86_400.0
"""Seconds after which the last trade of a closed market is stale; longer than a long weekend."""


class PriceRow(NamedTuple):
    """One symbol's row; a named tuple, because thousands are created per second."""

    constituent: Constituent
    live: LivePrice | None
    missing: str
    """Why this cycle has no price; empty if it has one or if none has been requested yet."""
    revision: int
    """Unique for every state of every row, so that it can serve as a cache key."""
    history: PriceHistory
    """The prices since the start, shared by all states of the row."""

    @property
    def symbol(self) -> str:
        """Ticker as listed."""
        return self.constituent.symbol

    @property
    def quote(self) -> Quote | None:
        """The newest quote."""
        return self.live.row.quote if self.live else None

    @property
    def converted(self) -> ConvertedQuote | None:
        """The newest quote with its converted price."""
        return self.live.row if self.live else None

    def age(self, now: datetime) -> int | None:
        """Whole seconds since the trade, never negative; None without a price."""
        quote = self.quote
        return None if quote is None else max(0, int((now - quote.quote_time).total_seconds()))

    def stale(self, now: datetime) -> bool:
        """Whether the last trade is older than its session accounts for.

        The limits are 5 minutes in the regular session, an hour before and after it, and four days for a closed
        market.
        """
        quote = self.quote
        if quote is None:
            return False
        age = (now - quote.quote_time).total_seconds()
        return age > _STALE_AFTER.get(quote.market_state, _STALE_CLOSED)


class Weight(NamedTuple):
    """The contribution of one quote to the statistics, or the difference between two quotes of one symbol."""

    currency: str
    members: int
    advancers: int
    decliners: int
    change: Decimal
    previous: Decimal
    capitalised: int = 0
    capital_change: Decimal = Decimal(0)
    capital_before: Decimal = Decimal(0)

    def minus(self, other: Weight) -> Weight:
        """The difference between two weights in one currency."""
        return Weight(
            self.currency,
            self.members - other.members,
            self.advancers - other.advancers,
            self.decliners - other.decliners,
            self.change - other.change,
            self.previous - other.previous,
            self.capitalised - other.capitalised,
            self.capital_change - other.capital_change,
            self.capital_before - other.capital_before,
        )

    @property
    def negated(self) -> Weight:
        """The weight that removes it from the statistics."""
        return Weight(self.currency, 0, 0, 0, Decimal(0), Decimal(0)).minus(self)


def weight_of(quote: Quote | None, classes: int = 1) -> Weight | None:
    """The contribution of a quote to the statistics; None for a quote without a change.

    Args:
        quote: The quote.
        classes: Number of listed share classes of the company, among which its capitalisation is divided.
    """
    if quote is None or (change := quote.change) is None:
        return None
    previous = quote.price - change
    counted = (quote.currency, 1, int(change > 0), int(change < 0), change, previous)
    if quote.market_cap is None:
        return Weight(*counted)
    shares = int(quote.market_cap / quote.price / classes)
    return Weight(*counted, 1, shares * change, shares * previous)


@dataclass(slots=True)
class _CurrencySums:
    """Sums over the members of a group that are priced in one currency."""

    members: int = 0
    change: Decimal = Decimal(0)
    previous: Decimal = Decimal(0)
    """Sum of the previous prices."""
    capitalised: int = 0
    """Members with a known capitalisation."""
    capital_change: Decimal = Decimal(0)
    capital_before: Decimal = Decimal(0)
    """Capitalisation at the previous prices."""


class ChangeStats:
    """Advancers, decliners and the change in percent of one sector, or of the whole list.

    Updated by adding and removing single rows, so the cost of an update does not depend on the size of the group.
    Prices are summed per currency and never across currencies.
    """

    __slots__ = ("_sums", "advancers", "decliners", "members")

    def __init__(self) -> None:
        self.members = 0
        self.advancers = 0
        self.decliners = 0
        self._sums: dict[str, _CurrencySums] = {}

    def add(self, weight: Weight | None) -> None:
        """Add a member's newest quote, or the difference from the one that is counted."""
        if weight is None:
            return
        sums = self._sums.get(weight.currency)
        if sums is None:
            sums = self._sums[weight.currency] = _CurrencySums()
        self.advancers += weight.advancers
        self.decliners += weight.decliners
        sums.members += weight.members
        sums.change += weight.change
        sums.previous += weight.previous
        sums.capitalised += weight.capitalised
        sums.capital_change += weight.capital_change
        sums.capital_before += weight.capital_before
        if not sums.members:
            del self._sums[weight.currency]

    @property
    def counted(self) -> int:
        """Members with a change."""
        return sum(sums.members for sums in self._sums.values())

    @property
    def unchanged(self) -> int:
        """Members whose change is zero."""
        return self.counted - self.advancers - self.decliners

    @property
    def by_capitalisation(self) -> bool:
        """Whether the capitalisation of most members is known, so that it is their weight."""
        return 2 * sum(sums.capitalised for sums in self._sums.values()) > self.counted

    @property
    def percent(self) -> Decimal | None:
        """Change in percent; None without a quote that has a change.

        Members of one currency are weighted by their capitalisation at the previous prices, and those without one are
        left out; where most have none, all are weighted by their previous price, as in the Dow. Currencies are
        weighted by their number of members.
        """
        if self.by_capitalisation:
            parts = [(s.capitalised, s.capital_change, s.capital_before) for s in self._sums.values()]
        else:
            parts = [(s.members, s.change, s.previous) for s in self._sums.values()]
        counted = [part for part in parts if part[2] > 0]
        members = sum(number for number, _, _ in counted)
        weighted = sum((number * change / before for number, change, before in counted), Decimal(0))
        return weighted / members * 100 if members else None

    @property
    def key(self) -> Hashable:
        """Equal where the statistics are equal."""
        sums = tuple((currency, *astuple(sums)) for currency, sums in self._sums.items())
        return self.members, self.advancers, self.decliners, sums


class PriceModel:
    """The rows and the sector statistics of the price table."""

    def __init__(self) -> None:
        self.rows: dict[str, PriceRow] = {}
        self._sectors: dict[str, ChangeStats] = {}
        self._total = ChangeStats()
        self._classes: Counter[str] = Counter()
        """Number of listed share classes by SEC Central Index Key."""
        self._weights: dict[str, Weight | None] = {}
        """The weight of each symbol that is counted in the statistics."""
        self._uncounted: set[str] = set()
        """Symbols whose newest quote is not counted yet, since prices change more often than statistics are shown."""
        self.recent_changes: dict[str, tuple[int, datetime]] = {}
        """Symbol to direction (+1, -1) and time of its last price change, oldest first."""
        self.currencies = ("", "")
        """Codes of the price and the converted price of the newest quote."""
        self._currency_counts: Counter[str] = Counter()
        """Number of rows with a price in each currency."""
        self._missing: set[str] = set()
        self._revision = 0

    def set_constituents(self, constituents: Sequence[Constituent]) -> None:
        """Replace the list of constituents; symbols in both lists keep their prices."""
        old, self.rows, self._sectors, self._total = self.rows, {}, {}, ChangeStats()
        self._weights = {}
        self._uncounted = set()
        self._classes = Counter(constituent.cik for constituent in constituents if constituent.cik)
        for constituent in constituents:
            known = old.get(constituent.symbol)
            if constituent.symbol in self.rows:
                continue
            if known is None:
                self._add_row(constituent, None, "", PriceHistory())
            else:
                self._add_row(constituent, known.live, known.missing, known.history)
        self.recent_changes = {
            symbol: move for symbol, move in self.recent_changes.items() if symbol in self.rows
        }
        self._currency_counts = Counter(
            row.quote.currency for row in self.rows.values() if row.quote is not None
        )

    def update(self, prices: Iterable[LivePrice], now: datetime) -> list[str]:
        """Apply newer prices, ignoring repeated and older ones; returns the symbols whose rows changed."""
        changed = []
        for live in prices:
            quote = live.row.quote
            symbol = quote.symbol
            row = self.rows.get(symbol) or self._add_row(_unlisted(symbol), None, "", PriceHistory())
            if row.live is not None and row.live.version >= live.version:
                continue
            before = row.live.row.quote if row.live else None
            if before is None or before.currency != quote.currency:
                self._count_currency(before, -1)
                self._count_currency(quote, 1)
            if before is None or before.price != quote.price:
                row.history.add(float(quote.price))
                if before is not None:
                    self.recent_changes.pop(symbol, None)
                    self.recent_changes[symbol] = (1 if quote.price > before.price else -1, now)
            self._uncounted.add(symbol)
            self._revision += 1
            self.rows[symbol] = PriceRow(row.constituent, live, row.missing, self._revision, row.history)
            self.currencies = (quote.currency, live.row.converted_currency)
            changed.append(symbol)
        return changed

    @property
    def total(self) -> ChangeStats:
        """Statistics of all rows."""
        self._count_changed()
        return self._total

    @property
    def sectors(self) -> Mapping[str, ChangeStats]:
        """Statistics by sector."""
        self._count_changed()
        return self._sectors

    @property
    def mixed_currencies(self) -> bool:
        """Whether the prices are in more than one currency; pence and pounds count as different."""
        return len(self._currency_counts) > 1

    def _count_currency(self, quote: Quote | None, times: int) -> None:
        if quote is not None:
            self._currency_counts[quote.currency] += times
            if not self._currency_counts[quote.currency]:
                del self._currency_counts[quote.currency]

    def set_missing(self, missing: Iterable[MissingSymbol]) -> list[str]:
        """Set which symbols have no price in this cycle; returns the symbols whose rows changed."""
        reasons = {item.symbol: item.reason for item in missing if item.symbol in self.rows}
        changed = []
        for symbol in self._missing | reasons.keys():
            row = self.rows.get(symbol)
            reason = reasons.get(symbol, "")
            if row is not None and row.missing != reason:
                self._revision += 1
                self.rows[symbol] = row._replace(missing=reason, revision=self._revision)
                changed.append(symbol)
        self._missing = set(reasons)
        return changed

    def expire_changes(self, before: datetime) -> None:
        """Drop the recent changes that are older than `before`."""
        for symbol, (_, at) in list(self.recent_changes.items()):
            if at > before:
                break
            del self.recent_changes[symbol]

    def _add_row(
        self, constituent: Constituent, live: LivePrice | None, missing: str, history: PriceHistory
    ) -> PriceRow:
        """Add a row and count it in its sector."""
        self._revision += 1
        row = PriceRow(constituent, live, missing, self._revision, history)
        self.rows[constituent.symbol] = row
        for stats in (self._sectors.setdefault(constituent.sector, ChangeStats()), self._total):
            stats.members += 1
        self._weights[constituent.symbol] = None
        self._uncounted.add(constituent.symbol)
        return row

    def _count_changed(self) -> None:
        for symbol in self._uncounted:
            row = self.rows[symbol]
            self._count(row.constituent, row.quote)
        self._uncounted.clear()

    def _count(self, constituent: Constituent, quote: Quote | None) -> None:
        """Count a quote in place of the counted one in the row's sector and in the total."""
        before = self._weights[constituent.symbol]
        # Listed share classes of the company: two for Alphabet, whose two rows each have its whole capitalisation.
        weight = weight_of(quote, self._classes[constituent.cik] or 1)
        if weight == before:
            return
        self._weights[constituent.symbol] = weight
        sector = self._sectors[constituent.sector]
        for change in _changes(before, weight):
            sector.add(change)
            self._total.add(change)


def _changes(before: Weight | None, after: Weight | None) -> tuple[Weight | None, ...]:
    """The weights to add to statistics with `before` to have `after`; weights of two currencies do not mix."""
    if before is None:
        return (after,)
    if after is not None and after.currency == before.currency:
        return (after.minus(before),)
    return before.negated, after


def _unlisted(symbol: str) -> Constituent:
    """A constituent for a symbol that has a price but is not in the list."""
    return Constituent(symbol, "", "", "", "", None, "", "")
