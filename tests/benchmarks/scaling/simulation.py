"""A cycle over many machines as a discrete simulation: every request, every pass through a queue, every commit."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil

from sp500tui.config.settings import Settings
from tests.benchmarks.scaling.model import Fleet, Load, Rates

_WAITING: int = Settings.model_fields["tickers_capacity"].default
"""Tickers that may wait; the scraper waits with the others."""


class Clock:
    """Simulated time, and the future events in their order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._count = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Have `event` happen then."""
        self._count += 1
        heapq.heappush(self._events, (time, self._count, event))

    def run(self) -> None:
        """Run all events."""
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()


class Server:
    """A broker: processes one request after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free_at = 0.0
        self.busy_seconds = 0.0
        """Seconds for which it has worked."""

    def work(self, seconds: float, then: Callable[[], None]) -> None:
        """Take so long for it, after all that came before."""
        self._free_at = max(self._clock.now, self._free_at) + seconds
        self.busy_seconds += seconds
        self._clock.at(self._free_at, then)


class Address:
    """An outgoing address: a token bucket, and price workers that take a batch and wait for a token with it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._idle = world.fleet.workers
        self._earned = 0.0
        self.busy_seconds = 0.0

    def send_requests(self) -> None:
        """Let idle workers take what is there."""
        world, rates = self._world, self._world.rates
        while self._idle and world.tickers:
            size = world.take_tickers()
            self._idle -= 1
            sent = max(world.clock.now, self._earned - (rates.burst - 1) / rates.requests)
            self._earned = max(sent, self._earned) + 1 / rates.requests
            self.busy_seconds += 1 / rates.requests
            latency = rates.latency * world.rng.uniform(1 - rates.spread, 1 + rates.spread)
            world.clock.at(sent + latency, partial(self._answered, size))

    def _answered(self, size: int) -> None:
        self._idle += 1
        world = self._world
        # Quotes to the converters, then rows to the writers: two queues.
        world.through_broker(size, lambda: world.through_broker(size, lambda: world.add_rows(size)))
        self.send_requests()


class Writer:
    """Waits a little for more rows than the first, then commits all of them at once."""

    def __init__(self, world: World, seconds_a_row: float) -> None:
        self._world = world
        self._seconds_a_row = seconds_a_row
        self.busy_seconds = 0.0

    def begin(self) -> None:
        """There is a first row."""
        world = self._world
        full = world.rows >= world.rates.write_batch
        world.clock.at(world.clock.now + (0 if full else world.rates.linger), self._commit)

    def _commit(self) -> None:
        world = self._world
        size = min(world.rows, world.rates.write_batch)
        world.rows -= size
        self.busy_seconds += size * self._seconds_a_row
        world.clock.at(world.clock.now + size * self._seconds_a_row, lambda: self._committed(size))

    def _committed(self, size: int) -> None:
        self._world.idle_writers.append(self)
        if size:  # else another writer was quicker
            self._world.stored(size)
        self._world.wake_writer()


@dataclass(slots=True)
class Observed:
    """Measurements of the simulated cycles."""

    seconds: list[float] = field(default_factory=list)
    """Of each cycle, from its start to its last commit."""
    periods: list[float] = field(default_factory=list)
    """From start to start."""
    busy: dict[str, float] = field(default_factory=dict)
    """Share of the time that each part was at work."""


class World:
    """All simulated components, and the cycles that they process."""

    def __init__(self, load: Load, fleet: Fleet, rates: Rates, seed: int) -> None:
        self.load, self.fleet, self.rates = load, fleet, rates
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.tickers: deque[int] = deque()
        self.rows = 0
        self.addresses = [Address(self) for _ in range(fleet.addresses)]
        self.brokers = [Server(self.clock) for _ in range(fleet.brokers)]
        writers = fleet.databases * fleet.writers
        # A database's writers share what it takes.
        self.writers = [Writer(self, fleet.writers / rates.database) for _ in range(writers)]
        self.idle_writers: deque[Writer] = deque(self.writers)
        self.seen = Observed()
        self._turn = 0
        self._unsent = self._on_the_way = self._unstored = 0
        self._cycles_left = 0
        self._began = 0.0

    def run(self, cycles: int) -> Observed:
        """Let so many cycles pass."""
        self._cycles_left = cycles
        self._begin()
        self.clock.run()
        elapsed = sum(self.seen.periods)
        parts: dict[str, Sequence[Address | Server | Writer]] = {
            "addresses": self.addresses,
            "brokers": self.brokers,
            "databases": self.writers,
        }
        self.seen.busy = {
            name: sum(each.busy_seconds for each in part) / len(part) / elapsed
            for name, part in parts.items()
        }
        return self.seen

    def _begin(self) -> None:
        self._cycles_left -= 1
        self._began = self.clock.now
        self._unsent = self._unstored = self.load.symbols
        self._send_tickers()

    def _send_tickers(self) -> None:
        waiting = len(self.tickers) * self.rates.batch
        while self._unsent and waiting + self._on_the_way < _WAITING:
            size = min(self.rates.batch, self._unsent)
            self._unsent -= size
            self._on_the_way += size
            self.through_broker(size, partial(self._add_tickers, size))

    def _add_tickers(self, size: int) -> None:
        self._on_the_way -= size
        self.tickers.append(size)
        # Any of the addresses may be the first to see them.
        self.addresses[self._turn % len(self.addresses)].send_requests()
        self._turn += 1
        if self.tickers:
            for address in self.addresses:
                address.send_requests()

    def take_tickers(self) -> int:
        """A batch for a price worker; the scraper may continue."""
        size = self.tickers.popleft()
        self._send_tickers()
        return size

    def through_broker(self, size: int, then: Callable[[], None]) -> None:
        """Onto and off a queue of one of the brokers."""
        self.rng.choice(self.brokers).work(size / self.rates.broker, then)

    def add_rows(self, size: int) -> None:
        """Rows for the writers."""
        self.rows += size
        self.wake_writer()

    def wake_writer(self) -> None:
        """Let an idle writer begin where there are rows."""
        if self.rows and self.idle_writers:
            self.idle_writers.popleft().begin()

    def stored(self, size: int) -> None:
        """So many rows are committed; with the last one the cycle is over."""
        self._unstored -= size
        if self._unstored:
            return
        seconds = self.clock.now - self._began
        # Due times that fell into the cycle are skipped.
        period = self.load.interval * max(1, ceil(seconds / self.load.interval))
        self.seen.seconds.append(seconds)
        self.seen.periods.append(period)
        if self._cycles_left:
            self.clock.at(self._began + period, self._begin)


def simulate(load: Load, fleet: Fleet, rates: Rates, *, cycles: int, seed: int) -> Observed:
    """Cycles over these symbols with that fleet; the same seed gives the same."""
    return World(load, fleet, rates, seed).run(cycles)
