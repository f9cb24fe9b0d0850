"""Lifecycle of the local pipeline: start-up, supervision, draining and closing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import JournalError, SourceError, Sp500tuiError
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.pipeline.monitoring.episodes import JournalEpisode, ReplayEpisode
from sp500tui.pipeline.runtime.lifecycle import POLL_INTERVAL, ClosingStep, Emit, Lifecycle
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.pipeline.runtime.wiring import PipelineComponents
from sp500tui.sources.throttle import Throttle

_log = logging.getLogger(__name__)

_IDLE_POLL_INTERVAL = 1.0
"""Seconds between two polls while idle; the start of a cycle ends the wait."""
_SPOOL_DEADLINE = 5.0
"""Seconds spooling may take before a stage is abandoned."""

_NO_ANSWER_TIMEOUT = 15.0
"""Seconds of a bounded run's first cycle without an answer after which it fails."""
_MIN_FAILURES = 3
"""Minimum number of failed requests for failing early."""

Connect = Callable[[Settings, Paths, Throttle], Sources]


class Supervisor(Lifecycle):
    """Starts the stages, supervises them and shuts them down in the order of the data."""

    components: PipelineComponents

    def __init__(self, settings: Settings, paths: Paths, *, connect: Connect, emit: Emit) -> None:
        super().__init__("supervisor", emit, what="the pipeline")
        self._settings = settings
        self._paths = paths
        self._connect = connect
        self._replay = ReplayEpisode()
        self._journal = JournalEpisode()

    def _run(self) -> None:
        super()._run()
        self._fail_if_rows_are_lost()

    def _serve(self) -> None:
        self._open()
        self._work()

    def _open(self) -> None:
        components = self.components
        replay = components.journal.open()
        if replay:
            message = f"the journal holds {replay:,} rows of an earlier run: they are stored first"
            self._emit(EventKind.REPLAYING, message)
        for folder, rows, own in components.journal.left_elsewhere():
            _log.warning(
                "the journal of another database, %s, holds %s rows; a run with its --database stores them; "
                "to store them in this one, move the files to %s and start again",
                folder,
                f"{rows:,}",
                own,
            )
        components.database_monitor.thread.start()
        components.stages[StageName.WRITER].start()
        components.spooler.thread.start()
        components.sources = self._connect(self._settings, self._paths, components.throttle)
        if self._settings.database is not None:
            # A server given by URL answers quickly; an embedded one starts while the price workers load yfinance.
            self._wait_for_database(self._record_progress)
        if not self.failure:
            for name in (StageName.CONVERTER, StageName.PRICE):
                components.stages[name].start()
            self._wait_for_database(self._record_progress)
        if self.failure or self.level is not ShutdownLevel.NONE:
            return
        components.cycles.subscribe(self._wake.set)
        components.stages[StageName.SCRAPER].start()
        self._open_market_clock()
        if components.maintenance.required:
            components.maintenance.start()
        self._enter(Phase.RUNNING)

    def _work(self) -> None:
        """Poll until the last cycle is done, a shutdown is requested or the run fails."""
        while not self._no_more_cycles.is_set() and self.level is ShutdownLevel.NONE and not self.failure:
            self._wake.wait(POLL_INTERVAL if self._is_busy() else _IDLE_POLL_INTERVAL)
            self._wake.clear()
            self._poll()

    def _is_busy(self) -> bool:
        """Whether a cycle or a worker is running, which needs the short poll interval."""
        stages = self.components.stages.values()
        return self.components.cycles.running or any(
            worker.busy for stage in stages for worker in stage.workers
        )

    def _poll(self) -> None:
        components = self.components
        self._record_progress()
        for meter in components.queue_meters:
            meter.sample()
        for stage in components.stages.values():
            stage.replace_hung_workers()
        self._wake_writers_without_process()
        self._report_episodes()
        components.seconds.roll()
        components.watches.report_pending()
        self._fail_if_no_prices()
        # Checked before the queues: whatever was put by then is still in them or finished.
        if components.cycles.complete:
            with components.counters.lock:
                ledger = components.ledger()
                finished = not components.outstanding(ledger)
            if finished:
                number, seconds = components.cycles.finish()
                components.missing.retain(components.current_constituents.symbols)
                message = f"cycle {number} finished in {seconds:.2f} s: {ledger.summary}"
                self._emit(EventKind.CYCLE_FINISHED, message)

    def _report_episodes(self) -> None:
        super()._report_episodes()
        journal, health = self.components.journal, self.components.database
        self._report(self._journal.update(time.monotonic(), journal.error))
        report = self._replay.update(
            time.monotonic(),
            outage=health.last_outage,
            down=health.down,
            waiting=journal.waiting,
            replayed=journal.written_after_wait,
            dead=journal.dead_after_wait,
        )
        self._report(report)

    def _fail_if_no_prices(self) -> None:
        """Fail a bounded run early if Yahoo Finance has not answered at all."""
        components = self.components
        state = components.throttle.state()
        if (
            self.failure
            or not (components.bounded and components.cycles.running)
            or state.last_success_age is not None
            or state.failed + state.throttled < _MIN_FAILURES
            or components.cycles.snapshot(0, stopping=False).seconds < _NO_ANSWER_TIMEOUT
        ):
            return
        reason = state.message or "no answer"
        components.missing.add((symbol, reason) for symbol in components.current_constituents.symbols)
        self.fail(SourceError(f"no prices available: {reason}"))

    def _fail_if_no_answers(self) -> None:
        """Fail a run that ended by itself without a cycle, or without a single answer."""
        components, state = self.components, self.components.throttle.state()
        if self.failure or self.level is not ShutdownLevel.NONE:
            return
        missing = components.missing.snapshot()
        if missing and state.last_success_age is None:
            self.fail(SourceError(f"no prices available: {state.message or missing[0].reason}"))
        elif not components.cycles.snapshot(0, stopping=True).number:
            duration = self._settings.duration or 0.0
            self.fail(
                Sp500tuiError(
                    f"the duration of {duration:g} s ended before the first cycle; raise --duration"
                )
            )

    def _fail_if_rows_are_lost(self) -> None:
        """Fail a run that ends with rows in memory; those that a writer holds are in the journal."""
        components = self.components
        with components.counters.lock:
            ledger = components.ledger()
            lost = ledger.queued + ledger.in_flight - components.journal.in_progress
        if lost and self.level is not ShutdownLevel.KILL:
            reason = components.journal.error or "a stage did not end in time"
            error = JournalError(f"{lost:,} rows are lost, neither stored nor in the journal: {reason}")
            if self.failure is not None:
                _log.error("%s", error)
            self.fail(error)

    def _drain(self) -> None:
        """Shut the stages down one after the other, each once its input queue is closed."""
        if self.failure:
            self.level = max(self.level, ShutdownLevel.SPOOL)
        components = self.components
        self._run_guarded(partial(self._enter, Phase.DRAINING))
        deadline = time.monotonic() + self._settings.drain_timeout
        if self.level is not ShutdownLevel.NONE:
            # A requested shutdown sends no further price requests; what was fetched is still stored.
            self._end_requests()
        components.stages[StageName.SCRAPER].shutdown_now()
        for stage in components.stages.values():
            stage.resume()
        for name, queue in (
            (StageName.SCRAPER, components.tickers),
            (StageName.PRICE, components.quotes),
            (StageName.CONVERTER, components.rows),
            (StageName.WRITER, None),
        ):
            self._run_guarded(components.stages[name].begin_shutdown)
            self._run_guarded(partial(self._wait_for_stage, name, deadline))
            if name is StageName.PRICE:
                self._run_guarded(self._end_requests)
            if queue is not None:
                self._run_guarded(queue.close)
        self._fail_if_no_answers()

    def _end_requests(self) -> None:
        """Send no further price requests; symbols that a run which ends by itself did not request are missing."""
        components = self.components
        components.stages[StageName.PRICE].shutdown_now()
        if components.sources is not None:
            components.sources.yahoo.cancel_waits()
        left = components.tickers.discard_ready()
        if self.level is ShutdownLevel.NONE:
            reason = "not requested before the end of the run"
            components.missing.add((ticker.symbol, reason) for ticker in left)

    def _wait_for_stage(self, name: StageName, deadline: float) -> None:
        """Wait until a stage has ended; past the deadline, or at `ShutdownLevel.SPOOL`, spool instead of draining."""
        abandon_at: float | None = None
        while not self.components.stages[name].join(POLL_INTERVAL):
            self._run_guarded(self._poll)
            now = time.monotonic()
            if self.level is ShutdownLevel.KILL:
                return
            if abandon_at is None and (self.level >= ShutdownLevel.SPOOL or now > deadline):
                self._spool()
                abandon_at = now + _SPOOL_DEADLINE
            if abandon_at is not None and now > abandon_at:
                _log.error("the %s stage did not end in time; it is abandoned", name)
                return

    def _spool(self) -> None:
        components = self.components
        if components.writer_stage.spooling_since is None:
            self._enter(Phase.SPOOLING)
            self._end_requests()
            components.quotes.lift_capacity()
            components.rows.lift_capacity()
            for name in (StageName.CONVERTER, StageName.WRITER):
                components.stages[name].expedite()
            components.writer_stage.spooling_since = time.monotonic()

    def _closing_steps(self) -> list[ClosingStep]:
        components = self.components
        steps: list[ClosingStep] = [("the spooler", components.spooler.close)]
        if self.market_clock is not None:
            steps.append(("the market clock", self.market_clock.close))
        steps.append(("the reports of the sources", components.watches.close))
        drain = self.level < ShutdownLevel.SPOOL
        steps.append(("the history", partial(components.maintenance.close, drain=drain)))
        steps.append(
            (
                "the database",
                components.database_monitor.abandon
                if self.level is ShutdownLevel.KILL
                else components.database_monitor.close,
            )
        )
        steps.append(("the journal", components.journal.close))
        if components.sources is not None:
            steps.append(("the sources", components.sources.close))
        return steps
