"""Parses responses of `v8/finance/chart` into bars, trading sessions and corporate actions."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sp500tui.errors import ChartRefusedError, Refusal, SourceError
from sp500tui.logs.redaction import one_line
from sp500tui.model import Bar, CorporateAction, MarketState, Resolution, TradingSession
from sp500tui.sources.yahoo.chart_actions import parse_actions
from sp500tui.sources.yahoo.chart_limits import LIMITS, describe_window
from sp500tui.sources.yahoo.chart_numbers import LATEST, epoch_seconds, printed_price, share_volume, utc
from sp500tui.sources.yahoo.json_values import error_message, get_path
from sp500tui.sources.yahoo.symbols import answer_names

_log = logging.getLogger(__name__)

CHART_PATH = "/v8/finance/chart/"
"""Of the endpoint, followed by the symbol."""
SETTLING = timedelta(minutes=1)
"""How long after its end a bar can still change, because trades arrive late."""
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_SESSION_KINDS = {"pre": MarketState.PRE, "regular": MarketState.REGULAR, "post": MarketState.POST}
_COLUMNS = ("open", "high", "low", "close", "volume")
_GRANULARITIES = {resolution.value: resolution.width for resolution in Resolution} | {
    "2m": timedelta(minutes=2),
    "60m": timedelta(hours=1),
    "90m": timedelta(minutes=90),
}
_Prices = tuple[Decimal, Decimal, Decimal, Decimal, int | None]
"""Open, high, low, close and volume."""


@dataclass(frozen=True, slots=True)
class ChartRequest:
    """The bars of one symbol and resolution that start in a window."""

    symbol: str
    """As listed."""
    resolution: Resolution
    start: datetime
    end: datetime
    """Exclusive."""

    def __str__(self) -> str:
        return f"{self.symbol}: {describe_window(self.resolution, self.start, self.end)}"


@dataclass(frozen=True, slots=True)
class Chart:
    """A parsed response; all times are UTC and in order."""

    request: ChartRequest
    bars: tuple[Bar, ...]
    """The bars that do not change any more."""
    unfinished: tuple[Bar, ...]
    """The running bar, and those that have ended within `SETTLING`; for display, not to be stored."""
    missing: tuple[datetime, ...]
    """Starts of bars that have ended and that the source has no prices of, now or for ever.

    Within a day every point of the grid counts; of days only those that the response lists.
    """
    sessions: tuple[TradingSession, ...]
    """Within a day the sessions of the window and of days around it; otherwise those of the current or next day."""
    actions: tuple[CorporateAction, ...]
    currency: str | None
    """Of all prices; None where the source names none."""
    first_trade: datetime | None
    """When the symbol was first traded; None where the source does not state it."""
    fetched_at: datetime
    seconds: float = 0.0
    """Response time of the source, without waits for the throttle."""


def parse_chart(answer: object, request: ChartRequest, now: datetime) -> Chart:
    """Parse the response to a request; `now` is its arrival time (UTC).

    Bars start on the grid of their resolution in one of the trading sessions that the response names, and in the
    window of the request. Every other element is dropped, such as the time and price of the latest trade that
    Yahoo adds as a last element.

    Raises:
        ChartRefusedError: The response has no chart, or one for another symbol or resolution.
        SourceError: It is not a response of the chart service, or it reports a failure of the service.
    """
    result = get_path(answer, "chart", "result", 0)
    meta = get_path(result, "meta")
    if not isinstance(meta, Mapping):
        raise _no_chart(answer, request)
    _check_symbol(meta, request)
    granularity = _granularity(meta, request)
    currency = _currency(meta.get("currency"))
    zone = exchange_zone(meta)
    sessions = tuple(
        sorted(_sessions(meta, request.resolution, str(zone)), key=lambda session: session.start_time)
    )
    elements = _elements(result, request)
    if request.resolution is Resolution.DAY:
        slots = _days(elements, meta, zone)
    else:
        slots = _grid(sessions, granularity, elements, request)
    first_trade = epoch_seconds(meta.get("firstTradeDate"))
    finished, unfinished, missing = _sort_out(slots, request, currency, now)
    return Chart(
        request=request,
        bars=tuple(finished),
        unfinished=tuple(unfinished),
        missing=tuple(missing),
        sessions=sessions,
        actions=parse_actions(get_path(result, "events"), request.symbol, currency, zone, now),
        currency=currency,
        first_trade=None if first_trade is None else utc(first_trade),
        fetched_at=now,
    )


def chart_refusal(status: int, answer: object) -> tuple[Refusal, str] | None:
    """Why the service has no chart, and its own words; None if the response is no refusal of a chart."""
    if not get_path(answer, "chart", "error"):
        return None
    description = error_message({"chart": get_path(answer, "chart")})
    code = one_line(get_path(answer, "chart", "error", "code") or "")
    text = description.lower()
    if "doesn't exist for startdate" in text or "for this date range" in text:
        return Refusal.NO_DATA, description
    if status == 404 or code == "Not Found" or "no data found" in text:
        return Refusal.UNKNOWN_SYMBOL, description
    if status == 422 or code == "Unprocessable Entity":
        return Refusal.WINDOW, description
    return (Refusal.UNUSABLE, description) if status in (200, 400) else None


def refused(request: ChartRequest, refusal: Refusal, description: str) -> ChartRefusedError:
    """The error for a refusal of the service, with the remedy."""
    limits = LIMITS[request.resolution]
    remedy = {
        Refusal.UNKNOWN_SYMBOL: "check the symbol, which may have been renamed or delisted",
        Refusal.NO_DATA: "the symbol was not traded then, so give a later start",
        Refusal.WINDOW: "give a shorter or more recent window"
        if limits.days_back is None
        else f"give a window within the last {limits.days_back} days and of at most {limits.days_per_request} days, "
        "or use a longer resolution",
        Refusal.UNUSABLE: "try again later",
    }[refusal]
    return ChartRefusedError(
        f"Yahoo Finance has no chart of {request}: {description.rstrip('.')}; {remedy}", refusal, description
    )


def exchange_zone(meta: Mapping[str, object]) -> tzinfo:
    """The exchange's time zone; its current offset where the zone is unknown."""
    name = meta.get("exchangeTimezoneName")
    if isinstance(name, str):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            _log.debug("unknown time zone of an exchange: %s", one_line(name, 40))
    return _offset(meta.get("gmtoffset"))


