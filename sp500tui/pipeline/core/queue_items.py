"""What lies in the first two queues. In the third lie `domain.ConvertedQuote`s."""

from __future__ import annotations

from dataclasses import dataclass

from sp500tui.model import Quote


@dataclass(frozen=True, slots=True)
class Ticker:
    """A symbol to ask the price of."""

    symbol: str
    """As listed."""
    asked_at: float
    """`time.monotonic()` when its cycle put it on the queue."""
    attempts: int = 0
    """Requests that failed so far."""


@dataclass(frozen=True, slots=True)
class FetchedQuote:
    """A quote and who fetched it when."""

    quote: Quote
    tick: float
    """`time.monotonic()` when the answer was there."""
    worker: str
