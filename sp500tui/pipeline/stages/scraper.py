"""The scraper: keeps the list of constituents, and puts every symbol on the tickers queue when a cycle is due."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from sp500tui.errors import SourceError
from sp500tui.model import Constituent, Ticker
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.queue import CancelledError, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.snapshot import Health, ListSnapshot, WorkerState
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.stages.schedule import CycleSchedule, FoldedSkips, ScheduleAction
from sp500tui.pipeline.stages.source_health import Outcome, SourceWatch
from sp500tui.sources.wikipedia.client import ConstituentList

_log = logging.getLogger(__name__)

_RETRY_LIST = 60.0
"""Seconds after which a list that came from a fallback is asked for again."""


class ListSource(Protocol):
    """Where the constituents come from: `sources.wikipedia.Wikipedia`, or a test's own."""

    def load(self) -> ConstituentList:
        """The list, from Wikipedia or the best fallback."""


class CurrentConstituents:
    """The list in force, and the symbols asked for. Thread-safe: replaced as a whole."""

    def __init__(
        self,
        source: Callable[[], ListSource],
        chosen: Sequence[str],
        refresh: float,
        *,
        watch: SourceWatch | None = None,
    ) -> None:
        """`watch` reports a list that is not Wikipedia's present one, once for as long as that lasts."""
        self._watch = watch
        self._source = source
        self._chosen = tuple(chosen)
        self._refresh = refresh
        self._due = 0.0
        self._changing = threading.Lock()
        self.listed: tuple[Constituent, ...] = ()
        self.changes = 0
        """How many lists have come so far."""
        self._snapshot = ListSnapshot(message="the list of constituents is being read")

    def refresh(self) -> None:
        """Read the list when the one in force is old."""
        changes = self.changes
        if time.monotonic() < self._due:
            return
        # Without the lock: a reading that hangs must not hold up the one that follows it.
        found = self._source().load()
        with self._changing:
            if self.changes != changes:
                return  # another reading was faster, and began later
            fresh = found.origin == "wikipedia"
            self._due = time.monotonic() + (self._refresh if fresh else min(_RETRY_LIST, self._refresh))
            self.listed = found.constituents
            self.changes += 1
            self._snapshot = ListSnapshot(
                Health.OK if fresh else Health.DEGRADED,
                found.warning,
                len(found.constituents),
                found.origin,
                found.date,
            )
        # Outside the lock: a line of the log and a listener may wait.
        self._report(found)

    def _report(self, found: ConstituentList) -> None:
        if not found.warning:
            _log.info("the list has %d constituents, from Wikipedia", len(found.constituents))
            if self._watch is not None:
                self._watch.answered()
        elif self._watch is None:
            _log.warning("%s", found.warning)
        else:
            symbols = self._chosen or [constituent.symbol for constituent in found.constituents]
            self._watch.observe(Outcome.FAILED, found.warning, symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """What to ask for, as listed."""
        return self._chosen or tuple(constituent.symbol for constituent in self.listed)

    def constituents(self) -> tuple[Constituent, ...]:
        """The lines of the list for what is asked for; a chosen symbol that is not listed has a line of its own."""
        if not self._chosen:
            return self.listed
        known = {constituent.symbol: constituent for constituent in self.listed}
        return tuple(
            known.get(symbol) or Constituent(symbol, "", "", "", "", None, "", "") for symbol in self._chosen
        )

    def snapshot(self) -> ListSnapshot:
        """Where the list is from, and how good it is."""
        return self._snapshot


class ScraperStage:
    """What the scraper's worker needs, and the maker of its body."""

    def __init__(
        self,
        current_constituents: CurrentConstituents,
        cycles: CycleSchedule,
        tickers: LeasedQueue[Ticker],
        *,
        ended: Callable[[], None],
    ) -> None:
        self.current_constituents = current_constituents
        self.cycles = cycles
        self.tickers = tickers
        self.skips = FoldedSkips()
        self.ended = ended
        """Called when no cycle will come any more."""

    def make_task(self, worker: Worker) -> ScraperTask:
        """The one scraper's body."""
        return ScraperTask(self, worker)


class ScraperTask:
    """The one scraper."""

    def __init__(self, shared: ScraperStage, worker: Worker) -> None:
        self._shared = shared
        self._worker = worker

    def run_once(self) -> float:
        """Do what the schedule says; returns in how many seconds there is something to do."""
        shared, worker = self._shared, self._worker
        move = shared.cycles.move()
        if move is ScheduleAction.START:
            self._start_cycle()
        elif move is ScheduleAction.SKIP:
            record = shared.cycles.record()
            message = shared.skips.note(time.monotonic(), record.number, record.skipped)
            if message:
                worker.pool.emit(EventKind.CYCLE_SKIPPED, message, logging.INFO, worker.name)
        elif move is ScheduleAction.END:
            shared.ended()
            raise QueueClosedError
        else:
            worker.set_state(WorkerState.IDLE, "waits for the next cycle")
            return shared.cycles.idle_time()
        return 0.0

    def _start_cycle(self) -> None:
        shared, worker = self._shared, self._worker
        started = time.monotonic()
        worker.start_work("reads the list of constituents")
        shared.current_constituents.refresh()
        worker.set_state(WorkerState.BLOCKED, "starting a cycle")
        if worker.abandoned:
            return  # the worker that replaced this one starts the cycle
        symbols = shared.current_constituents.symbols
        if not symbols:
            raise SourceError("there is no list of constituents: name symbols with --symbols, or try --demo")
        number = shared.cycles.begin(len(symbols))
        now = time.monotonic()
        message = f"cycle {number} started: {len(symbols)} symbols"
        worker.pool.emit(EventKind.CYCLE_STARTED, message, logging.DEBUG, worker.name)
        worker.set_state(WorkerState.BLOCKED, f"{len(symbols)} tickers for cycle {number}")
        try:
            self._put(symbols, now)
        except (CancelledError, QueueClosedError):
            raise
        except BaseException:
            shared.cycles.retract(number)
            raise
        shared.cycles.completed()
        worker.finish_work(len(symbols), time.monotonic() - started)

    def _put(self, symbols: Sequence[str], now: float) -> None:
        shared, worker = self._shared, self._worker
        portion = max(1, shared.tickers.depth().capacity // 4)
        for at in range(0, len(symbols), portion):
            worker.put(shared.tickers, [Ticker(symbol, now) for symbol in symbols[at : at + portion]])

    def close(self) -> None:
        """Nothing to give back."""
