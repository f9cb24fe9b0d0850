"""The whole pipeline, demo market to database, compared with its two halves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.metrics import LatencyHistogram
from sp500tui.pipeline.core.snapshot import Latency, Snapshot
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.simulator.process import DemoMarket
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import (
    distinct_rows,
    fresh_database,
    listed_symbols,
    many_symbols,
    public_folder,
    scratch_server,
    wait_until,
)
from tests.benchmarks.throughput.ingest import ingest
from tests.benchmarks.throughput.refresh import clients

_EQUAL = (
    "same demo market (no latency), server, symbols a cycle and machine; journal on; ours, fetch and "
    "ingest in turns"
)
_SPEED = 60.0
"""Market seconds per second, so that almost every fetch finds a new trade."""


@contextmanager
def pipeline(url: str, symbols: Sequence[str], interval: float, market: DemoMarket) -> Iterator[Pipeline]:
    """The production pipeline on a running demo market."""
    with public_folder() as folder:
        settings = Settings(
            database=url,
            symbols=tuple(symbols),
            interval=interval,
            data_dir=folder / "data",
            requests_per_second=1000.0,
            proxy=market.proxy_url,
            ca_file=market.ca_file,
        )
        paths = Paths.of(settings)
        paths.prepare()
        made = Pipeline(settings, paths)
        made.start()
        try:
            yield made
        finally:
            made.stop(ShutdownLevel.DRAIN)
            made.join(60.0)


def settled(snapshot: Snapshot) -> int:
    """Number of quotes that reached the database."""
    return snapshot.ledger.stored + snapshot.ledger.duplicate


@dataclass(frozen=True, slots=True)
class Speed:
    """Rate and cost."""

    rate: float
    """Quotes per second."""
    cost: float
    """Microseconds of processor time per quote of all processes together."""


def costed(work: Callable[[], float], count: int) -> Speed:
    """The speed of work on a number of quotes; the work returns its rate."""
    before = _spent()
    rate = work()
    return Speed(rate, (_spent() - before) / count * 1e6)


def _spent() -> float:
    """Seconds of processor time of this process and its descendants: market, clients, writers, database."""
    spent = 0.0
    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        with suppress(psutil.Error):
            spent += sum(process.cpu_times()[:2])
    return spent


def full_speed(url: str, symbols: Sequence[str], seconds: float, market: DemoMarket) -> Speed:
    """Quotes per second from the start of a cycle to its last commit, over the cycles after the first.

    The pauses between cycles are left out, because they depend on the configured interval.
    """
    with pipeline(url, symbols, 0.2, market) as made:
        wait_until(lambda: made.snapshot().cycle.number > 1, 60.0, "the second cycle")
        before, spent = settled(made.snapshot()), _spent()
        cycles: dict[int, float] = {}
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline or not cycles:
            cycle = made.snapshot().cycle
            if not cycle.running:
                cycles[cycle.number] = cycle.seconds
            time.sleep(0.01)
        cost = (_spent() - spent) / (settled(made.snapshot()) - before) * 1e6
        return Speed(len(cycles) * len(symbols) / sum(cycles.values()), cost)


def half_load(url: str, symbols: Sequence[str], rate: float, seconds: float, market: DemoMarket) -> Latency:
    """Latency from fetch to commit at half the maximum rate, as measured by the pipeline."""
    interval = max(0.2, 2 * len(symbols) / rate)
    with pipeline(url, symbols, interval, market) as made:
        wait_until(lambda: settled(made.snapshot()) > 2 * len(symbols), 60.0, "the first cycles")
        # The first quotes wait for the writers to start and connect, which does not depend on the load.
        counted = made.components.writer_stage.end_to_end = LatencyHistogram()
        time.sleep(max(seconds, 5 * interval))
        return counted.latency()


def run(scale: Scale) -> list[Figure]:
    """Throughput at full speed and latency at half of it."""
    count = min(20_120, scale.sizes[1] * 4)
    symbols = many_symbols(count)
    quotes = distinct_rows(min(scale.quotes, 60_000), symbols)
    wholes: list[Speed] = []
    fetches: list[Speed] = []
    ingests: list[float] = []
    p95: list[float] = []
    with (
        scratch_server() as server,
        DemoMarket.start(seed=500, speed=_SPEED, start_at="10:00", extra_symbols=count) as market,
        clients({"fetch": ("ours", count)}, market) as made,
    ):
        for _ in range(min(3, scale.runs)):
            fetches.append(costed(lambda: count / made["fetch"].measure(1, count).seconds.median, count))
            with fresh_database(server) as url:
                wholes.append(full_speed(url, symbols, scale.seconds, market))
            with fresh_database(server) as url:
                ingests.append(ingest(url, quotes, 2))
            with fresh_database(server) as url:
                latency = half_load(url, listed_symbols(), wholes[-1].rate, scale.seconds / 2, market)
            if latency.p95 is None:
                raise RuntimeError("no quote was committed in five cycles at half load")
            p95.append(latency.p95)
    rates = [whole.rate for whole in wholes]
    slower = [min(fetch.rate, stored) for fetch, stored in zip(fetches, ingests, strict=True)]
    share = Spread.pairwise(rates, slower).times(100)
    costs = [whole.cost for whole in wholes]
    room = Spread.pairwise([fetch.cost for fetch in fetches], costs).times(100)
    tail = Spread.of(p95)
    return [
        Figure(
            "end-to-end",
            "fetch to database at full speed",
            "quotes/s",
            Spread.of(rates),
            _EQUAL,
            {"fetch alone": Spread.of(each.rate for each in fetches), "ingest alone": Spread.of(ingests)},
            limit=Spread.of(slower),
            limit_name="the slower of the two alone",
            ratio=share,
            ratio_name="% of the limit",
            goal="≥ 80 % of the slower of fetch and ingest alone",
            met=share.median >= 80,
            note=f"{count:,} symbols a cycle, {scale.seconds:g} s, without the pauses between two cycles",
        ),
        Figure(
            "end-to-end",
            "processor time of a quote, all processes together",
            "µs",
            Spread.of(costs),
            _EQUAL,
            {"fetch alone": Spread.of(each.cost for each in fetches)},
            ratio=room,
            ratio_name="% of it is the fetch",
            note="where the fetch alone keeps all processors busy, no larger share of its rate is left",
        ),
        Figure(
            "end-to-end",
            "fetch to commit p95 at half load",
            "ms",
            tail,
            _EQUAL,
            goal="< 250 ms",
            met=tail.median < 250,
            note="503 symbols a cycle at half the rate measured just before, once two cycles are over",
        ),
    ]
