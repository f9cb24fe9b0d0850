"""The history of an instrument: simulated days, invented days before them, and the minutes of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import groupby
from math import exp, floor

from sp500tui.simulator.market.bars import MINUTE, Bar, merge
from sp500tui.simulator.market.calendar import edges, is_trading_day, local_date, opening, trading_days_before
from sp500tui.simulator.market.clock import DAY, DemoClock
from sp500tui.simulator.market.currencies import CurrencyPair
from sp500tui.simulator.market.model import MAX_DAYS, Instrument
from sp500tui.simulator.market.prng import Prng

OLDEST_DAY = 3_660
"""Calendar days before the market's first day that daily bars reach."""
OLDEST_MINUTE = 62
"""Calendar days before the market's first day with bars for every minute; older days have 30-minute bars."""
_HALF_HOUR = 30 * MINUTE
_SHARE_VOLATILITY = 0.017
_PAIR_VOLATILITY = 0.004
"""Standard deviation of the logarithm of a price from close to close."""

Subject = Instrument | CurrencyPair
"""The instrument of a chart."""
Periods = dict[str, tuple[int, int]]
"""The sessions of one trading day by Yahoo Finance's names: start and end in seconds since 1970."""


def daily_bars(subject: Subject, since: date) -> list[Bar]:
    """One bar per date from `since` on, oldest first, the current one last.

    A date with several demo days has the bar of the first, which is final.
    """
    scale = 1.0 if isinstance(subject, CurrencyPair) else subject.scale
    bars = _scaled(_invented_days(subject, since), scale)
    lived = [] if isinstance(subject, CurrencyPair) else list(subject.past)
    for day, group in groupby([*lived, subject.today.bar()], lambda bar: local_date(bar.start)):
        if day >= since:
            bars.append(next(group))
    return bars


def trading_periods(subject: Subject, clock: DemoClock, start: float, end: float) -> list[Periods]:
    """The trading days that overlap a time range or begin the day before or after it, oldest first."""
    first = local_date(subject.first_opening)
    day, last = local_date(start) - timedelta(days=1), local_date(end)
    found: list[Periods] = []
    if isinstance(subject, CurrencyPair):
        stamps = range(int(start) // DAY, floor(min(end, clock.epoch + clock.elapsed()) / DAY) + 1)
        return [{"regular": (number * DAY, (number + 1) * DAY)} for number in stamps]
    while day < first and day <= last:
        if is_trading_day(day):
            pre, opened, closed, post = edges(day)
            found.append({"pre": (pre, opened), "regular": (opened, closed), "post": (closed, post)})
        day += timedelta(days=1)
    present = clock.date_number(clock.elapsed())
    for number in range(max(0, present - MAX_DAYS), present + 1):
        periods = clock.periods_of(number)
        if start - DAY < periods.post[1] and periods.pre[0] < end + DAY:
            found.append(dict(periods.named()))
    return found


def minute_bars(subject: Subject, days: list[Periods], width: int, extended: bool) -> Iterator[Bar]:
    """Bars of `width` seconds along the sessions of these days; those around the regular one if `extended`.

    Invented days have no trades around their regular session.
    """
    first = local_date(subject.first_opening)
    oldest = opening(first - timedelta(days=OLDEST_MINUTE))
    scale = 1.0 if isinstance(subject, CurrencyPair) else subject.scale
    since = local_date(days[0]["regular"][0]) if days else first
    invented = {bar.start: bar for bar in _invented_days(subject, since)}
    for day in days:
        opened, closed = day["regular"]
        record = invented.get(opened)
        if record is not None:
            step = MINUTE if opened >= oldest else _HALF_HOUR
            yield from _scaled(
                _widened(_invented_minutes(record, closed, step, subject), width, opened), scale
            )
            continue
        for name in ("pre", "regular", "post") if extended else ("regular",):
            start, end = day.get(name, (0, 0))
            yield from _widened(subject.minutes.between(start, end), width, start)


def _invented_days(subject: Subject, since: date) -> list[Bar]:
    """The days from `since` to the one before the market's first, oldest first."""
    if isinstance(subject, CurrencyPair):
        close, size, volume, digits = subject.start_rate, _PAIR_VOLATILITY, 0, 6
    else:
        volume = round(subject.listing.shares * subject.scale * 0.005)
        close, size, digits = subject.first_price, _SHARE_VOLATILITY, 2
    rng = Prng(subject.seed, "days", subject.name)
    first = local_date(subject.first_opening)
    found: list[Bar] = []
    for day in trading_days_before(first):
        if day < since or (first - day).days > OLDEST_DAY:
            break
        before = max(round(close * exp(-size * rng.normal()), digits), 10.0**-digits)
        opened = round(before + (close - before) * 0.3 * rng.uniform(), digits)
        high = max(opened, close, round(max(opened, close) * (1 + 0.4 * size * rng.uniform()), digits))
        low = min(opened, close, round(min(opened, close) * (1 - 0.4 * size * rng.uniform()), digits))
        found.append(Bar(opening(day), opened, high, low, close, round(volume * (0.5 + rng.uniform()))))
        close = before
    return found[::-1]


def _scaled(bars: Iterable[Bar], scale: float) -> list[Bar]:
    """Bars of the original shares, adjusted to current ones."""
    return list(bars) if scale == 1 else [bar.multiplied(scale) for bar in bars]


def _widened(minutes: Iterator[Bar], width: int, origin: int) -> Iterator[Bar]:
    for number, group in groupby(minutes, lambda bar: (bar.start - origin) // width):
        yield merge(list(group), origin + number * width)


def _invented_minutes(day: Bar, closing: int, step: int, subject: Subject) -> Iterator[Bar]:
    """A past session step by step, from its open to its close within its high and low."""
    rng = Prng(subject.seed, "minutes", subject.name, day.start)
    steps = -(-(closing - day.start) // step)
    peak, trough = int(rng.uniform() * steps / 2), steps // 2 + int(rng.uniform() * steps / 2)
    price = day.open
    for number in range(steps):
        left = steps - number
        digits = 6 if isinstance(subject, CurrencyPair) else 4 if rng.uniform() < 0.1 else 2
        drift = (day.close - price) / left + (day.high - day.low) * 0.02 * rng.normal()
        following = round(min(max(price + drift, day.low), day.high), digits) if left > 1 else day.close
        high = day.high if number == peak else max(price, following)
        low = day.low if number == trough else min(price, following)
        yield Bar(day.start + number * step, price, high, low, following, day.volume // steps)
        price = following
