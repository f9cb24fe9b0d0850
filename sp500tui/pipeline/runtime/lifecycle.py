"""Lifecycle shared by the local pipeline and a cluster node."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from sp500tui.errors import Sp500tuiError, resource_remedy
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, Notice
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import CancelledError
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.pipeline.monitoring.episodes import BehindEpisode, LimitEpisode
from sp500tui.pipeline.monitoring.market_clock import MarketClock
from sp500tui.pipeline.runtime.wiring import RunComponents
from sp500tui.pipeline.writer.worker import WriterTask

_log = logging.getLogger(__name__)

POLL_INTERVAL = 0.05
"""Seconds between two polls."""

_SLOW_OPENING = 10.0
"""Seconds after which a database that is not open yet is reported."""
CLOSING_LIMIT = 60.0
"""Seconds one closing step may take; the shutdown of a database server takes the longest."""
_KILLED_LIMIT = 0.5
"""Seconds one closing step may take after a kill."""

Emit = Callable[[EventKind, str], None]
ClosingStep = tuple[str, Callable[[], object]]
"""Name of a component, as in messages, and the call that closes it."""


def writer_tasks(components: RunComponents) -> dict[str, WriterTask[Any]]:
    """The running writer tasks of this program, by worker name."""
    stage = components.stages.get(StageName.WRITER)
    workers = stage.workers if stage is not None else ()
    return {worker.name: worker.task for worker in workers if isinstance(worker.task, WriterTask)}


class Lifecycle:
    """The thread of a run: serves, drains and closes. An error in one step does not prevent the next ones."""

    components: RunComponents

    def __init__(self, name: str, emit: Emit, *, what: str) -> None:
        """`name`: of the thread; `what`: the run as named in its failure message."""
        self._emit = emit
        self._what = what
        self._wake = threading.Event()
        self._no_more_cycles = threading.Event()
        self.ended = threading.Event()
        """Set once the run has ended, whether or not with an error."""
        self.phase = Phase.STARTING
        self.level = ShutdownLevel.NONE
        self.failure: Sp500tuiError | None = None
        self.market_clock: MarketClock | None = None
        self._limit = LimitEpisode()
        self._behind = BehindEpisode()
        self._ready = False
        """Whether every worker has started."""
        self._progress_at = time.monotonic()
        self.thread = ServiceThread(
            name, self._run, attempts=1, on_failure=self._crashed, on_exit=self._finish
        )

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the system cannot start another thread; the run has ended.
        """
        try:
            self.thread.start()
        except BaseException:
            self.ended.set()
            raise

    @property
    def stalled(self) -> float:
        """Seconds since the thread last completed a step of its work; more than a few mean that it is hung."""
        return time.monotonic() - self._progress_at

    def _record_progress(self) -> None:
        self._progress_at = time.monotonic()

    def _run(self) -> None:
        """Serve, drain and close; runs on the thread."""
        self._run_guarded(self.components.lock_gauge.start)
        self._run_guarded(self._serve)
        self._run_guarded(self._drain)
        for what, close in self._closing_steps():
            self._close(what, close)
        self._run_guarded(self.components.lock_gauge.close)

    def _serve(self) -> None:
        """Start the components and supervise them until the last cycle is done or a shutdown is requested."""
        raise NotImplementedError

    def _drain(self) -> None:
        """Shut down the stages that were started."""
        raise NotImplementedError

    def _closing_steps(self) -> Sequence[ClosingStep]:
        """The closing steps, in order; closing a component that was never started has no effect."""
        raise NotImplementedError

    def _wait_for_database(self, poll: Callable[[], object]) -> None:
        """Wait for the first attempt to open the database, so that nothing is fetched for a wrong URL.

        `poll` is called until then. An attempt that lasts is reported: a lock of another session has no time limit.
        """
        monitor = self.components.database_monitor
        report_at = time.monotonic() + _SLOW_OPENING
        while not monitor.first_attempt_done.wait(POLL_INTERVAL) and self.level is ShutdownLevel.NONE:
            poll()
            if time.monotonic() >= report_at:
                report_at = math.inf
                _log.warning("%s", monitor.waiting_message)

    def _run_guarded(
        self, act: Callable[[], object], *, reraise: tuple[type[BaseException], ...] = ()
    ) -> None:
        """Call `act`; an error, unless listed in `reraise`, fails the run without interrupting its lifecycle."""
        try:
            act()
        except reraise:
            raise
        except CancelledError:
            _log.info("stopped before the start was complete")
        except Sp500tuiError as error:
            self.fail(error)
        except BaseException as error:  # noqa: BLE001  # the following steps must run
            message = f"{self._what} failed: {type(error).__name__}: {error}"
            if remedy := resource_remedy(error):
                message += f"; {remedy}"
            if self.failure is None or str(self.failure) != message:
                _log.error("%s failed", self._what, exc_info=error)
            self.fail(Sp500tuiError(message))

    def _close(self, what: str, close: Callable[[], object]) -> None:
        """Run one closing step on a separate thread, so that neither an error nor a hanging call stops the others."""
        errors: list[BaseException] = []

        def step() -> None:
            close()

        thread = ServiceThread(f"closing {what}", step, attempts=1, on_failure=errors.append)
        try:
            thread.start()
        except RuntimeError:  # the system cannot start another thread: close here, without a time limit
            self._run_guarded(close)
            return
        if not self._await_closing(thread) and self.level is not ShutdownLevel.KILL:
            errors.append(Sp500tuiError(f"no end after {CLOSING_LIMIT:g} s"))
        for error in errors:
            reason = str(error) if isinstance(error, Sp500tuiError) else f"{type(error).__name__}: {error}"
            self.fail(Sp500tuiError(f"{what} could not be closed: {reason}"))

    def _await_closing(self, thread: ServiceThread) -> bool:
        """Whether a closing step ended within its time limit."""
        started = time.monotonic()
        while not thread.join(POLL_INTERVAL):
            self._record_progress()
            limit = _KILLED_LIMIT if self.level is ShutdownLevel.KILL else CLOSING_LIMIT
            if time.monotonic() - started > limit:
                return False
        return True

    def _crashed(self, error: BaseException) -> None:
        """Fail the run for an error that was raised outside `_run_guarded`."""
        self.fail(Sp500tuiError(f"{self._what} failed: {type(error).__name__}: {error}"))

    def _finish(self) -> None:
        """Report how the run ended, and mark it as ended in any case."""
        try:
            self._enter(Phase.FAILED if self.failure else Phase.STOPPED)
        finally:
            self.ended.set()

    def on_cycles_ended(self) -> None:
        """Record that the scraper starts no further cycle."""
        self._no_more_cycles.set()
        self._wake.set()

    def fail(self, error: Sp500tuiError) -> None:
        """Fail the run with its first error; what was fetched is drained or spooled."""
        if self.failure is None:
            self.failure = error
            # The front end prints it as the last line on the console.
            _log.error("%s", error, extra={"files_only": True})
        self._wake.set()

    def stop(self, level: ShutdownLevel) -> None:
        """Set the shutdown level; `KILL` also kills the writer processes."""
        self.level = level
        self._wake.set()
        if level is ShutdownLevel.KILL:
            for task in writer_tasks(self.components).values():
                task.kill()

    def _report_episodes(self) -> None:
        """Report a lowered request limit and cycles that are behind, and the end of both."""
        components, now = self.components, time.monotonic()
        if not self._ready and components.ready:
            self._ready = True
            components.cycles.mark_ready()
        throttle = components.throttle.state()
        self._report(self._limit.update(now, throttle.rate, throttle.limit, throttle.message))
        if not any(stage.paused for stage in components.stages.values()):
            cycle = components.cycles.snapshot(0, stopping=self.phase is not Phase.RUNNING)
            self._report(self._behind.update(now, cycle))

    def _report(self, notice: Notice | None) -> None:
        if notice is not None:
            self.components.publish(notice.event())

    def _wake_writers_without_process(self) -> None:
        """Wake writers whose process has died while they wait for rows, so that they start another one."""
        stage = self.components.stages.get(StageName.WRITER)
        for worker in stage.workers if stage is not None else ():
            if isinstance(worker.task, WriterTask) and worker.task.process_exited:
                worker.wake()

    def _open_market_clock(self) -> None:
        """Start requesting the trading periods, even without a screen: viewers and recordings show them."""
        sources, latest_prices = self.components.sources, self.components.latest_prices
        if sources is not None and self.components.plan.cycles != 1:
            self.market_clock = MarketClock(sources.yahoo.trading_periods, lambda: latest_prices.market_state)
            self.market_clock.thread.start()

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._emit(EventKind.PHASE, str(phase))
