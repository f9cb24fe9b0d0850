"""Parses responses of `v8/finance/chart` into bars, trading sessions and corporate actions."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sp500tui.errors import ChartRefusedError, Refusal, SourceError
from sp500tui.logs.redaction import one_line
from sp500tui.model import ActionKind, Bar, BarBlock, CorporateAction, MarketState, Resolution, TradingSession
from sp500tui.sources.yahoo.chart_columns import (
    Columns,
    Selection,
    Window,
    merged,
    read_columns,
    select_days,
    select_on_grid,
)
from sp500tui.sources.yahoo.chart_limits import LIMITS, describe_window
from sp500tui.sources.yahoo.chart_numbers import epoch_seconds, printed_price, utc
from sp500tui.sources.yahoo.json_values import error_message, get_path
from sp500tui.sources.yahoo.symbols import answer_names

_log = logging.getLogger(__name__)

CHART_PATH = "/v8/finance/chart/"
"""Path of the endpoint, followed by the symbol."""
SETTLING = timedelta(minutes=1)
"""How long after its end a bar can still change, because trades arrive late."""
_LONGEST_SESSION = 7 * 86_400
"""Seconds; currencies and cryptocurrencies are traded for whole days."""
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_SESSION_KINDS = {"pre": MarketState.PRE, "regular": MarketState.REGULAR, "post": MarketState.POST}
_ACTION_KINDS = {
    "splits": ActionKind.SPLIT,
    "dividends": ActionKind.DIVIDEND,
    "capitalGains": ActionKind.CAPITAL_GAIN,
}
_GRANULARITIES = {resolution.value: resolution.width for resolution in Resolution} | {
    "2m": timedelta(minutes=2),
    "60m": timedelta(hours=1),
    "90m": timedelta(minutes=90),
}


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
    bars: Sequence[Bar]
    """The final bars."""
    unfinished: Sequence[Bar]
    """The running bar, and those that have ended within `SETTLING`; for display, not to be stored."""
    missing: tuple[datetime, ...]
    """Starts of ended bars for which the source has no prices, now or permanently.

    For intraday bars every point of the grid counts; for daily bars only those that the response lists.
    """
    sessions: tuple[TradingSession, ...]
    """For intraday bars the sessions of the window and of days around it; else those of the current or next day."""
    actions: tuple[CorporateAction, ...]
    currency: str | None
    """Currency of all prices; None if the source names none."""
    first_trade: datetime | None
    """When the symbol was first traded; None if the source does not state it."""
    fetched_at: datetime
    seconds: float = 0.0
    """Response time of the source, without waits for the throttle."""


def parse_chart(answer: object, request: ChartRequest, now: datetime) -> Chart:
    """Parse the response to a request; `now` is its arrival time (UTC).

    Bars start on the grid of their resolution in one of the trading sessions that the response names, and in the
    window of the request. Every other element is dropped, such as the time and price of the latest trade that
    Yahoo adds as a last element.

    Raises:
        ChartRefusedError: the response has no chart, or one for another symbol or resolution.
        SourceError: it is not a response of the chart service, or it reports a failure of the service.
    """
    result = get_path(answer, "chart", "result", 0)
    meta = get_path(result, "meta")
    if not isinstance(meta, Mapping):
        raise _no_chart(answer, request)
    _check_symbol(meta, request)
    granularity = _granularity(meta, request)
    currency = _currency(meta.get("currency"))
    zone = exchange_zone(meta)
    listed = {(each.kind, each.start_time): each for each in _sessions(meta, request.resolution, str(zone))}
    sessions = tuple(sorted(listed.values(), key=lambda session: session.start_time))
    columns = read_columns(result)
    if columns is None:
        raise refused(request, Refusal.UNUSABLE, "the columns of the answer differ in length")
    window = Window(
        request.start.timestamp(), request.end.timestamp(), now.timestamp(), (now - SETTLING).timestamp()
    )
    if request.resolution is Resolution.DAY:
        columns, selected = select_days(columns, meta, zone, window)
    elif sessions or not (columns.rows or columns.empty):
        columns, selected = _select(columns, sessions, granularity, request, window)
    else:
        raise refused(request, Refusal.UNUSABLE, "the answer names no trading periods")
    first_trade = epoch_seconds(meta.get("firstTradeDate"))

    def block(starts: list[int]) -> BarBlock:
        return BarBlock(
            request.symbol, request.resolution, currency, now, tuple(starts), *columns.picked(starts)
        )

    return Chart(
        request=request,
        bars=block(selected.finished),
        unfinished=block(selected.unfinished),
        missing=tuple(map(utc, selected.missing)),
        sessions=sessions,
        actions=_actions(get_path(result, "events"), request.symbol, currency, zone, now),
        currency=currency,
        first_trade=None if first_trade is None else utc(first_trade),
        fetched_at=now,
    )


def chart_refusal(status: int, answer: object) -> tuple[Refusal, str] | None:
    """Why the service has no chart, and its message; None if the response does not refuse a chart."""
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
    """The error for a refused chart, with the remedy."""
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
    """The exchange's time zone; its current offset if the zone is unknown."""
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
            if start is not None and end is not None and start < end <= start + _LONGEST_SESSION:
                day = utc(start).astimezone(_offset(period.get("gmtoffset"))).date()
                yield TradingSession(market, day, kind, utc(start), utc(end))


