"""A pipeline's state assembled from updates; implements the read-only calls of `PipelineControl`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from sp500tui.logs.setup import RING_CAPACITY, LogLine
from sp500tui.model import Constituent
from sp500tui.pipeline.core.events import EVENTS_KEPT, PipelineEvent
from sp500tui.pipeline.core.latest_prices import newer_than
from sp500tui.pipeline.core.snapshot import LivePrice
from sp500tui.pipeline.core.timing.second_sample import SECONDS_KEPT, SecondSample
from sp500tui.remote.wire import Position, Update


class Mirror:
    """Applies updates in their order. Thread-safe; also a source of log lines for the dashboard."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._update: Update | None = None
        # In the order of the last change, so that the changes since a version are at the end.
        self._prices: dict[str, LivePrice] = {}
        self._constituents: tuple[Constituent, ...] = ()
        self._lines: deque[LogLine] = deque(maxlen=RING_CAPACITY)
        self._events: deque[PipelineEvent] = deque(maxlen=EVENTS_KEPT)
        self._seconds: deque[SecondSample] = deque(maxlen=SECONDS_KEPT)

    def apply(self, update: Update) -> None:
        """Apply an update."""
        with self._lock:
            self._update = update
            for price in update.prices:
                symbol = price.row.quote.symbol
                self._prices.pop(symbol, None)
                self._prices[symbol] = price
            if update.constituents is not None:
                self._constituents = update.constituents
            self._lines.extend(update.lines)
            self._events.extend(update.events)
            self._seconds.extend(update.seconds)

    @property
    def empty(self) -> bool:
        """Whether no update was applied yet."""
        return self._update is None

    @property
    def latest(self) -> Update:
        """The last update; there must be one."""
        assert self._update is not None  # noqa: S101  # the caller applied one
        return self._update

    @property
    def position(self) -> Position:
        """The position at which the next update begins."""
        return Position() if self._update is None else self._update.position

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """See `PipelineControl.prices_since`."""
        with self._lock:
            return self.position.prices, newer_than(version, self._prices)

    def seconds_since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        """See `PipelineControl.seconds_since`."""
        with self._lock:
            return self.position.seconds, [sample for sample in self._seconds if sample.second > second]

    def events_since(self, number: int) -> tuple[int, Sequence[PipelineEvent]]:
        """See `PipelineControl.events_since`."""
        with self._lock:
            return self.position.events, [event for event in self._events if event.number > number]

    def price_of(self, symbol: str) -> LivePrice | None:
        """See `PipelineControl.price_of`."""
        with self._lock:
            price = self._prices.get(symbol)
            watched = None if self._update is None else self._update.watched
        if watched is not None and watched.row.quote.symbol == symbol:
            return watched
        return price

    def constituents(self) -> Sequence[Constituent]:
        """See `PipelineControl.constituents`."""
        return self._constituents

    def since(self, seq: int) -> tuple[int, Sequence[LogLine], int]:
        """The newest number, the lines after `seq`, and how many of those were dropped."""
        with self._lock:
            last = self.position.lines
            kept = sum(line.seq > seq for line in self._lines)
            lines = tuple(islice(self._lines, len(self._lines) - kept, None))
        return last, lines, max(0, last - seq) - kept
