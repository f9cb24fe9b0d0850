"""The workers of one stage: scaled, paused, monitored and drained while they run."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sp500tui.pipeline.core.events import EventKind, PipelineEvent, deliver
from sp500tui.pipeline.core.metrics import LatencyHistogram, Meter
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import Lease
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import StageSnapshot
from sp500tui.pipeline.core.timing.accounting import StageAccounts
from sp500tui.pipeline.core.timing.spans import SpanRings, WorkerSpans
from sp500tui.pipeline.core.worker import Worker, WorkerTask

_RELEASE_ATTEMPTS = 5
"""Failed attempts to release the lease of a hung worker; the queue itself waits out outages of the broker."""


class WorkerPool:
    """The workers of one stage."""

    def __init__(
        self,
        name: StageName,
        make_task: Callable[[Worker], WorkerTask],
        size: int,
        *,
        listener: Callable[[PipelineEvent], None],
        prefix: str = "",
        hang_after: float = 120.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`prefix`: of the workers' names, by default that of the stage.

        `hang_after`: seconds after which a busy worker counts as hung and is replaced.
        """
        self.name = name
        self.prefix = prefix or str(name)
        self.make_task = make_task
        self.jitter = jitter
        self.meter = Meter()
        self.latency = LatencyHistogram()
        self.failed = 0
        """Leases that ended with an error."""
        self.accounts = StageAccounts()
        self.spans = SpanRings()
        self.paused = False
        """Whether its workers take no new leases."""
        self.expedited = False
        """Whether back-off and other delays are skipped."""
        self._listener = listener
        self.hang_after = hang_after
        self._size = size
        self._lock = threading.Lock()
        self._meter_lock = threading.Lock()
        self._workers: dict[int, Worker] = {}
        self._abandoned: list[Worker] = []
        self._past_restarts = 0
        self._started = False
        self._worker_exited = threading.Condition(self._lock)
        self._ending = False
        self._is_limited = False
        """Whether the system could not start as many workers as were last requested."""

    def start(self) -> None:
        """Start the workers."""
        self._started = True
        self.scale(self._size)

    def scale(self, size: int) -> int:
        """Set the number of workers and return the previous one. Surplus workers exit after their current lease.

        A pool that is not started yet starts with that number. Where the system cannot start as many threads, `size`
        is the number that could be started.

        Raises:
            RuntimeError: the system cannot start any.
        """
        with self._lock:
            old, self._size = self._size, size
            surplus = self._reconcile() if self._started and not self._ending else []
            new = self._size
        for worker in surplus:
            worker.stop()
        if new < size and not self._is_limited:
            message = (
                f"only {new} of {size} {self.name} workers could be started: the system has no thread left"
            )
            self.emit(EventKind.SCALED, message, logging.WARNING)
        elif old != new:
            self.emit(EventKind.SCALED, f"{self.name} workers {old} → {new}", logging.INFO)
        self._is_limited = new < size
        return old

    def _reconcile(self) -> list[Worker]:
        """Start missing workers; returns the surplus ones, marked as stopping. The lock is held."""
        staying = sorted(n for n, worker in self._workers.items() if not worker.stopping.is_set())
        free = (n for n in range(1, 10_000) if n not in self._workers)
        for missing in range(self._size - len(staying), 0, -1):
            worker = Worker(self, next(free))
            # Started before it is registered: a thread that cannot be started must not be waited for.
            try:
                worker.thread.start()
            except RuntimeError:
                if missing == self._size:
                    raise
                self._size -= missing
                break
            self._workers[worker.number] = worker
            self.accounts.add(worker.account)
        surplus = [self._workers[number] for number in staying[self._size :]]
        for worker in surplus:
            worker.stopping.set()
        return surplus

    def is_abandoned(self, name: str) -> bool:
        """Whether a worker of that name hangs: its thread may still change its state. The lock is held."""
        return any(worker.name == name for worker in self._abandoned)

    def pause(self) -> None:
        """Take no new leases."""
        self.paused = True
        self.wake()

    def resume(self) -> None:
        """Take leases again."""
        self.paused = False
        self.wake()

    @property
    def must_pause(self) -> bool:
        """Whether a worker must wait before it takes a lease; a pool that shuts down is drained even while paused."""
        return self.paused and not self._ending

    @property
    def ending(self) -> bool:
        """Whether the workers exit once their input is drained."""
        return self._ending

    def wake(self) -> None:
        """Interrupt every waiting worker so that it checks for other work."""
        for worker in self.workers:
            worker.wake()

    def record(self, items: int, seconds: float) -> None:
        """Count a lease that one of the workers has processed."""
        with self._meter_lock:
            self.meter.add(items)
        self.latency.record(seconds)

    def record_failure(self) -> None:
        """Count a lease that ended with an error."""
        with self._meter_lock:
            self.failed += 1

    def on_worker_exit(self, worker: Worker) -> None:
        """Remove an exiting worker. Called last by the worker's own thread."""
        with self._lock:
            self._past_restarts += worker.restarts
            if self._workers.get(worker.number) is worker:
                del self._workers[worker.number]
            if worker in self._abandoned:
                self._abandoned.remove(worker)
            self._worker_exited.notify_all()
        # The other workers may take what this one released, even where their queue does not wake them.
        self.wake()
        self.emit(EventKind.WORKER_LEFT, f"{worker.name} left", logging.DEBUG, worker.name)

    def replace_hung_workers(self) -> None:
        """Replace workers that have been busy for too long and release their leases. Does not block on a queue."""
        with self._lock:
            hung = [worker for worker in self._workers.values() if worker.abandon_if_hung(self.hang_after)]
            for worker in hung:
                del self._workers[worker.number]
                self._abandoned.append(worker)
            if hung and not self._ending:
                self._reconcile()
        # A thread cannot be ended from outside: it exits when its call returns. The leases are released on another
        # thread, because a broker that is down must block neither the lock nor the supervisor.
        if leases := [worker.lease for worker in hung if worker.lease is not None]:
            ServiceThread(
                f"{self.name}-release", lambda: _release(leases), attempts=_RELEASE_ATTEMPTS
            ).start()
        for worker in hung:
            message = f"{worker.name} has been hung for {self.hang_after:.0f} s; replaced, its lease released"
            self.emit(EventKind.WORKER_HUNG, message, logging.ERROR, worker.name)

    def begin_shutdown(self) -> None:
        """Let the workers exit when their input is drained; none is replaced any more."""
        with self._lock:
            self._ending = True
        self.wake()

    def expedite(self) -> None:
        """Skip all remaining back-off delays (second stop request)."""
        self.expedited = True
        self.wake()

    def shutdown_now(self) -> None:
        """Stop every worker after its current lease. Paused workers stop without taking one."""
        with self._lock:
            self._ending = True
            workers = list(self._workers.values())
            for worker in workers:
                worker.stopping.set()
        for worker in workers:
            worker.stop()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all workers have exited, except abandoned ones; False after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._worker_exited:
            while self._workers:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._worker_exited.wait(left)
        return True

    def worker_spans(self, start: float, now: float) -> list[WorkerSpans]:
        """The spans of each worker between two monotonic times, including workers that have exited."""
        workers = {worker.name: worker for worker in self.workers if not worker.abandoned}
        running = {name: worker.open_span(now) for name, worker in workers.items()}
        found: list[WorkerSpans] = []
        for name, ring in self.spans.by_name().items():
            spans, overwritten = ring.since(start)
            worker, last = workers.get(name), running.get(name)
            # Read first, so the ring may already have it.
            if last is not None and (not spans or spans[-1].start < last.start):
                spans.append(last)
            if spans:
                pid, thread = (
                    (worker.pid, worker.thread.native_id) if worker is not None else (os.getpid(), 0)
                )
                found.append(
                    WorkerSpans(name, self.name, pid, thread, tuple(spans), overwritten, ring.processes)
                )
        return found

    @property
    def size(self) -> int:
        """The desired number of workers."""
        return self._size

    @property
    def workers(self) -> list[Worker]:
        """The current workers in the order of their numbers, abandoned ones last."""
        with self._lock:
            return [self._workers[n] for n in sorted(self._workers)] + list(self._abandoned)

    def snapshot(self, workers: list[Worker]) -> StageSnapshot:
        """State and counters of the pool."""
        return StageSnapshot(
            name=self.name,
            size=self._size,
            alive=len(workers),
            busy=sum(worker.busy for worker in workers),
            items=self.meter.total,
            failed=self.failed,
            rate=self.meter.rate(10),
            latency=self.latency.latency(),
            restarts=self._past_restarts + sum(worker.restarts for worker in workers),
            paused=self.paused,
            overall=self.latency.overall(),
            oldest_work=max(
                (age for worker in workers if (age := worker.work_seconds) is not None), default=None
            ),
        )

    def emit(
        self,
        kind: EventKind,
        message: str,
        level: int,
        worker: str = "",
        seconds: float | None = None,
        count: int = 1,
    ) -> None:
        """Send an event to the listener; an error in the listener is logged."""
        event = PipelineEvent(
            kind, message, level, datetime.now(UTC), self.name, worker, seconds=seconds, count=count
        )
        deliver(event, self._listener)


def _release(leases: list[Lease[Any]]) -> None:
    for lease in leases:
        lease.release()
