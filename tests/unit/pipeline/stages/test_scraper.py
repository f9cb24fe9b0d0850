"""The scraper: a cycle counts as put only when all of its tickers are on the queue, even after failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from sp500tui.model import Ticker
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.stages.schedule import CycleSchedule, Plan, ScheduleAction
from sp500tui.pipeline.stages.scraper import ScraperStage
from sp500tui.sources.wikipedia.client import ConstituentList
from tests.support.waiting import FakeClock, Wait

SYMBOLS = tuple("ABCDEFGH")


class NoList:
    def load(self) -> ConstituentList:
        return ConstituentList((), "bundled", datetime.now(UTC), "")


class Refusing(MemoryQueue[Ticker]):
    """Refuses the puts of the given numbers, counted from 1."""

    def __init__(self, *refused: int) -> None:
        super().__init__(8)
        self.refused = refused
        self.puts = 0
        self.seen_complete: list[bool] = []
        self.cycles: CycleSchedule | None = None

    def put(self, items: Sequence[Ticker], **more: Any) -> bool:
        self.puts += 1
        if self.cycles is not None:
            self.seen_complete.append(self.cycles.complete)
        if self.puts in self.refused:
            raise OSError("the broker refuses")
        return super().put(items, **more)


@contextmanager
def scraping(queue: Refusing) -> Iterator[CycleSchedule]:
    """A scraper of one cycle over eight symbols, put two at a time."""
    cycles = queue.cycles = CycleSchedule(Plan(cycles=1), 60.0)
    shared = ScraperStage(
        CurrentConstituents(NoList, SYMBOLS, 60.0), cycles, queue, on_cycles_ended=lambda: None
    )
    stage = WorkerPool(
        StageName.SCRAPER, shared.make_task, 1, listener=lambda _event: None, jitter=lambda: 0.0
    )
    stage.start()
    yield cycles
    stage.shutdown_now()
    assert stage.join(60)


def test_a_cycle_is_complete_once_its_last_ticker_is_put(eventually: Wait) -> None:
    queue = Refusing()
    with scraping(queue) as cycles:
        eventually(lambda: cycles.complete)
    assert queue.seen_complete == [False] * 4
    assert queue.depth().ready == 8


@pytest.mark.parametrize("refused", [(1,), (3,), (1, 3, 6)])
def test_a_cycle_whose_put_failed_is_started_again(eventually: Wait, refused: tuple[int, ...]) -> None:
    queue = Refusing(*refused)

    def emptied(cycles: CycleSchedule) -> bool:
        """A price worker that empties the queue must not make the cycle look finished."""
        lease = queue.take(8, timeout=0.01)
        assert lease is None or lease.ack()
        return cycles.complete

    with scraping(queue) as cycles:
        eventually(lambda: emptied(cycles))
        assert (cycles.number, cycles.running) == (1, True)
    assert not any(queue.seen_complete)
    assert queue.puts > 4


def test_a_cycle_can_be_retracted_only_while_it_is_incomplete() -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(cycles=1), 10, clock)
    number = cycles.begin(3)
    clock.now += 1
    cycles.retract(number + 1)
    assert (cycles.number, cycles.running, cycles.complete) == (1, True, False)

    cycles.retract(number)
    assert (cycles.number, cycles.running, cycles.complete) == (0, False, False)
    assert cycles.next_action() is ScheduleAction.START

    cycles.begin(3)
    cycles.mark_complete()
    cycles.retract(number)
    assert (cycles.number, cycles.running, cycles.complete) == (1, True, True)
