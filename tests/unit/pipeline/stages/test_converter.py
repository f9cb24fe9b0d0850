"""The converters: rows with the second currency, or a short wait for its rate."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from sp500tui.model import ConvertedQuote, FetchedQuote, FxRate
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.stages.converter import ConverterStage
from sp500tui.pipeline.stages.fx import FxRates
from tests.support.pipeline.rows import OPENING, quote
from tests.support.waiting import FakeClock, Wait

RATE = FxRate("USD", "DKK", Decimal("6.858"), OPENING)


class Counter:
    def __init__(self, fx: FxRates | None = None, hang_after: float = 120.0) -> None:
        self.clock = FakeClock()
        self.counters = LedgerCounters()
        self.quotes: MemoryQueue[FetchedQuote] = MemoryQueue(100, self.counters.lock)
        self.rows: MemoryQueue[object] = MemoryQueue(2, self.counters.lock)
        self.fx = fx or FxRates("DKK", clock=self.clock)
        self.latest_prices = LatestPrices()
        conversion = ConverterStage(self.quotes, self.rows, fx=self.fx, latest_prices=self.latest_prices)  # type: ignore[arg-type]
        self.stage = WorkerPool(
            StageName.CONVERTER, conversion.make_task, 1, listener=lambda _: None, hang_after=hang_after
        )

    def put(self, *numbers: int) -> None:
        self.quotes.put(
            [FetchedQuote(quote(number), fetched_monotonic=5.0, fetched_by="price-1") for number in numbers]
        )

    def state(self) -> WorkerState:
        return self.stage.workers[0].snapshot().state


@contextmanager
def open_counter(fx: FxRates | None = None, hang_after: float = 120.0) -> Iterator[Counter]:
    counter = Counter(fx, hang_after)
    counter.stage.start()
    yield counter
    counter.stage.shutdown_now()
    counter.rows.lift_capacity()
    assert counter.stage.join(60)


def test_quotes_become_rows_in_one_step(eventually: Wait) -> None:
    with open_counter() as counter:
        counter.fx.update([RATE])
        counter.put(1, 2)
        eventually(lambda: counter.rows.depth().ready == 2)
        assert counter.quotes.depth().in_flight == 0
        lease = counter.rows.take(5)
        assert lease is not None
        assert [row.converted_price for row in lease.items] == [Decimal("687.51450")] * 2  # type: ignore[attr-defined]
        shown = counter.latest_prices.get("S1")
        assert shown is not None
        assert (shown.row.fx_rate, shown.row.fx_time) == (Decimal("6.858"), OPENING)


def test_a_full_rows_queue_blocks_the_converter(eventually: Wait) -> None:
    with open_counter() as counter:
        counter.fx.update([RATE])
        counter.put(1, 2)
        eventually(lambda: counter.rows.depth().ready == 2)
        counter.put(3)
        eventually(lambda: counter.state() is WorkerState.BLOCKED)
        assert counter.quotes.depth().in_flight == 1
        counter.rows.take(1)
        eventually(lambda: counter.quotes.depth().in_flight == 0)


def test_rows_wait_for_the_first_rate(eventually: Wait) -> None:
    with open_counter() as counter:
        counter.put(1)
        eventually(lambda: counter.state() is WorkerState.RATE)
        assert counter.rows.depth().ready == 0

        counter.fx.update([RATE])

        eventually(lambda: counter.rows.depth().ready == 1)
        shown = counter.latest_prices.get("S1")
        assert shown is not None
        assert shown.row.converted_price is not None


def test_without_a_rate_in_time_rows_have_no_converted_price(eventually: Wait) -> None:
    with open_counter() as counter:
        counter.put(1)
        eventually(lambda: counter.state() is WorkerState.RATE)
        counter.clock.now += 11
        eventually(lambda: counter.rows.depth().ready == 1)
        shown = counter.latest_prices.get("S1")
        assert shown is not None
        assert shown.row.converted_price is None


def test_an_expedited_converter_does_not_wait_for_a_rate(eventually: Wait) -> None:
    """At the second request to stop, a quote without a rate still reaches the journal."""
    with open_counter() as counter:
        counter.put(1)
        eventually(lambda: counter.state() is WorkerState.RATE)
        counter.stage.expedite()
        eventually(lambda: counter.rows.depth().ready == 1)


def test_a_stopping_converter_does_not_wait_for_a_rate(eventually: Wait) -> None:
    with open_counter() as counter:
        counter.put(1)
        eventually(lambda: counter.state() is WorkerState.RATE)
    assert counter.rows.depth().ready == 1


class HangingRates(FxRates):
    """Rates of which the first conversion returns only when `resume` is set."""

    def __init__(self) -> None:
        super().__init__("DKK")
        self.resume = threading.Event()
        self.conversions = 0

    def convert(self, fetched: FetchedQuote) -> ConvertedQuote:
        self.conversions += 1
        if self.conversions == 1:
            assert self.resume.wait(60)
        return super().convert(fetched)


def test_an_abandoned_converter_puts_no_rows(eventually: Wait) -> None:
    # given a converter that is replaced while it converts
    fx = HangingRates()
    fx.update([RATE])
    with open_counter(fx, hang_after=0.05) as counter:
        counter.put(1)

        def replaced() -> bool:
            if len(counter.stage.workers) == 1:
                counter.stage.replace_hung_workers()
            return counter.rows.depth().ready == 1

        eventually(replaced)
        version, _ = counter.latest_prices.changes_since(0)

        # when it wakes up
        fx.resume.set()
        eventually(lambda: len(counter.stage.workers) == 1)

        # then only its successor's row is in the queue and counted
        assert counter.rows.total_in == 1
        assert counter.latest_prices.changes_since(0)[0] == version
        eventually(lambda: counter.stage.meter.total == 1)
