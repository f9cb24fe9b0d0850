"""The price workers with a scripted source: responses, throttling, errors and retries."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

import pytest

from sp500tui.errors import SourceError, ThrottledError
from sp500tui.model import FetchedQuote, FxRate, Ticker
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.stages.fetcher import FetchStage, MissingSymbols, omitted_tickers, split_retryable
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.sources.request_phase import OnPhase, ignore_phase
from sp500tui.sources.yahoo.parsing import OMITTED, FetchResult
from tests.support.pipeline.rows import OPENING, quote
from tests.support.waiting import Wait

Answer = FetchResult | Exception


@pytest.mark.parametrize(
    ("attempts", "age", "again"),
    [(0, 0, True), (3, 59.9, True), (4, 0, False), (0, 60, False), (9, 99, False)],
)
def test_tickers_are_retried_by_attempts_and_age(attempts: int, age: float, again: bool) -> None:
    ticker = Ticker("AAPL", 100.0, attempts)
    kept, abandoned = split_retryable([ticker], 100.0 + age, max_attempts=4, retry_timeout=60)
    assert (kept, abandoned) == (([ticker], []) if again else ([], [ticker]))


def test_missing_symbols_are_kept_until_they_are_discarded() -> None:
    missing = MissingSymbols()
    missing.discard(["A"])
    missing.add([("B", "gone"), ("A", "halted")])
    assert [(m.symbol, m.reason) for m in missing.snapshot()] == [("A", "halted"), ("B", "gone")]
    missing.discard(["A", "C"])
    assert [m.symbol for m in missing.snapshot()] == ["B"]


def test_missing_symbols_that_are_no_longer_listed_are_removed() -> None:
    missing = MissingSymbols()
    missing.add([("A", "halted"), ("B", "gone")])
    missing.retain(["A", "C"])
    assert [m.symbol for m in missing.snapshot()] == ["A"]


def answer(symbols: Sequence[str], *, missing: Sequence[str] = (), currency: str = "USD") -> FetchResult:
    quotes = tuple(quote(1, symbol=symbol, currency=currency) for symbol in symbols if symbol not in missing)
    return FetchResult(quotes, (), dict.fromkeys(missing, "not in the answer"))


class Script:
    """Answers the first requests as scripted, and every later one with all requested symbols."""

    def __init__(self, *first: Answer) -> None:
        self.first = iter(first)
        self.asked: list[tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = []
        self.opened = 0

    def open(self) -> None:
        self.opened += 1

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        self.asked.append((tuple(symbols), tuple(fx_pairs)))
        found = next(self.first, None) or answer(symbols)
        if isinstance(found, Exception):
            raise found
        return found


class FetchRig:
    """One price worker between two queues."""

    def __init__(
        self,
        source: Script,
        *,
        max_attempts: int = 4,
        hang_after: float = 120.0,
        fx: FxRates | None = None,
    ) -> None:
        self.source = source
        self.counters = LedgerCounters()
        self.tickers: MemoryQueue[Ticker] = MemoryQueue(100, self.counters.lock)
        self.quotes: MemoryQueue[FetchedQuote] = MemoryQueue(3, self.counters.lock)
        self.missing = MissingSymbols()
        self.events: list[PipelineEvent] = []
        self.fx = fx or FxRates("DKK")
        pricing = FetchStage(
            lambda: self.source,
            self.tickers,
            self.quotes,
            counters=self.counters,
            fx=self.fx,
            missing=self.missing,
            batch_size=2,
            max_attempts=max_attempts,
            retry_timeout=60.0,
            watches=SourceWatches(self.events.append),
        )
        self.stage = WorkerPool(
            StageName.PRICE,
            pricing.make_task,
            1,
            listener=lambda _: None,
            hang_after=hang_after,
            jitter=lambda: -0.49,
        )

    def ask(self, *symbols: str) -> None:
        self.tickers.put([Ticker(symbol, time.monotonic()) for symbol in symbols])

    def named(self) -> list[str]:
        return [each.symbol for each in self.missing.snapshot()]

    def fetched(self) -> list[str]:
        lease = self.quotes.take(100, timeout=0)
        return [item.quote.symbol for item in lease.items] if lease else []

    def settled(self) -> bool:
        depth = self.tickers.depth()
        return not depth.ready and not depth.in_flight


@contextmanager
def open_shop(
    *first: Answer,
    max_attempts: int = 4,
    source: Script | None = None,
    hang_after: float = 120.0,
    fx: FxRates | None = None,
) -> Iterator[FetchRig]:
    rig = FetchRig(source or Script(*first), max_attempts=max_attempts, hang_after=hang_after, fx=fx)
    rig.stage.start()
    yield rig
    rig.stage.shutdown_now()
    rig.quotes.lift_capacity()
    assert rig.stage.join(60)


def test_quotes_are_handed_over_and_counted(eventually: Wait) -> None:
    with open_shop() as rig:
        rig.ask("A", "B", "C")
        eventually(rig.settled)
        assert rig.counters.fetched == 3
        assert rig.fetched() == ["A", "B", "C"]
        assert [asked[0] for asked in rig.source.asked] == [("A", "B"), ("C",)]
        assert rig.source.asked[0][1] == (("USD", "DKK"),), "the rate rides in the same request"
        assert rig.source.opened == 1


def test_a_full_quotes_queue_blocks_the_worker(eventually: Wait) -> None:
    with open_shop() as rig:
        rig.ask("A", "B", "C", "D")
        eventually(lambda: rig.stage.workers[0].snapshot().state is WorkerState.BLOCKED)
        assert rig.counters.fetched == 2
        assert rig.fetched() == ["A", "B"]
        eventually(rig.settled)
        assert rig.fetched() == ["C", "D"]


def test_symbols_without_a_quote_are_missing(eventually: Wait) -> None:
    with open_shop(answer(["A", "B"], missing=["B"])) as rig:
        rig.ask("A", "B")
        eventually(rig.settled)
        assert rig.named() == ["B"]
        assert rig.fetched() == ["A"]
        rig.ask("B")
        eventually(rig.settled)
        eventually(lambda: rig.named() == [])


def test_a_response_without_quotes_puts_nothing(eventually: Wait) -> None:
    with open_shop(answer(["A"], missing=["A"])) as rig:
        rig.ask("A")
        eventually(rig.settled)
        assert rig.counters.fetched == 0
        assert rig.named() == ["A"]


def test_a_failed_request_is_retried(eventually: Wait) -> None:
    with open_shop(SourceError("502"), SourceError("503")) as rig:
        rig.ask("A", "B")
        eventually(rig.settled)
        assert rig.fetched() == ["A", "B"]
        assert rig.named() == []
        assert rig.stage.failed == 2
        assert rig.stage.workers[0].last_error == "503"


def test_after_its_last_attempt_a_symbol_is_missing_with_the_reason(eventually: Wait) -> None:
    with open_shop(SourceError("502 again"), SourceError("503 again"), max_attempts=2) as rig:
        rig.ask("A", "B")
        eventually(rig.settled)
        assert [(m.symbol, m.reason) for m in rig.missing.snapshot()] == [
            ("A", "503 again"),
            ("B", "503 again"),
        ]
        assert rig.counters.fetched == 0


def test_throttling_costs_no_attempt_and_is_waited_for(eventually: Wait) -> None:
    refusals = [ThrottledError("slow down", 0.01) for _ in range(5)]
    with open_shop(*refusals, max_attempts=1) as rig:
        rig.ask("A")
        eventually(rig.settled)
        assert rig.fetched() == ["A"]
        assert len(rig.source.asked) == 6


def test_a_throttled_worker_shows_its_next_attempt_and_stops_on_request(eventually: Wait) -> None:
    with open_shop(ThrottledError("slow down", 300)) as rig:
        rig.ask("A")
        eventually(lambda: rig.stage.workers[0].snapshot().state is WorkerState.BACKOFF)
        seen = rig.stage.workers[0].snapshot()
        assert seen.doing == "slow down"
        assert seen.retry_in is not None
        assert 290 < seen.retry_in <= 300
        assert rig.tickers.depth().ready == 1, "other workers may take it"


def test_tickers_that_crash_their_worker_use_up_their_attempts(eventually: Wait) -> None:
    """Otherwise a poison response would kill one worker after another without end."""
    with open_shop(ValueError("a bug"), ValueError("a bug"), max_attempts=2) as rig:
        rig.ask("A")
        eventually(rig.settled)
        assert [(m.symbol, m.reason) for m in rig.missing.snapshot()] == [("A", "a bug")]
        assert rig.stage.snapshot(rig.stage.workers).restarts >= 1
        rig.ask("B")
        eventually(lambda: rig.fetched() == ["B"])


def test_an_answer_that_crashes_a_worker_uses_up_the_attempts_too(eventually: Wait) -> None:
    class Broken(FxRates):
        """Fails with every answer, after the request."""

        def update(self, rates: Iterable[FxRate]) -> None:
            raise ValueError("a bug")

    with open_shop(max_attempts=2, fx=Broken("DKK")) as rig:
        rig.ask("A")
        eventually(rig.settled)
        assert [(m.symbol, m.reason) for m in rig.missing.snapshot()] == [("A", "a bug")]
        eventually(lambda: rig.stage.failed == 2)
        assert rig.counters.fetched == 0


def test_an_outage_and_its_end_are_reported_once(eventually: Wait) -> None:
    failures = [SourceError("Yahoo Finance answered 503")] * 4
    with open_shop(*failures, max_attempts=9) as rig:
        rig.ask("A", "B")
        eventually(rig.settled)
    assert [event.kind for event in rig.events] == [EventKind.SOURCE_FAILED, EventKind.SOURCE_RECOVERED]
    assert rig.events[0].message == "Yahoo Finance is down: answered 503"
    assert rig.events[1].message.startswith("Yahoo Finance is back: down for ")
    assert rig.events[1].message.endswith("; 2 symbols affected")


def test_only_a_refusal_by_the_source_itself_is_reported_as_throttling(eventually: Wait) -> None:
    refusals = [
        ThrottledError("waits for the throttle", 0.0),
        ThrottledError("limits the request rate (429)", 0.0, by_source=True),
        ThrottledError("waits for the throttle", 0.0),
    ]
    with open_shop(*refusals) as rig:
        rig.ask("A")
        eventually(rig.settled)
    assert [event.message.partition(";")[0] for event in rig.events][:1] == [
        "Yahoo Finance is throttled: limits the request rate (429)"
    ]
    assert [event.kind for event in rig.events] == [EventKind.THROTTLED, EventKind.SOURCE_RECOVERED]


def test_slow_answers_are_reported(eventually: Wait) -> None:
    slow = [FetchResult(answer([name]).quotes, (), {}, seconds=4.2) for name in "AB"]
    with open_shop(*slow) as rig:
        for name in "ABC":
            rig.ask(name)
            eventually(rig.settled)
        assert rig.fetched() == ["A", "B", "C"]
    messages = [event.message for event in rig.events if event.message.startswith("Yahoo Finance")]
    assert messages[0] == "Yahoo Finance is slow: its answers take 4.2 s"
    assert messages[1].startswith("Yahoo Finance is back: slow for ")
    assert len(messages) == 2


def test_missing_rates_are_reported_with_the_number_of_symbols(eventually: Wait) -> None:
    rate = FxRate("USD", "DKK", Decimal("6.8"), OPENING)
    with open_shop(*(answer([name]) for name in "ABCD"), FetchResult((), (rate,), {})) as rig:
        for name in "ABCDE":
            rig.ask(name)
            eventually(rig.settled)
            rig.fetched()
    assert [re.sub(r" for \d+\.\d s.*", "", event.message) for event in rig.events] == [
        (
            "exchange rates are not available: no usable rate for USD/DKK; "
            "the last known one is used if there is one"
        ),
        "exchange rates are available again: down",
    ]
    assert rig.events[1].message.endswith("; 4 symbols affected")


def test_a_rate_needed_for_the_first_time_is_fetched_immediately(eventually: Wait) -> None:
    rate = FxRate("GBP", "DKK", Decimal("8.6"), OPENING)
    with open_shop(answer(["A"], currency="GBp"), FetchResult((), (rate,), {})) as rig:
        rig.ask("A")
        eventually(rig.settled)
        assert rig.source.asked[1] == ((), (("GBP", "DKK"),))
        assert rig.fx.unknown_pairs() == (("USD", "DKK"),)


@pytest.mark.parametrize("error", [SourceError("no rate today"), ValueError("no rate today")])
def test_a_missing_rate_does_not_delay_quotes(error: Exception, eventually: Wait) -> None:
    with open_shop(answer(["A"], currency="EUR"), error) as rig:
        rig.ask("A")
        eventually(rig.settled)
        assert rig.fetched() == ["A"]
        assert rig.stage.workers[0].last_error == "no rate for EUR: no rate today"


@pytest.mark.parametrize(
    ("attempts", "reason", "again"),
    [
        pytest.param(0, OMITTED, True, id="left out once"),
        pytest.param(1, OMITTED, False, id="left out twice"),
        pytest.param(0, "no price", False, id="answered without a price"),
    ],
)
def test_an_omitted_symbol_is_retried_once(attempts: int, reason: str, again: bool) -> None:
    ticker = Ticker("AAPL", 1.0, attempts)

    found = omitted_tickers([ticker, Ticker("MSFT", 1.0)], {"AAPL": reason})

    assert found == ([Ticker("AAPL", 1.0, attempts + 1)] if again else [])


class HangingScript(Script):
    """A script whose request number `hanging` (from 1) returns only when `resume` is set."""

    def __init__(self, hanging: int, *first: Answer) -> None:
        super().__init__(*first)
        self.hanging = hanging
        self.resume = threading.Event()

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        try:
            return super().fetch(symbols, fx_pairs, on_phase)
        finally:
            if len(self.asked) == self.hanging:
                assert self.resume.wait(60)


@contextmanager
def abandoned_worker(source: HangingScript, eventually: Wait) -> Iterator[FetchRig]:
    """A worker that is replaced while its request for A and B hangs, and whose successor has fetched both."""
    with open_shop(source=source, max_attempts=1, hang_after=0.05) as rig:
        rig.ask("A", "B")
        eventually(lambda: len(source.asked) == source.hanging)

        def replaced() -> bool:
            # Only the first: its successor may just be waiting for the processor.
            if len(rig.stage.workers) == 1:
                rig.stage.replace_hung_workers()
            return len(source.asked) > source.hanging and rig.settled()

        eventually(replaced)
        assert rig.fetched() == ["A", "B"]
        source.resume.set()
        eventually(lambda: len(rig.stage.workers) == 1)
        yield rig


def test_an_abandoned_price_worker_puts_its_quotes_and_does_nothing_else(eventually: Wait) -> None:
    # given an answer that needs a new rate and omits a symbol
    late = answer(["A", "B"], missing=["B"], currency="EUR")
    source = HangingScript(1, late)

    # when it arrives after the worker was replaced
    with abandoned_worker(source, eventually) as rig:
        # then its quote is kept, no rate is requested and no symbol reported as missing
        assert rig.fetched() == ["A"]
        assert [symbols for symbols, _ in source.asked] == [("A", "B"), ("A", "B")]
        assert rig.named() == []
        assert rig.settled()
        assert rig.stage.meter.total == 2, "only the successor's work is counted"


def test_a_price_worker_abandoned_while_it_requests_a_rate_reports_no_symbol_missing(
    eventually: Wait,
) -> None:
    late = answer(["A", "B"], missing=["B"], currency="EUR")
    with abandoned_worker(HangingScript(2, late), eventually) as rig:
        assert rig.fetched() == ["A"]
        assert rig.named() == []
        assert rig.settled()


def test_an_abandoned_price_worker_whose_request_fails_reports_no_symbol_missing(eventually: Wait) -> None:
    with abandoned_worker(HangingScript(1, SourceError("timed out")), eventually) as rig:
        assert rig.fetched() == []
        assert rig.named() == []
        assert rig.settled()
