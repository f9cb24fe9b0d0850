"""A pool of workers: scaled at random, failing, hanging, paused and shut down."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sp500tui.errors import SourceError
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import CancelledError, MemoryQueue, QueueClosedError
from sp500tui.pipeline.core.service_thread import restart_delay
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.worker import Worker, WorkerTask
from sp500tui.pipeline.core.worker_pool import WorkerPool
from tests.support.waiting import Wait


@pytest.mark.parametrize(
    ("faults", "jitter", "delay"),
    [(1, 1.0, 0.2), (1, 0.0, 0.0), (2, 0.5, 0.2), (9, 1.0, 30.0), (5_000, 1.0, 30.0)],
)
def test_the_delay_before_a_restart(faults: int, jitter: float, delay: float) -> None:
    assert restart_delay(faults, jitter) == pytest.approx(delay)


class Adder:
    """Takes and records numbers; `act` may raise or hang before it acknowledges."""

    def __init__(self, pool: Pool, worker: Worker) -> None:
        self.pool = pool
        self.worker = worker

    def run_once(self) -> None:
        lease = self.worker.take(self.pool.queue, 3, timeout=0.02)
        if lease is None:
            return
        self.worker.start_work(f"{len(lease.items)} numbers")
        self.pool.act(self.worker, lease.items)
        if lease.ack():
            with self.pool.lock:
                self.pool.done.extend(lease.items)
        self.worker.finish_work(len(lease.items), 0.001)

    def close(self) -> None:
        self.pool.closed += 1
        raise OSError("an error in close does not affect the worker")


class Pool:
    """A stage of adders and their results."""

    def __init__(self, size: int = 1, hang_after: float = 60.0) -> None:
        self.queue: MemoryQueue[int] = MemoryQueue(100_000)
        self.lock = threading.Lock()
        self.done: list[int] = []
        self.events: list[PipelineEvent] = []
        self.listener: Callable[[PipelineEvent], None] = self.events.append
        self.closed = 0
        self.act: Callable[[Worker, object], object] = lambda _worker, _items: None
        self.stage = WorkerPool(
            StageName.PRICE,
            self.make,
            size,
            listener=lambda event: self.listener(event),
            hang_after=hang_after,
            jitter=lambda: 0.0,
        )

    def make(self, worker: Worker) -> WorkerTask:
        return Adder(self, worker)

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]

    def watched(self, condition: Callable[[], object]) -> Callable[[], object]:
        """The condition; before every check until the first, hung workers are replaced as by the supervisor."""

        def check() -> object:
            # On a busy machine, the successor's work may exceed the limit too.
            if EventKind.WORKER_HUNG not in self.kinds():
                self.stage.replace_hung_workers()
            return condition()

        return check

    def threads(self) -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name.startswith("price-")]


@contextmanager
def running(pool: Pool) -> Iterator[Pool]:
    pool.stage.start()
    yield pool
    pool.stage.shutdown_now()
    assert pool.stage.join(60)


def test_work_is_done_and_counted(eventually: Wait) -> None:
    with running(Pool(2)) as pool:
        pool.queue.put(list(range(20)))
        eventually(lambda: len(pool.done) == 20)
        eventually(lambda: pool.stage.meter.total == 20)
        seen = pool.stage.snapshot(pool.stage.workers)
    assert (seen.size, seen.alive, seen.items, seen.failed, seen.restarts) == (2, 2, 20, 0, 0)
    assert seen.latency.p50 is not None
    assert not pool.stage.workers
    assert pool.kinds().count(EventKind.WORKER_STARTED) == 2
    # A worker is removed before its event is sent.
    eventually(lambda: pool.kinds().count(EventKind.WORKER_LEFT) == 2)


def test_scaling_at_random_under_load_loses_nothing_and_leaves_nothing(
    eventually: Wait, rng: random.Random
) -> None:
    """Given 6,000 numbers, when the pool is scaled 1 → 16 → 1 at random, each is processed exactly once."""
    before = set(threading.enumerate())
    pool = Pool(1)
    with running(pool):
        for start in range(0, 6000, 60):
            pool.queue.put(list(range(start, start + 60)))
            pool.stage.scale(rng.randint(1, 16))
        eventually(lambda: len(pool.done) == 6000)
        pool.stage.scale(1)
        eventually(lambda: len(pool.stage.workers) == 1)
        pool.stage.scale(16)
        assert len([w for w in pool.stage.workers if not w.stopping.is_set()]) == 16
    assert sorted(pool.done) == list(range(6000))
    # Threads of earlier tests may still be ending: only new ones count.
    eventually(lambda: not set(threading.enumerate()) - before)


def test_a_pool_that_shuts_down_starts_no_workers() -> None:
    pool = Pool(2)
    pool.stage.begin_shutdown()
    assert pool.stage.scale(5) == 2
    assert pool.stage.size == 5
    assert not pool.stage.workers
    assert pool.kinds() == [EventKind.SCALED]


def test_a_worker_that_raises_releases_its_lease_and_is_restarted(eventually: Wait) -> None:
    pool = Pool(1)
    faults = iter([ValueError("no such thing"), SourceError("not now"), ValueError()])

    def fail(worker: Worker, items: object) -> None:
        if (error := next(faults, None)) is not None:
            raise error

    pool.act = fail
    with running(pool):
        pool.queue.put([1, 2, 3])
        eventually(lambda: pool.done == [1, 2, 3])
        (worker,) = pool.stage.workers
        assert worker.name == "price-1"
        assert worker.snapshot().last_error == "ValueError"
        assert pool.stage.snapshot([worker]).restarts == 3
        assert pool.stage.failed == 3
    assert pool.closed == 4
    died = [event.message for event in pool.events if event.kind is EventKind.WORKER_DIED]
    assert died[0] == "price-1 died: no such thing; restarted in 0.0 s"
    assert pool.stage.snapshot([]).restarts == 3, "they stay counted when the worker has left"


def test_a_finished_lease_limits_the_restart_delay(eventually: Wait) -> None:
    pool = Pool(1)
    delays: list[int] = []
    turns = iter(range(1000))

    def fail_every_other_time(worker: Worker, items: object) -> None:
        if next(turns) % 2:
            delays.append(worker.consecutive_failures)
            raise ValueError("again")

    pool.act = fail_every_other_time
    with running(pool):
        pool.queue.put(list(range(60)))
        eventually(lambda: len(pool.done) == 60)
    assert len(delays) >= 15
    assert restart_delay(max(delays) + 1, 1.0) < 2


def test_a_worker_whose_task_cannot_be_created_is_restarted(eventually: Wait) -> None:
    pool = Pool(1)
    real, faults = pool.make, iter([True, True, False])

    def make(worker: Worker) -> WorkerTask:
        if next(faults):
            raise SourceError("not ready")
        return real(worker)

    pool.stage.make_task = make
    with running(pool):
        pool.queue.put([1])
        eventually(lambda: pool.done == [1])


def test_a_hung_worker_is_reported_and_replaced_and_its_lease_released(eventually: Wait) -> None:
    pool = Pool(1, hang_after=0.05)
    woken = threading.Event()
    first = iter([True])

    def hang(worker: Worker, items: object) -> None:
        if next(first, False):
            woken.wait(20)

    pool.act = hang
    with running(pool):
        pool.queue.put([1, 2, 3])
        eventually(pool.watched(lambda: pool.done == [1, 2, 3]))
        hung = [w.snapshot() for w in pool.stage.workers if w.snapshot().state is WorkerState.HUNG]
        assert [each.name for each in hung] == ["price-1"]
        assert len(pool.stage.workers) == 2
        assert EventKind.WORKER_HUNG in pool.kinds()
        woken.set()
        eventually(lambda: len(pool.stage.workers) == 1)
    assert pool.done == [1, 2, 3], "late work of the abandoned worker does not count"
    assert pool.stage.snapshot([]).restarts == 1


def test_a_pool_does_not_block_while_the_lease_of_a_hung_worker_cannot_be_released(eventually: Wait) -> None:
    # given a hung worker whose lease is on a broker that is down
    pool = Pool(1, hang_after=0.02)
    woken, back = threading.Event(), threading.Event()

    class Away:
        def release(self) -> bool:
            return back.wait(20)

    def hang(worker: Worker, items: object) -> None:
        worker.lease = Away()  # type: ignore[assignment]
        woken.wait(20)

    pool.act = hang
    with running(pool):
        pool.queue.put([1])
        eventually(lambda: any(worker.busy for worker in pool.stage.workers))

        # when it is replaced
        supervisor = threading.Thread(
            target=lambda: eventually(pool.watched(lambda: EventKind.WORKER_HUNG in pool.kinds()))
        )
        supervisor.start()
        supervisor.join(10)

        # then neither that nor a snapshot of the pool has waited for the broker
        assert not supervisor.is_alive()
        assert len(pool.stage.workers) == 2
        assert not back.is_set()
        back.set()
        woken.set()


def test_a_hung_worker_does_not_delay_the_shutdown(eventually: Wait) -> None:
    pool = Pool(1, hang_after=0.02)
    woken = threading.Event()
    pool.act = lambda _worker, _items: woken.wait(20)
    with running(pool):
        pool.queue.put([1])
        eventually(pool.watched(lambda: EventKind.WORKER_HUNG in pool.kinds()))
        pool.stage.shutdown_now()
        # The next worker, if it had already taken the item, hangs as well.
        eventually(lambda: pool.stage.replace_hung_workers() or pool.stage.join(0))  # type: ignore[func-returns-value]
    woken.set()
    eventually(lambda: not pool.stage.workers)


def test_a_paused_pool_takes_nothing_until_it_is_resumed(eventually: Wait) -> None:
    with running(Pool(2)) as pool:
        eventually(lambda: all(w.snapshot().state is WorkerState.IDLE for w in pool.stage.workers))
        pool.stage.pause()
        eventually(lambda: all(w.snapshot().state is WorkerState.PAUSED for w in pool.stage.workers))
        assert pool.stage.paused
        pool.queue.put([1, 2, 3])
        assert pool.done == []

        pool.stage.resume()

        eventually(lambda: sorted(pool.done) == [1, 2, 3])


def test_a_paused_worker_that_is_stopped_does_not_run_again(eventually: Wait) -> None:
    steps = []

    class Stepper:
        def run_once(self) -> None:
            steps.append(1)

        def close(self) -> None:
            """Has nothing."""

    stage = WorkerPool(StageName.SCRAPER, lambda _worker: Stepper(), 1, listener=lambda _event: None)
    stage.pause()
    stage.start()
    eventually(lambda: [worker.snapshot().state for worker in stage.workers] == [WorkerState.PAUSED])
    stage.shutdown_now()
    assert stage.join(60)
    assert steps == []


def test_a_paused_pool_can_be_shut_down() -> None:
    pool = Pool(2)
    pool.stage.start()
    pool.stage.pause()
    pool.stage.shutdown_now()
    assert pool.stage.join(30)


@pytest.mark.parametrize("error", [QueueClosedError, CancelledError])
def test_workers_exit_when_their_input_is_drained(error: type[Exception]) -> None:
    pool = Pool(3)

    class Ended(Adder):
        def run_once(self) -> None:
            raise error

    pool.stage.make_task = lambda worker: Ended(pool, worker)
    pool.stage.start()
    assert pool.stage.join(30)


def test_workers_finish_their_lease_before_they_exit(eventually: Wait) -> None:
    pool = Pool(1)
    go_on = threading.Event()
    pool.act = lambda _worker, _items: go_on.wait(20)
    pool.stage.start()
    pool.queue.put([1, 2, 3, 4])
    eventually(lambda: any(worker.busy for worker in pool.stage.workers))
    pool.stage.shutdown_now()
    assert pool.stage.workers[0].snapshot().state is WorkerState.DRAINING
    assert not pool.stage.join(0.01)
    go_on.set()
    assert pool.stage.join(30)
    assert pool.done == [1, 2, 3]
    assert pool.queue.depth().ready == 1


def test_a_waiting_worker_counts_down_and_stops_waiting_on_shutdown(eventually: Wait) -> None:
    pool = Pool(1)
    waited: list[bool] = []
    pool.act = lambda worker, _items: waited.append(worker.wait(30, WorkerState.BACKOFF, "for better times"))
    pool.stage.start()
    pool.queue.put([1])
    eventually(lambda: pool.stage.workers[0].snapshot().state is WorkerState.BACKOFF)
    seen = pool.stage.workers[0].snapshot()
    assert seen.doing == "for better times"
    assert seen.retry_in is not None
    assert 20 < seen.retry_in <= 30
    assert not pool.stage.workers[0].busy
    pool.stage.shutdown_now()
    assert pool.stage.join(30)
    assert waited == [False]


def test_expediting_skips_back_off_delays(eventually: Wait) -> None:
    pool = Pool(1)
    pool.stage.jitter = lambda: 1.0

    def sick(_worker: Worker, _items: object) -> None:
        if not pool.stage.expedited:
            raise SourceError("sick")

    pool.act = sick
    with running(pool):
        pool.queue.put([1])
        # given a worker so often ended that its back-off is long
        eventually(lambda: pool.stage.failed >= 3)
        # when the pool is expedited
        pool.stage.expedite()
        # then it resumes its work immediately
        eventually(lambda: pool.done == [1])


@pytest.mark.parametrize("kind", [EventKind.WORKER_STARTED, EventKind.WORKER_DIED, EventKind.WORKER_LEFT])
def test_a_failing_listener_does_not_affect_workers(
    eventually: Wait, caplog: pytest.LogCaptureFixture, kind: EventKind
) -> None:
    # Given a listener that raises at one kind of event, and a worker that fails once
    pool = Pool(2)
    faults = iter([ValueError("once")])

    def listen(event: PipelineEvent) -> None:
        if event.kind is kind:
            raise RuntimeError("Event loop is closed")

    def act(_worker: Worker, _items: object) -> None:
        for fault in faults:
            raise fault

    pool.listener = listen
    pool.act = act

    # When the pool works and is shut down
    with running(pool):
        pool.queue.put([1, 2, 3])
        eventually(lambda: sorted(pool.done) == [1, 2, 3])
        assert len(pool.stage.workers) == 2

    # Then all workers have ended, and the listener's error is in the log with its traceback
    eventually(lambda: not pool.threads())
    assert "RuntimeError: Event loop is closed" in caplog.text


class Sleeper:
    """Waits for items without a time limit, like every worker on an in-memory queue."""

    def __init__(self, pool: Pool, worker: Worker) -> None:
        self.pool = pool
        self.worker = worker

    def run_once(self) -> None:
        lease = self.worker.take(self.pool.queue, 3)
        if lease is not None:
            self.pool.act(self.worker, lease.items)
            lease.ack()
            self.pool.done.extend(lease.items)

    def close(self) -> None:
        """Has nothing."""


def idle(pool: Pool) -> bool:
    return [worker.snapshot().state for worker in pool.stage.workers] == [WorkerState.IDLE]


def test_a_worker_waiting_for_items_reacts_to_pause_scale_and_shutdown(eventually: Wait) -> None:
    # Given an idle worker
    pool = Pool(1)
    pool.stage.make_task = lambda worker: Sleeper(pool, worker)
    with running(pool):
        eventually(lambda: idle(pool))

        # When the stage is paused and resumed, then it pauses and waits again
        pool.stage.pause()
        eventually(lambda: pool.stage.workers[0].snapshot().state is WorkerState.PAUSED)
        pool.queue.put([1])
        pool.stage.resume()
        eventually(lambda: pool.done == [1] and idle(pool))

        # When there is one more, and one fewer, then both get work and one ends
        pool.stage.scale(2)
        eventually(lambda: len(pool.stage.workers) == 2)
        pool.stage.scale(1)
        eventually(lambda: len(pool.stage.workers) == 1)
        pool.queue.put([2])
        eventually(lambda: pool.done == [1, 2])
    # And on leaving the block the waiting worker reacts to the shutdown


def test_a_worker_that_exits_with_a_lease_releases_it(eventually: Wait) -> None:
    # Given a worker whose output was closed while it held a lease
    pool = Pool(1)
    output: MemoryQueue[int] = MemoryQueue(1)
    output.put([0])
    pool.act = lambda _worker, items: output.put([1])
    pool.stage.make_task = lambda worker: Sleeper(pool, worker)
    pool.stage.start()
    pool.queue.put([7, 8])
    eventually(lambda: pool.queue.depth().in_flight == 2)

    # When the output is closed
    output.close()

    # Then it ends, and its items count as ready, not as lost
    assert pool.stage.join(60)
    eventually(lambda: pool.queue.depth().in_flight == 0)
    assert pool.queue.depth().ready == 2


def test_a_thread_that_cannot_be_started_leaves_no_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(2)

    def no_room(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_room)
        with pytest.raises(RuntimeError):
            pool.stage.start()
    assert pool.stage.join(0)


def test_where_the_system_has_no_thread_left_the_workers_that_it_started_work(
    monkeypatch: pytest.MonkeyPatch, eventually: Wait
) -> None:
    # given a pool, and a system that starts three more threads
    pool = Pool(1)
    pool.stage.start()
    start, left = threading.Thread.start, [True] * 3

    def limited(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    # when it is scaled beyond that, twice
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", limited)
        assert pool.stage.scale(64) == 1
        assert pool.stage.scale(64) == 4
        assert (pool.stage.size, len(pool.stage.workers)) == (4, 4)

    # then that was reported once, and the pool can be scaled further
    messages = [event.message for event in pool.events if event.kind is EventKind.SCALED]
    assert messages == ["only 4 of 64 price workers could be started: the system has no thread left"]
    pool.stage.scale(6)
    assert len(pool.stage.workers) == 6
    pool.stage.scale(1)
    eventually(lambda: len(pool.stage.workers) == 1)
    pool.stage.shutdown_now()
    assert pool.stage.join(60)
