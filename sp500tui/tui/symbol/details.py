"""Rendering of one symbol: the current quote, the company, and the provenance of the quote."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sp500tui.model import Constituent, ConvertedQuote, MarketState, Quote
from sp500tui.pipeline.core.snapshot import LivePrice, MissingSymbol
from sp500tui.price_text import change_text, price_text
from sp500tui.tui.render.formats import (
    arrow,
    clean,
    count,
    fit,
    format_change,
    format_time,
    milliseconds,
    seconds_between,
    short_count,
    span,
)
from sp500tui.tui.render.lines import Line, Role, Span, change_role, cut, joined, longest_that_fits

if TYPE_CHECKING:
    from sp500tui.storage.reads import StoredRow

_LABEL = 13
_SESSIONS: Mapping[str, str] = {
    MarketState.PREPRE: "closed",
    MarketState.PRE: "pre-market",
    MarketState.REGULAR: "regular session",
    MarketState.POST: "after hours",
    MarketState.POSTPOST: "closed",
    MarketState.CLOSED: "closed",
    MarketState.OVERNIGHT: "overnight session",
    MarketState.UNKNOWN: "session unknown",
}


def quote_lines(
    price: LivePrice | None, missing: MissingSymbol | None, now: datetime, width: int
) -> list[Line]:
    """The current quote in two lines; without one, the reason."""
    if price is None:
        text = f"no price: {missing.reason}" if missing is not None else "Waiting for the first price"
        return [cut((Span(clean(text), Role.WARN),), width), cut((), width)]
    row = price.row
    return [
        longest_that_fits(_value_variants(row), width),
        longest_that_fits(_origin_variants(row, now), width),
    ]


def _value_variants(row: ConvertedQuote) -> list[Line]:
    quote = row.quote
    currency = clean(quote.currency)
    price: Line = (Span(price_text(quote.price), Role.TITLE), Span(f" {currency}", Role.LABEL))
    percent_text = format_change(quote.percent_change, " %")
    moved = change_text(quote.change, quote.price)
    percent: Line = (Span(f"{arrow(percent_text)} {percent_text}", change_role(percent_text)),)
    change: Line = (Span(moved, change_role(moved)), Span(f" {currency}", Role.LABEL))
    converted: Line = (
        Span(price_text(row.converted_price)),
        Span(f" {clean(row.converted_currency)}", Role.LABEL),
    )
    volume = _volume(quote.volume, short=False)
    session: Line = (
        Span(_SESSIONS.get(quote.market_state) or f"{clean(quote.market_state).lower()} session"),
    )
    return [
        joined((price, percent, change, converted, volume, session)),
        joined((price, percent, change, converted, _volume(quote.volume, short=True), session)),
        joined((price, percent, change, converted)),
        joined((price, percent, converted)),
    ]


def _volume(volume: int | None, *, short: bool) -> Line:
    if volume is None:
        return (Span("volume n/a", Role.LABEL),)
    number = short_count(volume) if short else count(volume)
    return (Span("volume ", Role.LABEL), Span(number), Span(" shares", Role.LABEL))


def _origin_variants(row: ConvertedQuote, now: datetime) -> list[Line]:
    """Trade time, exchange rate and previous close."""
    quote = row.quote
    traded: Line = (
        Span("traded ", Role.LABEL),
        Span(format_time(quote.quote_time, now)),
        Span(f", {span(seconds_between(quote.quote_time, now))} ago", Role.LABEL),
    )
    close = _previous_close(quote)
    rate, rate_age = _rate(row), _rate_age(row, now)
    return [
        joined((traded, (*rate, *rate_age), close)),
        joined((traded, (*rate, *rate_age))),
        joined((traded, rate)),
        traded,
    ]


def _previous_close(quote: Quote) -> Line:
    if quote.change is None:
        return ()
    return (
        Span("prev close ", Role.LABEL),
        Span(price_text(quote.price - quote.change)),
        Span(f" {clean(quote.currency)}", Role.LABEL),
    )


def _rate(row: ConvertedQuote) -> Line:
    base, target = clean(row.quote.currency), clean(row.converted_currency)
    if row.fx_rate is None:
        return (Span(f"no rate {base} to {target}", Role.WARN),)
    return (
        Span(f"1 {base} = ", Role.LABEL),
        Span(_exact(row.fx_rate)),
        Span(f" {target}", Role.LABEL),
    )


def _rate_age(row: ConvertedQuote, now: datetime) -> Line:
    if row.fx_time is None:
        return ()
    return (Span(f", rate {span(seconds_between(row.fx_time, now))} old", Role.LABEL),)


def _exact(rate: Decimal) -> str:
    """A rate as the source printed it, without trailing zeros."""
    text = f"{rate:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def company_lines(constituent: Constituent | None, width: int) -> list[Line]:
    """The company, from the list of constituents."""
    if constituent is None:
        return [cut((Span("not in the current list", Role.LABEL),), width)]
    added = constituent.date_added
    facts = (
        ("company", constituent.name),
        ("sector", constituent.sector),
        ("sub-industry", constituent.sub_industry),
        ("headquarters", constituent.headquarters),
        ("in the index", f"since {added:%Y-%m-%d}" if added is not None else ""),
        ("founded", constituent.founded),
        ("SEC CIK", constituent.cik),
    )
    return [_field(label, value, width) for label, value in facts]


def provenance_lines(
    price: LivePrice | None, stored: StoredRow | None, now: datetime, width: int
) -> list[Line]:
    """Which workers fetched and stored the current quote, and when the newest row was stored.

    Args:
        price: The current quote.
        stored: The newest row read from the database.
        now: UTC.
        width: Cells of a line.
    """
    fetched = written = ""
    if price is not None:
        fetched = (
            f"{format_time(price.row.quote.fetched_at, now)} by {price.row.fetched_by or 'an earlier run'}"
        )
        written = f"by {price.written_by}" if price.written_by else "not yet"
    lines = [_field("fetched", fetched, width), _field("written", written, width)]
    if stored is None:
        return [*lines, _field("stored", "", width)]
    took = milliseconds(1000 * (stored.stored_at - stored.fetched_at).total_seconds())
    same = price is not None and price.row.quote.quote_time == stored.quote_time
    label = "stored" if same else "last stored"
    return [*lines, _field(label, f"{format_time(stored.stored_at, now)}, after {took}", width)]


def _field(label: str, value: str, width: int) -> Line:
    return cut(
        (Span(fit(label, _LABEL) + " ", Role.LABEL), Span(clean(value) or "–")),
        width,
    )
