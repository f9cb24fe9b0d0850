"""The scraper: refreshes the list of constituents and puts every symbol on the tickers queue when a cycle is due."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sp500tui.errors import SourceError
from sp500tui.model import Constituent, IndexChange, Ticker
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.queue import CancelledError, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.snapshot import ConstituentsSnapshot, Health, WorkerState
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.stages.index_changes import ListDifference, compare
from sp500tui.pipeline.stages.schedule import CycleSchedule, ScheduleAction, SkippedStarts
from sp500tui.pipeline.stages.source_health import Outcome, SourceWatch
from sp500tui.sources.wikipedia.client import ConstituentList

_log = logging.getLogger(__name__)

_MAX_NAMED = 10
"""Symbols named in the report of a changed list."""
_RETRY_LIST = 60.0
"""Seconds after which Wikipedia is requested again when the list came from a fallback."""


class ListSource(Protocol):
    """A source of constituents, such as `sources.wikipedia.client.Wikipedia`."""

    def load(self) -> ConstituentList:
        """Load the list from Wikipedia or the best fallback."""


class CurrentConstituents:
    """The current list of constituents and the symbols to fetch. Thread-safe: the list is replaced as a whole."""

    def __init__(
        self,
        source: Callable[[], ListSource],
        selected: Sequence[str],
        max_age: float,
        *,
        watch: SourceWatch | None = None,
        publish: Callable[[PipelineEvent], None] = lambda _: None,
    ) -> None:
        """Create an empty list; `refresh` loads it.

        Args:
            source: returns the source of the list.
            selected: symbols to fetch instead of the whole list; empty for all.
            max_age: seconds after which the list is loaded again.
            watch: reports when the list comes from a fallback, once per outage.
            publish: receives an event when the list changes.
        """
        self._watch = watch
        self._publish = publish
        self._source = source
        self._selected = tuple(selected)
        self._max_age = max_age
        self._due = 0.0
        self._lock = threading.Lock()
        self.listed: tuple[Constituent, ...] = ()
        self.changes: tuple[IndexChange, ...] = ()
        """The changes that Wikipedia lists, newest first."""
        self.confirmed = False
        """Whether the list is Wikipedia's own, not a fallback."""
        self.revision = 0
        """Number of lists loaded so far."""
        self._snapshot = ConstituentsSnapshot(message="loading the list of constituents")

    def refresh(self) -> None:
        """Load the list again if it is too old."""
        revision = self.revision
        if time.monotonic() < self._due:
            return
        # Without the lock: a request that hangs must not block the next one.
        found = self._source().load()
        with self._lock:
            if self.revision != revision:
                return  # a later request was faster
            fresh = found.origin == "wikipedia"
            self._due = time.monotonic() + (self._max_age if fresh else min(_RETRY_LIST, self._max_age))
            before = self.listed or found.previous
            self.listed, self.changes, self.confirmed = found.constituents, found.changes, fresh
            self.revision += 1
            self._snapshot = ConstituentsSnapshot(
                Health.OK if fresh else Health.DEGRADED,
                found.warning,
                len(found.constituents),
                found.origin,
                found.date,
            )
        # Outside the lock: logging and listeners may block.
        self._report(found)
        if fresh and before:
            self._report_difference(compare(before, found.constituents))

    def _report_difference(self, difference: ListDifference) -> None:
        if difference:
            message = f"the index changed: {difference}"
            self._publish(PipelineEvent(EventKind.INDEX_CHANGED, message, logging.WARNING, datetime.now(UTC)))

    def _report(self, found: ConstituentList) -> None:
        if not found.warning:
            _log.info("the list has %d constituents, from Wikipedia", len(found.constituents))
            if self._watch is not None:
                self._watch.record_response()
        elif self._watch is None:
            _log.warning("%s", found.warning)
        else:
            symbols = self._selected or [constituent.symbol for constituent in found.constituents]
            self._watch.record(Outcome.FAILED, found.warning, symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols to fetch, as listed."""
        return self._selected or tuple(constituent.symbol for constituent in self.listed)

    def constituents(self) -> tuple[Constituent, ...]:
        """The constituents to fetch; a selected symbol that is not on the list has a record without details."""
        if not self._selected:
            return self.listed
        known = {constituent.symbol: constituent for constituent in self.listed}
        return tuple(
            known.get(symbol) or Constituent(symbol, "", "", "", "", None, "", "")
            for symbol in self._selected
        )

    def snapshot(self) -> ConstituentsSnapshot:
        """Origin and health of the list."""
        return self._snapshot


def describe_change(before: Sequence[str], after: Sequence[str]) -> str:
    """What has changed in the list, in one line; "" if nothing, or if it is the first list."""
    if not before:
        return ""
    added, removed = sorted({*after} - {*before}), sorted({*before} - {*after})
    changes = [
        f"{len(symbols):,} {verb} ({', '.join(symbols[:_MAX_NAMED])}{', …' * (len(symbols) > _MAX_NAMED)})"
        for verb, symbols in (("added", added), ("removed", removed))
        if symbols
    ]
    return f"the list of constituents has changed: {', '.join(changes)}" if changes else ""


class ScraperStage:
    """The dependencies of the scraper."""

    def __init__(
        self,
        current_constituents: CurrentConstituents,
        cycles: CycleSchedule,
        tickers: LeasedQueue[Ticker],
        *,
        on_cycles_ended: Callable[[], None],
    ) -> None:
        """`on_cycles_ended` is called when the schedule starts no further cycle."""
        self.current_constituents = current_constituents
        self.cycles = cycles
        self.tickers = tickers
        self.skipped = SkippedStarts()
        self.on_cycles_ended = on_cycles_ended

    def make_task(self, worker: Worker) -> ScraperTask:
        """Create the task of the scraper."""
        return ScraperTask(self, worker)


class ScraperTask:
    """The work of the scraper."""

    def __init__(self, stage: ScraperStage, worker: Worker) -> None:
        self._stage = stage
        self._worker = worker

    def run_once(self) -> float:
        """Do what the schedule requires now; returns the seconds until it has to be checked again."""
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
