"""Rows to write in an experiment, each with a unique key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sp500tui.model import ConvertedQuote, MarketState, Quote

_OPENING = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
_RATE = Decimal("6.87")


def sample_row(symbol: str, number: int) -> ConvertedQuote:
    """The quote number `number` of a symbol; a later one has a later time and a higher price."""
    price = Decimal(10_000 + number) / 100
    time = _OPENING + timedelta(seconds=number)
    quote = Quote(
        symbol, price, Decimal("0.01"), Decimal("0.1"), "USD", time, MarketState.REGULAR, number, time
    )
    return ConvertedQuote(
        quote,
        converted_price=price * _RATE,
        converted_currency="DKK",
        fx_rate=_RATE,
        fx_time=_OPENING,
    )


def sample_rows(start: int, count: int) -> list[ConvertedQuote]:
    """The rows `start` to `start + count - 1`, in order."""
    return [sample_row(f"S{number % 500}", number) for number in range(start, start + count)]