def _offset(value: object) -> tzinfo:
    seconds = epoch_seconds(value) or 0
    return timezone(timedelta(seconds=seconds if abs(seconds) < 86_400 else 0))


def _no_chart(answer: object, request: ChartRequest) -> SourceError:
    refusal = chart_refusal(200, answer)
    if refusal is not None:
        return refused(request, *refusal)
    why = error_message(answer) or "an answer of an unknown shape"
    return SourceError(f"Yahoo Finance gave no chart of {request.symbol}: {why}")


def _check_symbol(meta: Mapping[str, object], request: ChartRequest) -> None:
    symbol = meta.get("symbol")
    if symbol not in answer_names(request.symbol):
        text = f"the answer is for {one_line(symbol, 24)}"
        raise refused(request, Refusal.UNUSABLE, text)


def _granularity(meta: Mapping[str, object], request: ChartRequest) -> timedelta:
    """The length of the response's bars: the requested one, or a fraction of it within a day."""
    name = meta.get("dataGranularity")
    width = _GRANULARITIES.get(name) if isinstance(name, str) else None
    wanted = request.resolution.width
    same = width == wanted
    finer = width is not None and request.resolution is not Resolution.DAY and wanted % width == timedelta(0)
    if width is None or not (same or finer):
        raise refused(request, Refusal.UNUSABLE, f"the answer has {one_line(name, 24)} bars")
    return width


def _currency(value: object) -> str | None:
    return value if isinstance(value, str) and _CURRENCY.fullmatch(value) else None


def _sessions(meta: Mapping[str, object], resolution: Resolution, market: str) -> Iterator[TradingSession]:
    """The sessions of `tradingPeriods`: lists for each day, or an object of such lists for each kind of session."""
    periods = meta.get("tradingPeriods")
    if not periods:
        current = meta.get("currentTradingPeriod")
        periods = current if resolution is Resolution.DAY else get_path(current, "regular")
    by_kind = periods if isinstance(periods, Mapping) and "start" not in periods else {"regular": periods}
    for name, kind in _SESSION_KINDS.items():
        for period in _flatten(by_kind.get(name)):
            start, end = epoch_seconds(period.get("start")), epoch_seconds(period.get("end"))
            if start is not None and end is not None and start < end:
                day = utc(start).astimezone(_offset(period.get("gmtoffset"))).date()
                yield TradingSession(market, day, kind, utc(start), utc(end))


def _flatten(periods: object) -> Iterator[Mapping[str, object]]:
    if isinstance(periods, Mapping):
        yield periods
    elif isinstance(periods, list):
        for period in periods:
            yield from _flatten(period)


