"""Injected waits appear in the samples under the right state, and nowhere else.

The seconds of a worker's states add up to those that passed (`tests/unit/pipeline/core/timing`). So each state needs a
lower limit only, which holds on a busy machine too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from sp500tui.errors import SourceError, ThrottledError
from sp500tui.model import ConvertedQuote, FetchedQuote, FxRate, Ticker
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.accounting import StageAccounts
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.stages.converter import ConverterStage
from sp500tui.pipeline.stages.fetcher import FetchStage, MissingSymbols
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.sources.request_phase import OnPhase, RequestPhase, ignore_phase
from sp500tui.sources.yahoo.parsing import FetchResult
from tests.support.pipeline.rows import OPENING, quote, row
from tests.support.pipeline.writer_harness import Open
from tests.support.waiting import Wait

LIMIT, SOURCE, DATABASE = WorkerState.LIMIT, WorkerState.SOURCE, WorkerState.DATABASE


class Stopwatch:
    """Sleeps or computes, and sums the time that this really took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds += time.monotonic() - started

    def wait(self, seconds: float) -> None:
        with self.running():
            threading.Event().wait(seconds)


def rest_of_second() -> float:
    """Seconds until the next whole second of the monotonic clock."""
    return 1 - time.monotonic() % 1


def spent(accounts: StageAccounts) -> Mapping[WorkerState, float]:
    """The seconds in each state, once the second of the last change is over."""
    second = int(time.monotonic())
    while int(time.monotonic()) == second:
        time.sleep(0.01)
    total: dict[WorkerState, float] = {}
    for workers in accounts.collect(second + 1).values():
        for bucket in workers.values():
            for state, seconds in bucket.seconds.items():
                total[state] = total.get(state, 0.0) + seconds
    return total


class Slow:
    """A source whose requests wait for the limit and then for the answer."""

    def __init__(self, limit: float, answer: float, errors: Sequence[SourceError] = ()) -> None:
        self.limit, self.answer = limit, answer
        self.waited, self.asked = Stopwatch(), Stopwatch()
        self.errors = list(errors)
        self.finished = 0

    def open(self) -> None:
        """Nothing to prepare."""

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        on_phase(RequestPhase.LIMIT)
        self.waited.wait(self.limit)
        on_phase(RequestPhase.ANSWER)
        self.asked.wait(self.answer)
        on_phase(RequestPhase.READING)
        self.finished += 1
        if self.errors:
            raise self.errors.pop()
        return FetchResult(tuple(quote(1, symbol=symbol) for symbol in symbols), (), {})


@contextmanager
def fetching(source: Slow, capacity: int = 1000) -> Iterator[WorkerPool]:
    counters = LedgerCounters()
    tickers: MemoryQueue[Ticker] = MemoryQueue(100, counters.lock)
    quotes: MemoryQueue[FetchedQuote] = MemoryQueue(capacity, counters.lock)
    stage = FetchStage(
        lambda: source,
        tickers,
        quotes,
        counters=counters,
        fx=FxRates("USD"),
        missing=MissingSymbols(),
        batch_size=2,
        max_attempts=1,
        retry_timeout=60.0,
        watches=SourceWatches(lambda _event: None),
    )
    pool = WorkerPool(StageName.PRICE, stage.make_task, 1, listener=lambda _event: None, jitter=lambda: 0.0)
    tickers.put([Ticker(f"S{number}", 0.0) for number in range(6)])
    pool.start()
    yield pool
    pool.shutdown_now()
    quotes.lift_capacity()
    assert pool.join(60)


def test_slow_answers_and_the_limit_are_distinguished(eventually: Wait) -> None:
    # given three requests that wait for the limit and then for the answer
    source = Slow(limit=0.1, answer=0.2)
    with fetching(source) as pool:
        eventually(lambda: source.finished == 3)
        times = spent(pool.accounts)
    # then both are recorded with their durations
    assert times[SOURCE] >= source.asked.seconds
    assert times[LIMIT] >= source.waited.seconds
    assert times.get(WorkerState.BLOCKED, 0.0) == 0.0


def test_a_full_queue_blocks_a_price_worker(eventually: Wait) -> None:
    # given a queue with room for one answer
    source = Slow(limit=0.0, answer=0.0)
    with fetching(source, capacity=2) as pool:
        eventually(lambda: pool.workers[0].account.state is WorkerState.BLOCKED)
        rest = rest_of_second()
        times = spent(pool.accounts)
    # then the time until the end of the second is that of a full queue
    assert times[WorkerState.BLOCKED] >= rest


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ThrottledError("limits the request rate (429)", 30.0, by_source=True), WorkerState.BACKOFF),
        (ThrottledError("next attempt in 30 s", 30.0), WorkerState.BACKOFF),
        (ThrottledError("30 s until the next request at 0.03 a second", 30.0, by_limit=True), LIMIT),
    ],
)
def test_a_refused_request_waits_for_its_reason(
    eventually: Wait, error: ThrottledError, state: WorkerState
) -> None:
    with fetching(Slow(0.0, 0.0, [error])) as pool:
        # The request itself may wait for the limit too: the wait after it has an end that is known.
        eventually(lambda: (seen := pool.workers[0].snapshot()).state is state and seen.retry_in is not None)
        rest = rest_of_second()
        times = spent(pool.accounts)
    assert times[state] >= rest


def test_a_busy_converter_works(eventually: Wait) -> None:
    # given a conversion that computes
    watch = Stopwatch()

    class Busy(FxRates):
        def convert(self, item: FetchedQuote) -> ConvertedQuote:
            with watch.running():
                until = time.monotonic() + 0.2
                while time.monotonic() < until:
                    sum(range(1000))
            return super().convert(item)

    counters = LedgerCounters()
    quotes: MemoryQueue[FetchedQuote] = MemoryQueue(100, counters.lock)
    converted: MemoryQueue[Any] = MemoryQueue(100, counters.lock)
    fx = Busy("DKK")
    stage = ConverterStage(quotes, converted, fx=fx, latest_prices=LatestPrices())
    pool = WorkerPool(StageName.CONVERTER, stage.make_task, 1, listener=lambda _event: None)
    fx.update([FxRate("USD", "DKK", Decimal("6.858"), OPENING)])
    quotes.put([FetchedQuote(quote(number), fetched_monotonic=5.0, fetched_by="p") for number in range(3)])
    pool.start()
    eventually(lambda: converted.depth().ready == 3)
    times = spent(pool.accounts)
    pool.shutdown_now()
    assert pool.join(60)
    # then that is the time in which it worked
    assert times[WorkerState.BUSY] >= watch.seconds


def test_slow_commits_are_distinguished_from_the_journal(open_writers: Open, eventually: Wait) -> None:
    # given a database whose commits take half a second
    watch = Stopwatch()
    with open_writers() as harness:
        harness.database.before_commit = lambda _symbols: watch.wait(0.5)
        harness.put([row(number) for number in range(10)])
        eventually(harness.settled)
        times = spent(harness.stage.accounts)
    assert times[DATABASE] >= watch.seconds


def test_a_slow_disk_is_distinguished_from_the_database(
    open_writers: Open, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a journal on a slow disk
    watch = Stopwatch()
    with open_writers() as harness:
        accept = harness.journal.accept

        def slowly(*given: Any) -> Any:
            watch.wait(0.3)
            return accept(*given)

        monkeypatch.setattr(harness.journal, "accept", slowly)
        harness.put([row(number) for number in range(10)])
        eventually(harness.settled)
        times = spent(harness.stage.accounts)
    assert times[WorkerState.JOURNAL] >= watch.seconds
