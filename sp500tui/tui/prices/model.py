"""What is known of every symbol: its line of the list, its newest price, its course, and its sector's sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
"""A long weekend: the age in seconds up to which the last trade of a closed market is the newest there can be."""


class PriceRow(NamedTuple):
    """One symbol as the table knows it; a named tuple, because thousands are made in a second."""

    constituent: Constituent
    live: LivePrice | None
    missing: str
    """Why there is no price in this cycle; empty when there is one or none was asked for yet."""
    revision: int
    """Different for every state of every row; what is drawn may be kept under it."""
    track: PriceHistory
    """Prices since the start, shared by all states of the row."""

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
        """Whether a newer trade was to be expected.

        That is after 5 min without one in the regular session, an hour before and after it, four days of a
        closed market.
        """
        quote = self.quote
        if quote is None:
            return False
        age = (now - quote.quote_time).total_seconds()
        return age > _STALE_AFTER.get(quote.market_state, _STALE_CLOSED)


class SectorStats:
    """Sums over one sector.

    Kept by adding and taking away single rows: an update costs the same in a sector of five and of thousands.
    """

    __slots__ = ("advancers", "change", "decliners", "members", "previous")

    def __init__(self) -> None:
        self.members = 0
        self.advancers = 0
        self.decliners = 0
        self.change = Decimal(0)
        self.previous = Decimal(0)

    def add(self, quote: Quote | None, times: int = 1) -> None:
        """Count the newest quote of one symbol in, or out with `times=-1`; one without a change says nothing."""
        if quote is None or quote.change is None:
            return
        self.advancers += times * (quote.change > 0)
        self.decliners += times * (quote.change < 0)
        self.change += times * quote.change
        self.previous += times * (quote.price - quote.change)

    def replace(self, old: Quote | None, new: Quote) -> None:
        """Count `new` in for `old`."""
        before, after = old.change if old else None, new.change
        if old is None or before is None or after is None:
            self.add(old, -1)
            self.add(new)
        elif before != after or old.price != new.price:
            self.advancers += (after > 0) - (before > 0)
            self.decliners += (after < 0) - (before < 0)
            gain = after - before
            self.change += gain
            self.previous += new.price - old.price - gain

    @property
    def percent(self) -> Decimal | None:
        """Change in percent of one share of each member.

        Every member weighs as much as its previous price, as in the Dow; the list has no market capitalisation
        to weigh with.
        """
        return self.change / self.previous * 100 if self.previous > 0 else None


class PriceModel:
    """Owns the rows of the price table."""

    def __init__(self) -> None:
        self.rows: dict[str, PriceRow] = {}
        self.sectors: dict[str, SectorStats] = {}
        self.moved: dict[str, tuple[int, datetime]] = {}
        """Symbol to direction (+1, -1) and time of its last price change, oldest first."""
        self.currencies = ("", "")
        """Codes of the price and the converted price of the newest quote."""
        self._priced_in: Counter[str] = Counter()
        """How many rows have a price in each currency."""
        self._missing: set[str] = set()
        self._revision = 0

    def set_constituents(self, constituents: Sequence[Constituent]) -> None:
        """Take over a new list: rows of symbols that left it go, prices of those that stay are kept."""
        old, self.rows, self.sectors = self.rows, {}, {}
        for constituent in constituents:
            known = old.get(constituent.symbol)
            if constituent.symbol in self.rows:
                continue
            if known is None:
                self._put(constituent, None, "", PriceHistory())
            else:
                self._put(constituent, known.live, known.missing, known.track)
        self.moved = {symbol: move for symbol, move in self.moved.items() if symbol in self.rows}
        self._priced_in = Counter(row.quote.currency for row in self.rows.values() if row.quote is not None)

    def update(self, prices: Iterable[LivePrice], now: datetime) -> list[str]:
        """Take over newer prices; returns the symbols whose rows changed. Repeated and older ones are ignored."""
        changed = []
        for live in prices:
            quote = live.row.quote
            symbol = quote.symbol
            row = self.rows.get(symbol) or self._put(_unlisted(symbol), None, "", PriceHistory())
            if row.live is not None and row.live.version >= live.version:
                continue
            before = row.live.row.quote if row.live else None
            if before is None or before.currency != quote.currency:
                self._count_currency(before, -1)
                self._count_currency(quote, 1)
            if before is None or before.price != quote.price:
                row.track.add(float(quote.price))
                if before is not None:
                    self.moved.pop(symbol, None)
                    self.moved[symbol] = (1 if quote.price > before.price else -1, now)
            self.sectors[row.constituent.sector].replace(before, quote)
            self._revision += 1
            self.rows[symbol] = PriceRow(row.constituent, live, row.missing, self._revision, row.track)
            self.currencies = (quote.currency, live.row.converted_currency)
            changed.append(symbol)
        return changed

    @property
    def several_currencies(self) -> bool:
        """Whether the prices are in more than one currency; pence and pounds are two."""
        return len(self._priced_in) > 1

    def _count_currency(self, quote: Quote | None, times: int) -> None:
        if quote is not None:
            self._priced_in[quote.currency] += times
            if not self._priced_in[quote.currency]:
                del self._priced_in[quote.currency]

    def set_missing(self, missing: Iterable[MissingSymbol]) -> list[str]:
        """Note which symbols have no price in this cycle; returns the symbols whose rows changed."""
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

    def forget_moves(self, before: datetime) -> None:
        """Drop the price changes that are older than `before`."""
        for symbol, (_, at) in list(self.moved.items()):
            if at > before:
                break
            del self.moved[symbol]

    def _put(
        self, constituent: Constituent, live: LivePrice | None, missing: str, track: PriceHistory
    ) -> PriceRow:
        """Add a row and count it in its sector."""
        self._revision += 1
        row = PriceRow(constituent, live, missing, self._revision, track)
        self.rows[constituent.symbol] = row
        tally = self.sectors.setdefault(constituent.sector, SectorStats())
        tally.members += 1
        tally.add(row.quote)
        return row


def _unlisted(symbol: str) -> Constituent:
    """Stands for a symbol that has a price and no line in the list."""
    return Constituent(symbol, "", "", "", "", None, "", "")
