"""Constituents and prices for the tests of the price table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sp500tui.model import Constituent, ConvertedQuote, MarketState, Quote
from sp500tui.pipeline.core.snapshot import LivePrice

NOW = datetime(2026, 5, 14, 15, 0, tzinfo=UTC)


def constituent(symbol: str, name: str = "", sector: str = "Industrials", cik: str = "") -> Constituent:
    return Constituent(
        symbol, name or f"{symbol} Corporation", sector, f"{sector} parts", "", None, cik, "1901"
    )


def live(
    symbol: str,
    price: str = "100.00",
    change: str | None = "1.00",
    *,
    version: int = 1,
    at: datetime = NOW,
    state: str = MarketState.REGULAR,
    volume: int | None = 1_234_567,
    currency: str = "USD",
    market_cap: int | None = None,
) -> LivePrice:
    moved = None if change is None else Decimal(change)
    percent = None if moved is None else moved / (Decimal(price) - moved) * 100
    quote = Quote(symbol, Decimal(price), moved, percent, currency, at, state, volume, at, market_cap)
    converted = (quote.price * Decimal("6.88")).quantize(Decimal("0.01"))
    return LivePrice(ConvertedQuote(quote, converted, "DKK", Decimal("6.88"), at), version)


def unconverted(price: LivePrice) -> LivePrice:
    return replace(price, row=replace(price.row, converted_price=None, fx_rate=None, fx_time=None))


class Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now
