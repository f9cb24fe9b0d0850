"""A run of the history stage: its queues, its workers, its journal and its writers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.ledger import Ledger, LedgerCounters
from sp500tui.pipeline.core.metrics import LatencyHistogram
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import CancelledError, Depth, LeasedQueue, MemoryQueue, QueueClosedError
from sp500tui.pipeline.core.snapshot import JournalSnapshot, WorkerSnapshot
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.history.calendar import FetchChart
from sp500tui.pipeline.history.fetcher import HistoryProgress, HistoryStage
from sp500tui.pipeline.history.plan import HistoryTask
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.pipeline.writer.worker import WriterStage
from sp500tui.storage.url import database_key

MAX_REQUESTS = 12
"""Timed-out requests that a fetching worker's task may take before it counts as hung."""
WRITER_HANG_FACTOR = 20
"""Commit timeouts after which a writer's thread counts as hung; each commit has its own timeout."""
TASKS_CAPACITY = 10_000
"""Requests that may wait; an empty queue accepts more."""
_BARS_CAPACITY = 20_000
_BARS_PER_COMMIT = 1
"""A lower bound: a writer takes the bars of one response at a time, without waiting for more."""
_WRITERS = 1
"""One process writes 100,000 bars a second, far more than the request limit admits."""
_POLL_INTERVAL = 0.05
_SPOOL_TIMEOUT = 5.0
"""Seconds spooling may take."""


class HistoryRun:
    """Fetches the bars of tasks and stores them, with a separate writer so that no price waits for them."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        tasks: LeasedQueue[HistoryTask] | None = None,
        *,
        url: Callable[[], str],
        fetch: FetchChart,
        health: DatabaseHealth,
        publish: Callable[[PipelineEvent], None],
        background: Callable[[], AbstractContextManager[None]] = nullcontext,
        depth: Callable[[], Depth] | None = None,
        on_added: Callable[[], None] = lambda: None,
    ) -> None:
        """`tasks`: the queue of requests, which other programs may share; by default one in memory.

        `background`: the context in which requests yield the request limit to others. `depth`: the depth of
        `tasks` as last read, to avoid querying the broker; `on_added` is called after tasks were queued.
        """
        self.counters = LedgerCounters()
        self._settings = settings
        self.health = health
        self._started = False
        self.tasks = tasks if tasks is not None else MemoryQueue[HistoryTask](TASKS_CAPACITY)
        self.depth = depth or self.tasks.depth
        self._on_added = on_added
        self._bars: MemoryQueue[Any] = MemoryQueue(_BARS_CAPACITY, self.counters.lock, whole=True)
        dead_letters = DeadLetters(paths.dead_letters)
        self._journal = Journal(
            paths.journal / f"{database_key(settings.database)}-bars",
            self.counters,
            limit_bytes=settings.journal_limit_mb << 20,
            write_ahead=settings.journal,
            dead_letters=dead_letters,
        )
        self.writer_stage = WriterStage(
            self._bars,
            self._journal,
            health=health,
            dead_letters=dead_letters,
            latest_prices=None,
            end_to_end=LatencyHistogram(),
            url=url,
            batch_size=_BARS_PER_COMMIT,
            commit_timeout=settings.commit_timeout,
        )
        stage = HistoryStage(
            self.tasks,
            self._bars,
            fetch,
            url=url,
            counters=self.counters,
            outstanding=self.outstanding,
            background=background,
        )
        self.progress: HistoryProgress = stage.progress
        self.pool = WorkerPool(
            StageName.HISTORY,
            stage.make_task,
            settings.history_workers,
            listener=publish,
            hang_after=MAX_REQUESTS * settings.request_timeout + settings.commit_timeout,
        )
        self.writers = WorkerPool(
            StageName.HISTORY,
            self.writer_stage.make_task,
            _WRITERS,
            listener=publish,
            prefix="bar-writer",
            hang_after=WRITER_HANG_FACTOR * settings.commit_timeout,
        )

    @property
    def started(self) -> bool:
        """Whether the workers were started."""
        return self._started

    def start(self) -> int:
        """Open the journal and start the workers; returns the number of bars of an earlier run that are stored first.

        Has no effect on a run that is started.

        Raises:
            JournalError: the journal's folder cannot be created or read.
        """
        if self._started:
            return 0
        replayed = self._journal.open()
        self._started = True
        self.writers.start()
        self.pool.start()
        return replayed

    def add(self, tasks: Sequence[HistoryTask], cancelled: Callable[[], bool] | None = None) -> None:
        """Queue tasks, waiting while they do not fit; they are dropped if `cancelled` or after `close`."""
        if not tasks:
            return
        with suppress(CancelledError, QueueClosedError):
            self.tasks.put(tasks, on_put=partial(self._count, len(tasks)), cancelled=cancelled)
            self._on_added()

    def _count(self, tasks: int) -> None:
        with self.progress.lock:
            self.progress.total += tasks

    @property
    def idle(self) -> bool:
        """Whether every task is completed and every bar stored."""
        depth = self.tasks.depth()
        return not (depth.ready or depth.in_flight or self.outstanding() or self._journal.has_pending)

    def outstanding(self) -> int:
        """Bars that are neither stored, refused nor spooled."""
        with self.counters.lock:
            ledger = self.ledger()
        return ledger.queued + ledger.in_flight + ledger.spooled

    def ledger(self) -> Ledger:
        """The conservation equation of the bars; exact while the lock of the counters is held."""
        bars, counters = self._bars.depth(), self.counters
        return Ledger(
            fetched=counters.fetched,
            stored=counters.stored,
            duplicate=counters.duplicate,
            queued=bars.ready,
            in_flight=bars.in_flight + self._journal.in_progress,
            spooled=self._journal.spooled,
            dead=counters.dead,
        )

    def journal(self) -> JournalSnapshot:
        """The state of the journal."""
        return self._journal.snapshot()

    def writer_snapshots(self) -> tuple[WorkerSnapshot, ...]:
        """The workers that store the bars; those that request them are in `pool`."""
        return tuple(worker.snapshot() for worker in self.writers.workers)

    @property
    def trouble(self) -> str:
        """What is delaying the run; empty if nothing is."""
        waiting = [
            worker.last_error for worker in self.pool.workers if worker.snapshot().retry_in is not None
        ]
        return self.health.message or self._journal.snapshot().message or next(iter(waiting), "")

    def poll(self) -> None:
        """Replace workers that hang."""
        self.pool.replace_hung_workers()
        self.writers.replace_hung_workers()

    def close(self, *, drain: bool = True) -> None:
        """Drop tasks that have not begun, store or spool fetched bars, and end the workers.

        Tasks on a broker are left to the other programs.

        Without `drain` the bars are not stored but spooled for the next run.
        """
        if not self._started:
            return
        deadline = time.monotonic() + (self._settings.drain_timeout if drain else 0.0)
        if isinstance(self.tasks, MemoryQueue):
            self.tasks.discard_ready()
        self.tasks.close()
        self.pool.shutdown_now()
        self._join(self.pool, deadline)
        self._bars.close()
        self.writers.begin_shutdown()
        if not self._join(self.writers, deadline):
            self._bars.lift_capacity()
            self.writers.expedite()
            self.writer_stage.spooling_since = time.monotonic()
            self._join(self.writers, time.monotonic() + _SPOOL_TIMEOUT)
        self._journal.close()

    def _join(self, pool: WorkerPool, deadline: float) -> bool:
        while not pool.join(_POLL_INTERVAL):
            self.poll()
            if time.monotonic() > deadline:
                return False
        return True
