"""Scaling beyond one machine: the model of a cycle compared with a simulation, from capacities measured here."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import psutil
import psycopg

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.queue.codec import RowCodec
from sp500tui.cluster.queue.stream_queue import StreamQueue
from sp500tui.model import ConvertedQuote
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import distinct_rows, fresh_database, listed_symbols, scratch_server
from tests.benchmarks.scaling.model import Fleet, Load, Rates, bytes_a_day, cycle_of, fleet_for
from tests.benchmarks.scaling.simulation import Observed, simulate
from tests.benchmarks.throughput.ingest import ingest
from tests.support.cluster.valkey import new_server

_BATCH = 50
_SEEDS = 3
_CYCLES = 2
_TOLERANCE = 10.0
"""Percent by which model and simulation may differ."""
_KEPT = 90
"""Days of prices in the storage figure."""
_EQUAL = (
    "ours is the model; the same symbols, fleet and rates in the simulation, which follows every request, every pass "
    f"through a queue and every commit over {_CYCLES} cycles, with {_SEEDS} seeds"
)
_MEASURED = "two processors of this machine, shared with the other side and whatever else runs"


def measure_broker(rows: list[ConvertedQuote]) -> float:
    """Items that a broker enqueues, delivers and acknowledges per second of its processor time, in request batches."""
    server = new_server()
    try:
        assert server.process is not None
        broker = Broker(server.url, "scaling")
        broker.open()
        queue = StreamQueue(broker, "rows", RowCodec(lambda: broker.offset), 4096, consumer="here")
        process = psutil.Process(server.process.pid)
        before = process.cpu_times()
        for at in range(0, len(rows), _BATCH):
            queue.put(rows[at : at + _BATCH])
            lease = queue.take(_BATCH)
            if lease is None or not lease.ack():
                raise RuntimeError(f"the queue lost the batch at row {at}")
        after = process.cpu_times()
        broker.close()
    finally:
        server.close()
    return len(rows) / max(after.user + after.system - before.user - before.system, 0.01)


def measure_database(rows: list[ConvertedQuote], runs: int) -> tuple[list[float], float]:
    """Rows per second committed by two writers in each run, and the bytes of a row with its index entry."""
    rates, size = [], 0.0
    with scratch_server() as server:
        for _ in range(runs):
            with fresh_database(server) as url:
                rates.append(ingest(url, rows, 2))
                with psycopg.connect(url) as connection:
                    found = connection.execute("SELECT pg_total_relation_size('prices')").fetchone()
                size = (found[0] if found else 0) / len(rows)
    return rates, size


def inputs(scale: Scale) -> tuple[Rates, list[Figure]]:
    """The capacity of one broker and one database on this machine, and the figures that it is derived from."""
    rows = distinct_rows(scale.quotes, listed_symbols())
    brokers = Spread.of(measure_broker(rows[:20_000]) for _ in range(scale.runs))
    rates, size = measure_database(rows, scale.runs)
    databases = Spread.of(rates)
    return Rates(broker=brokers.median, database=databases.median, row_bytes=size), [
        Figure(
            "scaling",
            "a broker",
            "items/s",
            brokers,
            _MEASURED,
            note="a Valkey with appendfsync always, a batch of a request at a time, by its own processor time; "
            "an item is put, handed out and forgotten",
        ),
        Figure(
            "scaling",
            "a PostgreSQL",
            "rows/s",
            databases,
            _MEASURED,
            note="two writers, as in the benchmark ingest",
        ),
        Figure("scaling", "a row with its key", "bytes", Spread.of([size]), _MEASURED),
    ]


def compared(name: str, load: Load, fleet: Fleet, rates: Rates) -> Figure:
    """The model's cycle compared with the simulated ones."""
    said = cycle_of(load, fleet, rates)
    seen = [simulate(load, fleet, rates, cycles=_CYCLES, seed=seed) for seed in range(_SEEDS)]
    simulated = Spread.of(mean(each.seconds) for each in seen)
    apart = Spread.of(abs(said.seconds / mean(each.seconds) - 1) * 100 for each in seen)
    return Figure(
        "scaling",
        f"{load.symbols:,} symbols every {load.interval:g} s, {name}: a cycle",
        "s",
        Spread.of([said.seconds]),
        _EQUAL,
        {"simulation": simulated},
        ratio=apart,
        ratio_name="% apart",
        goal=f"≤ {_TOLERANCE:g} % apart",
        met=apart.max <= _TOLERANCE and all(_same_rhythm(said.period, each) for each in seen),
        note=f"{_words(fleet)}; a cycle every {said.period:g} s; busiest: {said.bottleneck}, "
        f"{said.busy[said.bottleneck]:.0%} of the time",
    )


def _same_rhythm(period: float, seen: Observed) -> bool:
    return all(abs(each - period) < 0.001 for each in seen.periods)


def _words(fleet: Fleet) -> str:
    counted = ((fleet.addresses, "address", "addresses"), (fleet.brokers, "broker", "brokers"))
    parts = [f"{number:,} {one if number == 1 else many}" for number, one, many in counted]
    databases = f"{fleet.databases:,} PostgreSQL node{'s' * (fleet.databases > 1)}"
    return f"{', '.join(parts)}, {databases}"


def storage(load: Load, rates: Rates) -> Figure:
    """The growth of the table per trading day."""
    period = cycle_of(load, fleet_for(load, rates), rates).period
    size = bytes_a_day(load, rates, period) / 1e9
    return Figure(
        "scaling",
        f"{load.symbols:,} symbols every {load.interval:g} s: growth of the table",
        "GB a trading day",
        Spread.of([size]),
        "every price differs from cycle to cycle in the regular session; a closed market adds nothing",
        note=f"{size * _KEPT / 1000:,.3g} TB for {_KEPT} trading days",
    )


def figures_of(load: Load, rates: Rates) -> list[Figure]:
    """One machine, then the fleets needed for more symbols, then the limit if only addresses are added."""
    bought = fleet_for(load, rates)
    figures = [compared("one machine as it is", load, Fleet(), rates)]
    if bought != Fleet():
        figures.append(compared("with what it takes", load, bought, rates))
    if bought.brokers > 1 or bought.databases > 1:
        alone = replace(bought, brokers=1, databases=1)
        figures.append(compared("with more addresses alone", load, alone, rates))
    return [*figures, storage(load, rates)]


def run(scale: Scale) -> list[Figure]:
    """The capacities of this machine, and the consequences for more symbols than one machine may request."""
    rates, figures = inputs(scale)
    for load in (Load(503), Load(10_000), Load(1_000_000), Load(1_000_000, 60.0)):
        figures += figures_of(load, rates)
    return figures
