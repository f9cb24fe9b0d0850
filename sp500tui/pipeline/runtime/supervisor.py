"""The life of a run: how it starts, what is watched while it goes, and how it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import SourceError
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.snapshot import Phase, StageName
from sp500tui.pipeline.runtime.lifecycle import POLL_INTERVAL, ClosingStep, Emit, Lifecycle
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.pipeline.runtime.wiring import PipelineComponents
from sp500tui.sources.throttle import Throttle

_log = logging.getLogger(__name__)

_IDLE_LOOK = 1.0
"""Seconds between two looks while there is nothing to do; the start of a cycle ends the wait."""
_SPOOL_DEADLINE = 5.0
"""Seconds that spooling may take before what is left is abandoned."""

_NO_PRICES_AFTER = 15.0
"""Seconds of a bounded run's first cycle without a single answer after which it ends."""
_FAILURES = 3

Connect = Callable[[Settings, Paths, Throttle], Sources]


class Supervisor(Lifecycle):
    """One thread that starts the stages, watches over them, and ends them one after the other."""

    components: PipelineComponents

    def __init__(self, settings: Settings, paths: Paths, *, connect: Connect, say: Emit) -> None:
        super().__init__("supervisor", say, what="the pipeline")
        self._settings = settings
        self._paths = paths
        self._connect = connect

    def _stay(self) -> None:
        self._open()
        self._work()

    def _open(self) -> None:
        components = self.components
        replay = components.journal.open()
        if replay:
            message = f"the journal holds {replay:,} rows of an earlier run: they are stored first"
            self._say(EventKind.REPLAYED, message)
        components.database_monitor.thread.start()
        components.stages[StageName.WRITER].start()
        components.sources = self._connect(self._settings, self._paths, components.throttle)
        if self._settings.database is not None:
            # A server by URL answers at once; an embedded one starts while the price workers get ready.
            self._wait_for_database()
        if not self.failure:
            for name in (StageName.CONVERTER, StageName.PRICE):
                components.stages[name].start()
            self._wait_for_database()
        if self.failure or self.step is not ShutdownLevel.NONE:
            return
        components.cycles.subscribe(self._wake.set)
        components.stages[StageName.SCRAPER].start()
        if not self._settings.no_ui:
            self._open_market_clock()
        self._enter(Phase.RUNNING)

    def _wait_for_database(self) -> None:
        """Wait for the first attempt to open it: nothing is fetched for a URL that turns out to be a slip."""
        while (
            not self.components.database_monitor.first_attempt_done.wait(POLL_INTERVAL)
            and self.step is ShutdownLevel.NONE
        ):
            pass

    def _work(self) -> None:
        """Watch until the last cycle is done or somebody wants the end."""
        while not self._no_more_cycles.is_set() and self.step is ShutdownLevel.NONE and not self.failure:
            self._wake.wait(POLL_INTERVAL if self._is_busy() else _IDLE_LOOK)
            self._wake.clear()
            self._poll()

    def _is_busy(self) -> bool:
        """Whether something goes on that has to be followed closely."""
        stages = self.components.stages.values()
        return self.components.cycles.running or any(
            worker.busy for stage in stages for worker in stage.workers
        )

    def _poll(self) -> None:
        components = self.components
        for meter in components.queue_meters:
            meter.sample()
        for stage in components.stages.values():
            stage.replace_hung_workers()
        components.watches.report_pending()
        self._fail_if_no_prices()
        # Read before the queues: what was put by then is either in them or settled.
        if components.cycles.complete:
            with components.counters.lock:
                ledger = components.ledger()
                finished = not components.outstanding(ledger)
            if finished:
                seconds = components.cycles.finish()
                message = f"cycle {components.cycles.number} finished in {seconds:.2f} s: {ledger.summary}"
                self._say(EventKind.CYCLE_FINISHED, message)

    def _fail_if_no_prices(self) -> None:
        """End a bounded run that has had no answer at all: a script is not kept waiting for a missing network."""
        components = self.components
        state = components.throttle.state()
        if (
            self.failure
            or not (components.bounded and components.cycles.running)
            or state.last_success_age is not None
            or state.failed + state.throttled < _FAILURES
            or components.cycles.snapshot(0, stopping=False).seconds < _NO_PRICES_AFTER
        ):
            return
        reason = state.message or "no answer"
        components.missing.add((symbol, reason) for symbol in components.current_constituents.symbols)
        self.fail(SourceError(f"no prices to be had: {reason}"))

    def _fail_if_no_answers(self) -> None:
        """Fail a run that came to its own end without one answer, and say why."""
        components, state = self.components, self.components.throttle.state()
        missing = components.missing.snapshot()
        if missing and self.step is ShutdownLevel.NONE and state.last_success_age is None:
            self.fail(SourceError(f"no prices to be had: {state.message or missing[0].reason}"))

    def _drain(self) -> None:
        """End the stages one after the other, each when nothing can reach it any more."""
        if self.failure:
            self.step = max(self.step, ShutdownLevel.SPOOL)
        components = self.components
        self._guard(partial(self._enter, Phase.DRAINING))
        deadline = time.monotonic() + self._settings.drain_timeout
        if self.step is not ShutdownLevel.NONE:
            # Who stops by hand wants no new requests; what was fetched goes its way to the end.
            components.tickers.discard_ready()
            components.stages[StageName.PRICE].shutdown_now()
        components.stages[StageName.SCRAPER].shutdown_now()
        for stage in components.stages.values():
            stage.resume()
        for name, queue in (
            (StageName.SCRAPER, components.tickers),
            (StageName.PRICE, components.quotes),
            (StageName.CONVERTER, components.rows),
            (StageName.WRITER, None),
        ):
            self._guard(components.stages[name].begin_shutdown)
            self._guard(partial(self._wait_for_stage, name, deadline))
            if queue is not None:
                self._guard(queue.close)
        self._fail_if_no_answers()

    def _wait_for_stage(self, name: StageName, deadline: float) -> None:
        """Wait until a stage is empty; past the deadline, or when asked to, spool instead of draining."""
        give_up: float | None = None
        while not self.components.stages[name].join(POLL_INTERVAL):
            self._guard(self._poll)
            now = time.monotonic()
            if self.step is ShutdownLevel.KILL:
                return
            if give_up is None and (self.step >= ShutdownLevel.SPOOL or now > deadline):
                self._spool()
                give_up = now + _SPOOL_DEADLINE
            if give_up is not None and now > give_up:
                _log.error("the %s stage did not end in time; it is abandoned", name)
                return

    def _spool(self) -> None:
        components = self.components
        if components.writer_stage.spooling_since is None:
            self._enter(Phase.SPOOLING)
            components.tickers.discard_ready()
            components.quotes.lift_capacity()
            components.rows.lift_capacity()
            components.stages[StageName.PRICE].shutdown_now()
            for name in (StageName.CONVERTER, StageName.WRITER):
                components.stages[name].expedite()
            components.writer_stage.spooling_since = time.monotonic()

    def _closing_steps(self) -> list[ClosingStep]:
        components = self.components
        steps: list[ClosingStep] = []
        if self.market_clock is not None:
            steps.append(("the market clock", self.market_clock.close))
        steps.append(("the reports of the sources", components.watches.close))
        steps.append(
            (
                "the database",
                components.database_monitor.abandon
                if self.step is ShutdownLevel.KILL
                else components.database_monitor.close,
            )
        )
        steps.append(("the journal", components.journal.close))
        if components.sources is not None:
            steps.append(("the sources", components.sources.close))
        return steps
