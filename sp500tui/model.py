"""The value types that the parts of the program exchange. Imports nothing of the project."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


class MarketState(StrEnum):
    """The sessions of an exchange that are known by name; a quote may carry any other text."""

    PREPRE = "PREPRE"
    PRE = "PRE"
    REGULAR = "REGULAR"
    POST = "POST"
    POSTPOST = "POSTPOST"
    CLOSED = "CLOSED"
    OVERNIGHT = "OVERNIGHT"
    """Trading between the post-market and the next pre-market, on an alternative venue."""
    UNKNOWN = "UNKNOWN"
    """The source did not name a session."""


@dataclass(frozen=True, slots=True)
class Constituent:
    """One company of the S&P 500, as in Wikipedia's list."""

    symbol: str
    """Ticker as listed, with its dot: `BRK.B`."""
    name: str
    sector: str
    """GICS sector."""
    sub_industry: str
    """GICS sub-industry."""
    headquarters: str
    date_added: date | None
    """Day the company joined the index; None where the page has none, or one that cannot be parsed."""
    cik: str
    """SEC Central Index Key, ten digits with leading zeros; text, never a number."""
    founded: str
    """Free text such as `2013 (1888)`."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest trade of one symbol. Every number is finite and has the digits of the source."""

    symbol: str
    """Ticker as listed (`BRK.B`), not as Yahoo spells it."""
    price: Decimal
    """Latest trade of the current session, in `currency`; always above zero."""
    change: Decimal | None
    """Price difference to the previous close of that session, in `currency`."""
    percent_change: Decimal | None
    """The same difference in percent: 1.27 means 1.27 %."""
    currency: str
    """ISO 4217 code, or a minor unit as Yahoo writes it (`GBp`)."""
    quote_time: datetime
    """Time of that trade at the exchange, UTC."""
    market_state: str
    """A `MarketState`, or a name that Yahoo introduced later: at most 24 of `A-Z 0-9 . _ -`."""
    volume: int | None
    """Shares traded in the regular session."""
    fetched_at: datetime
    """Time at which the response arrived, UTC."""


@dataclass(frozen=True, slots=True)
class FxRate:
    """How many units of `target` one unit of `base` buys."""

    base: str
    target: str
    rate: Decimal
    time: datetime
    """Time of the rate at the source, UTC."""


@dataclass(frozen=True, slots=True)
class Ticker:
    """A symbol whose price is to be fetched: an item of the tickers queue."""

    symbol: str
    """As listed."""
    queued_at: float
    """`time.monotonic()` when its cycle put it on the queue."""
    attempts: int = 0
    """Failed requests so far."""


@dataclass(frozen=True, slots=True)
class FetchedQuote:
    """A quote and its origin: an item of the quotes queue."""

    quote: Quote
    fetched_monotonic: float = field(default=0.0, kw_only=True)
    """`time.monotonic()` at the fetch, for the end-to-end latency; 0 if unknown, as for replayed rows."""
    fetched_by: str = field(default="", kw_only=True)
    """Name of the price worker that fetched the quote."""


@dataclass(frozen=True, slots=True)
class ConvertedQuote(FetchedQuote):
    """A quote with its price in the second currency: an item of the rows queue and one row of the table `prices`."""

    converted_price: Decimal | None
    """None where no usable rate was available in time; never zero."""
    converted_currency: str
    fx_rate: Decimal | None
    fx_time: datetime | None
    """Time of the rate at its source, UTC."""
