"""The exchange rates in force: which pairs to ask for, which answers to believe, how to convert a price."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal

from sp500tui.model import ConvertedQuote, FetchedQuote, FxRate

_log = logging.getLogger(__name__)

MINOR_UNITS = {"GBp": ("GBP", 100), "GBX": ("GBP", 100), "ZAc": ("ZAR", 100), "ILA": ("ILS", 100)}
"""Yahoo's codes for a hundredth of a currency, whose case matters."""

_MAX_JUMP = Decimal("0.10")
_ACCEPT_AFTER = 3
_ONE = Decimal(1)
_EXACT = Context(prec=200, traps=[])
"""Digits enough for every product; the usual 28 would round a price times a rate of 17 digits each."""


def major_unit(currency: str) -> tuple[str, int]:
    """The ISO currency behind Yahoo's code, and how many of the code's units make one of it."""
    return MINOR_UNITS.get(currency, (currency, 1))


def plausible(old: Decimal | None, new: Decimal) -> bool:
    """Whether a rate may follow another: finite, above zero, within 10 % of the last one."""
    if not new.is_finite() or new <= 0:
        return False
    return old is None or abs(new - old) <= old * _MAX_JUMP


@dataclass(slots=True)
class _Pair:
    rate: FxRate | None = None
    received: float = 0.0
    """Tick of the last believed answer."""
    pending_since: float = 0.0
    rejections: int = 0
    """Implausible answers in a row."""
    rejected: bool = False
    """Whether a rate was rejected, which was logged, since the last accepted one."""


class FxRates:
    """The latest rate of every pair to one target currency. Thread-safe."""

    def __init__(
        self,
        target: str,
        *,
        refresh: float = 10.0,
        patience: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self._refresh = refresh
        self._patience = patience
        self._clock = clock
        self._changed = threading.Condition()
        self._pairs: dict[str, _Pair] = {}
        self.need(("USD",))

    def need(self, currencies: Iterable[str]) -> None:
        """Note that quotes in these currencies came in."""
        with self._changed:
            for currency in currencies:
                base, _ = major_unit(currency)
                if base != self.target and base not in self._pairs:
                    self._pairs[base] = _Pair(pending_since=self._clock())

    def wanted(self) -> tuple[tuple[str, str], ...]:
        """The pairs whose rate is unknown or older than the refresh time."""
        now = self._clock()
        with self._changed:
            return tuple(
                (base, self.target)
                for base, pair in self._pairs.items()
                if pair.rate is None or now - pair.received >= self._refresh
            )

    def unknown(self) -> tuple[tuple[str, str], ...]:
        """The pairs that have no rate at all yet."""
        with self._changed:
            return tuple((base, self.target) for base, pair in self._pairs.items() if pair.rate is None)

    def learn(self, rates: Iterable[FxRate]) -> None:
        """Take over rates from the source, except those that make no sense.

        A jump of more than 10 % is believed only when it comes three times running.
        """
        rejections: list[FxRate] = []
        with self._changed:
            for rate in rates:
                pair = self._pairs.get(rate.base)
                if pair is None or rate.target != self.target:
                    continue
                if not plausible(pair.rate.rate if pair.rate else None, rate.rate):
                    # What is no rate at all neither counts as a jump nor ends a row of them.
                    pair.rejections += plausible(None, rate.rate)
                    if not plausible(None, rate.rate) or pair.rejections < _ACCEPT_AFTER:
                        if not pair.rejected:
                            rejections.append(rate)
                        pair.rejected = True
                        continue
                pair.rate, pair.received, pair.rejections, pair.rejected = rate, self._clock(), 0, False
            self._changed.notify_all()
        # Outside the lock: a log on a terminal or a pipe that is not read may wait.
        for rate in rejections:
            _log.warning("rejected the rate %s%s = %s", rate.base, rate.target, rate.rate)

    def is_pending(self, currencies: Iterable[str]) -> bool:
        """Whether one of these currencies has no rate yet but was asked for only moments ago."""
        now = self._clock()
        with self._changed:
            pairs = (self._pairs.get(major_unit(currency)[0]) for currency in currencies)
            return any(
                pair is not None and pair.rate is None and now - pair.pending_since < self._patience
                for pair in pairs
            )

    def wait(self, seconds: float) -> None:
        """Wait until a rate comes in, at most `seconds`."""
        with self._changed:
            self._changed.wait(seconds)

    def convert(self, fetched: FetchedQuote) -> ConvertedQuote:
        """Add the price in the target currency, to all its digits; None as the price if no rate is known."""
        quote = fetched.quote
        base, units = major_unit(quote.currency)
        price = quote.price if units == 1 else _EXACT.divide(quote.price, Decimal(units))
        pair = self._pairs.get(base)
        rate: Decimal | None = None
        time: datetime | None = None
        converted: Decimal | None = None
        if base == self.target:
            converted, rate, time = price, _ONE, quote.quote_time
        elif pair is not None and pair.rate is not None:
            rate, time = pair.rate.rate, pair.rate.time
            converted = _EXACT.multiply(price, rate)
        return ConvertedQuote(
            quote,
            converted,
            self.target,
            rate,
            time,
            fetched_monotonic=fetched.fetched_monotonic,
            fetched_by=fetched.fetched_by,
        )

    def primary(self) -> tuple[str, FxRate | None, float | None]:
        """The pair shown to people (USD to the target), its rate, and seconds since it was fetched."""
        with self._changed:
            pair = self._pairs.get("USD")
            if pair is None or pair.rate is None:
                return f"USD/{self.target}", None, None
            return f"USD/{self.target}", pair.rate, self._clock() - pair.received
