"""Bars, splits and dividends in the format of `v8/finance/chart`."""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby, islice
from math import ceil, isfinite

from sp500tui.model import MarketState
from sp500tui.simulator.faults import Faults
from sp500tui.simulator.market.actions import dividends, splits
from sp500tui.simulator.market.bars import MINUTE, Bar, merge
from sp500tui.simulator.market.calendar import local_date, real_time, trading_days_before
from sp500tui.simulator.market.clock import CLOSING, DAY, OPENING, DemoClock
from sp500tui.simulator.market.currencies import CurrencyPair
from sp500tui.simulator.market.history import (
    OLDEST_DAY,
    Periods,
    Subject,
    daily_bars,
    minute_bars,
    trading_periods,
)
from sp500tui.simulator.market.model import Instrument, Market
from sp500tui.simulator.stats import ServedBar, ServedChart
from sp500tui.simulator.yahoo.chart_faults import Element, FaultyElements, apply_faults
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
_LIMITS = (
    {"1m": (30, 8)}
    | dict.fromkeys(("2m", "5m", "15m", "30m", "90m"), (60, 60))
    | dict.fromkeys(("60m", "1h"), (730, 730))
)
"""Limits of intraday bars: days back, and days per request."""
FIRST_TRADE = 631_290_600
"""When all shares were first traded, seconds since 1970."""
_SINGLE = struct.Struct("<f")
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

    @property
    def intraday(self) -> bool:
        return self.interval in _INTRADAY


@dataclass(frozen=True, slots=True)
class ChartAnswer:
    """The answer to a chart request."""

    result: dict[str, object]
    """The only element of `chart.result`."""
    served: ServedChart | None
    """The bars in it that have ended; None for a currency pair."""
    faults: frozenset[str]
    """The names of the faults that it has."""


