"""The candles of the chart: those read from the database, updated by the newest price; their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sp500tui.model import MarketState, Quote
from sp500tui.price_text import price_text
from sp500tui.storage.history.candles import Candle, ChartAction, StoredCandles
from sp500tui.storage.history.periods import ZONE
from sp500tui.tui.render.formats import arrow, clean, count, format_change, plural, short_count, short_span
from sp500tui.tui.render.lines import Line, Role, Span, change_role, joined


def direction(candle: Candle) -> Role:
    """The role of a candle: whether it closed above or below its open."""
    if candle.close == candle.open:
        return Role.LABEL
    return Role.GOOD if candle.close > candle.open else Role.BAD


class LiveCandles:
    """Stored candles, updated by the newest price until they are read again."""

    def __init__(self, stored: StoredCandles) -> None:
        self.stored = stored
        self.candles: list[Candle] = list(stored.candles)
        """Oldest first."""
        self._volume: int | None = None

    def add(self, quote: Quote) -> bool:
        """Add the latest quote to the running candle or begin the next one; returns whether anything changed."""
        if not self.candles or (self.stored.regular and quote.market_state != MarketState.REGULAR):
            return False
        last = self.candles[-1]
        start = self.stored.period.start_of(quote.quote_time)
        if start < last.start:
            return False
        traded = None
        if quote.volume is not None and self._volume is not None:
            traded = max(0, quote.volume - self._volume) or None
        self._volume = quote.volume if quote.volume is not None else self._volume
        price = quote.price
        latest = Candle(start, price, price, price, price, traded)
        if start > last.start:
            self.candles.append(latest)
            return True
        self.candles[-1] = last.followed_by(latest)
        return self.candles[-1] != last


@dataclass(frozen=True, slots=True)
class CandleSeries:
    """Candles as drawn by the chart."""

    stored: StoredCandles
    candles: Sequence[Candle]
    """In the currency shown."""
    currency: str

    @classmethod
    def of(cls, live: LiveCandles, currency: str, rate: Decimal | None) -> CandleSeries:
        """The candles, multiplied by `rate`: units of the currency shown per unit of the quoted one."""
        if rate is None:
            return cls(live.stored, live.candles, currency)
        shown = [
            replace(
                each,
                open=each.open * rate,
                high=each.high * rate,
                low=each.low * rate,
                close=each.close * rate,
            )
            for each in live.candles
        ]
        return cls(live.stored, shown, currency)

    def actions_of(self, index: int) -> Sequence[ChartAction]:
        """The splits and payments in the period of a candle, and those since the previous candle."""
        period = self.stored.period
        earlier = self.candles[index - 1].start if index else None
        return [
            each
            for each in self.stored.actions
            if (earlier is None or period.start_of(each.effective_time) > earlier)
            and (
                period.start_of(each.effective_time) <= self.candles[index].start
                or index == len(self.candles) - 1
            )
        ]

    def time_text(self, start: datetime) -> str:
        """The start of a candle as text: a date at the exchange, or a local time."""
        if self.stored.period.unit == "second":
            local = start.astimezone()
            clock = f"{local:%H:%M:%S}" if self.stored.period.seconds < 60 else f"{local:%H:%M}"
            this_year = local.year == self.candles[-1].start.astimezone().year
            return f"{local:%b} {local.day} {clock}" if this_year else f"{local:%Y-%m-%d} {clock}"
        return f"{start.astimezone(ZONE):%Y-%m-%d}"


def reading(series: CandleSeries, index: int) -> list[Line]:
    """One candle as text, from long to short: time, open, high, low, close, change, volume and actions."""
    candle = series.candles[index]
    percent = (candle.close / candle.open - 1) * 100 if candle.open else None
    change = format_change(percent, " %")
    when: Line = (Span(series.time_text(candle.start), Role.TITLE),)
    running: Line = (Span("latest", Role.LABEL),) if index == len(series.candles) - 1 else ()
    prices: Line = tuple(
        span
        for name, value in (("O", candle.open), ("H", candle.high), ("L", candle.low), ("C", candle.close))
        for span in (Span(f"{name} ", Role.LABEL), Span(price_text(value)), Span("  "))
    )
    currency: Line = (Span(clean(series.currency), Role.LABEL),)
    moved: Line = (Span(f"{arrow(change)} {change}", change_role(change)),)
    volume: Line = (Span("volume n/a", Role.LABEL),)
    short: Line = volume
    if candle.volume is not None:
        volume = (Span(count(candle.volume)), Span(" shares", Role.LABEL))
        short = (Span(short_count(candle.volume)), Span(" shares", Role.LABEL))
    done: Line = tuple(Span(f"{action_text(each)}  ", Role.ACCENT) for each in series.actions_of(index))
    ohlc = (*prices[:-1], Span(" "), *currency)
    close: Line = (Span("C ", Role.LABEL), Span(price_text(candle.close)), Span(" "), *currency)
    return [
        joined((when, ohlc, moved, volume, done, running)),
        joined((when, ohlc, moved, short, done)),
        joined((when, ohlc, moved, short), "  "),
        joined((when, ohlc, short), "  "),
        joined((when, ohlc), "  "),
        joined((when, close), "  "),
    ]


def action_text(action: ChartAction) -> str:
    """A split or payment as text: `split 4:1 on 2026-05-04`."""
    if action.factor != 1:
        what = _split_text(action)
    elif action.amount is not None:
        what = f"{action.kind} {_plain(action.amount)} {clean(action.currency or '')}".rstrip()
    else:
        what = str(action.kind)
    return f"{what} on {action.effective_date}"


def _split_text(action: ChartAction) -> str:
    return f"split {_plain(action.numerator or Decimal(0))}:{_plain(action.denominator or Decimal(0))}"


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def summary(series: CandleSeries) -> list[Line]:
    """Change, low and high of all candles, from long to short."""
    candles = series.candles
    first, last = candles[0], candles[-1]
    percent = (last.close / first.open - 1) * 100 if first.open else None
    change = format_change(percent, " %")
    seconds = (last.start - first.start).total_seconds() + series.stored.period.seconds
    moved: Line = (
        Span(f"{arrow(change)} {change}", change_role(change)),
        Span(f" over {short_span(seconds)}", Role.LABEL),
    )
    low: Line = (Span("low ", Role.LABEL), Span(price_text(min(each.low for each in candles))))
    high: Line = (
        Span("high ", Role.LABEL),
        Span(price_text(max(each.high for each in candles))),
        Span(f" {clean(series.currency)}", Role.LABEL),
    )
    return [joined((moved, low, high)), joined((moved, low, high), "  "), moved]


def descriptions(series: CandleSeries) -> list[str]:
    """Resolution and origin, from long to short: `78 5-minute candles · 390 1m bars · adjusted: split 4:1`."""
    stored = series.stored
    candles = plural(len(series.candles), f"{stored.period.name} candle")
    origin = ", ".join(
        plural(number, "collected price") if name == "quotes" else plural(number, f"{name} bar")
        for name, number in stored.origin.items()
    )
    splits = [_split_text(each) for each in stored.actions if each.factor != 1] or ["a split"]
    adjusted = [f" · adjusted: {' and '.join(splits)}", " · adjusted"] if stored.adjusted else [""]
    return [f"{candles} · {origin}{adjusted[0]}", *(f"{candles}{each}" for each in adjusted)]
