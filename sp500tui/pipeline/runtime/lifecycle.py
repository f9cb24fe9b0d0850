"""What the life of every run has in common, whether it is the whole pipeline or one node of a cluster."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.queue import CancelledError
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import Phase, StageName
from sp500tui.pipeline.monitoring.market_clock import MarketClock
from sp500tui.pipeline.runtime.wiring import RunComponents
from sp500tui.pipeline.writer.worker import WriterTask

_log = logging.getLogger(__name__)

POLL_INTERVAL = 0.05
"""Seconds between two looks."""

CLOSING_LIMIT = 60.0
"""Seconds that one closing step may take; a server that is slow to shut down needs the most."""
_KILLED_LIMIT = 0.5
"""Seconds that one closing step may take once the run was killed."""

Emit = Callable[[EventKind, str], None]
ClosingStep = tuple[str, Callable[[], object]]
"""What is closed, in words, and the call that does it."""


def writer_tasks(components: RunComponents) -> dict[str, WriterTask[Any]]:
    """The writers at work here, by name."""
    stage = components.stages.get(StageName.WRITER)
    workers = stage.workers if stage is not None else ()
    return {worker.name: worker.task for worker in workers if isinstance(worker.task, WriterTask)}


class Lifecycle:
    """State and steps of a run: it stays, drains and closes. An error in one step keeps no other from running."""

    components: RunComponents

    def __init__(self, name: str, say: Emit, *, what: str) -> None:
        """`name`: of the thread; `what`: the run in words, for the message of its failure."""
        self._say = say
        self._what = what
        self._wake = threading.Event()
        self._no_more_cycles = threading.Event()
        self.over = threading.Event()
        """Set once the run has ended, also where an error ended it."""
        self.phase = Phase.STARTING
        self.step = ShutdownLevel.NONE
        self.failure: Sp500tuiError | None = None
        self.market_clock: MarketClock | None = None
        self.thread = ServiceThread(
            name, self._run, attempts=1, on_failure=self._crashed, on_exit=self._finish
        )

    def start(self) -> None:
        """Start the thread; a run whose thread cannot be started is over.

        Raises:
            RuntimeError: the system has no room for another thread.
        """
        try:
            self.thread.start()
        except BaseException:
            self.over.set()
            raise

    def _run(self) -> None:
        """Start, work and end; the thread does it."""
        self._guard(self._stay)
        self._guard(self._drain)
        for what, close in self._closing_steps():
            self._close(what, close)

    def _stay(self) -> None:
        """Start the parts, and watch over them until the last cycle is done or the run is to end."""
        raise NotImplementedError

    def _drain(self) -> None:
        """End the stages that were started."""
        raise NotImplementedError

    def _closing_steps(self) -> Sequence[ClosingStep]:
        """What is closed at the end, in this order; a part that was never started closes without effect."""
        raise NotImplementedError

    def _guard(self, act: Callable[[], object], *, reraise: tuple[type[BaseException], ...] = ()) -> None:
        """Do something; an error in it, unless it is to be raised again, fails the run and stops nothing else."""
        try:
            act()
        except reraise:
            raise
        except CancelledError:
            _log.info("stopped before the start was complete")
        except Sp500tuiError as error:
            self.fail(error)
        except BaseException as error:  # noqa: BLE001  # the steps that follow must happen whatever it was
            message = f"{self._what} failed: {type(error).__name__}: {error}"
            if self.failure is None or str(self.failure) != message:
                _log.error("%s failed", self._what, exc_info=error)
            self.fail(Sp500tuiError(message))

    def _close(self, what: str, close: Callable[[], object]) -> None:
        """Take one closing step on a thread of its own: neither an error nor a call that hangs stops the others."""
        errors: list[BaseException] = []

        def step() -> None:
            close()

        thread = ServiceThread(f"closing {what}", step, attempts=1, on_failure=errors.append)
        try:
            thread.start()
        except RuntimeError:  # no room for another thread: without a time limit then
            self._guard(close)
            return
        if not self._await_closing(thread) and self.step is not ShutdownLevel.KILL:
            errors.append(Sp500tuiError(f"no end after {CLOSING_LIMIT:g} s"))
        for error in errors:
            words = str(error) if isinstance(error, Sp500tuiError) else f"{type(error).__name__}: {error}"
            self.fail(Sp500tuiError(f"{what} could not be closed: {words}"))

    def _await_closing(self, thread: ServiceThread) -> bool:
        """Whether a closing step ended within its time."""
        started = time.monotonic()
        while not thread.join(POLL_INTERVAL):
            limit = _KILLED_LIMIT if self.step is ShutdownLevel.KILL else CLOSING_LIMIT
            if time.monotonic() - started > limit:
                return False
        return True

    def _crashed(self, error: BaseException) -> None:
        """Fail the run for what none of its guards has caught."""
        self.fail(Sp500tuiError(f"{self._what} failed: {type(error).__name__}: {error}"))

    def _finish(self) -> None:
        """Say how the run ended; nothing keeps it from being over."""
        try:
            self._enter(Phase.FAILED if self.failure else Phase.STOPPED)
        finally:
            self.over.set()

    def on_cycles_ended(self) -> None:
        """No cycle will come from here any more."""
        self._no_more_cycles.set()
        self._wake.set()

    def fail(self, error: Sp500tuiError) -> None:
        """The run cannot go on; what has been fetched is kept where it is safe."""
        if self.failure is None:
            self.failure = error
            # The face says it, on the console as its last line.
            _log.error("%s", error, extra={"files_only": True})
        self._wake.set()

    def stop(self, step: ShutdownLevel) -> None:
        """Climb the stop ladder."""
        self.step = step
        self._wake.set()
        if step is ShutdownLevel.KILL:
            for task in writer_tasks(self.components).values():
                task.kill()

    def _open_market_clock(self) -> None:
        sources, latest_prices = self.components.sources, self.components.latest_prices
        if sources is not None:
            self.market_clock = MarketClock(sources.yahoo.trading_periods, lambda: latest_prices.market_state)
            self.market_clock.thread.start()

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._say(EventKind.PHASE, str(phase))
