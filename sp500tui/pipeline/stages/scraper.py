"""The scraper: refreshes the list of constituents and puts every symbol on the tickers queue when a cycle is due."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sp500tui.errors import SourceError
from sp500tui.model import Ticker
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.queue import CancelledError, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.stages.index_changes import describe_change
from sp500tui.pipeline.stages.schedule import CycleSchedule, ScheduleAction, SkippedStarts


@dataclass(eq=False)
class ScraperStage:
    """The dependencies of the scraper."""

    current_constituents: CurrentConstituents
    cycles: CycleSchedule
    tickers: LeasedQueue[Ticker]
    on_cycles_ended: Callable[[], None]
    """Called when the schedule starts no further cycle."""
    skipped: SkippedStarts = field(default_factory=SkippedStarts, init=False)

    def make_task(self, worker: Worker) -> ScraperTask:
        """Create the task of the scraper."""
        return ScraperTask(self, worker)


class ScraperTask:
    """The work of the scraper."""

    def __init__(self, stage: ScraperStage, worker: Worker) -> None:
        self._stage = stage
        self._worker = worker

    def run_once(self) -> float:
        """Do what the schedule requires now; returns the seconds until the next check."""
        stage, worker = self._stage, self._worker
        action = stage.cycles.next_action()
        if action is ScheduleAction.START:
            self._start_cycle()
        elif action is ScheduleAction.SKIP:
            state = stage.cycles.state()
            message, count = stage.skipped.record(time.monotonic(), state.number, state.skipped)
            if message:
                worker.pool.emit(EventKind.CYCLE_SKIPPED, message, logging.INFO, worker.name, count=count)
        elif action is ScheduleAction.END:
            stage.on_cycles_ended()
            raise QueueClosedError
        else:
            worker.set_state(WorkerState.IDLE, "waiting for the next cycle")
            return stage.cycles.idle_time()
        return 0.0

    def _start_cycle(self) -> None:
        stage, worker = self._stage, self._worker
        started = time.monotonic()
        worker.start_work("loading the list of constituents")
        before = stage.current_constituents.symbols
        with worker.during(WorkerState.SOURCE):
            stage.current_constituents.refresh()
        worker.hand_over("starting a cycle")
        if worker.abandoned:
            return  # the worker that replaced this one starts the cycle
        symbols = stage.current_constituents.symbols
        if not symbols:
            raise SourceError("there is no list of constituents: name symbols with --symbols, or try --demo")
        if message := describe_change(before, symbols):
            worker.pool.emit(EventKind.LIST_CHANGED, message, logging.INFO, worker.name)
        number = stage.cycles.begin(len(symbols))
        now = time.monotonic()
        message = f"cycle {number} started: {len(symbols)} symbols"
        worker.pool.emit(EventKind.CYCLE_STARTED, message, logging.DEBUG, worker.name)
        worker.hand_over(f"{len(symbols)} tickers for cycle {number}")
        try:
            self._put(symbols, now)
        except (CancelledError, QueueClosedError):
            raise
        except BaseException:
            stage.cycles.retract(number)
            raise
        stage.cycles.mark_complete()
        worker.finish_work(len(symbols), time.monotonic() - started)

    def _put(self, symbols: Sequence[str], now: float) -> None:
        """Put the tickers in portions, so that price workers can start before all of them fit."""
        stage, worker = self._stage, self._worker
        portion = max(1, stage.tickers.depth().capacity // 4)
        for at in range(0, len(symbols), portion):
            worker.put(
                stage.tickers,
                [Ticker(symbol, now) for symbol in symbols[at : at + portion]],
                "tickers wait for room in the tickers queue",
                cancelled=worker.stopping.is_set,
            )

    def close(self) -> None:
        """Nothing to release."""
