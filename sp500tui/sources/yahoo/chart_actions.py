"""Splits, dividends and capital gains in a response of `v8/finance/chart`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, tzinfo
from decimal import Decimal

from sp500tui.logs.redaction import one_line
from sp500tui.model import ActionKind, CorporateAction
from sp500tui.sources.yahoo.chart_numbers import epoch_seconds, printed_price, utc
from sp500tui.sources.yahoo.json_values import get_path

_log = logging.getLogger(__name__)

_KINDS = {
    "splits": ActionKind.SPLIT,
    "dividends": ActionKind.DIVIDEND,
    "capitalGains": ActionKind.CAPITAL_GAIN,
}


def parse_actions(
    events: object, symbol: str, currency: str | None, zone: tzinfo, now: datetime
) -> tuple[CorporateAction, ...]:
    """The usable actions of `events`, in order of time; payments without a currency of their own have `currency`."""
    found = []
    for name, kind in _KINDS.items():
        for key, event in _entries(get_path(events, name)):
            seconds = epoch_seconds(event.get("date"))
            terms = _split(event) if kind is ActionKind.SPLIT else _payment(event, currency)
            if seconds is None or terms is None:
                _log.warning(
                    "Yahoo Finance returned an unreadable %s of %s: %s", kind, symbol, one_line(key, 24)
                )
                continue
            day = utc(seconds).astimezone(zone).date()
            begins = datetime.combine(day, time(), zone).astimezone(UTC)
            found.append(CorporateAction(symbol, kind, day, begins, *terms, now))
    return tuple(sorted(found, key=lambda action: (action.effective_time, action.kind)))


def _entries(events: object) -> Iterator[tuple[object, Mapping[str, object]]]:
    """Events come in an object with their times as keys."""
    if isinstance(events, Mapping):
        yield from ((key, event) for key, event in events.items() if isinstance(event, Mapping))


_Terms = tuple[Decimal | None, Decimal | None, Decimal | None, str | None]
"""Numerator, denominator, amount and currency."""


def _split(event: Mapping[str, object]) -> _Terms | None:
    numerator, denominator = printed_price(event.get("numerator")), printed_price(event.get("denominator"))
    if numerator is None or denominator is None:
        return None
    return numerator, denominator, None, None


def _payment(event: Mapping[str, object], currency: str | None) -> _Terms | None:
    amount = printed_price(event.get("amount"))
    if amount is None:
        return None
    own = event.get("currency")
    return None, None, amount, own if isinstance(own, str) and own else currency
