"""Events that a test or a user triggers in the demo market: splits, dividends, renames and changes of the index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sp500tui.errors import ConfigurationError
from sp500tui.simulator.market.calendar import local_date
from sp500tui.simulator.market.index import Index
from sp500tui.simulator.market.instruments import invented_listing
from sp500tui.simulator.market.model import Market

EVENTS = {
    "split": '{"kind": "split", "symbol": "MMM", "numerator": 4, "denominator": 1}',
    "dividend": '{"kind": "dividend", "symbol": "MMM", "amount": 0.73}',
    "rename": '{"kind": "rename", "symbol": "MMM", "new_symbol": "MMMX"}',
    "change": '{"kind": "change", "added": "NEWCO", "removed": "MMM"}',
}
"""The kinds of events, with an example of each."""
_SYMBOL = re.compile(r"[A-Z0-9]{1,8}(\.[A-Z])?")
_MAX_RATIO = 1_000


class Events:
    """Applies events to the market and the index. Splits and dividends take effect at the next pre-market opening."""

    def __init__(self, market: Market, index: Index) -> None:
        self._market = market
        self._index = index
        self.applied: list[dict[str, object]] = []
        """All events so far, oldest first."""

    def apply(self, event: object) -> None:
        """Apply one event, given as JSON.

        Raises:
            ConfigurationError: the kind, a symbol or a number is unknown or missing.
        """
        if not isinstance(event, Mapping) or event.get("kind") not in EVENTS:
            raise ConfigurationError(f"unknown event; use one such as {', '.join(EVENTS.values())}")
        kind = str(event["kind"])
        apply = {
            "split": self._split,
            "dividend": self._dividend,
            "rename": self._rename,
            "change": self._change,
        }[kind]
        try:
            apply(event)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"event {kind}: {error.args[0] if error.args else error}; use one such as {EVENTS[kind]}"
            ) from error
        self.applied.append(dict(event))

    def _split(self, event: Mapping[str, Any]) -> None:
        numerator, denominator = event["numerator"], event["denominator"]
        for number in (numerator, denominator):
            if type(number) is not int or not 1 <= number <= _MAX_RATIO:
                raise ValueError(
                    f"the ratio {numerator!r}:{denominator!r} is not of integers up to {_MAX_RATIO}"
                )
        self._market.listed(_symbol(event["symbol"])).announce_split(numerator, denominator)

    def _dividend(self, event: Mapping[str, Any]) -> None:
        amount = event["amount"]
        if type(amount) not in (int, float) or not 0 < amount < 1e6:
            raise ValueError(f"the amount {amount!r} is not above zero")
        self._market.listed(_symbol(event["symbol"])).announce_dividend(float(amount))

    def _rename(self, event: Mapping[str, Any]) -> None:
        old = _symbol(event["symbol"])
        self._index.rename(old, self._market.rename(old, _symbol(event["new_symbol"])))

    def _change(self, event: Mapping[str, Any]) -> None:
        added, removed = event.get("added"), event.get("removed")
        if not (added or removed):
            raise ValueError("neither an added nor a removed symbol")
        if removed and _symbol(removed) not in {listing.symbol for listing in self._index.listings}:
            raise ValueError(f"{removed} is not in the index")
        clock = self._market.clock
        today = local_date(clock.epoch + clock.elapsed())
        listing = None
        if added:
            listing = self._market.add(invented_listing(_symbol(added), today))
        self._index.change(today, listing, removed or None)


def _symbol(value: object) -> str:
    if not isinstance(value, str) or not _SYMBOL.fullmatch(value):
        raise ValueError(f"{value!r} is not a symbol")
    return value
