"""The price workers: lease tickers, fetch their quotes in one request, and put the quotes on the next queue."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import count
from typing import Protocol

from sp500tui.errors import SourceError, Sp500tuiError, ThrottledError
from sp500tui.model import FetchedQuote, Ticker
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.queue import CancelledError, Lease, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.snapshot import MissingSymbol, WorkerState
from sp500tui.pipeline.core.timing.spans import Batches
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.stages.fx import FxRates, major_unit
from sp500tui.pipeline.stages.source_health import Outcome, SourceWatches
from sp500tui.sources.request_phase import OnPhase, RequestPhase, ignore_phase
from sp500tui.sources.yahoo.parsing import OMITTED, FetchResult

_log = logging.getLogger(__name__)

_RETRY_DELAY = 0.5
"""Mean delay in seconds after a failed request; the throttle performs the actual back-off."""

_STATES = {
    RequestPhase.LIMIT: WorkerState.LIMIT,
    RequestPhase.ANSWER: WorkerState.SOURCE,
    RequestPhase.READING: WorkerState.BUSY,
}


class PriceSource(Protocol):
    """A source of prices, such as `sources.yahoo.client.YahooFinance`."""

    def open(self) -> None:
        """Prepare for requests; slow the first time, without effect after that."""

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        """Fetch prices and exchange rates in one request; `on_phase` is called with its phases.

        Raises:
            ThrottledError: the throttle is closed, or the source throttles requests.
            SourceError: no response, or one that cannot be used.
        """


class MissingSymbols:
    """The symbols without a price, with the reasons. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def add(self, reasons: Iterable[tuple[str, str]]) -> None:
        """Add pairs of symbol and reason."""
        with self._lock:
            self._reasons.update(reasons)

    def discard(self, symbols: Iterable[str]) -> None:
        """Remove symbols that have a price now."""
        with self._lock:
            if self._reasons:
                for symbol in symbols:
                    self._reasons.pop(symbol, None)

    def retain(self, symbols: Iterable[str]) -> None:
        """Remove every symbol that is not one of `symbols`."""
        kept = set(symbols)
        with self._lock:
            removed = [symbol for symbol in self._reasons if symbol not in kept]
        self.discard(removed)

    def snapshot(self) -> tuple[MissingSymbol, ...]:
        """All missing symbols, in alphabetical order."""
        with self._lock:
            return tuple(MissingSymbol(symbol, why) for symbol, why in sorted(self._reasons.items()))


def split_retryable(
    tickers: Iterable[Ticker], now: float, *, max_attempts: int, retry_timeout: float
) -> tuple[list[Ticker], list[Ticker]]:
    """Split tickers by attempts and age in seconds into those to retry and those that have exhausted their attempts."""
    retryable: list[Ticker] = []
    exhausted: list[Ticker] = []
    for ticker in tickers:
        expired = ticker.attempts >= max_attempts or now - ticker.queued_at >= retry_timeout
        (exhausted if expired else retryable).append(ticker)
    return retryable, exhausted


def omitted_tickers(tickers: Iterable[Ticker], missing: Mapping[str, str]) -> list[Ticker]:
    """The tickers to retry because the response omits them, each with one more attempt counted.

    Yahoo drops some symbols of a large request at random, so each is retried once. An unknown symbol is omitted again
    and then counts as missing.
    """
    return [
        Ticker(ticker.symbol, ticker.queued_at, ticker.attempts + 1)
        for ticker in tickers
        if missing.get(ticker.symbol) == OMITTED and not ticker.attempts
    ]


@dataclass(eq=False)
class FetchStage:
    """The dependencies shared by all price workers."""

    source: Callable[[], PriceSource]
    """Returns the source; raises Sp500tuiError until it is open."""
    tickers: LeasedQueue[Ticker]
    quotes: LeasedQueue[FetchedQuote]
    _: KW_ONLY
    counters: LedgerCounters
    fx: FxRates
    missing: MissingSymbols
    batch_size: int
    """Symbols of one request."""
    max_attempts: int
    """Failed requests after which a symbol is missing in its cycle."""
    retry_timeout: float
    """Seconds in the cycle after which it is missing."""
    watches: SourceWatches
    batch_numbers: Iterator[int] = field(default_factory=lambda: count(1), init=False)

    def make_task(self, worker: Worker) -> FetchTask:
        """Create the task of one price worker; blocks until the source is open."""
        self.source().open()
        return FetchTask(self, worker)


