"""The rows of the price table as exported to files and the clipboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sp500tui.tui.prices.model import PriceRow


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """One exported row: numbers as the source printed them, times in UTC."""

    symbol: str
    name: str
    sector: str
    sub_industry: str
    price: Decimal | None
    change: Decimal | None
    percent_change: Decimal | None
    currency: str
    converted_price: Decimal | None
    converted_currency: str
    volume: int | None
    """Shares traded in the regular session."""
    market_state: str
    quote_time: datetime | None
    """Time of the trade at the exchange, UTC."""


def price_record(row: PriceRow) -> PriceRecord:
    """A row as a record, without the table's formats."""
    constituent, quote, converted = row.constituent, row.quote, row.converted
    return PriceRecord(
        constituent.symbol,
        constituent.name,
        constituent.sector,
        constituent.sub_industry,
        quote.price if quote else None,
        quote.change if quote else None,
        quote.percent_change if quote else None,
        quote.currency if quote else "",
        converted.converted_price if converted else None,
        converted.converted_currency if converted else "",
        quote.volume if quote else None,
        quote.market_state if quote else "",
        quote.quote_time if quote else None,
    )
