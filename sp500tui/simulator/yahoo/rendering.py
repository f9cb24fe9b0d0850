"""Quotes as JSON fragments, made once a trade, and the faults that corrupt them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sp500tui.model import MarketState
from sp500tui.simulator.faults import FaultSampler
from sp500tui.simulator.market.currencies import CurrencyPair
from sp500tui.simulator.market.instruments import Listing
from sp500tui.simulator.market.model import Instrument, Market
from sp500tui.simulator.stats import ServedQuote
from sp500tui.simulator.yahoo.quotes import (
    Fields,
    dead_quote,
    formatted,
    in_session,
    latest_trade,
    pair_quote,
    printed,
    select,
    share_facts,
    share_quote,
    share_trades,
)

DELISTED = frozenset({"ATVI", "BRKS", "FRC", "SIVB", "TWTR"})
"""Delisted shares: Yahoo Finance still returns them, without a price."""
_MAX_FRAGMENTS = 100_000
"""Printed quotes kept at most, whatever the clients request."""
_PRICES = ("preMarketPrice", "postMarketPrice", "regularMarketPrice")
_PRICE_FAULTS = ("nan_price", "null_price", "negative_price")
_OLD = 3 * 86_400
"""Seconds by which an `old` currency rate is late."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The quotes of one answer."""

    fragments: list[str]
    quotes: tuple[ServedQuote, ...]
    """The quotes that were requested and have a usable price."""


@dataclass(frozen=True, slots=True)
class _Fragment:
    """One printed quote, valid until the next trade or session."""

    trades: int
    state: MarketState
    text: str
    quote: ServedQuote | None
    facts: str = ""
    """The part of the text that stays the same, without braces."""
    listing: Listing | None = None
    """The listing with these facts."""


class QuoteRenderer:
    """Prints quotes of shares and currency pairs."""

    def __init__(self, market: Market, sampler: FaultSampler) -> None:
        self._market = market
        self._sampler = sampler
        self._fragments: dict[tuple[str, frozenset[str], bool], _Fragment] = {}

    def render(self, symbols: list[str], wanted: frozenset[str], wrap: bool) -> Rendered:
        """The quotes of all known symbols, in their order, cut down to the wanted keys.

        With `wrap` every number comes as an object of its raw and its formatted value.
        """
        if self._sampler.occurs("empty"):
            return Rendered([], ())
        state = self._market.state()
        fragments = [self._fragment(symbol, state, wanted, wrap) for symbol in symbols]
        known = [fragment for fragment in fragments if fragment is not None]
        if known and self._sampler.occurs("unrequested_symbols"):
            known[self._sampler.pick(len(known))] = self._unrequested_fragment(symbols, state, wanted, wrap)
        return Rendered(
            [fragment.text for fragment in known],
            tuple(fragment.quote for fragment in known if fragment.quote is not None),
        )

    def _fragment(
        self, symbol: str, state: MarketState, wanted: frozenset[str], wrap: bool
    ) -> _Fragment | None:
        instrument = self._market.instrument(symbol)
        if symbol in DELISTED:
            return _Fragment(0, state, printed(dead_quote(symbol)), None)
        if instrument is None:
            pair = self._market.pair(symbol)
            return None if pair is None else self._pair_fragment(pair, wanted, wrap)
        if self._sampler.occurs("missing_symbol"):
            return None
        faulty = self._faulty(instrument, state, wanted)
        if faulty is not None:
            return _print(instrument, state, faulty, wrap)
        key = (symbol, wanted, wrap)
        known = self._fragments.get(key)
        if known is None or known.trades != instrument.trades or known.state is not state:
            known = self._fresh(instrument, state, wanted, wrap)
            if len(self._fragments) >= _MAX_FRAGMENTS:
                self._fragments.clear()
            self._fragments[key] = known
        return known

    def _fresh(
        self, instrument: Instrument, state: MarketState, wanted: frozenset[str], wrap: bool
    ) -> _Fragment:
        """The quote as of the latest trade; its constant part is printed only once."""
        trades = select(share_trades(instrument, state, wanted), wanted)
        fragment = _print(instrument, state, trades, wrap)
        known = self._fragments.get((instrument.symbol, wanted, wrap))
        listing = instrument.listing
        same = known is not None and known.listing is listing
        facts = known.facts if known is not None and same else _facts(instrument, wanted, wrap)
        return replace(fragment, facts=facts, listing=listing, text=f"{{{facts},{fragment.text[1:]}")

    def _faulty(self, instrument: Instrument, state: MarketState, wanted: frozenset[str]) -> Fields | None:
        if self._sampler.occurs("stale"):
            return select(_stale(share_quote(instrument, state), instrument), wanted)
        session = self._sampler.choice("session")
        if session != "ok":
            return select(in_session(share_quote(instrument, state), session), wanted)
        for fault in _PRICE_FAULTS:
            if self._sampler.occurs(fault):
                return select(_with_price(share_quote(instrument, state), fault), wanted)
        return None

    def _unrequested_fragment(
        self, symbols: list[str], state: MarketState, wanted: frozenset[str], wrap: bool
    ) -> _Fragment:
        others = [symbol for symbol in self._market.symbols() if symbol not in symbols]
        symbol = others[self._sampler.pick(len(others))] if others else symbols[0]
        instrument = self._market.instrument(symbol)
        if instrument is None:
            return _Fragment(0, state, "{}", None)
        text = _print(instrument, state, select(share_quote(instrument, state), wanted), wrap).text
        return _Fragment(instrument.trades, state, text, None)

    def _pair_fragment(self, pair: CurrencyPair, wanted: frozenset[str], wrap: bool) -> _Fragment | None:
        fault = self._sampler.choice("fx")
        if fault == "missing":
            return None
        fields = pair_quote(pair)
        if fault == "zero":
            fields["regularMarketPrice"] = 0
        elif fault == "old":
            fields["regularMarketTime"] = pair.today.time - _OLD
        return _Fragment(
            pair.trades, MarketState.REGULAR, printed(formatted(select(fields, wanted), wrap)), None
        )


def _print(instrument: Instrument, state: MarketState, fields: Fields, wrap: bool) -> _Fragment:
    trade = latest_trade(fields)
    quote = None
    if trade is not None:
        quote = ServedQuote(instrument.listing.symbol, trade.time, repr(trade.price))
    return _Fragment(instrument.trades, state, printed(formatted(fields, wrap)), quote)


def _facts(instrument: Instrument, wanted: frozenset[str], wrap: bool) -> str:
    return printed(formatted(select(share_facts(instrument.listing), wanted), wrap))[1:-1]


def _stale(fields: Fields, instrument: Instrument) -> Fields:
    """The quote as of the previous close."""
    kept = {key: value for key, value in fields.items() if not key.startswith(("preMarket", "postMarket"))}
    kept["regularMarketPrice"] = instrument.today.previous_close
    kept["regularMarketTime"] = instrument.today.previous_time
    kept["regularMarketChange"] = kept["regularMarketChangePercent"] = 0.0
    return kept


def _with_price(fields: Fields, fault: str) -> Fields:
    """The quote with every price in it corrupted in one way."""
    corrupted = dict(fields)
    for key in _PRICES:
        if key in corrupted:
            corrupted[key] = {"nan_price": float("nan"), "null_price": None, "negative_price": -1.0}[fault]
    return corrupted
