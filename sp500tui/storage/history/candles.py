"""Reads the bars and collected prices of one symbol as candles, merged in the database to at most a given number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from itertools import groupby

from sp500tui.model import ActionKind, Resolution
from sp500tui.storage.history.periods import OFFSET, PERIODS, ZONE_NAME, Period, window_start
from sp500tui.storage.history.sessions import QUOTES
from sp500tui.storage.statements import fetch_rows
from sp500tui.storage.transaction import Connection

MAX_CANDLES = 1000
EMPTY_PERIOD = PERIODS[0]
"""The period of a window without candles."""
_SESSION = timedelta(hours=6, minutes=30)
_COVERED = {
    str(each): _SESSION if each is Resolution.DAY else each.width
    for each in Resolution
    if each is not Resolution.HALF_HOUR
}
"""Share of the trading time that bars of each stored resolution cover."""
_FINEST_OF_QUOTES = timedelta(seconds=10)
_QUOTES_THROUGHOUT = timedelta(days=31)
"""Longest window for which all collected prices are read; in a longer one, only those before and after its bars."""


@dataclass(frozen=True, slots=True)
class Candle:
    """Open, high, low and close of a period; prices in the currency of the symbol."""

    start: datetime
    """Start of the period, UTC."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    """Shares traded; None if it is not known."""

    def followed_by(self, other: Candle) -> Candle:
        """Merge two candles into one of this period; `other` is later."""
        known = [each.volume for each in (self, other) if each.volume is not None]
        return Candle(
            self.start,
            self.open,
            max(self.high, other.high),
            min(self.low, other.low),
            other.close,
            sum(known) if known else None,
        )


@dataclass(frozen=True, slots=True)
class ChartAction:
    """A split or a payment within a chart."""

    kind: ActionKind
    effective_date: date
    effective_time: datetime
    numerator: Decimal | None
    denominator: Decimal | None
    amount: Decimal | None
    currency: str | None

    @property
    def factor(self) -> Decimal:
        """The factor of earlier prices; 1 for a payment."""
        if self.kind is not ActionKind.SPLIT or not (self.numerator and self.denominator):
            return Decimal(1)
        return self.denominator / self.numerator


@dataclass(frozen=True, slots=True)
class StoredCandles:
    """The candles of one symbol and window."""

    symbol: str
    period: Period
    candles: tuple[Candle, ...] = ()
    """Oldest first; periods without trades are absent."""
    actions: tuple[ChartAction, ...] = ()
    """Splits and payments since the first candle."""
    origin: Mapping[str, int] = field(default_factory=dict)
    """Number of bars by resolution, and of collected prices as `quotes`, from which the candles are made."""
    currency: str = ""
    adjusted: bool = False
    """Whether a split in the window changed prices and volumes: they are adjusted for the last split."""
    regular: bool = False
    """Whether only the regular session is included, as in the bars of the source."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A candle with its sources."""

    candle: Candle
    resolution: str
    number: int
    last: datetime
    """Start of the last bar, or time of the last quote."""
    currency: str | None
    adjusted: bool
    quotes: int = 0
    """Collected prices after the last bar."""

    @property
    def covered(self) -> timedelta:
        """Share of the trading time that its bars cover; zero for collected prices."""
        return self.number * _COVERED.get(self.resolution, timedelta(0))

    def followed_by(self, other: _Part) -> _Part:
        """Merge two; `other` is later."""
        return replace(
            self,
            candle=self.candle.followed_by(other.candle),
            number=self.number + other.number,
            last=other.last,
            currency=other.currency or self.currency,
            adjusted=self.adjusted or other.adjusted,
        )


