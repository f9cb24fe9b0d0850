"""The market model: correlated random walks around the starting prices, advanced on demand."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from math import exp, sqrt

from sp500tui.model import MarketState
from sp500tui.simulator.market.bars import Bar, DayRecord, MinuteBars
from sp500tui.simulator.market.clock import CLOSING, DAY, OPENING, TRADING, DemoClock
from sp500tui.simulator.market.currencies import Currencies, CurrencyPair
from sp500tui.simulator.market.instruments import Listing, fraction
from sp500tui.simulator.market.prng import Prng

_SESSION = CLOSING - OPENING
_MARKET_VOLATILITY = 6.5e-5
_SECTOR_VOLATILITY = 3.5e-5
_OWN_VOLATILITY = 1.0e-4
"""Standard deviation of the logarithm of a price over one second of the exchange's time."""
_MEAN_REVERSION = 1 / (60 * _SESSION)
"""Fraction of its distance from the start that a walk reverts in a second; keeps prices plausible for weeks."""
_GAP_VOLATILITY = 0.006
"""Standard deviation of the jump from a close to the next opening."""
_FACTOR_MEMORY = 30_000
"""Seconds of market and sector levels kept."""
_FINE_SECONDS = 3_600
"""Seconds after a pause that are simulated one by one; a longer pause takes as many longer steps."""
_FINE_STEPS = 900
"""Trades after a pause that are simulated one by one; a longer pause takes as many longer steps."""
_MAX_GAP = 30
"""Largest time in seconds between two trades of the smallest shares in the regular session."""
MAX_DAYS = 60
"""Simulated days that are kept as daily bars."""
_MINUTE_DAYS = 30
"""Real days for which minute bars are kept."""
_LONGEST_STEP = 45
"""Maximum seconds between two trades of a regular session, even after a pause: every minute has a bar."""
SWEEPS = 30
"""Number of calls of `sweep`, one per second, that advance all instruments once."""


