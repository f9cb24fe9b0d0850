"""The past of an instrument: days that took place, days invented before them, and the minutes of each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, islice
from math import exp
from zoneinfo import ZoneInfo

from sp500tui.simulator.market.bars import MINUTE, Bar, merge
from sp500tui.simulator.market.clock import CLOSING, OPENING, DemoClock
from sp500tui.simulator.market.currencies import CurrencyPair
from sp500tui.simulator.market.model import Instrument
from sp500tui.simulator.market.prng import Prng

OLDEST_DAY = 3_660
"""Calendar days back that daily bars reach."""
OLDEST_MINUTE = 60
"""Calendar days back that bars within a day reach."""
_NEW_YORK = ZoneInfo("America/New_York")
_SHARE_VOLATILITY = 0.017
_PAIR_VOLATILITY = 0.004
"""Standard deviation of the logarithm of a price from close to close."""
_SESSION_MINUTES = (CLOSING - OPENING) // MINUTE

Subject = Instrument | CurrencyPair
"""What a chart can be of."""


def daily_bars(subject: Subject, since: date) -> list[Bar]:
    """One bar a trading day from `since` on, oldest first, the present day last.

    Days before the present one are dated to the last business days, however fast the demo's days pass.
    """
    today = local_date(subject.today.start)
    oldest = max(since, today - timedelta(days=OLDEST_DAY))
    dates = list(islice(business_days_before(today), max(0, (today - oldest).days)))
    bars = [
        Bar(_opening(day), bar.open, bar.high, bar.low, bar.close, bar.volume)
        for day, bar in zip(dates, _past(subject), strict=False)
        if day >= oldest
    ]
    return [*reversed(bars), subject.today.bar()]


def minute_bars(subject: Subject, clock: DemoClock, since: date, width: int, extended: bool) -> Iterator[Bar]:
    """Bars of `width` seconds from `since` on; `extended` shows the present day's trades around its session too."""
    today = local_date(subject.today.start)
    for day in daily_bars(subject, max(since, today - timedelta(days=OLDEST_MINUTE)))[:-1]:
        yield from _widened(_invented_minutes(day, subject), width, day.start)
    start = subject.today.start - subject.today.start % MINUTE
    end = subject.today.start + (CLOSING - OPENING) / clock.speed
    around_the_clock = extended or isinstance(subject, CurrencyPair)
    minutes = (bar for bar in subject.minutes if around_the_clock or start <= bar.start < end)
    yield from _widened(minutes, width, start)


def local_date(stamp: float) -> date:
    """The exchange's date at a real time."""
    return datetime.fromtimestamp(max(stamp, 0.0), UTC).astimezone(_NEW_YORK).date()


def midnight(day: date) -> int:
    """The real time at which a date begins at the exchange."""
    return int(datetime.combine(day, time(), _NEW_YORK).timestamp())


def business_days_before(day: date) -> Iterator[date]:
    """Mondays to Fridays before `day`, newest first."""
    while True:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            yield day


def _opening(day: date) -> int:
    return int(datetime.combine(day, time(9, 30), _NEW_YORK).timestamp())


def _past(subject: Subject) -> Iterator[Bar]:
    """Days before the present one, newest first: those that took place, then invented ones without end."""
    if isinstance(subject, CurrencyPair):
        yield from _invented_days(subject, subject.start_rate, _PAIR_VOLATILITY, 0, 6)
        return
    yield from reversed(subject.past)
    volume = round(subject.listing.shares * 0.005)
    yield from _invented_days(subject, subject.listing.price, _SHARE_VOLATILITY, volume, 2)


def _invented_days(subject: Subject, close: float, size: float, volume: int, digits: int) -> Iterator[Bar]:
    rng = Prng(subject.seed, "days", subject.symbol)
    while True:
        before = max(round(close * exp(-size * rng.normal()), digits), 10.0**-digits)
        opening = round(before + (close - before) * 0.3 * rng.uniform(), digits)
        high = max(opening, close, round(max(opening, close) * (1 + 0.4 * size * rng.uniform()), digits))
        low = min(opening, close, round(min(opening, close) * (1 - 0.4 * size * rng.uniform()), digits))
        yield Bar(0, opening, high, low, close, round(volume * (0.5 + rng.uniform())))
        close = before


def _widened(minutes: Iterator[Bar], width: int, origin: int) -> Iterator[Bar]:
    for number, group in groupby(minutes, lambda bar: (bar.start - origin) // width):
        yield merge(list(group), origin + number * width)


def _invented_minutes(day: Bar, subject: Subject) -> Iterator[Bar]:
    """A session gone by, minute by minute, from its open to its close within its high and low."""
    rng = Prng(subject.seed, "minutes", subject.symbol, day.start)
    peak, trough = int(rng.uniform() * 190), 195 + int(rng.uniform() * 190)
    price = day.open
    for minute in range(_SESSION_MINUTES):
        left = _SESSION_MINUTES - minute
        drift = (day.close - price) / left + (day.high - day.low) * 0.02 * rng.normal()
        following = round(min(max(price + drift, day.low), day.high), 6) if left > 1 else day.close
        high = day.high if minute == peak else max(price, following)
        low = day.low if minute == trough else min(price, following)
        yield Bar(day.start + minute * MINUTE, price, high, low, following, day.volume // _SESSION_MINUTES)
        price = following
