"""The scraper with a slow list of constituents, and the schedule that determines its sleep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from sp500tui.model import Constituent, Ticker
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.stages.schedule import CycleSchedule, Plan
from sp500tui.pipeline.stages.scraper import ScraperStage
from sp500tui.sources.wikipedia.client import ConstituentList
from tests.support.waiting import Wait


class SlowList:
    """A list whose first reads wait for a signal."""

    def __init__(self, slow: int) -> None:
        self.slow = slow
        self.asked = 0
        self.go_on = threading.Event()

    def load(self) -> ConstituentList:
        self.asked += 1
        symbol = f"S{self.asked}"
        if self.asked <= self.slow:
            assert self.go_on.wait(60)
        return ConstituentList(
            (Constituent(symbol, symbol, "", "", "", None, "", ""),), "wikipedia", datetime.now(UTC), ""
        )


class Scrape:
    """A scraper's stage, and the tickers that it has put."""

    def __init__(self, slow: int, plan: Plan, hang_after: float) -> None:
        self.source = SlowList(slow)
        self.current_constituents = CurrentConstituents(lambda: self.source, (), 3600)
        self.queue: MemoryQueue[Ticker] = MemoryQueue(100)
        self.cycles = CycleSchedule(plan, 3600)
        self.events: list[PipelineEvent] = []
        self.ended = threading.Event()
        scraping = ScraperStage(
            self.current_constituents, self.cycles, self.queue, on_cycles_ended=self.ended.set
        )
        self.stage = WorkerPool(
            StageName.SCRAPER, scraping.make_task, 1, listener=self.events.append, hang_after=hang_after
        )
        self.cycles.subscribe(self.stage.wake)

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]


@pytest.fixture
def scrape() -> Iterator[Callable[..., Scrape]]:
    made: list[Scrape] = []

    def start(slow: int = 0, plan: Plan | None = None, hang_after: float = 60.0) -> Scrape:
        made.append(Scrape(slow, plan or Plan(), hang_after))
        made[-1].stage.start()
        return made[-1]

    yield start
    for each in made:
        each.source.go_on.set()
        each.stage.shutdown_now()
        assert each.stage.join(60)


@pytest.mark.parametrize("slow", [1, 3])
def test_an_abandoned_scraper_starts_no_cycle(
    scrape: Callable[..., Scrape], eventually: Wait, slow: int
) -> None:
    # Given a list that is so slow that its readers are replaced, one after the other
    run = scrape(slow=slow, hang_after=0.05)

    def watched() -> bool:
        # Only those whose list is slow: the last one may just be waiting for the processor.
        if run.kinds().count(EventKind.WORKER_HUNG) < slow:
            run.stage.replace_hung_workers()
        return run.cycles.number == 1

    eventually(watched)
    assert run.kinds().count(EventKind.WORKER_HUNG) == slow

    # When all of them wake up at last
    run.source.go_on.set()
    eventually(lambda: len(run.stage.workers) == 1)
    eventually(lambda: run.cycles.complete)

    # Then there was one cycle, with the list of the one that was not replaced
    assert run.cycles.number == 1
    assert run.queue.total_in == 1
    assert run.current_constituents.revision == 1
    assert run.current_constituents.symbols == (f"S{slow + 1}",)


def test_a_list_that_always_exceeds_the_limit_is_used_nevertheless(
    scrape: Callable[..., Scrape], eventually: Wait
) -> None:
    # Given a list of which every read outlasts its reader
    run = scrape(slow=1_000_000, hang_after=0.05)

    def watched(condition: Callable[[], object]) -> Callable[[], object]:
        def check() -> object:
            run.stage.replace_hung_workers()
            return condition()

        return check

    eventually(watched(lambda: run.kinds().count(EventKind.WORKER_HUNG) == 2))

    # When the reads end, then one cycle starts
    run.source.go_on.set()
    eventually(watched(lambda: run.cycles.number == 1))
    eventually(watched(lambda: len(run.stage.workers) == 1))
    eventually(watched(lambda: run.cycles.complete))
    assert (run.cycles.number, run.queue.total_in) == (1, 1)


def test_a_scraper_sleeps_until_a_cycle_is_requested(scrape: Callable[..., Scrape], eventually: Wait) -> None:
    # Given a scraper between two cycles, with an hour to go
    run = scrape()
    eventually(lambda: run.cycles.number == 1 and run.cycles.complete)
    run.cycles.finish()
    eventually(lambda: run.stage.workers[0].snapshot().state is WorkerState.IDLE)

    # When a cycle is requested, then it starts at once
    assert run.cycles.request()
    eventually(lambda: run.cycles.number == 2)

    # When the interval is changed to one that has already passed, then the next one starts too
    run.cycles.finish()
    run.cycles.set_interval(0.01)
    eventually(lambda: run.cycles.number == 3)


def test_the_end_of_the_last_cycle_ends_the_scraper(scrape: Callable[..., Scrape], eventually: Wait) -> None:
    run = scrape(plan=Plan(cycles=1))
    eventually(lambda: run.cycles.number == 1 and run.cycles.complete)
    assert not run.ended.is_set()
    run.cycles.finish()
    assert run.ended.wait(60)
    assert run.stage.join(60)


def test_the_time_limit_ends_the_scraper(scrape: Callable[..., Scrape]) -> None:
    run = scrape(plan=Plan(duration=0.05))
    assert run.ended.wait(60)
    assert run.stage.join(60)
