"""Clocks of threads and processes, with and without the interfaces of Linux."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.accounting import StageAccounts, worker_account
from sp500tui.pipeline.core.timing.processor_clocks import (
    CpuClock,
    CpuMeter,
    has_thread_clocks,
    portable_process_clock,
    process_clock,
    thread_clock,
)
from tests.support.waiting import FakeClock, Wait

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the system has no such clocks")


@pytest.fixture(
    params=[pytest.param(True, marks=on_linux, id="clocks of threads"), pytest.param(False, id="none")]
)
def _clocks_of_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with the clocks of Linux, and as on macOS, where a thread can read only its own clock."""
    if not request.param:
        monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
    assert has_thread_clocks() is request.param


def compute(seconds: float) -> None:
    """Use the processor for a time."""
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        pass


def in_a_thread(work: Callable[[], None]) -> None:
    """Run work in a thread until it ends."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.usefixtures("_clocks_of_threads")
def test_the_clock_of_a_thread_counts_its_work_and_not_its_waiting() -> None:
    found: list[float] = []

    def work() -> None:
        clock = thread_clock()
        begin = clock()
        compute(0.05)
        found.append(clock() - begin)
        waiting = clock()
        threading.Event().wait(0.3)
        found.append(clock() - waiting)

    in_a_thread(work)
    worked, waited = found
    assert worked >= 0.05
    assert waited < worked / 2


@pytest.mark.usefixtures("_clocks_of_threads")
def test_the_processor_time_of_a_worker_is_known_to_other_threads() -> None:
    # given a worker that computes, then waits
    now, lock = FakeClock(), threading.Lock()
    accounts, account = StageAccounts(), worker_account("converter-1", lock, now)
    accounts.add(account)
    ready, go_on = threading.Event(), threading.Event()
    used: list[float] = []

    def work() -> None:
        clock = thread_clock()
        with lock:
            account.measure_cpu(clock)
            account.switch(WorkerState.BUSY)
        begin = time.thread_time()
        compute(0.2)
        with lock:
            account.switch(WorkerState.IDLE)
        used.append(time.thread_time() - begin)
        ready.set()
        go_on.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    # when another thread collects its seconds while it waits
    assert ready.wait(60)
    now.now += 1.0
    (workers,) = accounts.collect(101).values()
    go_on.set()
    thread.join(60)
    # then the time of its computation is counted
    assert workers["converter-1"].cpu == pytest.approx(used[0], abs=0.05)


@pytest.mark.usefixtures("_clocks_of_threads")
def test_a_thread_that_has_ended_uses_no_processor() -> None:
    clocks: list[CpuClock] = []
    meter = CpuMeter()

    def work() -> None:
        clocks.append(thread_clock())
        meter.use(clocks[0])
        compute(0.02)
        meter.use(None)

    in_a_thread(work)
    assert meter.take() >= 0.02
    assert meter.take() == 0.0


@pytest.mark.processes
@pytest.mark.parametrize("clock_of", [pytest.param(process_clock, marks=on_linux), portable_process_clock])
def test_the_clock_of_a_process_counts_its_work_until_it_exits(
    eventually: Wait, clock_of: Callable[[int], CpuClock]
) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        clock = clock_of(process.pid)
        begin = clock()
        eventually(lambda: clock() - begin > 0.05)
    finally:
        process.kill()
        process.wait()
    with pytest.raises(OSError, match=r"Invalid argument|No such process|no longer exists|not found"):
        clock()


def test_a_clock_that_is_gone_adds_nothing() -> None:
    times = iter([1.0, 1.5])

    def dies() -> float:
        try:
            return next(times)
        except StopIteration:
            raise ProcessLookupError from None

    meter = CpuMeter()
    meter.use(dies)
    assert meter.take() == 0.5
    assert meter.take() == 0.0
    meter.use(dies)
    assert meter.take() == 0.0


def test_processor_time_beyond_what_is_taken_is_left_for_the_next_call() -> None:
    now = 3.0
    meter = CpuMeter()
    meter.use(lambda: now)
    now = 5.5
    assert (meter.take(1.0), meter.take(1.0), meter.take(1.0), meter.take(1.0)) == (1.0, 1.0, 0.5, 0.0)
