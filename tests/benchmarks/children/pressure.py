"""The whole dashboard with a pipeline whose source is fast and whose database is slow, as a separate program.

Run as `-m tests.benchmarks.children.pressure URL SYMBOLS SECONDS FILE` in a pseudo-terminal. Once every symbol has a
price the database is slowed down; once the queues are full memory and event loop are measured for `SECONDS`; then the
database goes at its own speed again, the pipeline drains, and the figures are written to `FILE` as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import psutil
import psycopg

from sp500tui.cli.runtime_tuning import tune_for_ui, tune_gc
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import SourceError
from sp500tui.logs.setup import configure
from sp500tui.model import Constituent, FxRate, MarketState, Quote
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.snapshot import QueueSnapshot
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.sources.request_phase import OnPhase, ignore_phase
from sp500tui.sources.wikipedia.client import ConstituentList, Wikipedia
from sp500tui.sources.yahoo.client import YahooFinance
from sp500tui.sources.yahoo.parsing import FetchResult
from sp500tui.sources.yahoo.trading_calendar import TradingPeriods
from sp500tui.tui.app import DashboardApp
from tests.benchmarks.children.screen import percentile
from tests.benchmarks.rig import many_symbols

_PULSE = 0.01
_PAUSE = 2.0
"""Seconds that the database sleeps per batch: some 1,000 rows a second with two writers and 1,000 rows a batch."""
_SLOW_DOWN = f"""
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep({_PAUSE}); RETURN NULL; END $$;
CREATE TRIGGER slow BEFORE INSERT ON prices EXECUTE FUNCTION wait()
"""
_BEHIND_THE_FETCHERS = (QueueName.QUOTES, QueueName.ROWS)
_SPEED_UP = "DROP TRIGGER slow ON prices"


class FastSource:
    """Answers immediately, with a new trade for every symbol."""

    def open(self) -> None:
        """Nothing to load."""

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        """A quote of each symbol."""
        now = datetime.now(UTC)
        quotes = tuple(
            Quote(symbol, Decimal("101.25"), None, None, "USD", now, MarketState.REGULAR, 1, now)
            for symbol in symbols
        )
        rates = tuple(FxRate(base, target, Decimal("6.8721"), now) for base, target in fx_pairs)
        return FetchResult(quotes, rates, {})

    def trading_periods(self, symbol: str = "AAPL") -> TradingPeriods:
        """None available."""
        raise SourceError(f"no trading periods for {symbol}")

    def close(self) -> None:
        """Nothing to close."""


class ListOfAll:
    """The list of constituents, without Wikipedia."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._lines = tuple(Constituent(symbol, symbol, "", "", "", None, "", "") for symbol in symbols)

    def load(self) -> ConstituentList:
        """A constituent for every symbol."""
        return ConstituentList(self._lines, "wikipedia", datetime.now(UTC), "")


def _fetch_rate(pipeline: Pipeline) -> float:
    """Quotes fetched per second from now until three quarters of the queues after the fetchers are full."""
    before = pipeline.snapshot()
    share = sum(before.queue(name).capacity for name in _BEHIND_THE_FETCHERS) * 3 // 4
    while (first := pipeline.snapshot().ledger.fetched) == before.ledger.fetched:
        time.sleep(0.001)
    started = time.perf_counter()
    while (fetched := pipeline.snapshot().ledger.fetched - first) < share:
        time.sleep(0.005)
    return fetched / (time.perf_counter() - started)


def _wait_until_full(pipeline: Pipeline) -> None:
    while any(_is_not_full(pipeline.snapshot().queue(name)) for name in _BEHIND_THE_FETCHERS):
        time.sleep(0.01)


def _is_not_full(queue: QueueSnapshot) -> bool:
    return queue.ready < queue.capacity * 0.9


def _put_under_pressure(pipeline: Pipeline, url: str, count: int) -> float:
    """Slow the database down once every symbol has a price, and fill the queues; returns the fetch rate.

    Otherwise, memory allocated for each symbol at its first price would count as growth under pressure.
    """
    while len(pipeline.prices_since(0)[1]) < count:
        time.sleep(0.05)
    pipeline.pause()
    while (ledger := pipeline.snapshot().ledger).queued or ledger.in_flight:
        time.sleep(0.01)
    with psycopg.connect(url) as connection:
        connection.execute(_SLOW_DOWN.encode())
    pipeline.resume()
    rate = _fetch_rate(pipeline)
    _wait_until_full(pipeline)
    return rate


async def _measure(app: DashboardApp, url: str, count: int, seconds: float, target: Path) -> None:
    while app.feed.pipeline is None:
        await asyncio.sleep(0.01)
    pipeline = cast(Pipeline, app.feed.pipeline)
    fetch_rate = await asyncio.to_thread(_put_under_pressure, pipeline, url, count)
    await asyncio.sleep(1.0)
    lags, process = [], psutil.Process()
    before, resident = pipeline.snapshot(), process.memory_info().rss
    begun = time.perf_counter()
    while (elapsed := time.perf_counter() - begun) < seconds:
        due = time.perf_counter() + _PULSE
        await asyncio.sleep(_PULSE)
        lags.append(max(0.0, time.perf_counter() - due))
    after, grown = pipeline.snapshot(), process.memory_info().rss - resident
    await asyncio.to_thread(_drain, pipeline, url)
    end = pipeline.snapshot()
    figures: dict[str, Any] = {
        "fetch_rate": fetch_rate,
        "store_rate": (after.ledger.stored - before.ledger.stored) / elapsed,
        "lag_p99": percentile(lags, 0.99) * 1000,
        "resident": resident,
        "grown": grown,
        "high_water": {queue.name: (queue.high_water, queue.capacity) for queue in end.queues},
        "ledger": asdict(end.ledger),
        "balanced": end.ledger.is_balanced,
    }
    with psycopg.connect(url) as connection:
        figures["rows"] = connection.execute("SELECT count(*) FROM prices").fetchone()[0]  # type: ignore[index]
    target.write_text(json.dumps(figures))
    app.exit()


def _drain(pipeline: Pipeline, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(_SPEED_UP)
    pipeline.stop(ShutdownLevel.DRAIN)
    pipeline.join(60.0)


def main(url: str, count: int, seconds: float, target: Path) -> None:
    """Run in the current terminal."""
    tune_gc()
    tune_for_ui()
    symbols = many_symbols(count)
    settings = Settings(database=url, interval=0.2, data_dir=target.parent / "data")
    paths = Paths.of(settings)
    paths.prepare()
    log = configure(console=False, folder=target.parent / "logs")
    world = Sources(cast(Wikipedia, ListOfAll(symbols)), cast(YahooFinance, FastSource()))
    app = DashboardApp(
        lambda: Pipeline(settings, paths, connect=lambda *_: world),
        settings,
        log=log.ring,
        state_file=target.parent / "dashboard.json",
        export_folder=target.parent,
    )

    async def run() -> None:
        task = asyncio.create_task(_measure(app, url, count, seconds, target))
        await app.run_async()
        await task

    asyncio.run(run())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
