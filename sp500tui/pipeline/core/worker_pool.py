"""A pool of workers that can be scaled, paused, watched and drained while it runs."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import ScaleResult, clamp_workers
from sp500tui.pipeline.core.events import EventKind, PipelineEvent, deliver
from sp500tui.pipeline.core.metrics import LatencyHistogram, Meter
from sp500tui.pipeline.core.queue import CancelledError, Lease, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.service_thread import FOREVER, ServiceThread, restart_delay
from sp500tui.pipeline.core.snapshot import StageName, StageSnapshot, WorkerSnapshot, WorkerState

_log = logging.getLogger(__name__)

T = TypeVar("T")

_HEALTHY_AFTER = 60.0
"""Seconds of work without a fault after which the restart back-off starts from the beginning."""
_RELEASE_ATTEMPTS = 5
"""How often releasing the leases of workers that hang may fail; the broker's own outages are waited for."""
_FAULTS_WITH_SUCCESS = 3
"""Faults in a row that count for a worker that got something done since: it is back within two seconds."""


class WorkerTask(Protocol):
    """What one worker of a stage does; made anew after every fault."""

    def run_once(self) -> float | None:
        """Take one lease and work it off, or return when the worker is nudged; maybe after how many seconds to go on.

        Raises:
            QueueClosedError: the stage's input has ended.
        """

    def close(self) -> None:
        """Give back what the body owns."""


