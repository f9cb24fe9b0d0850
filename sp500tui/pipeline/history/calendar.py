"""The trading days of a window, as the source states them, so that no calendar of holidays and half days is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sp500tui.errors import ChartRefusedError, Refusal, SourceError
from sp500tui.model import MarketState, Resolution, TradingSession
from sp500tui.pipeline.history.coverage import TradingDay, trading_days
from sp500tui.sources.yahoo.chart_limits import oldest_start
from sp500tui.sources.yahoo.charts import Chart, ChartRequest
from sp500tui.sources.yahoo.symbols import yahoo_symbol
from sp500tui.storage.history.sessions import store_sessions, stored_sessions
from sp500tui.storage.transaction import Connection

FetchChart = Callable[[ChartRequest], Chart]
_DEFAULT_MARKET = "America/New_York"
_REFERENCE = "AAPL"
_MAX_REFERENCES = 5
"""Symbols of a market that are tried until one is known to the source."""
_SESSION_LENGTH = timedelta(hours=6, minutes=30)
"""Length of a session whose close the source does not state because it is too old."""


@dataclass(frozen=True, slots=True)
class MarketDays:
    """Symbols that are traded in the same sessions, and the trading days of a window."""

    symbols: tuple[str, ...]
    market: str
    days: tuple[TradingDay, ...]
    warning: str = ""
    """Why the days may be incomplete; empty if they are not."""


def market_days(
    connection: Connection,
    fetch: FetchChart,
    symbols: Sequence[str],
    window: tuple[datetime, datetime],
    now: datetime,
) -> list[MarketDays]:
    """Request the trading days of a window from the source, store their sessions, and return the days by market.

    If the source fails, the stored days are returned. One to three requests are made for each market.

    Raises:
        DatabaseError: the database cannot be read or written.
    """
    start, end = window
    groups: dict[str, list[str]] = {}
    for symbol in symbols:
        groups.setdefault(_market_group(symbol), []).append(symbol)
    found: list[MarketDays] = []
    for name, members in groups.items():
        sessions: list[TradingSession] = []
        warning = ""
        try:
            sessions = _sessions(fetch, members, start, min(end, now + timedelta(days=1)), now)
        except SourceError as error:
            warning = f"the trading days may be incomplete: {error}"
        market = sessions[0].market if sessions else _DEFAULT_MARKET if not name else ""
        if market:
            # The close of an old day is only assumed: one that the source stated earlier takes precedence.
            earlier = stored_sessions(connection, market, start, min(end, oldest_start(Resolution.HOUR, now)))
            known = {each.session_date for each in earlier}
            sessions = [each for each in sessions if each.session_date not in known]
            store_sessions(connection, sessions, now)
            sessions += stored_sessions(connection, market, start, end)
        found.append(MarketDays(tuple(members), market, trading_days(sessions, start, end), warning))
    return found


def _market_group(symbol: str) -> str:
    """The key of symbols with the same sessions: the suffix of the exchange, or the symbol itself."""
    plain = yahoo_symbol(symbol)
    if symbol.startswith("^") or "=" in symbol or ("-" in plain and plain == symbol):
        return symbol
    return plain.rpartition(".")[2] if "." in plain else ""


def _sessions(
    fetch: FetchChart, members: Sequence[str], start: datetime, end: datetime, now: datetime
) -> list[TradingSession]:
    """The sessions of a window by the charts of the first symbol that the source knows.

    Raises:
        SourceError: there is no answer, or the source knows none of the symbols.
    """
    references = ([_REFERENCE] if _REFERENCE in members else []) + [
        each for each in members if each != _REFERENCE
    ]
    pieces = list(_pieces(start, end, now))
    refusal: ChartRefusedError | None = None
    for symbol in references[:_MAX_REFERENCES]:
        try:
            return [
                session
                for resolution, first, last in pieces
                for session in _listed_sessions(fetch, ChartRequest(symbol, resolution, first, last))
            ]
        except ChartRefusedError as error:
            if error.refusal is Refusal.WINDOW:
                raise
            refusal = error
    if refusal is not None:
        raise refusal
    return []


def _pieces(start: datetime, end: datetime, now: datetime) -> Iterator[tuple[Resolution, datetime, datetime]]:
    """The window split by how far back charts reach: intraday charts include their sessions, daily ones do not."""
    quarters, hours = (oldest_start(each, now) for each in (Resolution.QUARTER_HOUR, Resolution.HOUR))
    for resolution, first, last in (
        (Resolution.DAY, start, min(end, hours)),
        (Resolution.HOUR, max(start, hours), min(end, quarters)),
        (Resolution.QUARTER_HOUR, max(start, quarters), min(end, now)),
    ):
        if first < last:
            yield resolution, first, last


def _listed_sessions(fetch: FetchChart, request: ChartRequest) -> list[TradingSession]:
    chart = fetch(request)
    if request.resolution is not Resolution.DAY:
        return [each for each in chart.sessions if each.kind is MarketState.REGULAR]
    market = chart.sessions[0].market if chart.sessions else _DEFAULT_MARKET
    zone = _zone(market)
    return [
        TradingSession(
            market=market,
            session_date=bar.start_time.astimezone(zone).date(),
            kind=MarketState.REGULAR,
            start_time=bar.start_time,
            end_time=bar.start_time + _SESSION_LENGTH,
        )
        for bar in chart.bars
    ]


def _zone(market: str) -> tzinfo:
    """The time zone of a market, which is named after it; UTC if it is only known by its offset."""
    try:
        return ZoneInfo(market)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
