"""Splits and dividends of the demo market: past ones, and those that a test announces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice

from sp500tui.simulator.market.calendar import is_trading_day, local_date, opening, trading_days_before
from sp500tui.simulator.market.instruments import fraction
from sp500tui.simulator.market.model import Instrument

_PAYING_SHARE = 0.8
_QUARTERLY_YIELD = 0.005
_SPLIT_SHARE = 0.1
"""The share of companies whose stock was split in the ten years before the market's first day."""
_OLDEST_SPLIT = 2_500
_RATIOS = ((2, 1), (3, 1), (4, 1), (10, 1), (20, 1), (3, 2), (1, 10))


@dataclass(frozen=True, slots=True)
class Split:
    """A stock split."""

    time: int
    """Opening of the first day with the new shares, seconds since 1970."""
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class Dividend:
    """A payment for each share."""

    time: int
    """Opening of the ex-dividend day, seconds since 1970."""
    amount: float
    """USD, adjusted for later splits."""


def splits(instrument: Instrument) -> list[Split]:
    """All splits up to now, oldest first; prices before the market's first day are adjusted for earlier ones."""
    found = [Split(time, *ratio) for time, ratio in instrument.splits]
    if fraction(instrument.name, "is split") < _SPLIT_SHARE:
        first = local_date(instrument.first_opening)
        back = 30 + int(fraction(instrument.name, "split on") * _OLDEST_SPLIT)
        day = next(islice(trading_days_before(first - timedelta(days=back)), 1))
        found.insert(0, Split(opening(day), *_RATIOS[int(fraction(instrument.name, "ratio") * len(_RATIOS))]))
    return found


def dividends(instrument: Instrument, since: date) -> list[Dividend]:
    """All dividends from `since` up to now, oldest first."""
    found = [Dividend(time, amount) for time, amount in instrument.dividends]
    invented: list[Dividend] = []
    if fraction(instrument.name, "pays") < _PAYING_SHARE:
        amount = max(0.01, round(instrument.first_price * _QUARTERLY_YIELD, 2))
        invented = [Dividend(opening(day), amount * instrument.scale) for day in _quarters(instrument, since)]
    return invented + found


def _quarters(instrument: Instrument, since: date) -> Iterator[date]:
    """The quarterly dates before the market's first day."""
    first = local_date(instrument.first_opening)
    offset = int(fraction(instrument.name, "month") * 3)
    of_month = 5 + int(fraction(instrument.name, "day") * 20)
    for number in range(12 * since.year + since.month - 1, 12 * first.year + first.month):
        if number % 3 != offset:
            continue
        day = date(number // 12, number % 12 + 1, of_month)
        while not is_trading_day(day):
            day += timedelta(days=1)
        if since <= day < first:
            yield day
