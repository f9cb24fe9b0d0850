"""The signals that end the program: kept for a run, raised in a one-shot command; and an unattended stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.runtime import stop_signals
from sp500tui.pipeline.runtime.stop_signals import (
    STOP_SIGNALS,
    StoppedBySignal,
    StopSignals,
    deferred_signals,
    raised_signals,
    reset_inherited_signals,
    signal_code,
)
from sp500tui.pipeline.runtime.unattended_stop import stop_unattended
from tests.support.pipeline.fake_run import FakeRun


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        signal.raise_signal(number)


class TestKept:
    def test_they_are_taken_in_their_order_and_the_first_is_remembered(self) -> None:
        with StopSignals() as signals:
            send(SIGTERM, SIGINT, SIGHUP)
            assert [signals.take() for _ in range(4)] == [SIGTERM, SIGINT, SIGHUP, None]
            assert signals.first is SIGTERM

    def test_one_that_came_before_the_sleep_ends_it(self) -> None:
        with StopSignals() as signals:
            send(SIGINT)
            signals.sleep(None)
            assert signals.take() is SIGINT

    def test_before_a_run_the_first_is_raised_and_the_others_are_queued(self) -> None:
        with StopSignals() as signals:
            with pytest.raises(StoppedBySignal) as stopped, signals.raised():
                send(SIGTERM)
            send(SIGINT)
            assert (stopped.value.number, signals.first, signals.take()) == (SIGTERM, SIGTERM, SIGINT)
            with pytest.raises(StoppedBySignal), signals.raised():
                raise AssertionError("it had been stopped")

    def test_the_previous_handlers_are_restored(self) -> None:
        before = [signal.getsignal(number) for number in STOP_SIGNALS]
        with StopSignals():
            assert [signal.getsignal(number) for number in STOP_SIGNALS] != before
        assert [signal.getsignal(number) for number in STOP_SIGNALS] == before

    def test_on_another_thread_it_changes_nothing(self) -> None:
        before = [signal.getsignal(number) for number in STOP_SIGNALS]
        seen: list[object] = []

        def enter() -> None:
            with StopSignals():
                seen.extend(signal.getsignal(number) for number in STOP_SIGNALS)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        assert seen == before

    @pytest.mark.processes
    def test_the_third_exits_the_process_where_the_main_thread_is_blocked(self) -> None:
        """As by a stopped terminal; Python resumes the write after each signal."""
        program = (
            "import os, signal, threading, time\n"
            "from sp500tui.pipeline.runtime import stop_signals\n"
            "stop_signals._BLOCKED_AFTER = 0.1\n"
            "def send():\n"
            "    while True:\n"
            "        time.sleep(0.2)\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "with stop_signals.StopSignals(exit_when_blocked=True):\n"
            "    threading.Thread(target=send, daemon=True).start()\n"
            "    _, pipe = os.pipe()\n"
            "    while True:\n"
            "        os.write(pipe, bytes(1 << 20))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
        assert done.returncode == 143

    def test_those_that_are_taken_exit_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exits: list[int] = []
        monkeypatch.setattr(os, "_exit", exits.append)
        monkeypatch.setattr(stop_signals, "_BLOCKED_AFTER", -1.0)
        with StopSignals(exit_when_blocked=True) as signals:
            for _ in range(5):
                send(SIGINT)
                assert signals.take() is SIGINT
            send(SIGINT, SIGINT)
            assert exits == []
            send(SIGTERM)
        assert exits == [130]


class TestRaised:
    @pytest.mark.parametrize(("number", "code"), [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 143)])
    def test_each_is_raised_and_has_its_exit_code(self, number: signal.Signals, code: int) -> None:
        with raised_signals(), pytest.raises(StoppedBySignal) as stopped:
            send(number)
        assert signal_code(stopped.value.number) == code

    def test_one_during_the_clean_up_is_raised_too_and_the_first_gives_the_code(self) -> None:
        cleaned = []

        def command() -> None:
            try:
                try:
                    send(SIGTERM)
                finally:
                    send(SIGINT)
            finally:
                cleaned.append(True)

        with raised_signals(), pytest.raises(StoppedBySignal) as stopped:
            command()
        assert stopped.value.number is SIGTERM
        assert cleaned == [True]

    @pytest.mark.processes
    def test_the_third_ends_the_process_whatever_is_cleaned_up(self) -> None:
        program = (
            "import os, signal\n"
            "from sp500tui.pipeline.runtime.stop_signals import raised_signals\n"
            "with raised_signals():\n"
            "    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):\n"
            "        try:\n"
            "            os.kill(os.getpid(), number)\n"
            "        except KeyboardInterrupt:\n"
            "            pass\n"
            "    print('still here', flush=True)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (143, "")

    def test_signals_after_the_end_of_the_program_do_not_replace_its_exit_code(self) -> None:
        before = [signal.getsignal(number) for number in STOP_SIGNALS]
        try:
            with raised_signals(exiting=True):
                pass
            send(SIGHUP, SIGTERM, SIGINT)
        finally:
            for number, handler in zip(STOP_SIGNALS, before, strict=True):
                signal.signal(number, handler)

    def test_one_while_a_child_starts_is_raised_once_the_child_is_known(self) -> None:
        children = []

        def start() -> str:
            send(SIGTERM)
            return "child"

        with raised_signals(), pytest.raises(StoppedBySignal) as stopped, deferred_signals():
            children.append(start())
        assert stopped.value.number is SIGTERM
        assert children == ["child"]

    def test_none_of_several_deferred_ones_is_lost(self) -> None:
        handled: list[int] = []

        def handle(number: int, _frame: object) -> None:
            handled.append(number)
            raise InterruptedError

        before = {number: signal.signal(number, handle) for number in (SIGTERM, SIGHUP)}
        try:
            with pytest.raises(InterruptedError), deferred_signals():
                send(SIGTERM, SIGHUP)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        assert sorted(handled) == [SIGHUP, SIGTERM]

    def test_a_hangup_that_was_switched_off_stays_off(self) -> None:
        before = signal.signal(SIGHUP, signal.SIG_IGN)
        try:
            with raised_signals():
                send(SIGHUP)
        finally:
            signal.signal(SIGHUP, before)


class TestUnattended:
    @pytest.mark.parametrize("ends_at", [ShutdownLevel.DRAIN, ShutdownLevel.SPOOL, ShutdownLevel.KILL])
    def test_the_shutdown_escalates_as_far_as_needed(
        self, ends_at: ShutdownLevel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for limit in ("SPOOL_LIMIT", "KILL_LIMIT"):
            monkeypatch.setattr(f"sp500tui.pipeline.runtime.unattended_stop.{limit}", 0.02)
        run = FakeRun(ends_at=ends_at)
        with StopSignals() as signals:
            assert stop_unattended(run, 0.0, signals)
        assert run.steps == [step for step in ShutdownLevel if ShutdownLevel.NONE < step <= ends_at]

    def test_a_run_that_never_ends_is_abandoned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for limit in ("SPOOL_LIMIT", "KILL_LIMIT"):
            monkeypatch.setattr(f"sp500tui.pipeline.runtime.unattended_stop.{limit}", 0.02)
        run = FakeRun(ends_at=ShutdownLevel.KILL)
        monkeypatch.setattr(run, "stop", run.steps.append)
        with StopSignals() as signals:
            assert not stop_unattended(run, 0.0, signals)
        run.over.set()

    def test_a_run_that_was_killed_already_is_not_waited_for_again(self) -> None:
        run = FakeRun(ends_at=ShutdownLevel.KILL)
        with StopSignals() as signals:
            assert not stop_unattended(run, 30.0, signals, ShutdownLevel.KILL)
        assert run.steps == []
        run.over.set()

    def test_each_signal_escalates_the_shutdown(self) -> None:
        run = FakeRun(ends_at=ShutdownLevel.KILL)
        with StopSignals() as signals:
            send(SIGTERM, SIGTERM)
            assert stop_unattended(run, 600.0, signals)
        assert run.steps == [ShutdownLevel.DRAIN, ShutdownLevel.SPOOL, ShutdownLevel.KILL]

    def test_a_level_that_was_reached_is_not_repeated(self) -> None:
        run = FakeRun(ends_at=ShutdownLevel.SPOOL)
        with StopSignals() as signals:
            assert stop_unattended(run, 0.0, signals, ShutdownLevel.DRAIN)
        assert run.steps == [ShutdownLevel.SPOOL]


def test_a_signal_that_another_thread_receives_ends_the_sleep() -> None:
    """Given a main thread that sleeps without limit, as the system may choose any thread for a signal."""
    with StopSignals() as signals:
        sender = threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
        started = time.monotonic()
        sender.start()
        signals.sleep(60)
        sender.join()
        assert time.monotonic() - started < 30
        assert signals.take() is signal.SIGTERM


def test_what_a_parent_process_blocks_or_ignores_is_undone() -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    children = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        reset_inherited_signals()
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {*STOP_SIGNALS}
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGCHLD, children)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
