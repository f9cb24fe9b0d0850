"""Knows which session the exchange is in, and when that changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sp500tui.domain import MarketState, SourceError
from sp500tui.pipeline.snapshot import MarketSnapshot
from sp500tui.sources.yahoo import TradingPeriods

_log = logging.getLogger(__name__)

_ASK_AGAIN = 3600.0
_AFTER_FAILURE = 60.0
_LOOK = 1.0


class MarketClock:
    """One thread that asks for the trading periods now and then: holidays and early closes are in the answer."""

    def __init__(self, ask: Callable[[], TradingPeriods], state: Callable[[], MarketState | None]) -> None:
        self._ask = ask
        self._state = state
        self._leaving = threading.Event()
        self._periods: TradingPeriods | None = None
        self.thread = threading.Thread(target=self._run, name="market-clock", daemon=True)

    def _run(self) -> None:
        due, seen = 0.0, self._state()
        while not self._leaving.wait(_LOOK):
            state = self._state()
            if state is None or (time.monotonic() < due and state == seen):
                continue
            try:
                self._periods = self._ask()
                due = time.monotonic() + _ASK_AGAIN
            except SourceError as error:
                _log.debug("no trading periods: %s", error)
                due = time.monotonic() + _AFTER_FAILURE
            seen = state

    @staticmethod
    def unknown(state: MarketState | None) -> MarketSnapshot:
        """The session that the quotes say, without the next one."""
        return MarketSnapshot(state)

    def snapshot(self, state: MarketState | None, now: datetime | None = None) -> MarketSnapshot:
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
        self._leaving.set()
