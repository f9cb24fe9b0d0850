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
"""Capacity of the tickers queue; the scraper waits with the rest."""


class Clock:
    """Simulated time, and the future events in their order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._count = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Schedule `event`."""
        self._count += 1
        heapq.heappush(self._events, (time, self._count, event))

    def run(self) -> None:
        """Run all events."""
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()


class Server:
    """A broker, which processes requests one at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free_at = 0.0
        self.busy_seconds = 0.0
        """Seconds of work so far."""

    def work(self, seconds: float, then: Callable[[], None]) -> None:
        """Process a request of this duration after all earlier ones."""
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
        """Let idle workers take the available tickers."""
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
    """Waits for more rows after the first, then commits all of them at once."""

    def __init__(self, world: World, seconds_a_row: float) -> None:
        self._world = world
        self._seconds_a_row = seconds_a_row
        self.busy_seconds = 0.0

    def begin(self) -> None:
        """Begin a batch: a first row is available."""
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
        if size:  # otherwise another writer has taken them
            self._world.stored(size)
        self._world.wake_writer()


@dataclass(slots=True)
class Observed:
    """Measurements of the simulated cycles."""

    seconds: list[float] = field(default_factory=list)
    """Duration of each cycle, from its start to its last commit."""
    periods: list[float] = field(default_factory=list)
    """Seconds from start to start."""
    busy: dict[str, float] = field(default_factory=dict)
    """Utilization of each part."""


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
        # A database's writers share its capacity.
        self.writers = [Writer(self, fleet.writers / rates.database) for _ in range(writers)]
        self.idle_writers: deque[Writer] = deque(self.writers)
        self.seen = Observed()
        self._turn = 0
        self._unsent = self._on_the_way = self._unstored = 0
        self._cycles_left = 0
        self._began = 0.0

    def run(self, cycles: int) -> Observed:
        """Simulate a number of cycles."""
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
        # Any of the addresses may be the first to take them.
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
        """Pass items through a queue of one of the brokers."""
        self.rng.choice(self.brokers).work(size / self.rates.broker, then)

    def add_rows(self, size: int) -> None:
        """Rows for the writers."""
        self.rows += size
        self.wake_writer()

    def wake_writer(self) -> None:
        """Let an idle writer begin if there are rows."""
        if self.rows and self.idle_writers:
            self.idle_writers.popleft().begin()

    def stored(self, size: int) -> None:
        """Count committed rows; the cycle ends with the last one."""
        self._unstored -= size
        if self._unstored:
            return
        seconds = self.clock.now - self._began
        # Due times during the cycle are skipped.
        period = self.load.interval * max(1, ceil(seconds / self.load.interval))
        self.seen.seconds.append(seconds)
        self.seen.periods.append(period)
        if self._cycles_left:
            self.clock.at(self._began + period, self._begin)


def simulate(load: Load, fleet: Fleet, rates: Rates, *, cycles: int, seed: int) -> Observed:
    """Cycles over these symbols with a fleet; the result is deterministic for a seed."""
    return World(load, fleet, rates, seed).run(cycles)
