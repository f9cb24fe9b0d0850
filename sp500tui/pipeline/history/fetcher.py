"""The history stage: workers that request bars, pass them to the writers and complete tasks once these are stored."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from threading import Lock

from sp500tui.errors import ChartRefusedError, DatabaseError, Refusal, SourceError, ThrottledError
from sp500tui.model import Bar, TradingSession
from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.core.queue import Lease, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.snapshot import HistoryFailure, WorkerState
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.history.calendar import FetchChart
from sp500tui.pipeline.history.coverage import MAX_ATTEMPTS, CoverageState, coverage_state
from sp500tui.pipeline.history.plan import HistoryTask
from sp500tui.sources.yahoo.charts import Chart, ChartRequest
from sp500tui.storage.connection import KeptConnection, connect
from sp500tui.storage.history.sessions import (
    CoverageRow,
    SessionCounts,
    bars_by_session,
    store_actions,
    store_coverage,
    store_sessions,
)

_log = logging.getLogger(__name__)

_MAX_UNCONFIRMED = 4
"""Tasks of one worker whose bars are being committed, beyond which it sends no request."""
_CONFIRM_INTERVAL = 0.05
"""Seconds between two checks whether bars are committed."""
_DATABASE_RETRY = 2.0
"""Seconds until the next attempt while the database cannot be used."""
_MAX_FAILURES = 4
"""Requests without an answer after which a task is abandoned; the next run repeats it."""
_FAILURES_KEPT = 10_000
"""Failures whose reasons are kept, the latest ones."""


@dataclass(slots=True)
class HistoryProgress:
    """Outcomes of the tasks, counted. Thread-safe by `lock`."""

    total: int = 0
    done: int = 0
    complete: int = 0
    """Days that were not complete and are now."""
    incomplete: int = 0
    """Days for which the source did not have every bar."""
    failed: int = 0
    """Tasks whose symbol has no chart, and abandoned tasks."""
    failures: deque[HistoryFailure] = field(default_factory=lambda: deque(maxlen=_FAILURES_KEPT))
    """The latest of them, in order."""
    lock: Lock = field(default_factory=Lock)

    def add_failure(self, task: HistoryTask, error: SourceError, *, refused: bool) -> None:
        """Count a task that brought no bars. The lock is held."""
        self.failed += 1
        self.failures.append(HistoryFailure(str(task), task.symbol, str(error), refused))


@dataclass(slots=True, eq=False)
class _HandedOver:
    """A task whose bars are being written."""

    lease: Lease[HistoryTask]
    task: HistoryTask
    bars: int
    """Number of bars that the source sent."""
    missing: tuple[datetime, ...]
    """Starts of the bars that the source does not have."""
    first_trade: datetime | None
    fetched: int
    """Bars fetched by all workers up to and including these."""


@dataclass(eq=False)
class HistoryStage:
    """The dependencies shared by all workers of the stage."""

    tasks: LeasedQueue[HistoryTask]
    bars: LeasedQueue[Bar]
    fetch: FetchChart
    _: KW_ONLY
    url: Callable[[], str]
    """Returns the URL of the database."""
    counters: LedgerCounters
    outstanding: Callable[[], int]
    """Returns the number of bars that are neither stored nor refused."""
    background: Callable[[], AbstractContextManager[None]]
    """Context in which requests yield to others."""
    progress: HistoryProgress = field(default_factory=HistoryProgress, init=False)
    stored_sessions: set[TradingSession] = field(default_factory=set, init=False)
    """Sessions already stored as the source states them; they are the same for all symbols of a market."""

    def make_task(self, worker: Worker) -> HistoryWorkerTask:
        """The task of one worker; it connects to the database with its first request."""
        return HistoryWorkerTask(self, worker)


class HistoryWorkerTask:
    """One worker: its connection, the request in progress and the tasks whose bars are being committed."""

    def __init__(self, stage: HistoryStage, worker: Worker) -> None:
        self._stage = stage
        self._worker = worker
        self._connection = KeptConnection(
            lambda: connect(stage.url(), application_name=f"sp500tui {worker.name}")
        )
        self._handed_over: list[_HandedOver] = []

    def run_once(self) -> float | None:
        """Complete tasks whose bars are stored; then make one request, unless too many wait for their commit.

        While the database cannot be used the worker waits; tasks whose bars are being committed stay leased.
        """
        try:
            return self._complete_and_request()
        except DatabaseError as error:
            worker = self._worker
            if worker.lease is not None:
                worker.lease.release()
                worker.lease = None
            self._connection.close()
            worker.last_error = str(error)
            worker.wait(_DATABASE_RETRY, WorkerState.DATABASE, str(error))
            return None

    def _complete_and_request(self) -> float | None:
        stage, worker = self._stage, self._worker
        self._confirm()
        if len(self._handed_over) >= _MAX_UNCONFIRMED:
            worker.set_state(WorkerState.DATABASE, "waits for the commit of bars")
            return _CONFIRM_INTERVAL
        try:
            lease = worker.take(stage.tasks, 1, timeout=_CONFIRM_INTERVAL if self._handed_over else None)
        except QueueClosedError:
            if not self._handed_over:
                raise
            return _CONFIRM_INTERVAL
        if lease is None:
            return None
        task: HistoryTask = lease.items[0]
        worker.start_work(str(task))
        if self._is_complete(task):
            lease.ack()
            worker.lease = None
            return None
        started = time.monotonic()
        try:
            with stage.background():
                chart = stage.fetch(ChartRequest(task.symbol, task.resolution, task.start, task.end))
        except ChartRefusedError as error:
            self._refused(lease, task, error)
        except ThrottledError as error:
            self._put_back(lease, task, error, error.retry_after)
        except SourceError as error:
            self._failed(lease, task, error)
        else:
            worker.hand_over(f"{len(chart.bars)} bars to the writers")
            self._hand_over(lease, task, chart)
            worker.finish_work(1, time.monotonic() - started)
        return None

    def _is_complete(self, task: HistoryTask) -> bool:
        """Whether another program has stored the task's bars in the meantime; its coverage is stored then."""
        stored = self._stored(task)
        resolution = str(task.resolution)
        if any(stored.bars.get(day.session_date, 0) < day.slot_count(resolution) for day in task.days):
            return False
        self._record(task, stored, None, requests=0)
        return True

    def _stored(self, task: HistoryTask, absent: Sequence[datetime] = ()) -> SessionCounts:
        """The numbers of stored bars of a task's days."""
        sessions = [session for day in task.days for session in day.sessions]
        return bars_by_session(self._connection.get(), task.symbol, str(task.resolution), sessions, absent)

    def _hand_over(self, lease: Lease[HistoryTask], task: HistoryTask, chart: Chart) -> None:
        """Store sessions and actions, and put the bars on the writers' queue."""
        stage, connection = self._stage, self._connection.get()
        begun = {session for session in chart.sessions if session.start_time < chart.fetched_at}
        if new := begun - stage.stored_sessions:
            store_sessions(connection, new, chart.fetched_at)
            stage.stored_sessions |= new
        store_actions(connection, chart.actions)
        stage.bars.put(
            chart.bars,
            on_put=partial(stage.counters.count_fetched, len(chart.bars)),
            cancelled=self._worker.stopping.is_set,
        )
        self._handed_over.append(
            _HandedOver(
                lease, task, len(chart.bars), chart.missing, chart.first_trade, stage.counters.fetched
            )
        )
        self._worker.lease = None

    def _confirm(self) -> None:
        """Acknowledge the tasks whose bars are all in the database, and store their coverage."""
        for each in list(self._handed_over):
            task = each.task
            # Read before the table: if no bars are outstanding, the table is complete.
            outstanding = self._stage.outstanding()
            if outstanding and self._stage.counters.written < each.fetched:
                # Some bars fetched no later than these are not committed yet: it is too early to read the table.
                continue
            stored = self._stored(task, each.missing)
            if stored.held >= each.bars or not outstanding:
                self._record(task, stored, each.first_trade)
                self._handed_over.remove(each)
                each.lease.ack()

    def _record(
        self,
        task: HistoryTask,
        stored: SessionCounts,
        first_trade: datetime | None,
        *,
        requests: int = 1,
        final: bool = False,
    ) -> None:
        """Store the coverage of a task's days and count them; `final`: another request would not help."""
        stage = self._stage
        now = datetime.now(UTC)
        rows: list[CoverageRow] = []
        for day in task.days:
            slots = day.slot_count(str(task.resolution))
            present = min(stored.bars.get(day.session_date, 0), slots)
            # There are no bars before the first trade.
            pointless = final or (first_trade is not None and day.end_time <= first_trade)
            state = coverage_state(day, slots, present, MAX_ATTEMPTS if pointless else requests, now, None)
            # A request during the session does not show what the source has after its end.
            counted = 0 if state is CoverageState.NOT_YET else requests
            rows.append(CoverageRow(task.symbol, day.session_date, slots, present, str(state), counted))
        store_coverage(self._connection.get(), str(task.resolution), rows, now)
        states = Counter(row.state for row in rows)
        progress = stage.progress
        with progress.lock:
            progress.done += 1
            progress.complete += states[CoverageState.COMPLETE]
            progress.incomplete += len(rows) - states[CoverageState.COMPLETE]

    def _refused(self, lease: Lease[HistoryTask], task: HistoryTask, error: ChartRefusedError) -> None:
        """Record that the source has no chart for a task."""
        stage = self._stage
        # Before the lease ends: when the last one has ended, the work counts as done and its outcome is read.
        if error.refusal is not Refusal.NO_DATA:
            _log.warning("%s", error)
            with stage.progress.lock:
                stage.progress.add_failure(task, error, refused=True)
        self._record(task, self._stored(task), None, final=error.refusal is not Refusal.UNUSABLE)
        lease.ack()
        self._worker.lease = None

    def _failed(self, lease: Lease[HistoryTask], task: HistoryTask, error: SourceError) -> None:
        """Put a task back after a failed request, or abandon it after several."""
        if task.failures + 1 < _MAX_FAILURES:
            self._put_back(lease, replace(task, failures=task.failures + 1), error, 2.0**task.failures)
            return
        _log.warning("%s: abandoned after %d failed requests: %s", task, _MAX_FAILURES, error)
        progress = self._stage.progress
        with progress.lock:
            progress.done += 1
            progress.add_failure(task, error, refused=False)
        lease.ack()
        self._worker.lease = None

    def _put_back(
        self, lease: Lease[HistoryTask], task: HistoryTask, error: SourceError, pause: float
    ) -> None:
        self._worker.last_error = str(error)
        lease.release([task])
        self._worker.lease = None
        self._worker.wait(pause, WorkerState.BACKOFF, str(error))

    def close(self) -> None:
        """Release the tasks whose bars are not confirmed, and disconnect."""
        handed_over, self._handed_over = self._handed_over, []
        for each in handed_over:
            each.lease.release()
        self._connection.close()
