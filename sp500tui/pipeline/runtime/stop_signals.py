"""Signals that end the program: received without interrupting a run, or raised as exceptions in a one-shot command."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST_RAISED = 2
"""Signals that are raised as exceptions; one more ends the process at once, whatever is being cleaned up."""


class StoppedBySignal(KeyboardInterrupt):  # no error, like KeyboardInterrupt itself
    """A signal has ended a one-shot command; raised in the main thread."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number
        """The first one that came."""


class StopSignals:
    """Keeps the stop signals that arrive while it is entered, and wakes who waits for them.

    Where it is entered on another thread than the main one, which alone receives signals, none arrive. A SIGHUP that
    `nohup` has switched off stays off.
    """

    def __init__(self) -> None:
        # A one-shot command has no use for it.
        from sp500tui.pipeline.runtime.self_pipe import SelfPipe

        self.first: signal.Signals | None = None
        """The first one that arrived; it decides the exit code."""
        self._bell = SelfPipe()
        self._pending: deque[int] = deque()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._before = _install(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _restore(self._before)
        self._bell.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # Nothing more: a handler runs between any two steps of the main thread, which may hold a lock.
        self.first = self.first or signal.Signals(number)
        self._pending.append(number)
        self._bell.ring()

    def take(self) -> signal.Signals | None:
        """The oldest signal that has not been taken yet; None when there is none."""
        if not self._pending:
            return None
        return signal.Signals(self._pending.popleft())

    def fileno(self) -> int:
        """A descriptor that is readable once a signal has arrived, until `sleep` returns."""
        return self._bell.fileno()

    def wake_after(self, wait: Callable[[], object]) -> None:
        """End the present or the next `sleep` once `wait` has returned."""
        self._bell.ring_after(wait)

    def sleep(self, seconds: float | None) -> None:
        """Sleep until a signal arrives, at most so many seconds; None sets no limit."""
        self._bell.sleep(seconds)


@contextmanager
def raised_signals() -> Iterator[None]:
    """Raise `StoppedBySignal` at the first two stop signals, and end the process at the third."""
    raised: list[signal.Signals] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        raised.append(signal.Signals(number))
        if len(raised) > _MOST_RAISED:
            os._exit(signal_code(raised[0]))
        raise StoppedBySignal(raised[0])

    before = _install(stop)
    try:
        yield
    finally:
        _restore(before)


def signal_code(number: signal.Signals) -> int:
    """The exit code after a stop signal: 130 after SIGINT, 143 after SIGTERM and SIGHUP."""
    return 128 + (signal.SIGINT if number is signal.SIGINT else signal.SIGTERM)


def exit_at_once(code: int) -> None:
    """End this process without waiting for threads that do not end."""
    from sp500tui.logs import setup as logs

    if (configuration := logs.current()) is not None:
        configuration.close()
    os._exit(code)


def _install(handler: Callable[[int, FrameType | None], None]) -> dict[int, object]:
    """Handle the stop signals; returns the handlers of before."""
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
