"""The trading session of the exchange, and when it changes."""

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

_REFRESH_INTERVAL = 3600.0
_RETRY_INTERVAL = 60.0
_POLL_INTERVAL = 1.0
"""Seconds between two checks whether the periods have to be fetched."""


class MarketClock:
    """A thread that fetches the trading periods every hour and when the session changes.

    The periods include holidays and early closes. An unexpected error is retried without limit, because the run does
    not depend on the periods.
    """

    def __init__(
        self, fetch_periods: Callable[[], TradingPeriods], session: Callable[[], str | None]
    ) -> None:
        """`session` returns the market state of the latest quote, None before the first."""
        self._fetch_periods = fetch_periods
        self._session = session
        self._periods: TradingPeriods | None = None
        self._due = 0.0
        self._last_session = session()
        self.thread = ServiceThread("market-clock", self._step)

    def _step(self) -> float:
        session = self._session()
        if session is None or (time.monotonic() < self._due and session == self._last_session):
            return _POLL_INTERVAL
        try:
            self._periods = self._fetch_periods()
            self._due = time.monotonic() + _REFRESH_INTERVAL
        except SourceError as error:
            _log.debug("no trading periods: %s", error)
            self._due = time.monotonic() + _RETRY_INTERVAL
        self._last_session = session
        return _POLL_INTERVAL

    def snapshot(self, session: str | None, now: datetime | None = None) -> MarketSnapshot:
        """The given session, and the next one from the trading periods if they are known."""
        change = self._periods.next_change(now or datetime.now(UTC)) if self._periods else None
        return MarketSnapshot(session, *change) if change else MarketSnapshot(session)

    def close(self) -> None:
        """Stop the thread."""
        self.thread.stop()
