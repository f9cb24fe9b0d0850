"""The newest price of every symbol, for the faces to look at."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime

from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.snapshot import LivePrice


class LatestPrices:
    """Keeps one row a symbol and hands out what changed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        # In the order of the last change, so that what changed since a version is a run at the end.
        self._prices: dict[str, LivePrice] = {}
        self._writers: dict[str, tuple[datetime, str]] = {}
        self._market_state: str | None = None

    def show(self, rows: Iterable[ConvertedQuote]) -> None:
        """Take over rows that are newer than what is shown."""
        with self._lock:
            for row in rows:
                symbol = row.quote.symbol
                shown = self._prices.get(symbol)
                if shown is not None and not _newer(row, shown.row):
                    continue
                self._version += 1
                self._prices.pop(symbol, None)
                self._prices[symbol] = LivePrice(row, self._version)
                self._market_state = row.quote.market_state

    def written(self, rows: Iterable[ConvertedQuote], writer: str) -> None:
        """Note who committed these rows."""
        marks = {row.quote.symbol: (row.quote.quote_time, writer) for row in rows}
        with self._lock:
            self._writers.update(marks)

    def since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """The prices that changed after `version`, oldest change first, and the present version."""
        changed: list[LivePrice] = []
        with self._lock:
            for price in reversed(self._prices.values()):
                if price.version <= version:
                    break
                changed.append(self._with_writer(price))
            changed.reverse()
            return self._version, changed

    def of(self, symbol: str) -> LivePrice | None:
        """The price of one symbol, and who committed it if somebody has."""
        with self._lock:
            price = self._prices.get(symbol)
            return None if price is None else self._with_writer(price)

    def _with_writer(self, price: LivePrice) -> LivePrice:
        mark = self._writers.get(price.row.quote.symbol)
        if mark is None or mark[0] != price.row.quote.quote_time:
            return price
        return LivePrice(price.row, price.version, mark[1])

    @property
    def market_state(self) -> str | None:
        """The session that the newest quote was in."""
        return self._market_state


def _newer(row: ConvertedQuote, shown: ConvertedQuote) -> bool:
    """Whether `row` tells something that `shown` does not, and is no older."""
    if row.quote.quote_time < shown.quote.quote_time:
        return False
    return (
        row.quote.quote_time,
        row.quote.price,
        row.quote.market_state,
        row.converted_price is None,
    ) != (
        shown.quote.quote_time,
        shown.quote.price,
        shown.quote.market_state,
        shown.converted_price is None,
    )
