"""Charts without a source: trading days of New York, and bars with prices derived from their start."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sp500tui.model import Bar, BarBlock, CorporateAction, MarketState, Resolution, TradingSession
from sp500tui.pipeline.history.coverage import TradingDay
from sp500tui.sources.yahoo.charts import Chart, ChartRequest
from sp500tui.storage.transaction import Connection

MARKET = "America/New_York"


def session(day: date, *, minutes: int = 390) -> TradingSession:
    """A regular session in summer time."""
    opened = datetime(day.year, day.month, day.day, 13, 30, tzinfo=UTC)
    return TradingSession(
        market=MARKET,
        session_date=day,
        kind=MarketState.REGULAR,
        start_time=opened,
        end_time=opened + timedelta(minutes=minutes),
    )


def trading_day(day: date, *, minutes: int = 390) -> TradingDay:
    """A day with one session."""
    return TradingDay(day, (session(day, minutes=minutes),))


def weekdays(first: date, count: int) -> list[date]:
    """A number of weekdays from `first` on."""
    days = (first + timedelta(days=number) for number in range(count * 2 + 4))
    return [day for day in days if day.weekday() < 5][:count]


def bar(symbol: str, resolution: Resolution, start: datetime) -> Bar:
    """A bar with prices derived from symbol and start."""
    price = Decimal(100 + sum(map(ord, symbol)) % 50) + Decimal(int(start.timestamp()) // 60 % 1000) / 100
    return Bar(
        symbol=symbol,
        resolution=resolution,
        start_time=start,
        open=price,
        high=price + Decimal("0.05"),
        low=price - Decimal("0.05"),
        close=price + Decimal("0.01"),
        volume=1000,
        currency="USD",
        fetched_at=start + timedelta(days=30),
    )


def insert_bars(connection: Connection, bars: Iterable[Bar]) -> None:
    """Store bars like a writer; existing ones are left unchanged."""
    columns = ("symbol", "resolution", "start_time", "open", "high", "low", "close", "volume", "currency")
    connection.cursor().executemany(
        f"INSERT INTO bars ({', '.join(columns)}, source, fetched_at) "  # column names
        f"VALUES ({', '.join(['%s'] * len(columns))}, 'yahoo', %s) ON CONFLICT DO NOTHING",
        [
            (
                *(str(bar.resolution) if name == "resolution" else getattr(bar, name) for name in columns),
                bar.fetched_at,
            )
            for bar in bars
        ],
    )


def block(bars: list[Bar]) -> BarBlock:
    """One or more bars as columns; all have the arrival time of the first."""
    first = bars[0]
    return BarBlock(
        first.symbol,
        first.resolution,
        first.currency,
        first.fetched_at,
        starts=[int(each.start_time.timestamp()) for each in bars],
        opens=[str(each.open) for each in bars],
        highs=[str(each.high) for each in bars],
        lows=[str(each.low) for each in bars],
        closes=[str(each.close) for each in bars],
        volumes=[each.volume for each in bars],
    )


class FakeCharts:
    """Answers chart requests from a list of trading days; counts the requests of each symbol."""

    def __init__(self, days: list[TradingDay], now: datetime) -> None:
        self.days = days
        self.now = now
        self.requests: Counter[str] = Counter()
        self.actions: dict[str, tuple[CorporateAction, ...]] = {}
        self.null_bars: set[tuple[str, datetime]] = set()
        """Bars missing from the source."""
        self.before: Callable[[ChartRequest], None] = lambda request: None
        """Called before each response; may raise."""
        self.first_trade: datetime | None = None
        self.currency = "USD"
        self._lock = threading.Lock()

    def __call__(self, request: ChartRequest) -> Chart:
        with self._lock:
            self.requests[request.symbol] += 1
        self.before(request)
        starts = [
            start
            for day in self.days
            for start in day.slots(str(request.resolution))
            if request.start <= start < request.end
        ]
        there = [
            bar(request.symbol, request.resolution, start)
            for start in starts
            if (request.symbol, start) not in self.null_bars
        ]
        return Chart(
            request=request,
            bars=block([replace(each, currency=self.currency) for each in there]) if there else (),
            unfinished=(),
            missing=tuple(start for start in starts if (request.symbol, start) in self.null_bars),
            sessions=tuple(each for day in self.days for each in day.sessions),
            actions=self.actions.get(request.symbol, ()),
            currency=self.currency,
            first_trade=self.first_trade,
            fetched_at=self.now,
        )
