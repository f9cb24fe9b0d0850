"""One client of the refresh benchmark in a separate process; each line on stdin starts one run.

Run as `-m tests.benchmarks.children.refresh_client KIND SYMBOLS`, with the demo market in the environment as any client
has it. A line of stdout tells seconds, processor seconds and how many symbols were answered, as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sp500tui.config.settings import Settings
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.yahoo.client import YahooFinance
from tests.benchmarks.rig import many_symbols

_THREADS = 8
"""Threads of the peers; our client has the default number of workers."""


def pipeline_stage(symbols: Sequence[str], batch: int, workers: int) -> Callable[[], int]:
    """A number of production price workers, from the tickers queue to the quotes queue."""
    from sp500tui.cli.runtime_tuning import tune_gc
    from sp500tui.model import FetchedQuote, Ticker
    from sp500tui.pipeline.core.ledger import LedgerCounters
    from sp500tui.pipeline.core.names import StageName
    from sp500tui.pipeline.core.queue import MemoryQueue
    from sp500tui.pipeline.core.worker_pool import WorkerPool
    from sp500tui.pipeline.stages.fetcher import FetchStage, MissingSymbols
    from sp500tui.pipeline.stages.fx import FxRates
    from sp500tui.pipeline.stages.source_health import SourceWatches

    tune_gc()
    counters = LedgerCounters()
    tickers: MemoryQueue[Ticker] = MemoryQueue(1_000_000, counters.lock)
    quotes: MemoryQueue[FetchedQuote] = MemoryQueue(1_000_000, counters.lock)
    source = yahoo()
    pricing = FetchStage(
        lambda: source,
        tickers,
        quotes,
        counters=counters,
        fx=FxRates("DKK", refresh=1e9),
        missing=MissingSymbols(),
        batch_size=batch,
        max_attempts=4,
        retry_timeout=60.0,
        watches=SourceWatches(lambda event: None),
    )
    WorkerPool(StageName.PRICE, pricing.make_task, workers, listener=lambda event: None).start()

    def refresh() -> int:
        now = time.monotonic()
        tickers.put([Ticker(symbol, now) for symbol in symbols])
        answered = 0
        while answered < len(symbols) and (lease := quotes.take(len(symbols), timeout=30.0)):
            answered += len(lease.items)
            lease.ack()
        return answered

    return refresh


def yahoo() -> YahooFinance:
    """The production source, with its throttle disabled."""
    source = YahooFinance(
        Throttle(100_000.0, burst=100_000),
        proxy=os.environ["HTTPS_PROXY"],
        ca_file=Path(os.environ["SSL_CERT_FILE"]),
        timeout=30.0,
        cache_dir=Path(os.environ["HOME"]) / "ours",
    )
    source.open()
    return source


def round_trip(symbols: Sequence[str]) -> Callable[[], int]:
    """One request for one symbol over an open connection."""
    source = yahoo()
    return lambda: len(source.fetch(symbols[:1]).quotes)


def download(symbols: Sequence[str]) -> Callable[[], int]:
    """`yf.download` as documented, for the newest price of each symbol."""
    import yfinance

    names = [symbol.replace(".", "-") for symbol in symbols]

    def refresh() -> int:
        frame = yfinance.download(names, period="1d", threads=True, progress=False, auto_adjust=False)
        return int(frame["Close"].iloc[-1].notna().sum())

    return refresh


def fast_info(symbols: Sequence[str]) -> Callable[[], int]:
    """`fast_info` of every symbol in eight persistent threads."""
    import yfinance

    pool = ThreadPoolExecutor(_THREADS)

    def price(symbol: str) -> float:
        return float(yfinance.Ticker(symbol.replace(".", "-")).fast_info["lastPrice"])

    return lambda: sum(value > 0 for value in pool.map(price, symbols))


KINDS: dict[str, Callable[[Sequence[str]], Callable[[], int]]] = {
    "ours": lambda symbols: pipeline_stage(symbols, Settings().batch_size, Settings().price_workers),
    "one-a-symbol": lambda symbols: pipeline_stage(symbols, 1, _THREADS),
    "round-trip": round_trip,
    "download": download,
    "fast-info": fast_info,
}


def main(kind: str, symbols: Sequence[str]) -> None:
    """Make one measured run for every line of stdin; the first one is a warm-up."""
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    refresh = KINDS[kind](symbols)
    for _ in sys.stdin:
        cpu, started = time.process_time(), time.perf_counter()
        answered = refresh()
        seconds = time.perf_counter() - started
        words = {"seconds": seconds, "cpu": time.process_time() - cpu, "answered": answered}
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], many_symbols(int(sys.argv[2])))
    # The workers wait for more items, which will not come.
    os._exit(0)