class Worker:
    """One thread of a stage: what it does now, and what it has done."""

    def __init__(self, stage: WorkerPool, number: int) -> None:
        self.stage = stage
        self.number = number
        self.name = f"{stage.name}-{number}"
        self.meter = Meter()
        self.latency = LatencyHistogram()
        self.restarts = 0
        self.last_error = ""
        self.pid = os.getpid()
        self.lease: Lease[Any] | None = None
        self.task: WorkerTask | None = None
        self.leaving = threading.Event()
        self.abandoned = False
        """Its lease grew too old and was given to somebody else."""
        self._state = WorkerState.STARTING
        self._doing = ""
        self._since = time.monotonic()
        self._until: float | None = None
        self._state_lock = threading.Lock()
        self._faults = 0
        self._fault_at = 0.0
        self._announced = False
        self._waits_in: LeasedQueue[Any] | None = None
        self.thread = ServiceThread(self.name, self._turn, finished=self._leave)

    def enter(self, state: WorkerState, doing: str = "", until: float | None = None) -> None:
        """Set the worker's state; `until` is the monotonic time of the next attempt.

        Only a busy worker is ever abandoned: once this has set another state, `abandoned` no longer changes.
        """
        with self._state_lock:
            if state is not self._state:
                self._since = time.monotonic()
            self._state, self._doing, self._until = state, doing, until

    def begin(self, doing: str) -> None:
        """Start a piece of work, and the time after which the worker counts as hung."""
        with self._state_lock:
            self._state, self._doing, self._until = WorkerState.BUSY, doing, None
            self._since = time.monotonic()

    def abandon_if_hung(self, hang_after: float) -> bool:
        """Mark the worker as abandoned if its work has lasted more than `hang_after` seconds; True if it was marked."""
        with self._state_lock:
            busy = time.monotonic() - self._since if self._state is WorkerState.BUSY else 0.0
            if self.abandoned or busy <= hang_after:
                return False
            self.abandoned = True
            self.restarts += 1
            return True

    def take(
        self, queue: LeasedQueue[Any], n: int, linger: float = 0.0, timeout: float | None = None
    ) -> Lease[Any] | None:
        """Lease up to `n` items; None when there are none within `timeout` seconds, or when the worker was nudged."""
        self.enter(WorkerState.IDLE)
        self._waits_in = queue
        try:
            self.lease = queue.take(
                n,
                linger=linger,
                timeout=queue.longest_take if timeout is None else timeout,
                cancelled=lambda: self.thread.woken,
            )
        except CancelledError:
            self.lease = None
        finally:
            self._waits_in = None
        return self.lease

    def put(self, queue: LeasedQueue[T], items: Sequence[T]) -> None:
        """Put items that came from no lease, waiting for room.

        Raises:
            CancelledError: the worker is to leave; nothing was put.
        """
        self._waits_in = queue
        try:
            queue.put(items, cancelled=self.leaving.is_set)
        finally:
            self._waits_in = None

    def nudge(self) -> None:
        """Have it look whether it is still wanted, and whether there is something else to do."""
        self.thread.wake()
        queue = self._waits_in
        if queue is not None:
            queue.interrupt()

    def done(self, items: int, seconds: float) -> None:
        """Count a lease that was worked off."""
        self.meter.add(items)
        self.latency.record(seconds)
        self.stage.count(items, seconds)
        self.lease = None
        healthy = time.monotonic() - self._fault_at > _HEALTHY_AFTER
        self._faults = 0 if healthy else min(self._faults, _FAULTS_WITH_SUCCESS)

    def wait(self, seconds: float, state: WorkerState, doing: str) -> bool:
        """Wait with a countdown, cut short when the stage is in a hurry; False when the worker should leave."""
        until = time.monotonic() + seconds
        self.enter(state, doing, until)
        while not (self.leaving.is_set() or self.abandoned):
            left = until - time.monotonic()
            if left <= 0 or self.stage.expedited:
                return True
            self.thread.rest(left)
        return False

    def leave(self) -> None:
        """Have it leave after the lease in hand."""
        self.leaving.set()
        self.thread.stop()
        self.nudge()

    def _turn(self) -> float | None:
        """Work off one lease, or wait for one; None when the worker has left."""
        if self.leaving.is_set() or self.abandoned:
            return None
        if not self._announced:
            self._announced = True
            self.stage.emit(EventKind.WORKER_STARTED, f"{self.name} started", logging.DEBUG, self.name)
        try:
            if self.task is None:
                self.enter(WorkerState.STARTING)
                self.task = self.stage.make_task(self)
            if self.stage.is_resting:
                self.enter(WorkerState.PAUSED)
                return FOREVER
            return self.task.run_once() or 0.0
        except (QueueClosedError, CancelledError):
            return None
        except BaseException as error:  # noqa: BLE001  # whatever a worker dies of, it is restarted
            self._recover(error)
        return 0.0

    def _leave(self) -> None:
        try:
            self._close_task()
        finally:
            self.stage.on_worker_exit(self)

    def _close_task(self) -> None:
        """Close the body and end the lease; neither may keep the worker from going on or leaving."""
        task, self.task = self.task, None
        lease, self.lease = self.lease, None
        for step in (lease.release if lease is not None else None, task.close if task is not None else None):
            try:
                if step is not None:
                    step()
            except Exception as error:  # noqa: BLE001
                _log.error("%s could not give back what it held", self.name, exc_info=error)

    def _recover(self, error: BaseException) -> None:
        self._close_task()
        self._faults += 1
        self._fault_at = time.monotonic()
        self.restarts += 1
        self.stage.failed += 1
        self.last_error = str(error) or type(error).__name__
        delay = restart_delay(self._faults, self.stage.jitter())
        message = f"{self.name} died: {self.last_error}; restarted in {delay:.1f} s"
        if not isinstance(error, Sp500tuiError):
            _log.error("%s was ended by an unforeseen error", self.name, exc_info=error)
        self.stage.emit(EventKind.WORKER_DIED, message, logging.WARNING, self.name)
        self.wait(delay, WorkerState.BACKOFF, self.last_error)

    def snapshot(self) -> WorkerSnapshot:
        """What it does and has done."""
        state = self._state
        if self.abandoned:
            state = WorkerState.HUNG
        elif self.leaving.is_set():
            state = WorkerState.DRAINING
        until = self._until
        now = time.monotonic()
        return WorkerSnapshot(
            name=self.name,
            stage=self.stage.name,
            state=state,
            doing=self._doing,
            state_seconds=now - self._since,
            items=self.meter.total,
            rate_1=self.meter.rate(1),
            rate_10=self.meter.rate(10),
            rate_60=self.meter.rate(60),
            latency=self.latency.latency(),
            restarts=self.restarts,
            last_error=self.last_error,
            retry_in=max(0.0, until - now) if until is not None else None,
            pid=self.pid,
            thread=self.thread.native_id,
            history=self.meter.history(30),
        )

    @property
    def busy(self) -> bool:
        """Whether it has work in hand."""
        return self._state in (WorkerState.BUSY, WorkerState.BLOCKED)


