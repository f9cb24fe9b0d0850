"""Rendering of the journeys: percentiles of every leg, and the slowest quotes with their waterfalls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sp500tui.pipeline.core.snapshot import LivePrice
from sp500tui.pipeline.journeys import LEGS, WHOLE, Journey, LegTimes, Moment
from sp500tui.tui.render.formats import clean, fit, milliseconds
from sp500tui.tui.render.lines import Line, Role, Span, cut, longest_that_fits
from sp500tui.tui.render.waterfall import LEG_LETTERS, LEG_ROLES, waterfall_bar

SLOWEST = 20
"""Number of quotes listed."""
_NAME, _TIME, _SYMBOL = 24, 11, 8
_SCALES = ("   median, to scale", "   to scale")
"""Heading of the bars, from long to short."""
_ROLES = {LEGS[moment]: role for moment, role in LEG_ROLES.items()}
_LETTERS = {LEGS[moment]: letter for moment, letter in LEG_LETTERS.items()}


class SlowQuote(NamedTuple):
    """The newest quote of a symbol, with the journey of its batch."""

    symbol: str
    journey: Journey


def slowest(prices: Sequence[LivePrice], journeys: Mapping[int, Journey], now: float) -> list[SlowQuote]:
    """The `SLOWEST` newest quotes that took, or have taken, longest; those of one batch in the order of symbols."""
    quotes = [
        SlowQuote(price.row.quote.symbol, journeys[price.row.batch])
        for price in prices
        if price.row.batch in journeys
    ]
    return sorted(quotes, key=lambda quote: (-quote.journey.elapsed(now), quote.symbol))[:SLOWEST]


def leg_lines(legs: Sequence[LegTimes], width: int, height: int) -> list[Line]:
    """A heading, then each leg with its letter, its percentiles and its median as a bar within the median of the whole.

    If not all legs fit in `height`, the longest are shown, and their number in the heading.
    """
    longest = sorted(legs, key=lambda leg: (leg.name != WHOLE, -leg.p50))[: max(1, height - 1)]
    name = "leg" if len(longest) == len(legs) else f"longest {len(longest) - 1} of {len(legs) - 1} legs"
    legs = [leg for leg in legs if leg in longest]
    head = fit(name, _NAME) + fit("p50", _TIME, "right") + fit("p95", _TIME, "right")
    lines = [longest_that_fits([(Span(head + text, Role.LABEL),) for text in _SCALES], width)]
    room = max(0, width - _NAME - 2 * _TIME - 3)
    whole = max((leg.p50 for leg in legs), default=0.0)
    for leg in legs:
        cells = round(room * leg.p50 / whole) if whole else 0
        role = Role.TITLE if leg.name == WHOLE else Role.VALUE
        times = "".join(fit(milliseconds(each * 1000), _TIME, "right") for each in (leg.p50, leg.p95))
        bar = Span(" " * cells, _ROLES.get(leg.name, Role.LABEL_FILLED))
        edge = Span("▏" if leg.p50 and not cells else "", Role.LABEL)
        letter = Span(_LETTERS.get(leg.name, " "), _ROLES.get(leg.name, role))
        words = Span(" " + fit(leg.name, _NAME - 2), role)
        lines.append(cut((letter, words, Span(times, role), Span("   "), bar, edge), width))
    return lines


def slow_lines(quotes: Sequence[SlowQuote], now: float, width: int) -> list[Line]:
    """A heading, then each quote with its time, its age and its waterfall, all to the same scale.

    The time of a quote that is not committed yet begins with `>`.
    """
    head = fit("symbol", _SYMBOL) + fit("took", _TIME, "right") + fit("began ago", _TIME, "right")
    lines = [cut((Span(f"{head}   journey, to scale", Role.LABEL),), width)]
    room = max(0, width - _SYMBOL - 2 * _TIME - 3)
    longest = max((quote.journey.elapsed(now) for quote in quotes), default=0.0)
    for symbol, journey in quotes:
        took = milliseconds(journey.elapsed(now) * 1000)
        took = took if Moment.COMMITTED in journey.moments else f">{took}"
        began = milliseconds(max(0.0, now - journey.begin) * 1000)
        times = fit(took, _TIME, "right") + fit(began, _TIME, "right")
        name = Span(fit(clean(symbol), _SYMBOL), Role.TITLE)
        bar = waterfall_bar(journey, room, longest)
        lines.append(cut((name, Span(times), Span("   "), *bar), width))
    return lines
