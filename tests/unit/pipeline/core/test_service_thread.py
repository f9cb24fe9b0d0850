"""A service thread: due times, wake-ups, failures and the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from sp500tui.pipeline.core.service_thread import FOREVER, ServiceThread, restart_delay

TIMEOUT = 30.0


@pytest.fixture
def threads() -> Iterator[Callable[..., ServiceThread]]:
    """Creates service threads without jitter, and ends them."""
    made: list[ServiceThread] = []

    def make(step: Callable[[], float | None], **options: object) -> ServiceThread:
        thread = ServiceThread("service", step, **{"jitter": lambda: 0.0, **options})  # type: ignore[arg-type]
        made.append(thread)
        return thread

    yield make
    for thread in made:
        thread.stop()
        assert thread.join(TIMEOUT)


@pytest.mark.parametrize(("failures", "longest"), [(1, 0.2), (4, 1.6), (9, 30.0), (10_000, 30.0)])
def test_the_back_off_doubles_up_to_thirty_seconds(failures: int, longest: float) -> None:
    assert restart_delay(failures, 1.0) == pytest.approx(longest)
    assert restart_delay(failures, 0.0) == 0.0


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), MemoryError(), RecursionError()])
def test_a_step_that_raises_is_logged_counted_and_repeated(
    threads: Callable[..., ServiceThread], caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    # Given a step that fails twice, then succeeds
    calls = iter([error, error])
    succeeded = threading.Event()

    def step() -> float:
        for failure in calls:
            raise failure
        succeeded.set()
        return FOREVER

    thread = threads(step)

    # When it runs
    with caplog.at_level(logging.ERROR):
        thread.start()
        assert succeeded.wait(TIMEOUT)

    # Then both failures are counted and logged with the traceback, and the thread continues
    assert thread.failures == 2
    assert thread.is_alive()
    records = [record for record in caplog.records if "service failed" in record.getMessage()]
    assert [record.exc_info[1] for record in records if record.exc_info] == [error, error]


def test_the_thread_ends_after_the_given_failures_in_a_row(threads: Callable[..., ServiceThread]) -> None:
    # Given a step that succeeds once between failures
    outcomes = iter([ValueError("a"), None, ValueError("b"), ValueError("c")])
    abandoned: list[BaseException] = []

    def step() -> float:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome
        return 0.0

    ended = threading.Event()
    thread = threads(step, attempts=2, on_failure=abandoned.append, on_exit=ended.set)

    # When it runs
    thread.start()

    # Then only two consecutive failures end it
    assert ended.wait(TIMEOUT)
    assert thread.join(TIMEOUT)
    assert [str(error) for error in abandoned] == ["c"]
    assert thread.failures == 3


def test_a_failing_on_failure_callback_does_not_keep_the_thread_from_ending(
    threads: Callable[..., ServiceThread], caplog: pytest.LogCaptureFixture
) -> None:
    def step() -> float:
        raise ValueError("first")

    def on_failure(_: BaseException) -> None:
        raise OSError("second")

    ended = threading.Event()
    thread = threads(step, attempts=1, on_failure=on_failure, on_exit=ended.set)
    thread.start()
    assert ended.wait(TIMEOUT)
    assert thread.join(TIMEOUT)
    assert "second" in caplog.text


def test_stop_ends_a_back_off(threads: Callable[..., ServiceThread]) -> None:
    failed = threading.Event()

    def step() -> float:
        failed.set()
        raise ValueError

    thread = threads(step, jitter=lambda: 1e6)
    thread.start()
    assert failed.wait(TIMEOUT)
    thread.stop()
    assert thread.join(TIMEOUT)


def test_wake_ends_a_wait_and_repeats_a_running_step(
    threads: Callable[..., ServiceThread],
) -> None:
    # Given a thread that is blocked in its first step
    rounds = threading.Semaphore(0)
    go_on = threading.Semaphore(0)

    def step() -> float:
        rounds.release()
        go_on.acquire()
        return FOREVER

    thread = threads(step)
    thread.start()
    assert rounds.acquire(timeout=TIMEOUT)

    # When it is woken during a step, then another step follows
    thread.wake()
    go_on.release()
    assert rounds.acquire(timeout=TIMEOUT)

    # When it is woken while it waits, then another step follows too
    go_on.release()
    thread.wake()
    assert rounds.acquire(timeout=TIMEOUT)
    go_on.release()


def test_a_step_that_returns_none_ends_the_thread(threads: Callable[..., ServiceThread]) -> None:
    ended = threading.Event()
    thread = threads(lambda: None, on_exit=ended.set)
    assert not thread.started
    assert thread.join(0.0)
    thread.start()
    assert ended.wait(TIMEOUT)
    assert thread.join(TIMEOUT)
    assert thread.started


def test_stop_ends_a_wait_inside_a_step(threads: Callable[..., ServiceThread]) -> None:
    waits = threading.Event()
    answers: list[bool] = []

    def step() -> float:
        waits.set()
        answers.append(thread.wait(FOREVER))
        return 0.0

    thread = threads(step)
    thread.start()
    assert waits.wait(TIMEOUT)
    thread.stop()
    assert thread.join(TIMEOUT)
    assert answers == [True]


def test_two_that_need_the_thread_start_it_once(
    threads: Callable[..., ServiceThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a system that takes its time to start a thread
    thread = threads(lambda: FOREVER)
    starts: list[str] = []
    both = threading.Barrier(2)
    start = threading.Thread.start

    def slow(self: threading.Thread) -> None:
        if self.name == "service":
            starts.append(self.name)
            with suppress(threading.BrokenBarrierError):
                both.wait(0.2)  # both threads get here only if both start it
        start(self)

    monkeypatch.setattr(threading.Thread, "start", slow)
    # when two need it at the same moment
    needing = [threading.Thread(target=thread.ensure_started) for _ in range(2)]
    for each in needing:
        each.start()
    for each in needing:
        each.join(TIMEOUT)
    # then it was started once
    assert starts == ["service"]
    assert thread.is_alive()
