"""The value types and errors that every other part speaks in. Imports nothing of the project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum


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
    """One line of the S&P 500 list, as Wikipedia prints it."""

    symbol: str
    """Ticker as listed, with its dot: `BRK.B`."""
    name: str
    sector: str
    """GICS sector."""
    sub_industry: str
    """GICS sub-industry."""
    headquarters: str
    date_added: date | None
    """Day the company joined the index; None where the page has none or an unreadable one."""
    cik: str
    """SEC Central Index Key, ten digits with leading zeros; text, never a number."""
    founded: str
    """Free text such as `2013 (1888)`."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest trade of one symbol. Every number is finite and printed as the source printed it."""

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
    """When the answer arrived here, UTC."""


@dataclass(frozen=True, slots=True)
class FxRate:
    """How many units of `target` one unit of `base` buys."""

    base: str
    target: str
    rate: Decimal
    time: datetime
    """Time of the rate at the source, UTC."""


@dataclass(frozen=True, slots=True)
class ConvertedQuote:
    """A quote with its price in the second currency: one row of the table `prices`."""

    quote: Quote
    converted_price: Decimal | None
    """None where no usable rate was to be had in time; never zero."""
    converted_currency: str
    fx_rate: Decimal | None
    fx_time: datetime | None
    """Time of the rate at its source, UTC."""
    fetched_monotonic: float = 0.0
    """`time.monotonic()` at the fetch, for end-to-end latency; 0 where the row was replayed."""
    fetched_by: str = ""
    """Name of the price worker that fetched the quote."""


class ExitCode(IntEnum):
    """What the program's exit code says to a script."""

    OK = 0
    """Everything asked for is stored."""
    INCOMPLETE = 1
    """Finished, but some symbols are missing or dead-lettered."""
    USAGE = 2
    NO_SOURCE = 3
    """No list of constituents, or no prices to be had."""
    DATABASE = 4
    SIGINT = 130
    SIGTERM = 143


class Sp500tuiError(Exception):
    """Root of the project's errors. Its message is one line: what failed, with which input, what to do."""

    exit_code = ExitCode.INCOMPLETE


class ConfigurationError(Sp500tuiError):
    """An option, a variable, a file or a combination of them cannot be used."""

    exit_code = ExitCode.USAGE


class SourceError(Sp500tuiError):
    """Wikipedia or Yahoo Finance could not be reached, or answered what makes no sense."""

    exit_code = ExitCode.NO_SOURCE


class ThrottledError(SourceError):
    """The source asked for fewer requests, or our own circuit breaker is open."""

    def __init__(self, message: str, retry_after: float, *, by_source: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until the next request may be tried."""
        self.by_source = by_source
        """Whether the source itself asked for it just now."""


class DatabaseError(Sp500tuiError):
    """PostgreSQL cannot be reached or used."""

    exit_code = ExitCode.DATABASE

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        """The five-character SQLSTATE where the server named one."""


class JournalError(Sp500tuiError):
    """The journal on disk cannot be written or read."""
