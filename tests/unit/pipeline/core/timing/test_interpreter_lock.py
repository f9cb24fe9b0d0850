"""The gauge of the interpreter lock: its counts and its sampling, and the detection of a computing thread."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sp500tui.pipeline.core.events import EventLog
from sp500tui.pipeline.core.timing.interpreter_lock import (
    HELD_FROM,
    LockAccount,
    LockGauge,
    WorkWatch,
    has_lock,
)
from sp500tui.pipeline.core.timing.second_history import SecondHistory
from sp500tui.pipeline.core.timing.second_sample import LockSecond
from tests.support.waiting import FakeClock

needs_lock = pytest.mark.skipif(not has_lock(), reason="this interpreter has no lock")


def test_a_second_has_the_share_of_its_samples_that_found_the_lock_held() -> None:
    # given a second of a program that uses half a core, with four samples, and one without
    clock, cpu = FakeClock(), FakeClock()
    account = LockAccount(clock)
    history = SecondHistory({}, {}, None, EventLog(clock), clock=clock, cpu_clock=cpu, lock=account)
    for wait in (0.0, 0.002, 0.006, HELD_FROM / 2):
        account.record(wait)
    clock.now += 2.0
    cpu.now += 1.0
    # when both are over
    first, second = (sample.interpreter_lock for sample in history.since(0)[1])
    # then the first is measured, and the processor time is the limit of the other
    assert first is not None
    assert (first.samples, first.held, first.longest) == (4, 0.5, 0.006)
    assert first.wait == pytest.approx(0.002)
    assert second == LockSecond(held=0.5)


def test_without_a_lock_there_are_no_figures() -> None:
    clock = FakeClock()
    history = SecondHistory({}, {}, None, EventLog(clock), clock=clock)
    clock.now += 1.0
    assert [sample.interpreter_lock for sample in history.since(0)[1]] == [None]


def test_an_interpreter_without_the_lock_is_not_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    gauge = LockGauge()
    gauge.start()
    assert not gauge.thread.started
    gauge.close()


def test_the_program_is_quiet_after_five_seconds_without_work_and_no_longer_once_it_works() -> None:
    clock, cpu = FakeClock(), FakeClock()
    watch = WorkWatch(clock, cpu)
    quiet: list[bool] = []
    for used in (0.2, 0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 0.1, 0.0):
        clock.now += 1.0
        cpu.now += used
        quiet.append(watch.is_quiet())
    assert quiet == [False, False, False, False, False, True, True, False, False]


@pytest.mark.thorough
@needs_lock
@pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(), reason="waits for a processor are not known"
)
def test_a_thread_that_computes_holds_the_lock_and_one_that_sleeps_does_not() -> None:
    def computing(ended: threading.Event) -> None:
        while not ended.is_set():
            sum(range(1000))

    def sleeping(ended: threading.Event) -> None:
        ended.wait()

    # the difference is measured, not either value: other tests of this process may run threads too
    assert held_beside(computing) > held_beside(sleeping) + 0.3


def held_beside(work: Callable[[threading.Event], None]) -> float:
    """The share of thirty samples that find the lock held while a thread works."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,))
    thread.start()
    counted = held = 0
    try:
        # With a clock that always advances, the gauge takes the program for busy and does not pause.
        with LockGauge(cpu_clock=time.monotonic) as gauge:
            gauge.start()
            deadline = time.monotonic() + 60.0
            while counted < 30 and time.monotonic() < deadline:
                for _, bucket in gauge.account.collect(int(time.monotonic()) + 1):
                    counted, held = counted + bucket.samples, held + bucket.held
                ended.wait(0.2)
    finally:
        ended.set()
        thread.join()
    assert counted >= 30
    return held / counted
