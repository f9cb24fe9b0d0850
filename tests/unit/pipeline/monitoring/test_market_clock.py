"""The thread that requests the trading periods."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from sp500tui.errors import SourceError
from sp500tui.model import MarketState
from sp500tui.pipeline.core.snapshot import MarketSnapshot
from sp500tui.pipeline.monitoring import market_clock as module
from sp500tui.pipeline.monitoring.market_clock import MarketClock
from sp500tui.sources.yahoo.trading_calendar import TradingPeriods
from tests.support.waiting import Wait

CLOSING = datetime(2026, 5, 4, 20, tzinfo=UTC)


class Periods:
    def next_change(self, now: datetime) -> tuple[MarketState, datetime] | None:
        return (MarketState.POST, CLOSING) if now < CLOSING else None


def test_periods_are_fetched_with_the_first_quote_and_when_the_session_changes(
    eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLL_INTERVAL", 0.001)
    asked, state = threading.Semaphore(0), {"now": None}

    def ask() -> TradingPeriods:
        asked.release()
        if state["now"] is MarketState.PRE:
            raise SourceError("not now")
        return Periods()  # type: ignore[return-value]

    clock = MarketClock(ask, lambda: state["now"])
    assert clock.snapshot(MarketState.PRE) == MarketSnapshot(MarketState.PRE)
    clock.thread.start()
    assert not asked.acquire(timeout=0.05), "no quote, no question"
    for each in (MarketState.PRE, MarketState.REGULAR):
        state["now"] = each  # type: ignore[assignment]
        assert asked.acquire(timeout=30)
    before, after = datetime(2026, 5, 4, 15, tzinfo=UTC), datetime(2026, 5, 4, 21, tzinfo=UTC)
    eventually(lambda: clock.snapshot(MarketState.REGULAR, before).next_state)
    assert clock.snapshot(MarketState.REGULAR, before) == MarketSnapshot(
        MarketState.REGULAR, MarketState.POST, CLOSING
    )
    assert clock.snapshot(MarketState.POST, after) == MarketSnapshot(MarketState.POST)
    clock.close()
    assert clock.thread.join(30)
    assert not clock.thread.is_alive()