def read_candles(
    connection: Connection, symbol: str, days: int | None, now: datetime, most: int
) -> StoredCandles:
    """The candles of the last calendar days, or of everything stored; as fine as at most `most` candles allow.

    Prices are adjusted for splits as in the views `adjusted_bars` and `adjusted_prices`, but after merging.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    most = max(1, min(most, MAX_CANDLES))
    spans: dict[str, tuple[datetime, datetime]] = {
        name: (oldest, newest)
        for name, oldest, newest in fetch_rows(
            connection, "candle_sources", {"symbol": symbol, "resolutions": list(_COVERED)}
        )
    }
    newest = max((last for _, last in spans.values()), default=now)
    oldest = min((first for first, _ in spans.values()), default=now)
    start = oldest if days is None else window_start(days, newest, now)
    reach = {name: max(first, start) for name, (first, last) in spans.items() if last >= start}
    if not reach:
        return StoredCandles(symbol, EMPTY_PERIOD)
    actions = tuple(
        ChartAction(ActionKind(kind), *rest)
        for kind, *rest in fetch_rows(connection, "actions_since", {"symbol": symbol, "start": start})
    )
    window = _Window(connection, symbol, start, now + timedelta(seconds=1), actions)
    parts: list[_Part] = []
    for period in _suitable(reach, start, max(newest, min(reach.values())), most):
        parts = _merged(window, period, reach)
        if len(parts) <= most:
            break
    return _result(window, period, parts[-most:])


def _suitable(reach: Mapping[str, datetime], start: datetime, end: datetime, most: int) -> Iterable[Period]:
    """The candidate periods, finest first.

    None is finer than the finest resolution among those that reach back about as far as any. The number of candles
    is estimated from the trading time.
    """
    first = min(reach.values())
    tolerance = max(timedelta(hours=12), (end - start) / 10)
    finest = min(
        _FINEST_OF_QUOTES if name == QUOTES else Resolution(name).width
        for name, since in reach.items()
        if since <= first + tolerance
    )
    whole_days, rest = divmod(end - first, timedelta(days=1))
    traded = whole_days * _SESSION * 5 / 7 + min(rest, _SESSION)
    fitting = [
        each
        for each in PERIODS
        if each.seconds >= finest.total_seconds() and traded / timedelta(seconds=each.seconds) <= most
    ]
    return fitting or PERIODS[-1:]


@dataclass(frozen=True, slots=True)
class _Window:
    """A symbol, its window and its actions, for the queries of its candles."""

    connection: Connection
    symbol: str
    start: datetime
    end: datetime
    actions: Sequence[ChartAction]

    def bars(self, period: Period, resolutions: Sequence[str]) -> list[_Part]:
        """Candles from bars of these resolutions; each from the one that covers most of its period."""
        more = {"resolutions": list(resolutions)}
        parts = self._read("candles_of_bars", period, self.start, self.end, more)
        return [
            max(_joined(group, by_resolution=True), key=lambda part: part.covered)
            for group in _by_period(parts)
        ]

    def quotes(self, period: Period, start: datetime, end: datetime, *, regular: bool) -> list[_Part]:
        """Candles from collected prices."""
        parts = self._read("candles_of_quotes", period, start, end, {"regular": regular})
        return [part for group in _by_period(parts) for part in _joined(group, by_resolution=False)]

    def _read(
        self, query: str, period: Period, start: datetime, end: datetime, more: Mapping[str, object]
    ) -> Iterator[_Part]:
        if start >= end:
            return
        splits = [each for each in self.actions if each.factor != 1]
        arguments = {
            "symbol": self.symbol,
            "start": start,
            "end": end,
            "unit": period.unit,
            "seconds": period.seconds,
            "offset": OFFSET,
            "zone": ZONE_NAME,
            "splits": [each.effective_time for each in splits],
            **more,
        }
        for resolution, passed, opened, closed, *prices, volume, currency, number in fetch_rows(
            self.connection, query, arguments
        ):
            factor = reduce(lambda product, each: product * each.factor, splits[passed:], Decimal(1))
            shares = None if volume is None else int(volume / factor)
            first, high, low, last = (price if factor == 1 else price * factor for price in prices)
            candle = Candle(period.start_of(opened), first, high, low, last, shares)
            yield _Part(candle, resolution, number, closed, currency, factor != 1)


def _by_period(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    for _, group in groupby(parts, key=lambda part: part.candle.start):
        yield list(group)


def _joined(parts: Sequence[_Part], *, by_resolution: bool) -> list[_Part]:
    """The parts of one period before and after a split, merged for each resolution; the finest one first."""
    found: dict[str, _Part] = {}
    for part in parts:
        known = found.get(part.resolution)
        found[part.resolution] = part if known is None else known.followed_by(part)
    order = list(_COVERED) if by_resolution else [QUOTES]
    return [found[name] for name in order if name in found]


def _merged(window: _Window, period: Period, reach: Mapping[str, datetime]) -> list[_Part]:
    """Candles from bars; where there are none, and after the last one, from collected prices."""
    names = [
        name for name in reach if name != QUOTES and Resolution(name).width.total_seconds() <= period.seconds
    ]
    bars = window.bars(period, names) if names else []
    if QUOTES not in reach:
        return bars
    if not bars:
        return window.quotes(period, window.start, window.end, regular=False)
    end_of_bars = max(part.last + _COVERED[part.resolution] for part in bars)
    found = {part.candle.start: part for part in bars}
    throughout = window.end - window.start <= _QUOTES_THROUGHOUT
    until = end_of_bars if throughout else bars[0].candle.start
    for part in window.quotes(period, window.start, until, regular=True):
        found.setdefault(part.candle.start, part)
    for part in window.quotes(period, end_of_bars, window.end, regular=True):
        known = found.get(part.candle.start)
        if known is not None:
            part = replace(known.followed_by(part), number=known.number, quotes=part.number)
        found[part.candle.start] = part
    return [found[start] for start in sorted(found)]


def _result(window: _Window, period: Period, parts: Sequence[_Part]) -> StoredCandles:
    origin: dict[str, int] = {}
    for part in parts:
        for name, number in ((part.resolution, part.number), (QUOTES, part.quotes)):
            if number:
                origin[name] = origin.get(name, 0) + number
    first = parts[0].candle.start if parts else window.start
    return StoredCandles(
        window.symbol,
        period,
        tuple(part.candle for part in parts),
        tuple(each for each in window.actions if each.effective_time >= first),
        origin,
        next((part.currency for part in reversed(parts) if part.currency), ""),
        any(part.adjusted for part in parts),
        any(name != QUOTES for name in origin),
    )
