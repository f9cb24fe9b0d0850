"""The model of a cycle over many machines: its duration, its bottleneck, and the resources that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from sp500tui.config.settings import LIVE_RATE, Settings
from sp500tui.pipeline.runtime.wiring import BURST
from sp500tui.pipeline.writer.worker import LINGER

HOPS = 3
"""Number of queues that every item passes: tickers, quotes, rows."""
SESSION = 6.5 * 3600
"""Seconds per day in which prices change: the regular session of the New York exchanges."""
HEADROOM = 0.8
"""Share of a capacity that plans may use."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Capacities of one broker, one database and one outgoing address."""

    broker: float
    """Items per second that one broker enqueues, delivers and acknowledges."""
    database: float
    """Rows per second committed by one PostgreSQL server."""
    row_bytes: float
    """Bytes of a row on disk, including its share of the index."""
    requests: float = LIVE_RATE
    """Requests per second from one outgoing address: the default limit for Yahoo Finance."""
    burst: int = BURST
    """Requests that an address may send at once after a pause."""
    latency: float = 0.25
    """Seconds from request to response. Assumed: it depends on the connection to Yahoo Finance, which no test uses."""
    spread: float = 0.2
    """Latencies are distributed uniformly within this share around their mean. Also assumed."""
    batch: int = Settings.model_fields["batch_size"].default
    """Symbols per request."""
    write_batch: int = Settings.model_fields["write_batch"].default
    """Maximum rows per commit."""
    linger: float = LINGER
    """Seconds that a writer waits for more rows after the first."""


@dataclass(frozen=True, slots=True)
class Load:
    """The symbols to fetch, and how often."""

    symbols: int
    interval: float = Settings.model_fields["interval"].get_default(
        call_default_factory=True, validated_data={}
    )
    """Seconds from the start of a cycle to the start of the next."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The numbers of addresses, brokers and databases."""

    addresses: int = 1
    """Outgoing addresses, each with a separate rate limit."""
    brokers: int = 1
    """Brokers, or shards of one, that share the queues evenly."""
    databases: int = 1
    """PostgreSQL nodes that share the rows evenly."""
    workers: int = Settings.model_fields["price_workers"].default
    """Price workers per address."""
    writers: int = Settings.model_fields["writers"].default
    """Writers per database node."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle in the steady state, as the model predicts it."""

    seconds: float
    """Seconds from its start until its last row is committed."""
    period: float
    """Seconds to the next cycle: the interval or a multiple of it, since cycles are skipped and never overlap."""
    busy: dict[str, float]
    """Utilization of each part, by name."""

    @property
    def bottleneck(self) -> str:
        """The busiest part."""
        return max(self.busy, key=lambda name: self.busy[name])


def cycle_of(load: Load, fleet: Fleet, rates: Rates) -> Cycle:
    """The cycle over these symbols with a fleet."""
    requests = ceil(load.symbols / rates.batch)
    own = ceil(requests / fleet.addresses)
    work = {
        "addresses": requests / (rates.requests * fleet.addresses),
        "brokers": HOPS * load.symbols / (rates.broker * fleet.brokers),
        "databases": load.symbols / (rates.database * fleet.databases),
    }
    fetched = max(
        max(0, own - rates.burst) / rates.requests + rates.latency,
        _waves(min(own, rates.burst), fleet, rates),
    )
    # The last commit has the rows that arrived while its writer waited for more.
    last = min(load.symbols, rates.batch + load.symbols / fetched * rates.linger)
    tail = rates.linger + last * fleet.writers / rates.database + HOPS * rates.batch / rates.broker
    seconds = max(fetched + tail, rates.latency + max(work["brokers"], work["databases"]) + rates.linger)
    period = load.interval * max(1, ceil(seconds / load.interval))
    return Cycle(seconds, period, {name: taken / period for name, taken in work.items()})


def _waves(requests: int, fleet: Fleet, rates: Rates) -> float:
    """Seconds for requests that the rate does not limit, in waves, until the slowest of the last wave."""
    waves = ceil(requests / fleet.workers)
    last = (requests - (waves - 1) * fleet.workers) * fleet.addresses
    slowest = 1 - rates.spread + 2 * rates.spread * last / (last + 1)
    return rates.latency * (waves - 1 + slowest)


def fleet_for(load: Load, rates: Rates) -> Fleet:
    """The fleet needed for one cycle per interval, with some headroom."""
    usable = load.interval * HEADROOM
    return Fleet(
        addresses=max(1, ceil(load.symbols / rates.batch / (rates.requests * usable))),
        brokers=max(1, ceil(HOPS * load.symbols / (rates.broker * usable))),
        databases=max(1, ceil(load.symbols / (rates.database * usable))),
    )


def bytes_a_day(load: Load, rates: Rates, period: float) -> float:
    """Growth of the table on a trading day on which every price changes in every cycle."""
    return load.symbols * SESSION / period * rates.row_bytes
