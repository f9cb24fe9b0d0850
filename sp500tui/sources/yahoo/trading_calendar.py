"""The trading sessions of an exchange from Yahoo Finance's chart endpoint, including holidays and early closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sp500tui.errors import SourceError
from sp500tui.model import MarketState
from sp500tui.sources.yahoo.json_values import error_message, get_path

_MAX_TIMESTAMP = 253_402_300_799
"""The end of the year 9999."""


@dataclass(frozen=True, slots=True)
class TradingPeriods:
    """Start and end of the sessions of the current or next trading day, UTC."""

    pre: tuple[datetime, datetime]
    regular: tuple[datetime, datetime]
    post: tuple[datetime, datetime]

    def next_change(self, now: datetime) -> tuple[MarketState, datetime] | None:
        """The next session and its start, UTC; None after the end of the known day."""
        for state, (start, end) in self._sessions():
            if now < start:
                return state, start
            if now < end and state is MarketState.POST:
                return MarketState.CLOSED, end
        return None

    def _sessions(self) -> tuple[tuple[MarketState, tuple[datetime, datetime]], ...]:
        return (
            (MarketState.PRE, self.pre),
            (MarketState.REGULAR, self.regular),
            (MarketState.POST, self.post),
        )


def parse_trading_periods(answer: object) -> TradingPeriods:
    """Parse `meta.currentTradingPeriod` (epoch seconds) of a `v8/finance/chart` response.

    Raises:
        SourceError: the periods are missing, unreadable or overlap.
    """
    periods = get_path(answer, "chart", "result", 0, "meta", "currentTradingPeriod")
    if not isinstance(periods, Mapping):
        why = error_message(answer) or "no trading periods in the answer"
        raise SourceError(f"Yahoo Finance does not state when the market opens: {why}")
    pre, regular, post = (_period(periods.get(name)) for name in ("pre", "regular", "post"))
    edges = (*pre, *regular, *post)
    if list(edges) != sorted(edges):
        raise SourceError("Yahoo Finance does not state when the market opens: its trading periods overlap")
    return TradingPeriods(pre, regular, post)


def _period(period: object) -> tuple[datetime, datetime]:
    return _timestamp(get_path(period, "start")), _timestamp(get_path(period, "end"))


def _timestamp(value: object) -> datetime:
    if type(value) is not int or not 0 < value <= _MAX_TIMESTAMP:
        raise SourceError(
            "Yahoo Finance does not state when the market opens: its trading periods are unreadable"
        )
    return datetime.fromtimestamp(value, UTC)
