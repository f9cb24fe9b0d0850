"""The cost of the accounting of time: its calls for the quotes of a run relative to their processor time."""

from __future__ import annotations

import itertools
import json
import threading
import time
import timeit
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from sp500tui.model import ConvertedQuote, FetchedQuote, FxRate, Quote, Ticker
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.accounting import DepthAccount, WorkerAccount
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.stages.converter import ConverterStage
from sp500tui.pipeline.stages.fetcher import FetchStage, MissingSymbols
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.sources.request_phase import OnPhase, RequestPhase, ignore_phase
from sp500tui.sources.yahoo.json_values import read_json
from sp500tui.sources.yahoo.parsing import FetchResult, parse_quotes
from sp500tui.sources.yahoo.symbols import yahoo_symbol
from sp500tui.storage.batch_codec import encode
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import distinct_rows, listed_symbols, wait_until

_BATCH = 50
_EQUAL = (
    "answers in batches of 50 that are there at once and are parsed, rows encoded as for a writer, 4 price workers, "
    "2 converters, queues at their defaults; calls counted in a run, the time of one measured by itself, since the "
    "difference of two runs is below their noise"
)


class Instant:
    """A source with prepared answers, which are parsed like those of Yahoo Finance."""

    def __init__(self, quotes: Sequence[Quote]) -> None:
        self._answers = {quote.symbol: json.dumps(_answer(quote)) for quote in quotes}

    def open(self) -> None:
        """Nothing to prepare."""

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        """Answer immediately, with all phases of a request."""
        on_phase(RequestPhase.LIMIT)
        on_phase(RequestPhase.ANSWER)
        body = f'{{"quoteResponse":{{"result":[{",".join(self._answers[each] for each in symbols)}]}}}}'
        on_phase(RequestPhase.READING)
        return parse_quotes(read_json(body.encode()), symbols, (), datetime.now(UTC))


def _answer(quote: Quote) -> dict[str, object]:
    """A quote in the format of Yahoo Finance."""
    return {
        "symbol": yahoo_symbol(quote.symbol),
        "currency": "USD",
        "marketState": "REGULAR",
        "regularMarketPrice": float(quote.price),
        "regularMarketTime": int(quote.quote_time.timestamp()),
        "regularMarketChange": 1.25,
        "regularMarketChangePercent": 0.5,
        "regularMarketVolume": 1_234_567,
    }


def cost_of_calls() -> dict[str, float]:
    """Seconds that one call of each accounting method takes, the best of several series."""
    worker = WorkerAccount("price-1", threading.Lock())
    queue = DepthAccount(threading.RLock())
    states = (WorkerState.BUSY, WorkerState.IDLE)
    calls = {
        "switch": lambda number: worker.switch(states[number & 1]),
        "finish_lease": lambda _: worker.finish_lease(50),
        "record": lambda number: queue.record(number, 1),
    }
    return {
        name: min(timeit.repeat(lambda call=call: call(next(numbers)), number=20_000, repeat=7)) / 20_000  # type: ignore[misc]
        for name, call in calls.items()
        if (numbers := itertools.count())
    }


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the calls of each accounting method."""
    counts: Counter[str] = Counter()

    def counted(kind: type, name: str) -> Any:
        method = getattr(kind, name)

        def call(*given: Any) -> Any:
            counts[name] += 1
            return method(*given)

        return patch.object(kind, name, call)

    with (
        counted(WorkerAccount, "switch"),
        counted(WorkerAccount, "finish_lease"),
        counted(DepthAccount, "record"),
    ):
        yield counts


def throughput(quotes: Sequence[Quote], cycles: int) -> float:
    """Quotes per second of processor time from the tickers queue to the encoded batch."""
    counters = LedgerCounters()
    tickers: MemoryQueue[Ticker] = MemoryQueue(2048, counters.lock)
    fetched: MemoryQueue[FetchedQuote] = MemoryQueue(4096, counters.lock)
    rows: MemoryQueue[ConvertedQuote] = MemoryQueue(4096, counters.lock)
    fx = FxRates("DKK")
    fx.update([FxRate("USD", "DKK", Decimal("6.858"), quotes[0].quote_time)])
    source = Instant(quotes)
    fetching = FetchStage(
        lambda: source,
        tickers,
        fetched,
        counters=counters,
        fx=fx,
        missing=MissingSymbols(),
        batch_size=_BATCH,
        max_attempts=1,
        retry_timeout=60.0,
        watches=SourceWatches(lambda _event: None),
    )
    converting = ConverterStage(fetched, rows, fx=fx, latest_prices=LatestPrices())
    pools = (
        WorkerPool(StageName.PRICE, fetching.make_task, 4, listener=lambda _event: None),
        WorkerPool(StageName.CONVERTER, converting.make_task, 2, listener=lambda _event: None),
    )
    total = cycles * len(quotes)

    def feed() -> None:
        for _ in range(cycles):
            tickers.put([Ticker(quote.symbol, 0.0) for quote in quotes])

    for pool in pools:
        pool.start()
    taken, started = 0, time.process_time()
    feeder = threading.Thread(target=feed)
    feeder.start()
    while taken < total:
        lease = rows.take(1000)
        if lease is not None:
            taken += len(lease.items)
            encode(lease.items)
            lease.ack()
    seconds = time.process_time() - started
    feeder.join()
    for pool in pools:
        pool.shutdown_now()
        wait_until(lambda pool=pool: pool.join(0), 30.0, "the end of the workers")  # type: ignore[misc]
    return total / seconds


def run(scale: Scale) -> list[Figure]:
    """The processor time of accounting as a share of that of a quote."""
    symbols = listed_symbols()
    quotes = [replace(row.quote, currency="USD") for row in distinct_rows(len(symbols), symbols)]
    cycles = 4 * scale.runs
    with counting() as counts:
        throughput(quotes, cycles)
    shares: list[float] = []
    speeds: list[float] = []
    for _ in range(max(3, scale.runs)):
        costs = cost_of_calls()
        accounting = sum(counts[name] * cost for name, cost in costs.items()) / (cycles * len(quotes))
        speeds.append(throughput(quotes, cycles))
        shares.append(100 * accounting * speeds[-1])
    share = Spread.of(shares)
    calls = ", ".join(f"{counts[name]:,} {name}" for name in sorted(counts))
    return [
        Figure(
            "accounting",
            "processor time of the accounting",
            "% of that of a quote",
            share,
            _EQUAL,
            goal="at most 1 % of what a quote takes from the answer to the encoded batch",
            met=share.median <= 1.0,
            note=f"{calls} for {cycles * len(quotes):,} quotes at {Spread.of(speeds).median:,.0f} a second",
        )
    ]
