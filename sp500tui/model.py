"""The value types that the parts of the program exchange. Imports nothing of the project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import eq
from typing import overload


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
    """Day the company joined the index; None if the page has none, or one that cannot be parsed."""
    cik: str
    """SEC Central Index Key, ten digits with leading zeros; text, never a number."""
    founded: str
    """Free text such as `2013 (1888)`."""


@dataclass(frozen=True, slots=True)
class IndexChange:
    """A company that joined or left the S&P 500, or one that replaced another."""

    effective_date: date
    added: str
    """Ticker as listed at that time; empty if no company joined."""
    added_name: str
    removed: str
    """Ticker as listed at that time; empty if no company left."""
    removed_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Membership:
    """A period for which a company was in the index: one row of the table `memberships`."""

    symbol: str
    """Ticker as listed."""
    cik: str
    """SEC Central Index Key, ten digits; empty if it is not known. Identifies a company whatever its ticker."""
    valid_from: date
    """The first day in the index."""
    valid_to: date | None
    """The first day after it left; None while it is in the index."""
    source: str
    """`wikipedia` for the changes on its page, `observed` for changes that the program has observed."""


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
    market_cap: int | None = None
    """Capitalisation of the whole company in `currency`, as the source estimates it; shown only, never stored."""


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
    batch: int = field(default=0, kw_only=True, compare=False)
    """Number of the request that fetched it, from 1 in each program; 0 if unknown."""


@dataclass(frozen=True, slots=True)
class ConvertedQuote(FetchedQuote):
    """A quote with its price in the second currency: an item of the rows queue and one row of the table `prices`."""

    converted_price: Decimal | None
    """None if no usable rate was available in time; never zero."""
    converted_currency: str
    fx_rate: Decimal | None
    fx_time: datetime | None
    """Time of the rate at its source, UTC."""


class Resolution(StrEnum):
    """The length of a bar."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER_HOUR = "15m"
    HALF_HOUR = "30m"
    HOUR = "1h"
    DAY = "1d"
    """One regular session, whatever its length."""

    @property
    def width(self) -> timedelta:
        """The length of a bar; a day for `DAY`."""
        return _WIDTHS[self]


_WIDTHS = {
    Resolution.MINUTE: timedelta(minutes=1),
    Resolution.FIVE_MINUTES: timedelta(minutes=5),
    Resolution.QUARTER_HOUR: timedelta(minutes=15),
    Resolution.HALF_HOUR: timedelta(minutes=30),
    Resolution.HOUR: timedelta(hours=1),
    Resolution.DAY: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low and close of a period: one row of the table `bars`. Prices have the digits of the source."""

    symbol: str
    """Ticker as listed (`BRK.B`)."""
    resolution: Resolution
    start_time: datetime
    """Start of the period, UTC; for a day the opening of its regular session."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    """Shares traded; None if the source has prices only."""
    currency: str | None
    """ISO 4217 code, or a minor unit as Yahoo writes it (`GBp`); None if the source names none."""
    fetched_at: datetime
    """Time at which the response arrived, UTC. Prices are adjusted for the splits before it, not for later ones."""


@dataclass(frozen=True, slots=True, eq=False)
class BarBlock(Sequence[Bar]):
    """The bars of one response in columns of equal length: a sequence that creates a `Bar` only when it is accessed."""

    symbol: str
    resolution: Resolution
    currency: str | None
    fetched_at: datetime
    starts: Sequence[int]
    """Starts of the bars in seconds since 1970, ascending."""
    opens: Sequence[str]
    """Prices as decimal numbers, with the digits of the source."""
    highs: Sequence[str]
    lows: Sequence[str]
    closes: Sequence[str]
    volumes: Sequence[int | None]

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> Bar: ...

    @overload
    def __getitem__(self, index: slice) -> BarBlock: ...

    def __getitem__(self, index: int | slice) -> Bar | BarBlock:
        if isinstance(index, slice):
            return replace(self, **{name: getattr(self, name)[index] for name in _BAR_COLUMNS})
        return Bar(
            self.symbol,
            self.resolution,
            datetime.fromtimestamp(self.starts[index], UTC),
            Decimal(self.opens[index]),
            Decimal(self.highs[index]),
            Decimal(self.lows[index]),
            Decimal(self.closes[index]),
            self.volumes[index],
            self.currency,
            self.fetched_at,
        )

    def __eq__(self, other: object) -> bool:
        """Whether the other sequence has equal bars."""
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))


_BAR_COLUMNS = ("starts", "opens", "highs", "lows", "closes", "volumes")


class ActionKind(StrEnum):
    """A change that a company makes to its shares, or a payment for them."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    CAPITAL_GAIN = "capital gain"
    """A distribution of a fund's realized gains."""


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A split, or a payment for each share: one row of the table `corporate_actions`."""

    symbol: str
    """Ticker as listed."""
    kind: ActionKind
    effective_date: date
    """The first day on which the shares trade with the action, in the exchange's time zone."""
    effective_time: datetime
    """The beginning of that day at the exchange, UTC: the action applies to trades before the opening too."""
    numerator: Decimal | None
    """Shares after a split for every `denominator` shares before it; None for a payment."""
    denominator: Decimal | None
    amount: Decimal | None
    """Payment for one share in `currency`, adjusted for later splits; None for a split."""
    currency: str | None
    """None for a split, and where the source names none."""
    fetched_at: datetime
    """Time at which the response arrived, UTC."""


@dataclass(frozen=True, slots=True)
class TradingSession:
    """One session of an exchange as the source states it, with holidays and early closes: a row of `sessions`."""

    market: str
    """The time zone of the exchange, such as `America/New_York`; its offset, such as `UTC-04:00`, if it has no name."""
    session_date: date
    """In the exchange's time zone."""
    kind: MarketState
    """`PRE`, `REGULAR` or `POST`."""
    start_time: datetime
    """UTC."""
    end_time: datetime
    """UTC, exclusive."""

    def bar_starts(self, resolution: Resolution) -> list[datetime]:
        """When the bars of this session start: the grid counts from its start, and its last bar may be shorter."""
        return [self.start_time + resolution.width * number for number in range(self.bar_count(resolution))]

    def bar_count(self, resolution: Resolution) -> int:
        """How many bars the session has; of days, one for a regular session."""
        if resolution is Resolution.DAY:
            return int(self.kind is MarketState.REGULAR)
        return -((self.start_time - self.end_time) // resolution.width)