def chart(market: Market, symbol: str, query: Mapping[str, str], faults: Faults) -> ChartAnswer:
    """Answer a chart request.

    Raises:
        ChartError: the symbol is not listed, or the range or interval does not exist or is not available.
    """
    subject: Subject | None = market.instrument(symbol) or market.pair(symbol)
    if subject is None:
        raise ChartError(404, "Not Found", "No data found, symbol may be delisted")
    now = market.clock.epoch + market.clock.elapsed()
    try:
        span = _span(subject, query, now)
        _check_limits(span, query.get("range"), now)
        days = trading_periods(subject, market.clock, span.start, span.end) if span.intraday else []
        bars = _bars(subject, span, days)
    except (ValueError, OverflowError) as error:
        raise ChartError(422, "Unprocessable Entity", f"Invalid input - {error}") from error
    elements = _elements(bars, days, span, subject, market.clock)
    key = (subject.name, span.interval)
    faulty = apply_faults(elements, faults, market.seed, key, lambda end: end <= now)
    meta = _meta(market, subject, query.get("range", ""), span, days)
    if not faulty.elements:
        result: dict[str, object] = {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
        return ChartAnswer(result, _served(subject, span, faulty, now), faulty.faults)
    shown: list[Bar | int] = [
        element.bar.start if element.is_null else element.bar for element in faulty.elements
    ]
    if span.intraday:
        _append_latest_trade(shown, subject)
    else:
        _print_time_of_latest_trade(shown, subject, market.clock)
    times = [bar if isinstance(bar, int) else bar.start for bar in shown]
    result = {"meta": meta, "timestamp": times}
    events = (
        {}
        if isinstance(subject, CurrencyPair)
        else _events(subject, query.get("events", ""), span.start, span.end)
    )
    if events:
        result["events"] = events
    result["indicators"] = _indicators(shown, span)
    return ChartAnswer(result, _served(subject, span, faulty, now), faulty.faults)


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
        return real_time(today.replace(month=1, day=1))
    if wanted == "max":
        return real_time(today - timedelta(days=OLDEST_DAY))
    if match is None:
        raise ValueError(f"range={wanted} is not supported")
    if match[2] == "d":
        return real_time(min(islice(trading_days_before(today), max(0, int(match[1]) - 1)), default=today))
    return real_time(today - timedelta(days=min(int(match[1]) * _UNIT_DAYS[match[2]], OLDEST_DAY)))


def _check_limits(span: _Span, wanted: str | None, now: float) -> None:
    """Reject what Yahoo Finance rejects, with its messages."""
    if not (isfinite(span.start) and isfinite(span.end)):
        raise ValueError("period1 and period2 must be numbers")
    if span.end <= FIRST_TRADE:
        description = f"Data doesn't exist for startDate = {span.start:.0f}, endDate = {span.end:.0f}"
        raise ChartError(400, "Bad Request", description)
    limits = _LIMITS.get(span.interval)
    if limits is None:
        return
    back, longest = limits
    # Days of a range are trading days.
    slack = 5 if wanted and wanted.endswith("d") else 0
    reason = ""
    if span.end - span.start > (longest + slack) * DAY:
        reason = f"Only {longest} days worth of {span.interval} granularity data are allowed to be fetched per request."
    elif span.start < now - (back + 1.5 * slack) * DAY:
        reason = f"The requested range must be within the last {back} days."
    if reason:
        window = f"startTime={span.start:.0f} and endTime={span.end:.0f}"
        description = f"{span.interval} data not available for {window}. {reason}"
        raise ChartError(422, "Unprocessable Entity", description)


def _bars(subject: Subject, span: _Span, days: list[Periods]) -> list[Bar]:
    if span.intraday:
        bars = minute_bars(subject, days, _INTRADAY[span.interval] * MINUTE, span.extended)
        return [bar for bar in bars if span.start <= bar.start < span.end]
    since = local_date(span.start - DAY)
    found = [bar for bar in daily_bars(subject, since) if span.start <= bar.start < span.end]
    if span.interval == "1d":
        return found
    first_day = _LONGER[span.interval]
    groups = groupby(found, lambda bar: first_day(local_date(bar.start)))
    return [merge(list(group), real_time(day)) for day, group in groups]


def _elements(
    bars: list[Bar], days: list[Periods], span: _Span, subject: Subject, clock: DemoClock
) -> list[Element]:
    """The bars with their ends and the sessions to which they belong."""
    if not span.intraday:
        ends = [_day_end(bar, subject, clock) for bar in bars]
        return [Element(bar, end, bar.start) for bar, end in zip(bars, ends, strict=True)]
    sessions = sorted((start, end, day["regular"][0]) for day in days for start, end in day.values())
    starts = [start for start, _, _ in sessions]
    found = []
    for bar in bars:
        _, end, regular = sessions[bisect_right(starts, bar.start) - 1]
        found.append(Element(bar, min(bar.start + _INTRADAY[span.interval] * MINUTE, end), regular))
    return found


def _day_end(bar: Bar, subject: Subject, clock: DemoClock) -> int:
    """End of the bar of a date; bars of earlier sessions have ended."""
    running = bar.start == subject.today.start
    return bar.start + ceil((CLOSING - OPENING) / clock.speed) if running else bar.start


def _served(subject: Subject, span: _Span, faulty: FaultyElements, now: float) -> ServedChart | None:
    if isinstance(subject, CurrencyPair):
        return None
    bars = tuple(
        _served_bar(element.bar, element.end)
        for element in faulty.elements
        if element.end <= now and not element.is_null
    )
    withheld = tuple(element.bar.start for element in faulty.withheld)
    return ServedChart(subject.listing.symbol, span.interval, int(now), bars, withheld)


def _served_bar(bar: Bar, end: int) -> ServedBar:
    first, high, low, last = map(printed_in_single_precision, (bar.open, bar.high, bar.low, bar.close))
    return ServedBar(bar.start, end, first, high, low, last, bar.volume)


def _append_latest_trade(bars: list[Bar | int], subject: Subject) -> None:
    """Intraday bars are followed by the latest trade with its own time, which is not a bar."""
    price, time = subject.today.price, subject.today.time
    last = bars[-1]
    if time > (last if isinstance(last, int) else last.start):
        bars.append(Bar(time, price, price, price, price, 0))


def _print_time_of_latest_trade(bars: list[Bar | int], subject: Subject, clock: DemoClock) -> None:
    """While the exchange is open, the bar of the current day has the time of the latest trade."""
    last = bars[-1]
    running = clock.state(clock.elapsed()) is MarketState.REGULAR
    if running and isinstance(last, Bar) and last.start == subject.today.start:
        bars[-1] = replace(last, start=subject.today.time)


def _indicators(bars: list[Bar | int], span: _Span) -> dict[str, object]:
    """The columns of a chart; an element without a bar is null."""
    quote: dict[str, list[float | int | None]] = {
        "high": [],
        "volume": [],
        "low": [],
        "open": [],
        "close": [],
    }
    for bar in bars:
        for name, column in quote.items():
            value = None if isinstance(bar, int) else getattr(bar, name)
            column.append(value if value is None or name == "volume" else in_single_precision(value))
    if span.intraday:
        return {"quote": [quote]}
    return {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]}