class WorkerPool:
    """The workers of one stage."""

    def __init__(
        self,
        name: StageName,
        make_task: Callable[[Worker], WorkerTask],
        size: int,
        *,
        listener: Callable[[PipelineEvent], None],
        hang_after: float = 120.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.make_task = make_task
        self.jitter = jitter
        self.meter = Meter()
        self.latency = LatencyHistogram()
        self.failed = 0
        self._listener = listener
        self._hang_after = hang_after
        self._size = size
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._workers: dict[int, Worker] = {}
        self._lost: list[Worker] = []
        self._past_restarts = 0
        self._empty = threading.Condition(self._lock)
        self._ending = False
        self.paused = False
        """Whether its workers take no new leases."""
        self.expedited = False
        """Whether back-offs and other waits are cut short."""

    def start(self) -> None:
        """Start the workers."""
        self.scale(self._size)

    def scale(self, size: int) -> ScaleResult:
        """Set the number of workers: more at once, fewer as soon as they have finished their lease."""
        size = clamp_workers(size)
        with self._lock:
            old, self._size = self._size, size
            leaving = [] if self._ending else self._reconcile()
        for worker in leaving:
            worker.leave()
        if old != size:
            self.emit(EventKind.SCALED, f"{self.name} workers {old} → {size}", logging.INFO)
        return ScaleResult(self.name, old, size)

    def _reconcile(self) -> list[Worker]:
        """Start the workers that are wanted; returns those that must leave. The lock is held."""
        staying = sorted(n for n, worker in self._workers.items() if not worker.leaving.is_set())
        free = (n for n in range(1, 10_000) if n not in self._workers)
        for _ in range(self._size - len(staying)):
            worker = Worker(self, next(free))
            # Registered only once it runs: where the system has no room for another thread, nobody waits for it.
            worker.thread.start()
            self._workers[worker.number] = worker
        leaving = [self._workers[number] for number in staying[self._size :]]
        for worker in leaving:
            worker.leaving.set()
        return leaving

    def pause(self) -> None:
        """Take no new leases."""
        self.paused = True
        self.nudge()

    def resume(self) -> None:
        """Take leases again."""
        self.paused = False
        self.nudge()

    @property
    def is_resting(self) -> bool:
        """Whether its workers wait for the end of the pause."""
        return self.paused and not self._ending

    def nudge(self) -> None:
        """Have every worker that waits look whether there is something else to do."""
        for worker in self.workers:
            worker.nudge()

    def count(self, items: int, seconds: float) -> None:
        """Add a lease that one of the workers has worked off."""
        with self._counting:
            self.meter.add(items)
        self.latency.record(seconds)

    def on_worker_exit(self, worker: Worker) -> None:
        """Strike a worker's name off; called by its own thread as its last act."""
        with self._lock:
            self._past_restarts += worker.restarts
            if self._workers.get(worker.number) is worker:
                del self._workers[worker.number]
            if worker in self._lost:
                self._lost.remove(worker)
            self._empty.notify_all()
        # What it gave back is there for the others, whether or not they can see it from where they wait.
        self.nudge()
        self.emit(EventKind.WORKER_LEFT, f"{worker.name} left", logging.DEBUG, worker.name)

    def replace_hung_workers(self) -> None:
        """Replace workers whose lease has been in work for too long. Waits for no queue."""
        with self._lock:
            hung = [worker for worker in self._workers.values() if worker.abandon_if_hung(self._hang_after)]
            for worker in hung:
                del self._workers[worker.number]
                self._lost.append(worker)
            if hung and not self._ending:
                self._reconcile()
        # A thread cannot be ended from outside: its work goes to another, and it leaves when it wakes. The broker
        # may be away, and neither the lock nor the thread that watches may wait for it.
        if leases := [worker.lease for worker in hung if worker.lease is not None]:
            ServiceThread(
                f"{self.name}-release", lambda: _release(leases), attempts=_RELEASE_ATTEMPTS
            ).start()
        for worker in hung:
            message = (
                f"{worker.name} has been stuck for {self._hang_after:.0f} s; replaced, its work given back"
            )
            self.emit(EventKind.WORKER_HUNG, message, logging.ERROR, worker.name)

    def end(self) -> None:
        """Expect the workers to leave: their input has ended. Nobody is replaced any more."""
        with self._lock:
            self._ending = True
        self.nudge()

    def expedite(self) -> None:
        """Have nobody wait for better times any more: the stop ladder's second step."""
        self.expedited = True
        self.nudge()

    def shutdown_now(self) -> None:
        """Have every worker leave after the lease in hand; who rests takes none first."""
        with self._lock:
            self._ending = True
            there = list(self._workers.values())
            for worker in there:
                worker.leaving.set()
        for worker in there:
            worker.leave()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all workers have left; False when `timeout` seconds passed first."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._empty:
            while self._workers:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._empty.wait(left)
        return True

    @property
    def size(self) -> int:
        """The desired number of workers."""
        return self._size

    @property
    def workers(self) -> list[Worker]:
        """The workers there now, in the order of their numbers, lost ones last."""
        with self._lock:
            return [self._workers[n] for n in sorted(self._workers)] + list(self._lost)

    def snapshot(self, workers: list[Worker]) -> StageSnapshot:
        """The pool as a whole."""
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
        )

    def emit(self, kind: EventKind, message: str, level: int, worker: str = "") -> None:
        """Have an event heard; a listener that fails is logged and harms no worker."""
        deliver(PipelineEvent(kind, message, level, datetime.now(UTC), self.name, worker), self._listener)


def _release(leases: list[Lease[Any]]) -> None:
    for lease in leases:
        lease.release()
