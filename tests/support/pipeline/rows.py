"""Numbered quotes, rows and leases for the tests of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sp500tui.model import ConvertedQuote, MarketState, Quote
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.queue import MemoryLease, MemoryQueue
from sp500tui.storage import batch_codec as rowcodec

OPENING = datetime(2026, 5, 4, 13, 30, tzinfo=UTC)


def quote(
    number: int = 0, *, symbol: str | None = None, currency: str = "USD", price: str = "100.25"
) -> Quote:
    """A quote with symbol and time derived from `number`."""
    return Quote(
        symbol=symbol or f"S{number}",
        price=Decimal(price),
        change=Decimal("-1.5"),
        percent_change=None,
        currency=currency,
        quote_time=OPENING + timedelta(seconds=number),
        market_state=MarketState.REGULAR,
        volume=1_000 + number,
        fetched_at=OPENING + timedelta(seconds=number, milliseconds=250),
    )


def row(number: int = 0, *, symbol: str | None = None) -> ConvertedQuote:
    """A converted quote."""
    return ConvertedQuote(
        quote(number, symbol=symbol),
        Decimal("687.51"),
        "DKK",
        Decimal("6.858"),
        OPENING,
        fetched_monotonic=1.0,
        fetched_by="price-1",
    )


def bad_row(number: int = 0) -> ConvertedQuote:
    """A row that cannot be written: its symbol contains the end of an array literal."""
    return row(number, symbol=f"S{number}}};\x1b[2J")


def symbols_of(payload: bytes) -> list[str | None]:
    """The symbols in a payload, in order."""
    return [record["symbol"] for record in rowcodec.decode(payload)]


def leased(counters: LedgerCounters, rows: Sequence[ConvertedQuote]) -> MemoryLease[ConvertedQuote]:
    """A lease on these rows, counted as fetched, from a queue that shares the ledger's lock."""
    queue: MemoryQueue[ConvertedQuote] = MemoryQueue(10_000, counters.lock)
    queue.put(rows, on_put=lambda: counters.count_fetched(len(rows)))
    lease = queue.take(len(rows), timeout=0)
    assert lease is not None
    return lease
