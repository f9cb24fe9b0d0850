"""The bench of an experiment: the pipeline it may change, its own database, and its cancellation."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import psycopg
from psycopg import sql

from sp500tui.config.settings import MAX_INTERVAL
from sp500tui.errors import Sp500tuiError
from sp500tui.lessons.lesson import LessonError
from sp500tui.pipeline.api import FaultInjector, PipelineControl
from sp500tui.pipeline.core.names import INTAKE, StageName
from sp500tui.pipeline.core.snapshot import Phase, Snapshot
from sp500tui.storage.connection import connect, query_error
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.url import with_database

_log = logging.getLogger(__name__)

_POLL_INTERVAL = 0.01
LIMIT = 30.0
"""Seconds for which an experiment waits for one condition."""
_DATABASE_PREFIX = "sp500tui_lesson_"


@runtime_checkable
class LocalMarket(Protocol):
    """The demo market of a pipeline in this program, which other clients can reach too."""

    proxy_url: str
    ca_file: Path


class Cancelled(LessonError):  # noqa: N818  # not a failure of the experiment
    """The experiment was stopped by the user."""


class Bench:
    """The tools of an experiment. Every wait ends with `Cancelled` once `cancel` is set.

    Args:
        pipeline: a running pipeline of the demo market; None for experiments without one.
        database_url: server on which databases may be created; None for experiments without one.
        report: called with a description of the current measurement, one line.
        cancel: stops the experiment.
    """

    def __init__(
        self,
        *,
        pipeline: PipelineControl | None = None,
        database_url: str | None = None,
        report: Callable[[str], None] = lambda _: None,
        cancel: threading.Event | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._database_url = database_url
        self._cancel = cancel if cancel is not None else threading.Event()
        self.report = report

    @property
    def pipeline(self) -> PipelineControl:
        """The pipeline.

        Raises:
            LessonError: there is none.
        """
        if self._pipeline is None:
            raise LessonError("this lesson needs a running pipeline")
        return self._pipeline

    @property
    def market(self) -> FaultInjector:
        """The demo market's faults.

        Raises:
            LessonError: the pipeline has no demo market.
        """
        market = self.pipeline.demo_market
        if market is None:
            raise LessonError("the demo market is not running; start sp500tui --demo")
        return market

    # --- time --------------------------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether the experiment must stop."""
        return self._cancel.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            Cancelled: the experiment was stopped, or the pipeline is stopping.
        """
        if self._cancel.wait(max(0.0, seconds)):
            raise Cancelled("the lesson was stopped; everything it had changed was set back")
        if self._pipeline is not None:
            self._check_phase(self._pipeline.snapshot())

    @staticmethod
    def _check_phase(snapshot: Snapshot) -> None:
        if snapshot.phase not in (Phase.STARTING, Phase.RUNNING, Phase.PAUSED):
            raise Cancelled(f"the pipeline is {snapshot.phase}; the lesson was stopped")

    def wait_until(
        self, condition: Callable[[Snapshot], object], what: str, limit: float = LIMIT
    ) -> Snapshot:
        """Wait until a snapshot meets the condition, and return that snapshot.

        Raises:
            LessonError: it did not within `limit` seconds.
            Cancelled: see `sleep`.
        """
        deadline = time.monotonic() + limit
        while not condition(snapshot := self.pipeline.snapshot()):
            if time.monotonic() > deadline:
                raise LessonError(f"no {what} within {limit:.0f} s; try again on a less busy machine")
            self.sleep(_POLL_INTERVAL)
        return snapshot

    # --- the pipeline ------------------------------------------------------------------------------------------

    def scale(self, stage: StageName, size: int) -> None:
        """Set the number of workers of a stage and wait until as many are there."""
        self.pipeline.scale(stage, size)
        self.wait_until(lambda seen: seen.stage(stage).alive == size, f"{size} {stage} workers")

    def run_cycle(self) -> float:
        """Run one cycle and return its duration in seconds."""
        before = self.settle().cycle.number
        if not self.pipeline.run_cycle_now():
            raise LessonError("the pipeline did not start a cycle; try again")
        finished = self.wait_until(
            lambda seen: seen.cycle.number > before and not seen.cycle.running, "end of the cycle"
        )
        return finished.cycle.seconds

    def requests_of_a_cycle(self) -> int:
        """Run one cycle and return the number of its requests."""
        before = self.pipeline.snapshot().sources.requests
        self.run_cycle()
        return max(1, self.pipeline.snapshot().sources.requests - before)

    def settle(self) -> Snapshot:
        """Wait until no cycle runs and every fetched quote is stored; no further cycle starts by itself."""
        self.pipeline.set_interval(MAX_INTERVAL)
        return self.wait_until(
            lambda seen: (
                not seen.cycle.running
                and not (seen.ledger.queued or seen.ledger.in_flight or seen.ledger.spooled)
            ),
            "end of the running cycle",
        )

    @contextmanager
    def quiet_pipeline(self) -> Iterator[None]:
        """A pipeline without faults that starts no cycle by itself; every setting is restored afterwards."""
        if self._pipeline is None:
            yield
            return
        with restored(self.pipeline):
            for stage in self.pipeline.snapshot().stages:
                if stage.paused:
                    self.pipeline.resume(stage.name)
            self.pipeline.resume()
            self.market.set_faults()
            self.settle()
            yield

    # --- separate database -------------------------------------------------------------------------------------

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new database with the tables of this program, dropped afterwards.

        Raises:
            DatabaseError: it could not be created.
        """
        server = self._database_url
        if server is None and self._pipeline is not None:
            server = self._pipeline.database_url
        if server is None:
            raise LessonError("the database is not open yet; try again in a moment")
        name = f"{_DATABASE_PREFIX}{uuid.uuid4().hex[:8]}"
        _administer(server, "CREATE DATABASE {}", name)
        try:
            url = with_database(server, name)
            apply_schema(url)
            yield url
        finally:
            with suppress(Sp500tuiError):
                _administer(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _administer(server: str, statement: str, database: str) -> None:
    try:
        with connect(server, application_name="sp500tui lesson") as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(database)))
    except psycopg.Error as error:
        raise query_error(
            "a lesson needs a separate database, which its user may not create", error
        ) from None


@contextmanager
def restored(pipeline: PipelineControl) -> Iterator[None]:
    """Restore the interval, the worker counts, the paused stages and the faults, however the block ends.

    A setting that cannot be restored is logged and does not keep the others from being restored.
    """
    before = pipeline.snapshot()
    market = pipeline.demo_market
    faults = dict(market.faults()) if market is not None else {}
    with ExitStack() as stack:

        def afterwards(what: str, act: Callable[[], object]) -> None:
            stack.callback(_attempt, what, act)

        intake: tuple[StageName, ...] = ()
        if before.phase is Phase.PAUSED:
            intake = INTAKE
            afterwards("the pause", pipeline.pause)
        for stage in before.stages:
            if stage.paused and stage.name not in intake:
                afterwards(f"the pause of the {stage.name} stage", partial(pipeline.pause, stage.name))
            afterwards(f"the {stage.name} workers", partial(pipeline.scale, stage.name, stage.size))
        afterwards("the interval", lambda: pipeline.set_interval(before.cycle.interval))
        if market is not None:
            afterwards("the faults", lambda: market.set_faults(**faults))
        yield


def _attempt(what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except Sp500tuiError as error:
        _log.warning("the lesson could not restore %s: %s", what, error)
