"""Bars in the format of `v8/finance/chart`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, islice

from sp500tui.simulator.market.bars import MINUTE, Bar, merge
from sp500tui.simulator.market.clock import DAY
from sp500tui.simulator.market.currencies import CurrencyPair
from sp500tui.simulator.market.history import (
    OLDEST_DAY,
    Subject,
    business_days_before,
    daily_bars,
    local_date,
    midnight,
    minute_bars,
)
from sp500tui.simulator.market.model import Market
from sp500tui.simulator.yahoo.quotes import exchange_names, exchange_offset

_VALID_RANGES = ("1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max")
_INTRADAY = {"1m": 1, "2m": 2, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "90m": 90, "1h": 60}
"""Minutes of a bar."""
_LONGER: dict[str, Callable[[date], date]] = {
    "5d": lambda day: date.fromordinal(day.toordinal() - day.toordinal() % 7),
    "1wk": lambda day: day - timedelta(days=day.weekday()),
    "1mo": lambda day: day.replace(day=1),
    "3mo": lambda day: day.replace(month=day.month - (day.month - 1) % 3, day=1),
}
"""Bars longer than a day, and the date from which each of them counts."""
_UNIT_DAYS = {"wk": 7, "mo": 31, "y": 366}


class ChartError(Exception):
    """An unavailable chart, with the HTTP status and Yahoo Finance's code for it."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class _Span:
    """The requested range of a chart."""

    start: float
    """Seconds since 1970."""
    end: float
    """Seconds since 1970, exclusive."""
    interval: str
    extended: bool
    """With the sessions before and after the regular one."""


def chart(market: Market, symbol: str, query: Mapping[str, str]) -> dict[str, object]:
    """The `result` of a chart request.

    Raises:
        ChartError: The symbol is not listed, or the range or interval does not exist.
    """
    subject: Subject | None = market.instrument(symbol) or market.pair(symbol)
    if subject is None:
        raise ChartError(404, "Not Found", "No data found, symbol may be delisted")
    now = market.clock.epoch + market.clock.elapsed()
    try:
        span = _span(subject, query, now)
        bars = _bars(market, subject, span)
    except (ValueError, OverflowError) as error:
        raise ChartError(422, "Unprocessable Entity", f"Invalid input - {error}") from error
    meta = _meta(market, subject, query.get("range", ""), span)
    if not bars:
        return {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
    return {"meta": meta, "timestamp": [bar.start for bar in bars], "indicators": _indicators(bars, span)}


def _span(subject: Subject, query: Mapping[str, str], now: float) -> _Span:
    interval = query.get("interval", "1d")
    if interval not in _INTRADAY and interval not in _LONGER and interval != "1d":
        raise ValueError(f"interval={interval} is not supported")
    extended = query.get("includePrePost", "").lower() == "true"
    if "period1" in query:
        return _Span(float(query["period1"]), float(query.get("period2", now + 1)), interval, extended)
    return _Span(_range_start(subject, query.get("range", "1d")), now + 1, interval, extended)


def _range_start(subject: Subject, wanted: str) -> float:
    today = local_date(subject.today.start)
    match = re.fullmatch(r"(\d{1,4})(d|wk|mo|y)", wanted)
    if wanted == "ytd":
        return midnight(today.replace(month=1, day=1))
    if wanted == "max":
        return midnight(today - timedelta(days=OLDEST_DAY))
    if match is None:
        raise ValueError(f"range={wanted} is not supported")
    if match[2] == "d":
        return midnight(min(islice(business_days_before(today), max(0, int(match[1]) - 1)), default=today))
    return midnight(today - timedelta(days=min(int(match[1]) * _UNIT_DAYS[match[2]], OLDEST_DAY)))


def _bars(market: Market, subject: Subject, span: _Span) -> list[Bar]:
    since = local_date(span.start - DAY)
    if span.interval in _INTRADAY:
        width = _INTRADAY[span.interval] * MINUTE
        bars = minute_bars(subject, market.clock, since, width, span.extended)
        return [bar for bar in bars if span.start <= bar.start < span.end]
    days = [bar for bar in daily_bars(subject, since) if span.start <= bar.start < span.end]
    if span.interval == "1d":
        return days
    first_day = _LONGER[span.interval]
    groups = groupby(days, lambda bar: first_day(local_date(bar.start)))
    return [merge(list(group), midnight(day)) for day, group in groups]


def _indicators(bars: list[Bar], span: _Span) -> dict[str, object]:
    quote = {
        "high": [bar.high for bar in bars],
        "volume": [bar.volume for bar in bars],
        "low": [bar.low for bar in bars],
        "open": [bar.open for bar in bars],
        "close": [bar.close for bar in bars],
    }
    if span.interval in _INTRADAY:
        return {"quote": [quote]}
    return {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]}


def _meta(market: Market, subject: Subject, wanted: str, span: _Span) -> dict[str, object]:
    today = subject.today
    offset, zone = exchange_offset(today.time)
    periods = market.clock.periods(market.clock.elapsed())
    named = {
        name: {"timezone": zone, "start": start, "end": end, "gmtoffset": offset}
        for name, (start, end) in periods.named()
    }
    meta: dict[str, object] = {
        **_identity(subject),
        "regularMarketTime": today.time,
        "gmtoffset": offset,
        "timezone": zone,
        "exchangeTimezoneName": "America/New_York",
        "regularMarketPrice": today.price,
        "regularMarketDayHigh": today.high,
        "regularMarketDayLow": today.low,
        "regularMarketVolume": today.volume,
        "chartPreviousClose": today.previous_close,
        "currentTradingPeriod": named,
        "dataGranularity": span.interval,
        "range": wanted,
        "validRanges": list(_VALID_RANGES),
    }
    if span.interval in _INTRADAY:
        meta["previousClose"] = today.previous_close
        meta["scale"] = 3
        regular = named["regular"]
        meta["tradingPeriods"] = (
            {name: [[period]] for name, period in named.items()} if span.extended else [[regular]]
        )
    return meta


def _identity(subject: Subject) -> dict[str, object]:
    if isinstance(subject, CurrencyPair):
        name = f"{subject.base}/{subject.target}"
        return {
            "currency": subject.target, "symbol": subject.symbol, "exchangeName": "CCY",
            "fullExchangeName": "CCY", "instrumentType": "CURRENCY", "firstTradeDate": 1_070_236_800,
            "hasPrePostMarketData": False, "longName": name, "shortName": name, "priceHint": 4,
        }  # fmt: skip
    code, exchange = exchange_names(subject.listing)
    return {
        "currency": "USD", "symbol": subject.symbol, "exchangeName": code, "fullExchangeName": exchange,
        "instrumentType": "EQUITY", "firstTradeDate": 631_290_600, "hasPrePostMarketData": True,
        "longName": subject.listing.name, "shortName": subject.listing.name, "priceHint": 2,
    }  # fmt: skip
