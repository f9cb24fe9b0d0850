"""One worker of a stage: a thread that runs a task, restarts it after errors, and reports its state."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.metrics import LatencyHistogram, Meter
from sp500tui.pipeline.core.queue import CancelledError, Lease, LeasedQueue, QueueClosedError
from sp500tui.pipeline.core.service_thread import FOREVER, ServiceThread, restart_delay
from sp500tui.pipeline.core.snapshot import WorkerSnapshot, WorkerState
from sp500tui.pipeline.core.timing.accounting import worker_account
from sp500tui.pipeline.core.timing.processor_clocks import process_clock, thread_clock
from sp500tui.pipeline.core.timing.spans import NO_BATCHES, Batches, Span

if TYPE_CHECKING:
    from sp500tui.pipeline.core.worker_pool import WorkerPool

_log = logging.getLogger(__name__)

T = TypeVar("T")

_HEALTHY_AFTER = 60.0
"""Seconds of work without an error after which the restart back-off starts from the beginning."""
_MAX_FAILURES_AFTER_SUCCESS = 3
"""Failures in a row that count after a finished lease: the next restart is at most two seconds away."""


class WorkerTask(Protocol):
    """The work of one worker of a stage; created again after every error."""

    def run_once(self) -> float | None:
        """Take one lease and process it; return without one when the worker is woken.

        Returns the seconds to wait before the next call; None for no wait.

        Raises:
            QueueClosedError: the input queue is closed and drained.
        """

    def close(self) -> None:
        """Release what the task owns."""


class Worker:
    """One thread of a stage with its state and its counters."""

    def __init__(self, pool: WorkerPool, number: int) -> None:
        self.pool = pool
        self.number = number
        self.name = f"{pool.prefix}-{number}"
        self.meter = Meter()
        self.latency = LatencyHistogram()
        self.restarts = 0
        self.last_error = ""
        self.pid = os.getpid()
        self.lease: Lease[Any] | None = None
        self.task: WorkerTask | None = None
        self.stopping = threading.Event()
        """Set when the worker is to exit after its current lease."""
        self.abandoned = False
        """Whether the worker hung and was replaced; its lease has been released to other workers."""
        self._doing = ""
        self._since = time.monotonic()
        self._until: float | None = None
        self._work_since: float | None = None
        """Monotonic time at which the current lease was begun."""
        self._can_hang = False
        self._state_lock = threading.Lock()
        self.account = worker_account(self.name, self._state_lock)
        """Its time by state, and its state."""
        self.consecutive_failures = 0
        self._failed_at = 0.0
        self._died_at: float | None = None
        """Monotonic time of the failure from which it has not been restarted yet."""
        self._announced = False
        self.spans = pool.spans.ring(self.name, fresh=pool.is_abandoned(self.name))
        """Its changes of state."""
        self._span_since = self._since
        self._batches = NO_BATCHES
        self._waiting_queue: LeasedQueue[Any] | None = None
        self.thread = ServiceThread(self.name, self._step, on_exit=self._exit)

    # --- called by the task ------------------------------------------------------------------------------------

    def set_state(self, state: WorkerState, doing: str = "", until: float | None = None) -> None:
        """Set the state of a worker that processes no lease; `until` is the monotonic time of the next attempt."""
        with self._state_lock:
            self._can_hang, self._work_since = False, None
            self._change(state, doing, until, batches=NO_BATCHES)

    def start_work(self, doing: str, batches: Batches | None = None) -> None:
        """Begin to process a lease; after the pool's limit the worker counts as hung.

        `batches`: the fetch batches of its items; None for those of the lease that is being processed.
        """
        with self._state_lock:
            self._can_hang, self._work_since = True, time.monotonic()
            self._change(WorkerState.BUSY, doing, batches=batches)
            self._since = self._work_since

    def hand_over(self, doing: str) -> None:
        """Begin to hand over the results: after this the worker is not abandoned, however long it takes.

        `abandoned` no longer changes after this call.
        """
        with self._state_lock:
            self._can_hang = False
            self._change(WorkerState.BUSY, doing)

    def switch(self, state: WorkerState, doing: str | None = None) -> None:
        """Change the state while processing a lease; `doing` is unchanged if None."""
        with self._state_lock:
            self._change(state, self._doing if doing is None else doing)

    @contextmanager
    def during(self, state: WorkerState) -> Iterator[None]:
        """Be in `state` for the duration of the block, and in the previous state afterwards."""
        before = self.account.state
        self.switch(state)
        try:
            yield
        finally:
            self.switch(before)

    def _change(
        self, state: WorkerState, doing: str, until: float | None = None, *, batches: Batches | None = None
    ) -> None:
        batches = self._batches if batches is None else batches
        if state is not self.account.state or batches != self._batches:
            now = time.monotonic()
            self._end_span(now)
            self._batches = batches
            if state is not self.account.state:
                self._since = now
                self.account.switch(state)
        self._doing, self._until = doing, until

    def _end_span(self, now: float) -> None:
        self.spans.record(self.account.state, self._span_since, now, self._batches)
        self._span_since = now

    def use_process(self, pid: int | None) -> None:
        """Switch to this process, whose processor time is accounted too; None for none."""
        clock = None if pid is None else process_clock(pid)
        with self._state_lock:
            self.pid = os.getpid() if pid is None else pid
            self.account.measure_process(clock)
            if pid is not None:
                self.spans.use_process(time.monotonic(), pid)

    def open_span(self, now: float) -> Span:
        """The state that lasts until now."""
        with self._state_lock:
            return Span(self.account.state, self._span_since, max(now, self._span_since), self._batches)

    def finish_work(self, items: int, seconds: float) -> None:
        """Count a lease that was processed in `seconds`."""
        self.meter.add(items)
        self.latency.record(seconds)
        self.pool.record(items, seconds)
        self.lease = None
        with self._state_lock:
            self._work_since = None
            self.account.finish_lease(items)
        healthy = time.monotonic() - self._failed_at > _HEALTHY_AFTER
        self.consecutive_failures = (
            0 if healthy else min(self.consecutive_failures, _MAX_FAILURES_AFTER_SUCCESS)
        )

    def record_failure(self) -> None:
        """Count a lease that ended with an error."""
        self.pool.record_failure()
        with self._state_lock:
            self.account.fail_lease()

    def take(
        self, queue: LeasedQueue[Any], n: int, linger: float = 0.0, timeout: float | None = None
    ) -> Lease[Any] | None:
        """Lease up to `n` items; None if there are none within `timeout` seconds or if the worker is woken."""
        self.set_state(WorkerState.IDLE)
        self._waiting_queue = queue
        try:
            self.lease = queue.take(
                n,
                linger=linger,
                timeout=queue.max_take_wait if timeout is None else timeout,
                cancelled=lambda: self.thread.woken,
            )
        except CancelledError:
            self.lease = None
        finally:
            self._waiting_queue = None
        return self.lease

    def put(
        self,
        queue: LeasedQueue[T],
        items: Sequence[T],
        what: str,
        *,
        ack: Lease[Any] | None = None,
        on_put: Callable[[], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> bool:
        """Put items on the next queue, `BLOCKED` while waiting for space; see `LeasedQueue.put`.

        `what` names the items and their queue: `12 rows wait for room in the rows queue`.
        """
        self._waiting_queue = queue
        try:
            return queue.put(
                items,
                ack=ack,
                on_put=on_put,
                cancelled=cancelled,
                on_full=lambda: self.switch(WorkerState.BLOCKED, what),
            )
        finally:
            self._waiting_queue = None
            self.switch(WorkerState.BUSY)

    def wait(self, seconds: float, state: WorkerState, doing: str) -> bool:
        """Wait, shown with a countdown; returns early if the pool is expedited, and False if the worker must exit."""
        until = time.monotonic() + seconds
        self.set_state(state, doing, until)
        while not (self.stopping.is_set() or self.abandoned):
            left = until - time.monotonic()
            if left <= 0 or self.pool.expedited:
                return True
            self.thread.sleep(left)
        return False

    # --- called by the pool ------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Interrupt the worker's wait so that it checks for a stop, a pause or other work."""
        self.thread.wake()
        queue = self._waiting_queue
        if queue is not None:
            queue.interrupt()

    def stop(self) -> None:
        """Make the worker exit after its current lease."""
        self.stopping.set()
        self.thread.stop()
        self.wake()

    def abandon_if_hung(self, hang_after: float) -> bool:
        """Mark the worker as abandoned if its work has lasted more than `hang_after` seconds; True if it was marked."""
        with self._state_lock:
            since = self._work_since if self._can_hang else None
            if self.abandoned or since is None or time.monotonic() - since <= hang_after:
                return False
            self.abandoned = True
            self.restarts += 1
            self.account.end()
            return True

    @property
    def busy(self) -> bool:
        """Whether the worker is processing a lease, other than waiting for the request limit."""
        return self._work_since is not None and self.account.state is not WorkerState.LIMIT

    @property
    def work_seconds(self) -> float | None:
        """Seconds since it began to process its current lease; None without one."""
        since = self._work_since
        return None if since is None else time.monotonic() - since

    def snapshot(self) -> WorkerSnapshot:
        """The worker's state and counters."""
        with self._state_lock:
            state, doing, since, until = self.account.state, self._doing, self._since, self._until
        if self.abandoned:
            state = WorkerState.HUNG
        elif self.stopping.is_set():
            state = WorkerState.DRAINING
        now = time.monotonic()
        return WorkerSnapshot(
            name=self.name,
            stage=self.pool.name,
            state=state,
            doing=doing,
            state_seconds=now - since,
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
            work_seconds=self.work_seconds,
        )

    # --- the thread --------------------------------------------------------------------------------------------

    def _step(self) -> float | None:
        """Run the task once; None when the worker is to exit."""
        if self.stopping.is_set() or self.abandoned:
            return None
        if not self._announced:
            self._announced = True
            clock = thread_clock()
            with self._state_lock:
                self.account.measure_cpu(clock)
            self.pool.emit(EventKind.WORKER_STARTED, f"{self.name} started", logging.DEBUG, self.name)
        try:
            if self.task is None:
                self.set_state(WorkerState.STARTING)
                self.task = self.pool.make_task(self)
                self._report_restart()
            if self.pool.must_pause:
                self.set_state(WorkerState.PAUSED)
                return FOREVER
            return self.task.run_once() or 0.0
        except (QueueClosedError, CancelledError):
            return None
        except BaseException as error:  # noqa: BLE001  # any exception restarts the worker
            self._restart_after(error)
        return 0.0

    def _restart_after(self, error: BaseException) -> None:
        self._close_task()
        self.consecutive_failures += 1
        self._failed_at = time.monotonic()
        self._died_at = self._failed_at if self._died_at is None else self._died_at
        self.restarts += 1
        self.record_failure()
        self.last_error = str(error) or type(error).__name__
        delay = restart_delay(self.consecutive_failures, self.pool.jitter())
        message = f"{self.name} died: {self.last_error}; restarted in {delay:.1f} s"
        if not isinstance(error, Sp500tuiError):
            _log.error("%s failed with an unexpected error", self.name, exc_info=error)
        self.pool.emit(EventKind.WORKER_DIED, message, logging.WARNING, self.name)
        self.wait(delay, WorkerState.BACKOFF, self.last_error)

    def _report_restart(self) -> None:
        if self._died_at is None:
            return
        seconds, self._died_at = time.monotonic() - self._died_at, None
        message = f"{self.name} was restarted after {seconds:.1f} s"
        self.pool.emit(EventKind.WORKER_RESTARTED, message, logging.INFO, self.name, seconds)

    def _exit(self) -> None:
        try:
            self._close_task()
        finally:
            with self._state_lock:
                self._end_span(time.monotonic())
                self.account.end()
            self.pool.on_worker_exit(self)

    def _close_task(self) -> None:
        """Release the lease and close the task; an error in either is logged."""
        task, self.task = self.task, None
        lease, self.lease = self.lease, None
        for close in (lease.release if lease is not None else None, task.close if task is not None else None):
            try:
                if close is not None:
                    close()
            except Exception as error:  # noqa: BLE001
                _log.error("%s could not release its lease and resources", self.name, exc_info=error)
