"""A price reader without a database: seeded prices for every symbol, fixed statistics, and failures on demand."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

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
    """A row whose trade is `age` seconds old."""
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
