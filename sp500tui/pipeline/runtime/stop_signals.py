"""Signals that stop the program: queued for a run, or raised as exceptions in a one-shot command."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType
from typing import Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MAX_RAISED = 2
"""Signals raised as exceptions; the next one ends the process, even during clean-up."""
_BLOCKED_AFTER = 2.0
"""Seconds for which a signal may be queued before the main thread counts as blocked."""


class StoppedBySignal(KeyboardInterrupt):  # not an error, like KeyboardInterrupt itself
    """A one-shot command was stopped by a signal; raised in the main thread."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number
        """The first signal received."""


class StopSignals:
    """Queues the stop signals received inside the `with` block, and wakes `sleep`.

    Only the main thread receives signals; on another thread none arrive. A SIGHUP ignored by `nohup` stays ignored.
    """

    def __init__(self, *, exit_when_blocked: bool = False) -> None:
        """`exit_when_blocked`: the third signal exits the process if the main thread has not processed the others.

        A write to a stopped terminal blocks it indefinitely.
        """
        # Imported here: a one-shot command does not need it.
        from sp500tui.pipeline.runtime.self_pipe import SelfPipe

        self.first: signal.Signals | None = None
        """The first signal received; it determines the exit code."""
        self._pipe = SelfPipe()
        self._pending: deque[int] = deque()
        self._pending_since = 0.0
        """Monotonic time at which the oldest queued signal arrived or its predecessor was removed."""
        self._exit_when_blocked = exit_when_blocked
        self._raises = False
        """Whether the first signal is raised in the main thread instead of being queued."""
        self._before: dict[int, object] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        self._before = _install(self._on_signal)
        if self._before:
            # The system may deliver a signal to another thread, which does not interrupt a wait of the main thread.
            self._wakeup_before = self._pipe.notify_on_signals()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _restore(self._before)
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
        self._pipe.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # No locks here: a handler runs between any two instructions of the main thread, which may hold one.
        self.first = self.first or signal.Signals(number)
        if self._raises:
            self._raises = False
            raise StoppedBySignal(self.first)
        now = time.monotonic()
        self._pending_since = self._pending_since if self._pending else now
        if self._exit_when_blocked and len(self._pending) > 1 and now - self._pending_since > _BLOCKED_AFTER:
            os._exit(signal_code(self.first))
        self._pending.append(number)
        self._pipe.notify()

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raise the first signal as `StoppedBySignal` instead of queueing it, for steps that may wait before a run."""
        self._raises = True
        try:
            if self.first is not None:
                raise StoppedBySignal(self.first)
            yield
        finally:
            self._raises = False

    def take(self) -> signal.Signals | None:
        """Remove and return the oldest queued signal; None when there is none."""
        if not self._pending:
            return None
        self._pending_since = time.monotonic()
        return signal.Signals(self._pending.popleft())

    def fileno(self) -> int:
        """A descriptor that is readable from the arrival of a signal until `sleep` returns."""
        return self._pipe.fileno()

    def wake_after(self, wait: Callable[[], object]) -> None:
        """End the current or next `sleep` once `wait` has returned."""
        self._pipe.notify_after(wait)

    def sleep(self, seconds: float | None) -> None:
        """Sleep until a signal arrives, at most `seconds`; None sets no limit."""
        self._pipe.sleep(seconds)


@contextmanager
def raised_signals(*, exiting: bool = False) -> Iterator[None]:
    """Raise `StoppedBySignal` on the first two stop signals, and exit the process on the third.

    The previous handlers are restored afterwards. With `exiting` the process is about to exit and ignores further
    stop signals, so that they do not replace its exit code.
    """
    raised: list[signal.Signals] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        raised.append(signal.Signals(number))
        if len(raised) > _MAX_RAISED:
            os._exit(signal_code(raised[0]))
        raise StoppedBySignal(raised[0])

    before = _install(stop)
    try:
        yield
    finally:
        _restore(dict.fromkeys(before, signal.SIG_IGN) if exiting else before)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Handle the stop signals received inside the `with` block after it.

    For a step that must not be interrupted before its result is assigned, such as the start of a child process.
    """
    received: list[int] = []
    before = _install(lambda number, _frame: received.append(number))
    try:
        yield
    finally:
        _restore(before)
        with ExitStack() as handled:
            # Including those after one whose handler raises.
            for number in reversed(received):
                handled.callback(signal.raise_signal, number)


def reset_inherited_signals() -> None:
    """Undo what a parent process may have set: blocked stop signals, and an ignored SIGCHLD, which hides exit codes."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, signal.SIGCHLD))
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def signal_code(number: signal.Signals) -> int:
    """The exit code after a stop signal: 130 after SIGINT, 143 after SIGTERM or SIGHUP."""
    return 128 + (signal.SIGINT if number is signal.SIGINT else signal.SIGTERM)


def exit_at_once(code: int) -> None:
    """Exit the process without waiting for its threads; flushes and closes the logs."""
    from sp500tui.logs import setup as logs

    if (configuration := logs.current()) is not None:
        configuration.close()
    os._exit(code)


def _install(handler: Callable[[int, FrameType | None], None]) -> dict[int, object]:
    """Install a handler for the stop signals; returns the previous handlers."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    hangup_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return {
        number: signal.signal(number, handler)
        for number in STOP_SIGNALS
        if not (number is signal.SIGHUP and hangup_ignored)
    }


def _restore(before: dict[int, object]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)  # type: ignore[arg-type]  # as `signal.signal` returned it