class FetchTask:
    """The work of one price worker."""

    def __init__(self, stage: FetchStage, worker: Worker) -> None:
        self._stage = stage
        self._worker = worker

    def run_once(self) -> None:
        """Fetch one lease of tickers."""
        stage, worker = self._stage, self._worker
        lease = worker.take(stage.tickers, stage.batch_size)
        if lease is None:
            return
        try:
            self._fetch(lease)
        except (QueueClosedError, CancelledError, Sp500tuiError):
            raise  # the tickers are not the cause
        except Exception as error:
            # Counts as an attempt: tickers that crash a worker must not crash every worker in turn.
            if lease.open:
                self._requeue(lease, error, tried=True)
            raise

    def _fetch(self, lease: Lease[Ticker]) -> None:
        stage, worker = self._stage, self._worker
        symbols = [ticker.symbol for ticker in lease.items]
        batch = next(stage.batch_numbers)
        worker.start_work(_describe(symbols), Batches(batch, batch))
        started = time.monotonic()
        pairs = stage.fx.stale_pairs()
        yahoo = stage.watches.yahoo
        try:
            result = stage.source().fetch(symbols, pairs, self._enter_phase)
        except ThrottledError as error:
            worker.record_failure()
            self._requeue(lease, error, tried=False)
            yahoo.record(Outcome.THROTTLED if error.by_source else Outcome.HELD_BACK, str(error), symbols)
            state = WorkerState.LIMIT if error.by_limit else WorkerState.BACKOFF
            worker.wait(error.retry_after, state, f"{error}")
        except SourceError as error:
            worker.record_failure()
            self._requeue(lease, error, tried=True)
            yahoo.record(Outcome.FAILED, str(error), symbols)
            worker.last_error = str(error)
            delay = _RETRY_DELAY * (0.5 + worker.pool.jitter())
            worker.wait(delay, WorkerState.BACKOFF, f"{error}")
        else:
            yahoo.record_response(result.seconds)
            self._hand_over(lease, result, pairs, batch)
            if not worker.abandoned:
                worker.finish_work(len(symbols), time.monotonic() - started)

    def _hand_over(
        self, lease: Lease[Ticker], result: FetchResult, pairs: Sequence[tuple[str, str]], batch: int
    ) -> None:
        """Put the quotes on the next queue.

        An abandoned worker does this too, since a fetched quote is never dropped, but nothing else: its replacement
        has the tickers.
        """
        stage, worker = self._stage, self._worker
        fetched_monotonic = time.monotonic()
        handing_over = f"handing over {len(result.quotes)} quotes"
        currencies = {quote.currency for quote in result.quotes}
        # A worker that waits for the broker must not count as hung.
        worker.hand_over(handing_over)
        stage.fx.update(result.rates)
        stage.fx.register(currencies)
        if not worker.abandoned:
            self._record_rates_health(pairs, result)
            self._fetch_new_rates(currencies)
            worker.hand_over(handing_over)
        omitted = omitted_tickers(lease.items, result.missing)
        if not worker.abandoned:
            retried = {ticker.symbol for ticker in omitted}
            stage.missing.add(item for item in result.missing.items() if item[0] not in retried)
        stage.missing.discard(quote.symbol for quote in result.quotes)
        if result.quotes:
            items = [
                FetchedQuote(quote, fetched_monotonic=fetched_monotonic, fetched_by=worker.name, batch=batch)
                for quote in result.quotes
            ]
            worker.put(
                stage.quotes,
                items,
                f"{len(items)} quotes wait for room in the quotes queue",
                on_put=lambda: stage.counters.count_fetched(len(items)),
            )
        lease.release(omitted)

    def _record_rates_health(self, pairs: Sequence[tuple[str, str]], result: FetchResult) -> None:
        """Record in the health of the rates whether the requested ones arrived and were plausible."""
        if not pairs:
            return
        lacking = sorted(set(pairs) & set(self._stage.fx.stale_pairs()))
        if not lacking:
            self._stage.watches.rates.record_response()
            return
        bases = {base for base, _ in lacking}
        symbols = [quote.symbol for quote in result.quotes if major_unit(quote.currency)[0] in bases]
        names = ", ".join(f"{base}/{target}" for base, target in lacking)
        reason = f"no usable rate for {names}; the last known one is used if there is one"
        self._stage.watches.rates.record(Outcome.FAILED, reason, symbols)

    def _fetch_new_rates(self, currencies: set[str]) -> None:
        """Fetch the rates that the quotes just fetched are the first to need."""
        stage = self._stage
        bases = {major_unit(currency)[0] for currency in currencies} - {"USD"}
        pairs = [pair for pair in stage.fx.unknown_pairs() if pair[0] in bases]
        if not pairs:
            return
        names = ", ".join(base for base, _ in pairs)
        self._worker.start_work(f"rates of {names}")
        try:
            stage.fx.update(stage.source().fetch((), pairs, self._enter_phase).rates)
        except Exception as error:  # noqa: BLE001  # the quotes are stored all the same
            self._worker.last_error = f"no rate for {names}: {error}"
            if not isinstance(error, SourceError):
                _log.error("no rate for %s", names, exc_info=error)

    def _requeue(self, lease: Lease[Ticker], error: Exception, *, tried: bool) -> None:
        """Put tickers back for another attempt; those without attempts left are missing."""
        stage = self._stage
        tickers = [Ticker(ticker.symbol, ticker.queued_at, ticker.attempts + tried) for ticker in lease.items]
        retryable, exhausted = split_retryable(
            tickers,
            time.monotonic(),
            max_attempts=stage.max_attempts,
            retry_timeout=stage.retry_timeout,
        )
        self._worker.hand_over(f"returning {len(retryable)} tickers to the queue")
        if not self._worker.abandoned:
            stage.missing.add((ticker.symbol, str(error)) for ticker in exhausted)
        lease.release(retryable)
        self._worker.lease = None

    def _enter_phase(self, phase: RequestPhase) -> None:
        self._worker.switch(_STATES[phase])

    def close(self) -> None:
        """Nothing to release: the session belongs to the source."""


def _describe(symbols: Sequence[str]) -> str:
    if len(symbols) == 1:
        return symbols[0]
    return f"{len(symbols)} symbols, {symbols[0]} … {symbols[-1]}"
