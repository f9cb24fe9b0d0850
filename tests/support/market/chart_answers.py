"""Responses of the chart endpoint for tests, and their parsing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sp500tui.model import Resolution
from sp500tui.sources.yahoo.charts import Chart, ChartRequest, parse_chart
from tests.data.make_recordings import CLOSING, OPENING, periods

OPENED, CLOSED = datetime.fromtimestamp(OPENING, UTC), datetime.fromtimestamp(CLOSING, UTC)
MINUTE = timedelta(minutes=1)
LATER = CLOSED + timedelta(days=3)


def utc(*parts: int) -> datetime:
    """A time in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def answer(
    times: list[int],
    resolution: Any = "1m",
    *,
    sessions: Any = None,
    meta: Any = None,
    **columns: Any,
) -> dict[str, Any]:
    """A chart of `ZQA` in which every bar opens at 10, reaches from 9 to 12 and closes at 11."""
    usual = {"open": 10, "high": 12, "low": 9, "close": 11, "volume": 100}
    quote = {name: columns.get(name, [value] * len(times)) for name, value in usual.items()}
    facts = {
        "currency": "USD",
        "symbol": "ZQA",
        "dataGranularity": resolution,
        "exchangeTimezoneName": "America/New_York",
        "gmtoffset": -14_400,
        "regularMarketTime": CLOSING + 1,
        "currentTradingPeriod": periods(),
        "tradingPeriods": [[periods()["regular"]]] if sessions is None else sessions,
    }
    result = {"meta": facts | (meta or {}), "timestamp": times, "indicators": {"quote": [quote]}}
    return {"chart": {"result": [result], "error": None}}


def parse(
    body: object,
    resolution: Resolution = Resolution.MINUTE,
    *,
    start: datetime = OPENED - timedelta(days=30),
    end: datetime = LATER,
    now: datetime = LATER,
) -> Chart:
    """The chart of `ZQA` in a response."""
    return parse_chart(body, ChartRequest("ZQA", resolution, start, end), now)


def starts(chart: Chart) -> list[datetime]:
    """The starts of the bars in a response."""
    return [bar.start_time for bar in chart.bars]