def _events(instrument: Instrument, wanted: str, start: float, end: float) -> dict[str, object]:
    """The requested kinds of events from `start` up to, not including, `end`, in seconds since 1970."""
    kinds = set(re.split(r"[,|]", wanted))
    found: dict[str, object] = {}
    if kinds & {"div", "dividends"}:
        paid = {
            str(each.time): {"amount": float(f"{each.amount:.6g}"), "date": each.time}
            for each in dividends(instrument, local_date(start))
            if start <= each.time < end
        }
        found |= {"dividends": paid} if paid else {}
    if kinds & {"split", "splits"}:
        done = {
            str(each.time): {
                "date": each.time,
                "numerator": float(each.numerator),
                "denominator": float(each.denominator),
                "splitRatio": f"{each.numerator}:{each.denominator}",
            }
            for each in splits(instrument)
            if start <= each.time < end
        }
        found |= {"splits": done} if done else {}
    return found


def in_single_precision(price: float) -> float:
    """A price as Yahoo Finance keeps it: in single precision, printed as a number of double precision."""
    return float(_SINGLE.unpack(_SINGLE.pack(price))[0])


def printed_in_single_precision(price: float) -> str:
    """The shortest decimal of a price that is the same in single precision."""
    single = in_single_precision(price)
    texts = (f"{single:.{digits}g}" for digits in range(5, 10))
    text = next(text for text in texts if in_single_precision(float(text)) == single)
    return format(Decimal(text), "f")


def _meta(
    market: Market, subject: Subject, wanted: str, span: _Span, days: list[Periods]
) -> dict[str, object]:
    today = subject.today
    offset, zone = exchange_offset(today.time)
    periods = market.clock.periods(market.clock.elapsed())
    named = {name: _period(start, end) for name, (start, end) in periods.named()}
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
    if span.intraday:
        meta["previousClose"] = today.previous_close
        meta["scale"] = 3
        meta["tradingPeriods"] = _trading_periods(days, span.extended)
    return meta


def _trading_periods(days: list[Periods], extended: bool) -> object:
    """Lists of one period per day; with extended hours, an object of such lists."""
    found = {
        name: [[_period(*day[name])] for day in days if name in day and day[name][0] < day[name][1]]
        for name in ("pre", "regular", "post")
    }
    return found if extended else found["regular"]


def _period(start: int, end: int) -> dict[str, object]:
    offset, zone = exchange_offset(start)
    return {"timezone": zone, "start": start, "end": end, "gmtoffset": offset}


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
        "instrumentType": "EQUITY", "firstTradeDate": FIRST_TRADE, "hasPrePostMarketData": True,
        "longName": subject.listing.name, "shortName": subject.listing.name, "priceHint": 2,
    }  # fmt: skip
