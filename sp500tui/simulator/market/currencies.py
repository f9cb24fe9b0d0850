"""Exchange rates of the demo market: a random walk of each currency against the dollar, from which pairs derive."""

from __future__ import annotations

from math import exp, sqrt

from sp500tui.simulator.market.bars import DayRecord, MinuteBars
from sp500tui.simulator.market.clock import DAY, OPENING, DemoClock
from sp500tui.simulator.market.prng import Prng

PER_DOLLAR = {
    "USD": 1.0, "EUR": 0.86, "JPY": 154.0, "GBP": 0.76, "CHF": 0.80, "CAD": 1.40, "AUD": 1.53, "NZD": 1.76,
    "SEK": 9.45, "NOK": 10.1, "DKK": 6.42, "ISK": 126.0, "PLN": 3.65, "CZK": 20.9, "HUF": 332.0, "RON": 4.38,
    "BGN": 1.68, "TRY": 42.2, "ILS": 3.25, "ZAR": 17.2, "AED": 3.6725, "SAR": 3.7505, "INR": 88.6, "CNY": 7.11,
    "HKD": 7.78, "TWD": 31.1, "KRW": 1462.0, "SGD": 1.30, "THB": 32.4, "MYR": 4.14, "IDR": 16_700.0, "PHP": 58.9,
    "MXN": 18.4, "BRL": 5.32, "CLP": 935.0, "COP": 3_760.0, "PEN": 3.37,
}  # fmt: skip
"""Units of each currency per dollar in late 2025, rounded."""
_PEGS = {"DKK": "EUR", "BGN": "EUR", "AED": "USD", "SAR": "USD", "HKD": "USD"}
"""Currencies that follow another one closely."""
_VOLATILITY = 3.0e-5
_PEGGED_VOLATILITY = 1.0e-6
"""Standard deviation of the logarithm of a rate over one second."""
_PULL = 1 / (20 * DAY)
_PAUSE = 2
"""Seconds between two rates of a pair."""
_FINE_STEPS = 900
_MINUTE_DAYS = 8
"""Days for which minute bars are kept."""


class _Walk:
    """The logarithmic distance of a currency from its starting rate."""

    __slots__ = ("_rng", "_size", "_time", "level")

    def __init__(self, currency: str, seed: object) -> None:
        self._rng = Prng(seed, "currency", currency)
        self._size = 0.0 if currency == "USD" else _PEGGED_VOLATILITY if currency in _PEGS else _VOLATILITY
        self._time = 0
        self.level = 0.0

    def advance(self, second: int) -> None:
        while self._time < second:
            passed = max(1, (second - self._time) // _FINE_STEPS)
            self._time += passed
            self.level = self.level * (1 - _PULL * passed) + self._size * sqrt(passed) * self._rng.normal()


class CurrencyPair:
    """How many units of the second currency one unit of the first buys. Trades around the clock."""

    def __init__(
        self, base: str, target: str, walks: dict[str, _Walk], clock: DemoClock, seed: object
    ) -> None:
        self.seed = seed
        self.base = base
        self.target = target
        self.symbol = f"{target}=X" if base == "USD" else f"{base}{target}=X"
        """Yahoo Finance's name, also for other requested spellings: `DKK=X` for `USDDKK=X`."""
        self.name = self.symbol
        self.first_opening = clock.real(0, OPENING)
        """Real time of the exchange's first opening, seconds since 1970."""
        self.trades = 0
        self.minutes = MinuteBars()
        self._walks = walks
        self._clock = clock
        start = PER_DOLLAR[target] / PER_DOLLAR[base]
        self.start_rate = float(f"{start:.7g}")
        stamp, rate = clock.stamp(0), self.start_rate
        self.today = DayRecord(clock.real(0, OPENING), rate, stamp - 1, rate, rate, rate, rate, stamp, 0)

    def advance(self, second: int) -> None:
        """Advance the rate to `second`; it changes every two seconds."""
        second -= second % _PAUSE
        stamp = self._clock.stamp(second)
        if self.trades and stamp <= self.today.time:
            return
        rate = (
            PER_DOLLAR[self.target]
            / PER_DOLLAR[self.base]
            * exp(self._level(self.target, second) - self._level(self.base, second))
        )
        rate = float(f"{rate:.7g}")
        self.today.trade(stamp, rate, 0)
        self.minutes.trade(stamp, rate, 0)
        self.minutes.forget_before(stamp - _MINUTE_DAYS * DAY)
        self.trades += 1

    def _level(self, currency: str, second: int) -> float:
        own, anchor = self._walks[currency], self._walks[_PEGS.get(currency, "USD")]
        own.advance(second)
        anchor.advance(second)
        return own.level + anchor.level


class Currencies:
    """All pairs requested so far."""

    def __init__(self, clock: DemoClock, seed: object) -> None:
        self._clock = clock
        self._seed = seed
        self._walks = {currency: _Walk(currency, seed) for currency in PER_DOLLAR}
        self._pairs: dict[str, CurrencyPair] = {}

    def pair(self, yahoo_symbol: str) -> CurrencyPair | None:
        """The pair of `DKK=X`, `USDDKK=X` or `EURDKK=X`; None when a currency is unknown or both are equal."""
        code = yahoo_symbol.removesuffix("=X")
        base, target = ("USD", code) if len(code) == 3 else (code[:3], code[3:])
        if code == yahoo_symbol or base == target or not {base, target} <= PER_DOLLAR.keys():
            return None
        pair = CurrencyPair(base, target, self._walks, self._clock, self._seed)
        return self._pairs.setdefault(pair.symbol, pair)
