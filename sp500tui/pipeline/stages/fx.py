"""Exchange rates: which pairs to request, which rates to accept, and the conversion of prices."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal

from sp500tui.config.currencies import MINOR_UNITS
from sp500tui.model import ConvertedQuote, FetchedQuote, FxRate

_log = logging.getLogger(__name__)

_MAX_JUMP = Decimal("0.10")
"""Maximum relative difference between a rate and the last one."""
_ACCEPT_AFTER = 3
"""Implausible rates in a row after which the next one is accepted."""
_ONE = Decimal(1)
_EXACT = Context(prec=200, traps=[])
"""Enough digits for every product; the default of 28 would round a price times a rate of 17 digits each."""


def major_unit(currency: str) -> tuple[str, int]:
    """The ISO currency of Yahoo's code, and how many of the code's units make one unit of it."""
    return (MINOR_UNITS[currency], 100) if currency in MINOR_UNITS else (currency, 1)


def is_plausible(old: Decimal | None, new: Decimal) -> bool:
    """Whether `new` can be the successor of `old`: finite, above zero and within 10 % of it."""
    if not new.is_finite() or new <= 0:
        return False
    return old is None or abs(new - old) <= old * _MAX_JUMP


@dataclass(slots=True)
class _Pair:
    rate: FxRate | None = None
    received: float = 0.0
    """Monotonic time of the last accepted rate."""
    pending_since: float = 0.0
    """Monotonic time of the first quote that needs the rate."""
    rejections: int = 0
    """Implausible rates in a row."""
    rejected: bool = False
    """Whether a rejection has been logged since the last accepted rate."""


class FxRates:
    """The latest exchange rate of every registered currency to one target currency. Thread-safe."""

    def __init__(
        self,
        target: str,
        *,
        refresh: float = 10.0,
        pending_timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the rates to `target`, with USD registered.

        Args:
            target: ISO 4217 code of the second currency.
            refresh: seconds after which a rate is requested again.
            pending_timeout: seconds for which rows wait for the first rate of their currency.
            clock: monotonic time in seconds.
        """
        self.target = target
        self._refresh = refresh
        self._pending_timeout = pending_timeout
        self._clock = clock
        self._changed = threading.Condition()
        self._pairs: dict[str, _Pair] = {}
        self.register(("USD",))

    def register(self, currencies: Iterable[str]) -> None:
        """Start requesting rates for these currencies, in which quotes have arrived."""
        with self._changed:
            for currency in currencies:
                base, _ = major_unit(currency)
                if base != self.target and base not in self._pairs:
                    self._pairs[base] = _Pair(pending_since=self._clock())

    def stale_pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs to request: without a rate, or with one older than the refresh time."""
        now = self._clock()
        with self._changed:
            return tuple(
                (base, self.target)
                for base, pair in self._pairs.items()
                if pair.rate is None or now - pair.received >= self._refresh
            )

    def unknown_pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs without any rate yet."""
        with self._changed:
            return tuple((base, self.target) for base, pair in self._pairs.items() if pair.rate is None)

    def update(self, rates: Iterable[FxRate]) -> None:
        """Accept the plausible rates among `rates`.

        A rate more than 10 % away from the last one is accepted only after three in a row.
        """
        rejected: list[FxRate] = []
        with self._changed:
            for rate in rates:
                pair = self._pairs.get(rate.base)
                if pair is None or rate.target != self.target:
                    continue
                if not is_plausible(pair.rate.rate if pair.rate else None, rate.rate):
                    # A value that cannot be a rate neither counts as a jump nor ends a series of jumps.
                    pair.rejections += is_plausible(None, rate.rate)
                    if not is_plausible(None, rate.rate) or pair.rejections < _ACCEPT_AFTER:
                        if not pair.rejected:
                            rejected.append(rate)
                        pair.rejected = True
                        continue
                pair.rate, pair.received, pair.rejections, pair.rejected = rate, self._clock(), 0, False
            self._changed.notify_all()
        # Outside the lock: logging blocks on a terminal or pipe that is not read.
        for rate in rejected:
            _log.warning("rejected the rate %s%s = %s", rate.base, rate.target, rate.rate)

    def is_pending(self, currencies: Iterable[str]) -> bool:
        """Whether the first rate of one of these currencies can still be expected within the pending timeout."""
        now = self._clock()
        with self._changed:
            pairs = (self._pairs.get(major_unit(currency)[0]) for currency in currencies)
            return any(
                pair is not None and pair.rate is None and now - pair.pending_since < self._pending_timeout
                for pair in pairs
            )

    def wait_for_update(self, seconds: float) -> None:
        """Wait until rates are updated, at most `seconds`."""
        with self._changed:
            self._changed.wait(seconds)

    def convert(self, fetched: FetchedQuote) -> ConvertedQuote:
        """Add the price in the target currency, unrounded; None as that price if no rate is known."""
        quote = fetched.quote
        base, units = major_unit(quote.currency)
        price = quote.price if units == 1 else _EXACT.divide(quote.price, Decimal(units))
        pair = self._pairs.get(base)
        known = None if pair is None else pair.rate
        rate: Decimal | None = None
        time: datetime | None = None
        converted: Decimal | None = None
        if base == self.target:
            converted, rate, time = price, _ONE, quote.quote_time
        elif known is not None:
            rate, time = known.rate, known.time
            converted = _EXACT.multiply(price, rate)
        return ConvertedQuote(
            quote,
            converted,
            self.target,
            rate,
            time,
            fetched_monotonic=fetched.fetched_monotonic,
            fetched_by=fetched.fetched_by,
            batch=fetched.batch,
        )

    def primary(self) -> tuple[str, FxRate | None, float | None]:
        """The pair shown on the screen (USD to the target), its rate, and seconds since it was fetched."""
        with self._changed:
            pair = self._pairs.get("USD")
            if pair is None or pair.rate is None:
                return f"USD/{self.target}", None, None
            return f"USD/{self.target}", pair.rate, self._clock() - pair.received
