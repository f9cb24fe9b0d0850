"""A price reader without a database: seeded prices for every symbol, fixed statistics, and failures on demand."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from sp500tui.model import ActionKind
from sp500tui.storage.history.candles import EMPTY_PERIOD, Candle, ChartAction, StoredCandles
from sp500tui.storage.history.periods import PERIODS, Period
from sp500tui.storage.reads import LatestTrade, PricePoint, RowTotal, Statistics, StoredRow
from sp500tui.tui.shell.price_reader import StoredOverview, StoredSymbol
from tests.support.tui.fake_pipeline import NOON

_RATE = Decimal("6.8721")
STATISTICS = Statistics(RowTotal(20_871, exact=True, bytes=4_612_096), "16.2", NOON, 5, 100, 20_871)


def walk(symbol: str, minutes: int, every: float = 10.0, start: float = 187.0) -> list[PricePoint]:
    """Prices of the last `minutes`, one every `every` seconds, the same in every run."""
    rng = random.Random(symbol)
    value, points = start, []
    total = int(minutes * 60 / every)
    for number in range(total):
        value = max(1.0, value + rng.gauss(0.004, 0.12))
        price = Decimal(f"{value:.2f}")
        time = NOON - timedelta(seconds=(total - number) * every)
        points.append(
            PricePoint(time, price, (price * _RATE).quantize(Decimal("0.01")), 1000 * number, "REGULAR")
        )
    return points


def stored_row(symbol: str, age: float, price: str = "187.22", change: str | None = "3.41") -> StoredRow:
    """A row with a trade that is `age` seconds old."""
    traded = NOON - timedelta(seconds=age)
    return StoredRow(
        symbol=symbol,
        quote_time=traded,
        price=Decimal(price),
        change=None if change is None else Decimal(change),
        percent_change=None if change is None else Decimal("-0.28" if change.startswith("-") else "1.86"),
        currency="USD",
        converted_price=(Decimal(price) * _RATE).quantize(Decimal("0.01")),
        converted_currency="DKK",
        fx_rate=_RATE,
        market_state="REGULAR",
        volume=12_345_678,
        fetched_at=traded + timedelta(seconds=0.4),
        stored_at=traded + timedelta(seconds=0.6),
    )


def candles(symbol: str, number: int, period: Period = PERIODS[4]) -> StoredCandles:
    """A number of candles up to now, the same in every run, with a split and a dividend."""
    rng = random.Random(symbol)
    value, found = Decimal(100), []
    for place in range(number):
        first = value
        value = max(Decimal(1), value + Decimal(f"{rng.gauss(0.05, 0.8):.2f}"))
        high = max(first, value) + Decimal(f"{abs(rng.gauss(0, 0.4)):.2f}")
        low = min(first, value) - Decimal(f"{abs(rng.gauss(0, 0.4)):.2f}")
        start = period.start_of(NOON - (number - place) * timedelta(seconds=period.seconds))
        volume = int(abs(rng.gauss(40_000, 20_000))) if place % 17 else None
        found.append(Candle(start, first, high, low, value, volume))
    level = Decimal("214.5") / value
    found = [
        replace(
            each,
            **{name: round(getattr(each, name) * level, 2) for name in ("open", "high", "low", "close")},
        )
        for each in found
    ]
    actions = tuple(
        ChartAction(kind, found[place].start.date(), found[place].start, *rest)
        for kind, place, *rest in (
            (ActionKind.SPLIT, number // 3, Decimal(4), Decimal(1), None, None),
            (ActionKind.DIVIDEND, 2 * number // 3, None, None, Decimal("0.73"), "USD"),
        )
    )
    return StoredCandles(symbol, period, tuple(found), actions, {"1m": 5 * number}, "USD", True, True)


class CannedReader:
    """Answers immediately, fails with `failure`, or waits for `gate`; records its calls."""

    def __init__(self, minutes: int = 55) -> None:
        self.minutes = minutes
        self.failure: Exception | None = None
        self.gate: Callable[[], object] = lambda: None
        self.asked: list[tuple[object, ...]] = []
        self.closed = False
        self.rows: Sequence[StoredRow] | None = None
        self.statistics = STATISTICS
        self.empty = False
        self.candles: StoredCandles | None = None

    def read_symbol(self, symbol: str, since: datetime, points: int, rows: int) -> StoredSymbol:
        self._ask("of_symbol", symbol, since)
        if self.empty:
            return StoredSymbol(symbol, (), ())
        shown = [point for point in walk(symbol, self.minutes) if point.time >= since]
        newest = [
            stored_row(symbol, 10.0 * number + 2, str(point.price), "3.41" if number % 3 else "-0.52")
            for number, point in enumerate(reversed(walk(symbol, self.minutes)[-rows:]))
        ]
        return StoredSymbol(symbol, shown, self.rows if self.rows is not None else newest)

    def read_candles(self, symbol: str, days: int | None, now: datetime, most: int) -> StoredCandles:
        self._ask("candles_of", symbol, days)
        if self.empty:
            return StoredCandles(symbol, EMPTY_PERIOD)
        return replace(self.candles or candles(symbol, most), symbol=symbol)

    def read_overview(self, rows: int) -> StoredOverview:
        self._ask("of_all")
        if self.empty:
            none = replace(self.statistics, total=RowTotal(0, exact=True, bytes=16_384))
            return StoredOverview(none, LatestTrade(0, None, None), ())
        newest = [
            stored_row(symbol, 1.0 + number / 3)
            for number, symbol in enumerate(
                ("NVDA", "AAPL", "BRK.B", "MSFT", "AMZN", "GOOGL", "META", "TSLA") * 8
            )
        ]
        latest = LatestTrade(503, NOON - timedelta(seconds=1), NOON - timedelta(seconds=0.4))
        return StoredOverview(
            self.statistics, latest, (self.rows if self.rows is not None else newest)[:rows]
        )

    def close(self) -> None:
        self.closed = True

    def _ask(self, *question: object) -> None:
        self.asked.append(question)
        self.gate()
        if self.failure is not None:
            raise self.failure
