"""The price workers: a lease of tickers, one request, a hand-over of quotes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from sp500tui.errors import SourceError, ThrottledError
from sp500tui.model import FetchedQuote, Ticker
from sp500tui.pipeline.core.metrics import LedgerCounters
from sp500tui.pipeline.core.queue import Lease, LeasedQueue
from sp500tui.pipeline.core.snapshot import MissingSymbol, WorkerState
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.stages.fx import FxRates, major_unit
from sp500tui.pipeline.stages.source_health import Outcome, SourceWatches
from sp500tui.sources.yahoo.parsing import OMITTED, FetchResult

_RETRY_DELAY = 0.5
"""Seconds a worker holds still after a failed request; the throttle does the real back-off."""


class PriceSource(Protocol):
    """Where prices come from: `sources.yahoo.YahooFinance`, or a test's own."""

    def open(self) -> None:
        """Get ready; heavy, and harmless when repeated."""

    def fetch(self, symbols: Sequence[str], fx_pairs: Sequence[tuple[str, str]] = ()) -> FetchResult:
        """Ask for prices and rates in one request.

        Raises:
            ThrottledError: not now.
            SourceError: no answer, or one that makes no sense.
        """


class MissingSymbols:
    """The symbols without a price, and why. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def name(self, reasons: Iterable[tuple[str, str]]) -> None:
        """Name symbols missing."""
        with self._lock:
            self._reasons.update(reasons)

    def found(self, symbols: Iterable[str]) -> None:
        """These have a price after all."""
        with self._lock:
            if self._reasons:
                for symbol in symbols:
                    self._reasons.pop(symbol, None)

    def listing(self) -> tuple[MissingSymbol, ...]:
        """All of them, in alphabetical order."""
        with self._lock:
            return tuple(MissingSymbol(symbol, why) for symbol, why in sorted(self._reasons.items()))


def split_retryable(
    tickers: Iterable[Ticker], now: float, *, max_attempts: int, retry_timeout: float
) -> tuple[list[Ticker], list[Ticker]]:
    """Part tickers into those to ask again and those to give up, by their attempts and their age in seconds."""
    again: list[Ticker] = []
    given_up: list[Ticker] = []
    for ticker in tickers:
        exhausted = ticker.attempts >= max_attempts or now - ticker.queued_at >= retry_timeout
        (given_up if exhausted else again).append(ticker)
    return again, given_up


def omitted_symbols(tickers: Iterable[Ticker], missing: Mapping[str, str]) -> list[Ticker]:
    """The tickers that the answer leaves out and that have not been asked for again yet.

    Yahoo drops some symbols of a large request at random; those are worth one more try. A symbol it does not know
    is left out again, and named missing then.
    """
    return [
        Ticker(ticker.symbol, ticker.queued_at, ticker.attempts + 1)
        for ticker in tickers
        if missing.get(ticker.symbol) == OMITTED and not ticker.attempts
    ]


class FetchStage:
    """What all price workers share, and the maker of their bodies."""

    def __init__(
        self,
        source: Callable[[], PriceSource],
        tickers: LeasedQueue[Ticker],
        quotes: LeasedQueue[FetchedQuote],
        *,
        counters: LedgerCounters,
        fx: FxRates,
        missing: MissingSymbols,
        batch_size: int,
        max_attempts: int,
        retry_timeout: float,
        watches: SourceWatches,
    ) -> None:
        self.watches = watches
        self.source = source
        self.tickers = tickers
        self.quotes = quotes
        self.counters = counters
        self.fx = fx
        self.missing = missing
        self.batch_size = batch_size
        self.max_attempts = max_attempts
        self.retry_timeout = retry_timeout

    def make_task(self, worker: Worker) -> FetchTask:
        """One price worker's body; waits until the source is ready."""
        self.source().open()
        return FetchTask(self, worker)


