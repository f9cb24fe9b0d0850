"""The latest price of every symbol, for the front ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import takewhile

from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.snapshot import LivePrice


class LatestPrices:
    """A cache of one row per symbol that returns the changes since a version. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        # In the order of the last change, so that the changes since a version are at the end.
        self._prices: dict[str, LivePrice] = {}
        self._writers: dict[str, tuple[datetime, str]] = {}
        self._market_state: str | None = None

    def update(self, rows: Iterable[ConvertedQuote]) -> None:
        """Replace prices by newer rows; older rows are ignored."""
        with self._lock:
            for row in rows:
                symbol = row.quote.symbol
                known = self._prices.get(symbol)
                if known is not None and not _is_newer(row, known.row):
                    continue
                self._version += 1
                self._prices.pop(symbol, None)
                self._prices[symbol] = LivePrice(row, self._version)
                self._market_state = row.quote.market_state

    def mark_written(self, rows: Iterable[ConvertedQuote], writer: str) -> None:
        """Record the writer that committed these rows."""
        marks = {row.quote.symbol: (row.quote.quote_time, writer) for row in rows}
        with self._lock:
            self._writers.update(marks)

    def changes_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """The current version and the prices that changed after `version`, oldest change first."""
        with self._lock:
            return self._version, [self._with_writer(price) for price in newer_than(version, self._prices)]

    def get(self, symbol: str) -> LivePrice | None:
        """The latest price of one symbol, with the writer that committed it, if any."""
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
        """The market session of the most recent quote; None before the first."""
        return self._market_state


def newer_than(version: int, prices: dict[str, LivePrice]) -> list[LivePrice]:
    """The prices with a later version, oldest first; `prices` are in the order of their versions."""
    found = list(takewhile(lambda price: price.version > version, reversed(prices.values())))
    found.reverse()
    return found


def _is_newer(row: ConvertedQuote, known: ConvertedQuote) -> bool:
    """Whether `row` differs from `known` and is not older."""
    if row.quote.quote_time < known.quote.quote_time:
        return False
    return (
        row.quote.quote_time,
        row.quote.price,
        row.quote.market_state,
        row.converted_price is None,
    ) != (
        known.quote.quote_time,
        known.quote.price,
        known.quote.market_state,
        known.converted_price is None,
    )
