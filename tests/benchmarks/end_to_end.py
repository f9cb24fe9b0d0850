"""The whole pipeline, demo market to database, beside its two halves alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sp500tui.paths import Paths
from sp500tui.pipeline.control import StopStep
from sp500tui.pipeline.metrics import LatencyHistogram
from sp500tui.pipeline.pipeline import Pipeline
from sp500tui.pipeline.snapshot import Latency, Snapshot
from sp500tui.settings import Settings
from sp500tui.simulator.process import DemoMarket
from tests.benchmarks.figures import Figure, Scale, Spread
from tests.benchmarks.ingest import ingest
from tests.benchmarks.refresh import clients
from tests.benchmarks.rig import (
    distinct_rows,
    fresh_database,
    listed_symbols,
    many_symbols,
    public_folder,
    scratch_server,
    wait_until,
)

_EQUAL = (
    "same demo market (no latency), server, symbols a cycle and machine; journal on; ours, fetch and "
    "ingest in turns"
)
_SPEED = 60.0
"""Market seconds a second, so that almost every fetch finds a new trade."""


@contextmanager
def pipeline(url: str, symbols: Sequence[str], interval: float, market: DemoMarket) -> Iterator[Pipeline]:
    """The production pipeline against a demo market that runs already."""
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
            made.stop(StopStep.DRAIN)
            made.join(60.0)


def settled(snapshot: Snapshot) -> int:
    """Quotes that reached the database."""
    return snapshot.ledger.stored + snapshot.ledger.duplicate


def full_speed(url: str, symbols: Sequence[str], seconds: float, market: DemoMarket) -> float:
    """Quotes a second that reach the database, once the first have."""
    with pipeline(url, symbols, 0.2, market) as made:
        wait_until(lambda: settled(made.snapshot()), 60.0, "the first stored quote")
        before, started = settled(made.snapshot()), time.perf_counter()
        time.sleep(seconds)
        quotes = settled(made.snapshot()) - before
        return quotes / (time.perf_counter() - started)


def half_load(url: str, symbols: Sequence[str], rate: float, seconds: float, market: DemoMarket) -> Latency:
    """Fetch to commit over that time at half the rate it can do, as the pipeline itself counts it."""
    interval = max(0.2, 2 * len(symbols) / rate)
    with pipeline(url, symbols, interval, market) as made:
        wait_until(lambda: settled(made.snapshot()) > 2 * len(symbols), 60.0, "the first cycles")
        # The first quotes wait for the writers to start and connect, which is no matter of the load.
        counted = made._parts.writing.end_to_end = LatencyHistogram()
        time.sleep(max(seconds, 5 * interval))
        return counted.latency()


def run(scale: Scale) -> list[Figure]:
    """Throughput at full speed and latency at half of it."""
    count = min(10_060, scale.sizes[1] * 2)
    symbols = many_symbols(count)
    quotes = distinct_rows(min(scale.quotes, 60_000), symbols)
    rates, fetches, ingests, p95 = [], [], [], []
    with (
        scratch_server() as server,
        DemoMarket.start(seed=500, speed=_SPEED, start_at="10:00", extra_symbols=count) as market,
        clients({"fetch": ("ours", count)}, market) as made,
    ):
        for _ in range(min(3, scale.runs)):
            fetches.append(count / made["fetch"].measure(1, count).seconds.median)
            with fresh_database(server) as url:
                rates.append(full_speed(url, symbols, scale.seconds, market))
            with fresh_database(server) as url:
                ingests.append(ingest(url, quotes, 2))
            with fresh_database(server) as url:
                latency = half_load(url, listed_symbols(), rates[-1], scale.seconds / 2, market)
            if latency.p95 is None:
                raise RuntimeError("no quote was committed in five cycles at half load")
            p95.append(latency.p95)
    slower = [min(pair) for pair in zip(fetches, ingests, strict=True)]
    share = Spread.pairwise(rates, slower).times(100)
    tail = Spread.of(p95)
    return [
        Figure(
            "end-to-end",
            "fetch to database at full speed",
            "quotes/s",
            Spread.of(rates),
            _EQUAL,
            {"fetch alone": Spread.of(fetches), "ingest alone": Spread.of(ingests)},
            limit=Spread.of(slower),
            limit_name="the slower of the two alone",
            ratio=share,
            ratio_name="% of the limit",
            goal="≥ 80 % of the slower of fetch and ingest alone",
            met=share.median >= 80,
            note=f"{count:,} symbols a cycle, {scale.seconds:g} s",
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