def _flatten(periods: object) -> Iterator[Mapping[str, object]]:
    if isinstance(periods, Mapping):
        yield periods
    elif isinstance(periods, list):
        for period in periods:
            yield from _flatten(period)


def _select(
    columns: Columns,
    sessions: Sequence[TradingSession],
    granularity: timedelta,
    request: ChartRequest,
    window: Window,
) -> tuple[Columns, Selection]:
    """The intraday bars, merged if the response has finer ones."""
    width, step = int(request.resolution.width.total_seconds()), int(granularity.total_seconds())
    partial: set[int] = set()
    if step != width:
        columns, partial = merged(columns, sessions, width, step)
    return columns, select_on_grid(columns, sessions, width, window, partial)


def _actions(
    events: object, symbol: str, currency: str | None, zone: tzinfo, now: datetime
) -> tuple[CorporateAction, ...]:
    """The usable actions of `events`, in order of time; payments that do not state a currency have `currency`."""
    found = []
    for name, kind in _ACTION_KINDS.items():
        for key, event in _events(get_path(events, name)):
            seconds = epoch_seconds(event.get("date"))
            terms = _split_terms(event) if kind is ActionKind.SPLIT else _payment_terms(event, currency)
            if seconds is None or terms is None:
                _log.warning(
                    "Yahoo Finance returned an unreadable %s of %s: %s", kind, symbol, one_line(key, 24)
                )
                continue
            day = utc(seconds).astimezone(zone).date()
            begins = datetime.combine(day, time(), zone).astimezone(UTC)
            found.append(CorporateAction(symbol, kind, day, begins, *terms, now))
    return tuple(sorted(found, key=lambda action: (action.effective_time, action.kind)))


def _events(events: object) -> Iterator[tuple[object, Mapping[str, object]]]:
    """The events of an object whose keys are their times."""
    if isinstance(events, Mapping):
        yield from ((key, event) for key, event in events.items() if isinstance(event, Mapping))


_Terms = tuple[Decimal | None, Decimal | None, Decimal | None, str | None]
"""Numerator, denominator, amount and currency."""


def _split_terms(event: Mapping[str, object]) -> _Terms | None:
    numerator, denominator = printed_price(event.get("numerator")), printed_price(event.get("denominator"))
    if numerator is None or denominator is None:
        return None
    return numerator, denominator, None, None


def _payment_terms(event: Mapping[str, object], currency: str | None) -> _Terms | None:
    amount = printed_price(event.get("amount"))
    if amount is None:
        return None
    own = event.get("currency")
    return None, None, amount, own if isinstance(own, str) and own else currency