class FetchTask:
    """One price worker."""

    def __init__(self, shared: FetchStage, worker: Worker) -> None:
        self._shared = shared
        self._worker = worker

    def run_once(self) -> None:
        """Fetch one lease of tickers."""
        shared, worker = self._shared, self._worker
        lease = worker.take(shared.tickers, shared.batch_size)
        if lease is None:
            return
        symbols = [ticker.symbol for ticker in lease.items]
        worker.start_work(_describe(symbols))
        started = time.monotonic()
        pairs = shared.fx.wanted()
        yahoo = shared.watches.yahoo
        try:
            result = shared.source().fetch(symbols, pairs)
        except ThrottledError as error:
            self._requeue(lease, error, tried=False)
            yahoo.observe(Outcome.THROTTLED if error.by_source else Outcome.HELD_BACK, str(error), symbols)
            worker.wait(error.retry_after, WorkerState.WAITING, f"{error}")
        except SourceError as error:
            self._requeue(lease, error, tried=True)
            yahoo.observe(Outcome.FAILED, str(error), symbols)
            worker.last_error = str(error)
            delay = _RETRY_DELAY * (0.5 + worker.pool.jitter())
            worker.wait(delay, WorkerState.WAITING, f"{error}")
        except Exception as error:
            # Whoever dies of these tickers has tried them too, or they would kill one worker after the other.
            self._requeue(lease, error, tried=True)
            raise
        else:
            yahoo.answered(result.seconds)
            self._hand_over(lease, result, pairs)
            if not worker.abandoned:
                worker.finish_work(len(symbols), time.monotonic() - started)

    def _hand_over(self, lease: Lease[Ticker], result: FetchResult, pairs: Sequence[tuple[str, str]]) -> None:
        """Put the quotes, which are never dropped; the rest of the answer is the successor's if there is one."""
        shared, worker = self._shared, self._worker
        fetched_monotonic = time.monotonic()
        handing_over = f"handing over {len(result.quotes)} quotes"
        # Not BUSY: a wait for the broker does not make a worker hung.
        worker.set_state(WorkerState.BLOCKED, handing_over)
        shared.fx.learn(result.rates)
        shared.fx.need({quote.currency for quote in result.quotes})
        if not worker.abandoned:
            self._watch_rates(pairs, result)
            self._ask_new_rates({major_unit(quote.currency)[0] for quote in result.quotes})
            worker.set_state(WorkerState.BLOCKED, handing_over)
        omitted = omitted_symbols(lease.items, result.missing)
        if not worker.abandoned:
            retried = {ticker.symbol for ticker in omitted}
            shared.missing.name(item for item in result.missing.items() if item[0] not in retried)
        shared.missing.found(quote.symbol for quote in result.quotes)
        if result.quotes:
            items = [
                FetchedQuote(quote, fetched_monotonic=fetched_monotonic, fetched_by=worker.name)
                for quote in result.quotes
            ]
            worker.set_state(WorkerState.BLOCKED, f"{len(items)} quotes wait for room in the quotes queue")
            shared.quotes.put(items, on_put=lambda: shared.counters.count_fetched(len(items)))
        lease.release(omitted)

    def _watch_rates(self, pairs: Sequence[tuple[str, str]], result: FetchResult) -> None:
        """Take note of whether the rates asked for came and were plausible."""
        if not pairs:
            return
        lacking = sorted(set(pairs) & set(self._shared.fx.wanted()))
        if not lacking:
            self._shared.watches.rates.answered()
            return
        bases = {base for base, _ in lacking}
        symbols = [quote.symbol for quote in result.quotes if major_unit(quote.currency)[0] in bases]
        words = ", ".join(f"{base}/{target}" for base, target in lacking)
        reason = f"no usable rate for {words}; the last known one is used where there is one"
        self._shared.watches.rates.observe(Outcome.FAILED, reason, symbols)

    def _ask_new_rates(self, currencies: set[str]) -> None:
        """Ask at once for rates that the quotes just fetched are the first to need."""
        shared = self._shared
        pairs = [pair for pair in shared.fx.unknown() if pair[0] in currencies and pair[0] != "USD"]
        if not pairs:
            return
        self._worker.start_work(f"rates of {', '.join(base for base, _ in pairs)}")
        try:
            shared.fx.learn(shared.source().fetch((), pairs).rates)
        except SourceError as error:
            self._worker.last_error = f"no rate for {', '.join(base for base, _ in pairs)}: {error}"

    def _requeue(self, lease: Lease[Ticker], error: Exception, *, tried: bool) -> None:
        """Put tickers back for another try, or name them missing when they have had their share."""
        shared = self._shared
        self._worker.pool.failed += 1
        tickers = [Ticker(ticker.symbol, ticker.queued_at, ticker.attempts + tried) for ticker in lease.items]
        again, given_up = split_retryable(
            tickers,
            time.monotonic(),
            max_attempts=shared.max_attempts,
            retry_timeout=shared.retry_timeout,
        )
        self._worker.set_state(WorkerState.BLOCKED, f"returning {len(again)} tickers to the queue")
        if not self._worker.abandoned:
            shared.missing.name((ticker.symbol, str(error)) for ticker in given_up)
        lease.release(again)
        self._worker.lease = None

    def close(self) -> None:
        """Nothing to give back: the session belongs to the source."""


def _describe(symbols: Sequence[str]) -> str:
    if len(symbols) == 1:
        return symbols[0]
    return f"{len(symbols)} symbols, {symbols[0]} … {symbols[-1]}"