class Factors:
    """The levels that instruments share: the market's and each sector's, second by second."""

    def __init__(self, clock: DemoClock, sectors: int, seed: object) -> None:
        self._clock = clock
        self._rng = Prng(seed, "factors")
        self._width = sectors + 1
        self._levels = array("d", [0.0] * self._width)
        self._first = 0
        self.second = 0
        """The last second that has levels."""

    def advance(self, second: int) -> None:
        """Advance to `second`; the levels are constant while the market is closed."""
        stride = max(1, (second - self.second) // _FINE_SECONDS)
        while self.second < second:
            stride = min(stride, second - self.second)
            self._levels.extend(self._step(self._levels[-self._width :], stride) * stride)
            self.second += stride
        surplus = len(self._levels) // self._width - _FACTOR_MEMORY
        if surplus > _FACTOR_MEMORY // 10:
            del self._levels[: surplus * self._width]
            self._first += surplus

    def _step(self, levels: array[float], stride: int) -> array[float]:
        state = self._clock.state(self.second + stride)
        if state not in TRADING:
            return levels
        passed = min(stride * self._clock.speed, _SESSION) * (1.0 if state is MarketState.REGULAR else 0.2)
        scale, keep = sqrt(passed), 1 - _MEAN_REVERSION * passed
        sizes = [_MARKET_VOLATILITY, *[_SECTOR_VOLATILITY] * (self._width - 1)]
        normal = self._rng.normal
        return array(
            "d", [level * keep + size * scale * normal() for level, size in zip(levels, sizes, strict=True)]
        )

    def at(self, second: int, sector: int) -> tuple[float, float]:
        """The market's and one sector's level, as logarithms relative to the start."""
        row = max(0, second - self._first) * self._width
        return self._levels[row], self._levels[row + 1 + sector]


class Instrument:
    """One share: its random walk, the current day and previous days."""

    def __init__(self, listing: Listing, sector: int, clock: DemoClock, seed: object, gap: int) -> None:
        """Trade about every `gap` seconds."""
        self.listing = listing
        self.symbol = listing.yahoo_symbol
        self.name = self.symbol
        """The symbol at the start, from which random numbers are derived."""
        self.seed = seed
        self.first_opening = clock.real(0, OPENING)
        """Real time of the first opening, seconds since 1970."""
        self.trades = 0
        """Number of trades so far; the quote changes only with it."""
        self.pre: tuple[float, int] | None = None
        self.post: tuple[float, int] | None = None
        """Price and real time of the latest trade before and after the regular session, of the current day."""
        self.first_price = listing.price
        """The price before the first trade."""
        self.scale = 1.0
        """The price factor of an original share: 0.25 after a 4:1 split."""
        self.splits: list[tuple[int, tuple[int, int]]] = []
        """Opening of the day, seconds since 1970, and ratio of each split since the start."""
        self.dividends: list[tuple[int, float]] = []
        """Opening of the day and amount of each dividend since the start, adjusted for later splits."""
        self._announced_splits: list[tuple[int, int]] = []
        self._announced_dividends: list[float] = []
        self.minutes = MinuteBars()
        self.past: deque[Bar] = deque(maxlen=MAX_DAYS)
        """Past regular sessions since the start, oldest first."""
        self._sector = sector
        self._clock = clock
        self.gap = gap
        """Longest time between two trades of the regular session, in seconds."""
        self._rng = Prng(seed, listing.symbol)
        self._beta = 0.5 + fraction(listing.symbol, "beta")
        pace = min(clock.speed, _SESSION)
        self._lot = max(1.0, listing.shares * 0.005 * gap / _SESSION) * pace
        self._own = 0.0
        self._next = 0
        self._last = 0
        self._day = -1
        self._date = 0
        self._periods = clock.periods_of(0)
        self.today = self._opening_record(listing.price)

    def _opening_record(self, close: float) -> DayRecord:
        start = self._clock.real(0, OPENING)
        closed = min(self._clock.real(-1, CLOSING), start - 1)
        return DayRecord(start, close, closed, close, close, close, close, start, 0)

    def announce_split(self, numerator: int, denominator: int) -> None:
        """Split the shares before the first trade of the next day."""
        self._announced_splits.append((numerator, denominator))

    def announce_dividend(self, amount: float) -> None:
        """Pay a dividend in USD per share on the next day."""
        self._announced_dividends.append(amount)

    def rename(self, symbol: str) -> Listing:
        """Change the ticker; returns the new listing."""
        self.listing = replace(self.listing, symbol=symbol)
        self.symbol = self.listing.yahoo_symbol
        self.trades += 1
        return self.listing

    def advance(self, second: int, factors: Factors) -> None:
        """Simulate all trades up to and including `second`."""
        stretch = max(1, (second - self._next) // _FINE_STEPS)
        while self._next <= second:
            due = self._clock.next_trading(self._next)
            if due > second:
                self._next = due
                return
            state = self._clock.state(due)
            self._trade(due, state, factors)
            longest = self.gap if state is MarketState.REGULAR else 4 * self.gap
            step = 1 + int(longest * self._rng.uniform())
            longer = step * stretch
            if state is MarketState.REGULAR and second - due < _MINUTE_DAYS * DAY:
                longer = max(step, min(longer, _LONGEST_STEP))
            # Long steps are used only in the past; the trade after `second` has a normal distance.
            self._next = due + (longer if due + longer <= second else step)

    def _trade(self, second: int, state: MarketState, factors: Factors) -> None:
        self._enter_date(second)
        day = self._clock.day(second)
        opens = state is MarketState.REGULAR and day != self._day
        price = self._price(second, factors, opens)
        volume = round(self._lot * (0.25 + 1.5 * self._rng.uniform()))
        stamp = self._clock.stamp(second)
        if opens:
            self._open(day, stamp, price)
        if state is MarketState.REGULAR:
            self.today.trade(stamp, price, volume)
        elif state is MarketState.PRE:
            self.pre = (price, stamp)
        else:
            self.post = (price, stamp)
        self.minutes.trade(stamp, price, volume, self._session_start(state))
        self._last = second
        self.trades += 1

    def _enter_date(self, second: int) -> None:
        """Record the sessions of a trade's day; announced actions take effect with the first trade of a day."""
        date = self._clock.date_number(second)
        if date == self._date:
            return
        self._date, self._periods = date, self._clock.periods_of(date)
        opening = self._periods.regular[0]
        for numerator, denominator in self._announced_splits:
            self.splits.append((opening, (numerator, denominator)))
            self._divide(denominator / numerator)
        self.dividends += [(opening, amount) for amount in self._announced_dividends]
        self._announced_splits.clear()
        self._announced_dividends.clear()

    def _divide(self, factor: float) -> None:
        """Multiply all past prices, and the values derived from them, by a factor."""
        self.scale *= factor
        self.listing = replace(
            self.listing, price=self.listing.price * factor, shares=round(self.listing.shares / factor)
        )
        self._lot /= factor
        self.minutes.multiply(factor)
        self.past = deque((bar.multiplied(factor) for bar in self.past), MAX_DAYS)
        self.today.multiply(factor)
        self.post = None if self.post is None else (round(self.post[0] * factor, 4), self.post[1])
        self.dividends = [(time, amount * factor) for time, amount in self.dividends]

    def _session_start(self, state: MarketState) -> int:
        """Real time at which the session of the latest date began."""
        periods = self._periods
        if state is MarketState.REGULAR:
            return periods.regular[0]
        return periods.pre[0] if state is MarketState.PRE else periods.post[0]

    def _price(self, second: int, factors: Factors, opens: bool) -> float:
        passed = min((second - self._last) * self._clock.speed, _SESSION)
        self._own *= 1 - _MEAN_REVERSION * passed
        self._own += _OWN_VOLATILITY * sqrt(passed) * self._rng.normal()
        if opens:
            self._own += _GAP_VOLATILITY * self._rng.normal()
        market, sector = factors.at(second, self._sector)
        level = self.listing.price * exp(self._beta * market + sector + self._own)
        digits = 4 if level < 1 or self._rng.uniform() < 0.1 else 2
        return max(0.0001, round(level, digits))

    def _open(self, day: int, stamp: int, price: float) -> None:
        before = self.today
        if self._day >= 0:
            self.past.append(before.bar())
            self.minutes.forget_before(stamp - _MINUTE_DAYS * DAY)
        known = before.price if self._day >= 0 else before.previous_close
        known_at = before.time if self._day >= 0 else before.previous_time
        self.today = DayRecord(
            self._clock.real(day, OPENING), known, known_at, price, price, price, price, stamp, 0
        )
        self._day = day
        self.pre = self.post = None


class Market:
    """All instruments and currency pairs, at one clock."""

    def __init__(self, listings: Sequence[Listing], clock: DemoClock, seed: object) -> None:
        """The same `seed` gives the same prices second by second."""
        self.clock = clock
        self.seed = seed
        self._sectors = sectors = sorted({listing.sector for listing in listings})
        self._factors = Factors(clock, len(sectors), seed)
        largest = sorted(listings, key=lambda listing: -listing.shares * listing.price)
        rank = {listing.symbol: place for place, listing in enumerate(largest)}
        self._instruments = {
            listing.yahoo_symbol: Instrument(
                listing,
                sectors.index(listing.sector),
                clock,
                seed,
                min(_MAX_GAP, 1 + rank[listing.symbol] // 150),
            )
            for listing in listings
        }
        self._order = list(self._instruments.values())
        self._currencies = Currencies(clock, seed)
        self._swept = 0

    def now(self) -> int:
        """The current second; advances the shared levels to it."""
        second = int(self.clock.elapsed())
        self._factors.advance(second)
        return second

    def state(self) -> MarketState:
        """The exchange's current session."""
        return self.clock.state(self.clock.elapsed())

    def instrument(self, yahoo_symbol: str) -> Instrument | None:
        """A share with all its trades up to now; None for an unknown symbol."""
        instrument = self._instruments.get(yahoo_symbol)
        if instrument is not None:
            instrument.advance(self.now(), self._factors)
        return instrument

    def listed(self, symbol: str) -> Instrument:
        """A share by its ticker as listed, with all its trades up to now.

        Raises:
            ValueError: there is no such share.
        """
        instrument = self.instrument(symbol.replace(".", "-"))
        if instrument is None or instrument.listing.symbol != symbol:
            raise ValueError(f"{symbol} is not listed")
        return instrument

    def rename(self, old: str, new: str) -> Listing:
        """Rename a share; its old ticker becomes unknown.

        Raises:
            ValueError: the old ticker is not listed, or the new one is in use.
        """
        instrument = self.listed(old)
        self._check_free(new)
        del self._instruments[instrument.symbol]
        listing = instrument.rename(new)
        self._instruments[instrument.symbol] = instrument
        return listing

    def add(self, listing: Listing) -> Listing:
        """List another share, in one of the known sectors.

        Raises:
            ValueError: the ticker is in use.
        """
        self._check_free(listing.symbol)
        sector = self._sectors.index(listing.sector) if listing.sector in self._sectors else 0
        instrument = Instrument(listing, sector, self.clock, self.seed, _MAX_GAP)
        self._instruments[listing.yahoo_symbol] = instrument
        self._order.append(instrument)
        return listing

    def _check_free(self, symbol: str) -> None:
        if symbol.replace(".", "-") in self._instruments:
            raise ValueError(f"{symbol} is already listed")

    def pair(self, yahoo_symbol: str) -> CurrencyPair | None:
        """A currency pair such as `EURDKK=X` with its current rate; None for an unknown one."""
        pair = self._currencies.pair(yahoo_symbol)
        if pair is not None:
            pair.advance(int(self.clock.elapsed()))
        return pair

    def symbols(self) -> Sequence[str]:
        """All shares as Yahoo Finance spells them, in the order of the list."""
        return list(self._instruments)

    def sweep(self) -> None:
        """Advance a part of the instruments, so that no request has to; called once a second."""
        second = self.now()
        size = -(-len(self._order) // SWEEPS)
        for instrument in self._order[self._swept : self._swept + size]:
            instrument.advance(second, self._factors)
        self._swept = self._swept + size if self._swept + size < len(self._order) else 0
