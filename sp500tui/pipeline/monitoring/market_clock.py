"""Knows which session the exchange is in, and when that changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sp500tui.errors import SourceError
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import MarketSnapshot
from sp500tui.sources.yahoo.trading_calendar import TradingPeriods

_log = logging.getLogger(__name__)

_RETRY_INTERVAL = 3600.0
_AFTER_FAILURE = 60.0
_POLL_INTERVAL = 1.0


class MarketClock:
    """One thread that asks for the trading periods now and then: holidays and early closes are in the answer.

    An unforeseen error is retried without end: the run does not depend on the periods.
    """

    def __init__(self, ask: Callable[[], TradingPeriods], state: Callable[[], str | None]) -> None:
        self._ask = ask
        self._state = state
        self._periods: TradingPeriods | None = None
        self._due = 0.0
        self._seen = state()
        self.thread = ServiceThread("market-clock", self._step)

    def _step(self) -> float:
        state = self._state()
        if state is None or (time.monotonic() < self._due and state == self._seen):
            return _POLL_INTERVAL
        try:
            self._periods = self._ask()
            self._due = time.monotonic() + _RETRY_INTERVAL
        except SourceError as error:
            _log.debug("no trading periods: %s", error)
            self._due = time.monotonic() + _AFTER_FAILURE
        self._seen = state
        return _POLL_INTERVAL

    @staticmethod
    def unknown(state: str | None) -> MarketSnapshot:
        """The session that the quotes say, without the next one."""
        return MarketSnapshot(state)

    def snapshot(self, state: str | None, now: datetime | None = None) -> MarketSnapshot:
        """The session that the quotes say, and the next one by the trading periods."""
        periods = self._periods
        if periods is None:
            return MarketSnapshot(state)
        found = periods.next_change(now or datetime.now(UTC))
        if found is None:
            return MarketSnapshot(state)
        return MarketSnapshot(state, *found)

    def close(self) -> None:
        """End the thread."""
        self.thread.stop()