def _elements(result: object, request: ChartRequest) -> dict[int, _Prices | None]:
    """The elements of the response by their time; None for one without all prices. The first of two counts."""
    times = get_path(result, "timestamp")
    if times is None:
        return {}
    quote = get_path(result, "indicators", "quote", 0)
    columns = [get_path(quote, name) for name in _COLUMNS]
    if columns[-1] is None and isinstance(times, list):
        columns[-1] = [None] * len(times)
    lists: list[list[object]] = [column for column in (times, *columns) if isinstance(column, list)]
    if len(lists) != 1 + len(columns) or len({len(each) for each in lists}) != 1:
        raise refused(request, Refusal.UNUSABLE, "the columns of the answer differ in length")
    prices = _printed_prices(lists[1:5])
    found: dict[int, _Prices | None] = {}
    for time, first, high, low, last, volume in zip(lists[0], *prices, lists[5], strict=True):
        start = time if type(time) is int and 0 <= time <= LATEST else epoch_seconds(time)
        if start is None or start in found:
            continue
        if first is None or high is None or low is None or last is None or high < low:
            found[start] = None
        else:
            found[start] = (first, high, low, last, share_volume(volume))
    return found


def _printed_prices(columns: Sequence[list[object]]) -> list[list[Decimal | None]]:
    """The columns with printed prices; None where there is none. Prices recur, so each is converted once."""
    numbers = {value for column in columns for value in column if type(value) is float or type(value) is int}
    printed = {number: printed_price(number) for number in numbers}
    return [
        [printed[value] if type(value) is float or type(value) is int else None for value in column]
        for column in columns
    ]


@dataclass(frozen=True, slots=True)
class _Slot:
    """A period that a bar of the requested resolution covers."""

    start: int
    end: int
    prices: _Prices | None
    complete: bool = True
    """Whether every finer bar that it is merged from is there."""


def _grid(
    sessions: Sequence[TradingSession],
    granularity: timedelta,
    elements: Mapping[int, _Prices | None],
    request: ChartRequest,
) -> list[_Slot]:
    """The periods of all sessions, with the prices of the response."""
    if elements and not sessions:
        raise refused(request, Refusal.UNUSABLE, "the answer names no trading periods")
    width, step = int(request.resolution.width.total_seconds()), int(granularity.total_seconds())
    slots = []
    for session in sessions:
        opening, closing = int(session.start_time.timestamp()), int(session.end_time.timestamp())
        for start in range(opening, closing, width):
            end = min(start + width, closing)
            if step == width:
                slots.append(_Slot(start, end, elements.get(start)))
            else:
                slots.append(_merged(start, end, [elements.get(part) for part in range(start, end, step)]))
    return slots


def _merged(start: int, end: int, parts: Sequence[_Prices | None]) -> _Slot:
    there = [part for part in parts if part is not None]
    if not there:
        return _Slot(start, end, None)
    volumes = [part[4] for part in there if part[4] is not None]
    prices = (
        there[0][0],
        max(part[1] for part in there),
        min(part[2] for part in there),
        there[-1][3],
        sum(volumes) if len(volumes) == len(there) else None,
    )
    return _Slot(start, end, prices, complete=len(there) == len(parts))


def _days(elements: Mapping[int, _Prices | None], meta: Mapping[str, object], zone: tzinfo) -> list[_Slot]:
    """One period a day, from its opening.

    The current day's element may have the time of its latest trade instead, and may come in addition to one with
    the opening.
    """
    regular = get_path(meta, "currentTradingPeriod", "regular")
    opening, closing = (epoch_seconds(get_path(regular, edge)) for edge in ("start", "end"))
    latest_trade = epoch_seconds(meta.get("regularMarketTime"))
    current = None if opening is None else utc(opening).astimezone(zone)
    latest_day = None if latest_trade is None else utc(latest_trade).astimezone(zone).date()
    slots: dict[object, _Slot] = {}
    for start in sorted(elements):
        local = utc(start).astimezone(zone)
        day = local.date()
        if current is not None and day == latest_day:
            opened = datetime.combine(day, current.timetz().replace(tzinfo=None), zone)
            begins = int(opened.timestamp())
        else:
            begins = start
        ends = begins + 86_400
        if current is not None and closing is not None and day <= current.date():
            ends = closing if day == current.date() else begins
        if day not in slots or slots[day].prices is None:
            slots[day] = _Slot(begins, ends, elements[start])
    return list(slots.values())


def _sort_out(
    slots: Sequence[_Slot], request: ChartRequest, currency: str | None, now: datetime
) -> tuple[list[Bar], list[Bar], list[datetime]]:
    """The finished bars of the window, the unfinished ones, and the starts of missing ones."""
    first, last = request.start.timestamp(), request.end.timestamp()
    arrived, settled = now.timestamp(), (now - SETTLING).timestamp()
    finished: list[Bar] = []
    unfinished: list[Bar] = []
    missing: list[datetime] = []
    for slot in slots:
        if not first <= slot.start < last or slot.start > arrived:
            continue
        ended = slot.end <= settled
        if slot.prices is not None and (slot.complete or not ended):
            bar = Bar(request.symbol, request.resolution, utc(slot.start), *slot.prices, currency, now)
            (finished if ended else unfinished).append(bar)
        elif ended:
            missing.append(utc(slot.start))
    return finished, unfinished, missing
