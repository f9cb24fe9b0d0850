"""The life of a run: how it starts, what is watched while it goes, and how it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.model import SourceError
from sp500tui.pipeline.api import StopStep
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.snapshot import Phase, StageName
from sp500tui.pipeline.runtime.lifecycle import LOOK, ClosingStep, Life, Say
from sp500tui.pipeline.runtime.sources import Upstream
from sp500tui.pipeline.runtime.wiring import Parts
from sp500tui.sources.throttle import Throttle

_log = logging.getLogger(__name__)

_IDLE_LOOK = 1.0
"""Seconds between two looks while there is nothing to do; the start of a cycle ends the wait."""
_SPOOL_DEADLINE = 5.0
"""Seconds that spooling may take before what is left is abandoned."""

_NO_PRICES_AFTER = 15.0
"""Seconds of a bounded run's first cycle without a single answer after which it ends."""
_FAILURES = 3

Connect = Callable[[Settings, Paths, Throttle], Upstream]


class Supervisor(Life):
    """One thread that starts the stages, watches over them, and ends them one after the other."""

    parts: Parts

    def __init__(self, settings: Settings, paths: Paths, *, connect: Connect, say: Say) -> None:
        super().__init__("supervisor", say, what="the pipeline")
        self._settings = settings
        self._paths = paths
        self._connect = connect

    def _stay(self) -> None:
        self._open()
        self._work()

    def _open(self) -> None:
        parts = self.parts
        replay = parts.journal.open()
        if replay:
            message = f"the journal holds {replay:,} rows of an earlier run: they are stored first"
            self._say(EventKind.REPLAYED, message)
        parts.keeper.thread.start()
        parts.stages[StageName.WRITER].start()
        parts.upstream = self._connect(self._settings, self._paths, parts.throttle)
        if self._settings.database is not None:
            # A server by URL answers at once; an embedded one starts while the price workers get ready.
            self._await_database()
        if not self.failure:
            for name in (StageName.CONVERTER, StageName.PRICE):
                parts.stages[name].start()
            self._await_database()
        if self.failure or self.step is not StopStep.NONE:
            return
        parts.cycles.subscribe(self._wake.set)
        parts.stages[StageName.SCRAPER].start()
        if not self._settings.no_ui:
            self._open_market_clock()
        self._enter(Phase.RUNNING)

    def _await_database(self) -> None:
        """Wait for the first attempt to open it: nothing is fetched for a URL that turns out to be a slip."""
        while not self.parts.keeper.tried.wait(LOOK) and self.step is StopStep.NONE:
            pass

    def _work(self) -> None:
        """Watch until the last cycle is done or somebody wants the end."""
        while not self._no_more_cycles.is_set() and self.step is StopStep.NONE and not self.failure:
            self._wake.wait(LOOK if self._is_busy() else _IDLE_LOOK)
            self._wake.clear()
            self._look()

    def _is_busy(self) -> bool:
        """Whether something goes on that has to be followed closely."""
        stages = self.parts.stages.values()
        return self.parts.cycles.running or any(worker.busy for stage in stages for worker in stage.workers)

    def _look(self) -> None:
        parts = self.parts
        for gauge in parts.gauges:
            gauge.sample()
        for stage in parts.stages.values():
            stage.watch()
        parts.watches.settle()
        self._look_for_prices()
        # Read before the queues: what was put by then is either in them or settled.
        if parts.cycles.complete:
            with parts.books.lock:
                ledger = parts.ledger()
                finished = not parts.outstanding(ledger)
            if finished:
                seconds = parts.cycles.finish()
                message = f"cycle {parts.cycles.number} finished in {seconds:.2f} s: {ledger.brief}"
                self._say(EventKind.CYCLE_FINISHED, message)

    def _look_for_prices(self) -> None:
        """End a bounded run that has had no answer at all: a script is not kept waiting for a missing network."""
        parts = self.parts
        state = parts.throttle.state()
        if (
            self.failure
            or not (parts.bounded and parts.cycles.running)
            or state.last_success_age is not None
            or state.failed + state.throttled < _FAILURES
            or parts.cycles.snapshot(0, stopping=False).seconds < _NO_PRICES_AFTER
        ):
            return
        reason = state.message or "no answer"
        parts.missing.name((symbol, reason) for symbol in parts.roster.symbols)
        self.fail(SourceError(f"no prices to be had: {reason}"))

    def _look_for_silence(self) -> None:
        """Fail a run that came to its own end without one answer, and say why."""
        parts, state = self.parts, self.parts.throttle.state()
        missing = parts.missing.listing()
        if missing and self.step is StopStep.NONE and state.last_success_age is None:
            self.fail(SourceError(f"no prices to be had: {state.message or missing[0].reason}"))

    def _drain(self) -> None:
        """End the stages one after the other, each when nothing can reach it any more."""
        if self.failure:
            self.step = max(self.step, StopStep.SPOOL)
        parts = self.parts
        self._guard(partial(self._enter, Phase.DRAINING))
        deadline = time.monotonic() + self._settings.drain_timeout
        if self.step is not StopStep.NONE:
            # Who stops by hand wants no new requests; what was fetched goes its way to the end.
            parts.tickers.discard_ready()
            parts.stages[StageName.PRICE].dismiss()
        parts.stages[StageName.SCRAPER].dismiss()
        for stage in parts.stages.values():
            stage.resume()
        for name, queue in (
            (StageName.SCRAPER, parts.tickers),
            (StageName.PRICE, parts.quotes),
            (StageName.CONVERTER, parts.rows),
            (StageName.WRITER, None),
        ):
            self._guard(parts.stages[name].end)
            self._guard(partial(self._await, name, deadline))
            if queue is not None:
                self._guard(queue.close)
        self._look_for_silence()

    def _await(self, name: StageName, deadline: float) -> None:
        """Wait until a stage is empty; past the deadline, or when asked to, spool instead of draining."""
        give_up: float | None = None
        while not self.parts.stages[name].join(LOOK):
            self._guard(self._look)
            now = time.monotonic()
            if self.step is StopStep.KILL:
                return
            if give_up is None and (self.step >= StopStep.SPOOL or now > deadline):
                self._spool()
                give_up = now + _SPOOL_DEADLINE
            if give_up is not None and now > give_up:
                _log.error("the %s stage did not end in time; it is abandoned", name)
                return

    def _spool(self) -> None:
        parts = self.parts
        if parts.writing.spooling_since is None:
            self._enter(Phase.SPOOLING)
            parts.tickers.discard_ready()
            parts.quotes.lift_capacity()
            parts.rows.lift_capacity()
            parts.stages[StageName.PRICE].dismiss()
            for name in (StageName.CONVERTER, StageName.WRITER):
                parts.stages[name].hurry()
            parts.writing.spooling_since = time.monotonic()

    def _closing_steps(self) -> list[ClosingStep]:
        parts = self.parts
        steps: list[ClosingStep] = []
        if self.market_clock is not None:
            steps.append(("the market clock", self.market_clock.close))
        steps.append(("the reports of the sources", parts.watches.close))
        steps.append(
            ("the database", parts.keeper.abandon if self.step is StopStep.KILL else parts.keeper.close)
        )
        steps.append(("the journal", parts.journal.close))
        if parts.upstream is not None:
            steps.append(("the sources", parts.upstream.close))
        return steps
