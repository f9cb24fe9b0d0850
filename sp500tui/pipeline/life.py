"""What the life of every run has in common, whether it is the whole pipeline or one node of a cluster."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sp500tui.domain import Sp500tuiError
from sp500tui.pipeline.control import StopStep
from sp500tui.pipeline.events import EventKind
from sp500tui.pipeline.keeper import Keeper
from sp500tui.pipeline.market_clock import MarketClock
from sp500tui.pipeline.prices import PriceBoard
from sp500tui.pipeline.scraper import Roster
from sp500tui.pipeline.service_thread import ServiceThread
from sp500tui.pipeline.snapshot import Phase, StageName
from sp500tui.pipeline.stage import Stage
from sp500tui.pipeline.upstream import Upstream
from sp500tui.pipeline.writing import WriterBody

_log = logging.getLogger(__name__)

LOOK = 0.05
"""Seconds between two looks."""

Say = Callable[[EventKind, str], None]


class RunParts(Protocol):
    """What a run is made of, as far as every run is."""

    @property
    def stages(self) -> Mapping[StageName, Stage]:
        """The stages that run here."""

    @property
    def board(self) -> PriceBoard:
        """The newest prices."""

    @property
    def roster(self) -> Roster:
        """The list in force."""

    @property
    def keeper(self) -> Keeper:
        """Who looks after the database."""

    @property
    def upstream(self) -> Upstream | None:
        """The outside world; None before it is open, and where no stage needs it."""


def writer_bodies(parts: RunParts) -> dict[str, WriterBody[Any]]:
    """The writers at work here, by name."""
    stage = parts.stages.get(StageName.WRITER)
    workers = stage.workers if stage is not None else ()
    return {worker.name: worker.body for worker in workers if isinstance(worker.body, WriterBody)}


class Life:
    """State and steps of a run; who inherits says what happens on the thread.

    The thread runs once: an unforeseen error is the run's failure.
    """

    parts: RunParts

    def __init__(self, name: str, say: Say) -> None:
        """`name`: of the thread."""
        self._say = say
        self._wake = threading.Event()
        self._no_more_cycles = threading.Event()
        self.over = threading.Event()
        self.phase = Phase.STARTING
        self.step = StopStep.NONE
        self.failure: Sp500tuiError | None = None
        self.market_clock: MarketClock | None = None
        self.thread = ServiceThread(name, self._run, attempts=1, give_up=self._crashed, finished=self._finish)

    def _run(self) -> None:
        """Start, work and end; the thread does it."""
        raise NotImplementedError

    def _crashed(self, error: BaseException) -> None:
        """What the run did not foresee ends it: no other thread would end it in good order."""
        self.fail(Sp500tuiError(f"the {self.thread.name} failed: {type(error).__name__}: {error}"))

    def _finish(self) -> None:
        """Let those who wait for the run's end go on, however the thread came to its own."""
        if self.failure and self.phase is not Phase.FAILED:
            self.phase = Phase.FAILED
        self.over.set()

    def cycles_ended(self) -> None:
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

    def stop(self, step: StopStep) -> None:
        """Climb the stop ladder."""
        self.step = step
        if step is StopStep.KILL:
            for body in writer_bodies(self.parts).values():
                body.kill()
        self._wake.set()

    def _open_market_clock(self) -> None:
        upstream, board = self.parts.upstream, self.parts.board
        if upstream is not None:
            self.market_clock = MarketClock(upstream.yahoo.trading_periods, lambda: board.market_state)
            self.market_clock.thread.start()

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._say(EventKind.PHASE, str(phase))
