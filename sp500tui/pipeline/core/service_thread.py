"""Threads that retry or report failed steps. Every thread of the program is one of these."""

from __future__ import annotations

import logging
import math
import random
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)

_MAX_BACKOFF = 30.0
FOREVER = math.inf
"""Returned by a step to sleep until `ServiceThread.wake`."""


def restart_delay(failures: int, jitter: float) -> float:
    """Seconds before attempt number `failures` + 1, full jitter: 0 to 0.1·2ⁿ, at most 30."""
    return float(jitter * min(_MAX_BACKOFF, 0.1 * 2 ** min(failures, 16)))


class ServiceThread:
    """A daemon thread that calls `step` repeatedly.

    `step` returns the seconds until its next call, `FOREVER` to wait for `wake`, or None to end the thread. An
    exception is logged with its traceback and counted, and the step is repeated after a back-off. After `attempts`
    failures in a row `on_failure` is called with the last exception and the thread ends. `on_exit` is called last,
    however the thread ends.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float | None],
        *,
        attempts: int | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
        on_exit: Callable[[], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`attempts`: see the attribute."""
        self.name = name
        self.failures = 0
        """Failures of the step since the start."""
        self.last_error = ""
        self.attempts = attempts
        """Limit of failures in a row; None for no limit. May change while the thread runs."""
        self._step = step
        self._on_failure = on_failure
        self._on_exit = on_exit
        self.jitter = jitter
        """Random numbers from 0 to 1 for the back-off."""
        self._changed = threading.Condition()
        self._starting = threading.Lock()
        self._stopping = False
        self._woken = False
        self._in_a_row = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: it was started before, or the system cannot start another thread.
        """
        self._thread.start()

    def ensure_started(self) -> None:
        """Start the thread unless it was started before. Any thread may call this.

        Raises:
            RuntimeError: the system cannot start another thread.
        """
        with self._starting:
            if not self.started:
                self.start()

    def wake(self) -> None:
        """Call the next step now, after one that is running. Does not shorten a back-off."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread after the running step, and its waits and back-offs now. Does not block."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended; False after `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    @property
    def woken(self) -> bool:
        """Whether `wake` or `stop` was called since the running step began."""
        return self._woken or self._stopping

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._thread.ident is not None

    @property
    def native_id(self) -> int:
        """The native thread id; 0 before the start."""
        return self._thread.native_id or 0

    def wait(self, seconds: float) -> bool:
        """Sleep inside a step; returns True, early, if the thread is to stop."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopping, _limit(seconds))

    def sleep(self, seconds: float) -> None:
        """Sleep inside a step until `wake` or `stop` is called, at most `seconds`."""
        self._sleep(seconds)
        self._woken = False

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._woken = False
                try:
                    due = self._step()
                except BaseException as error:  # noqa: BLE001  # SystemExit would end a thread silently
                    if not self._survives(error):
                        return
                else:
                    self._in_a_row = 0
                    if due is None:
                        return
                    if due > 0:
                        self._sleep(due)
        finally:
            self._call(self._on_exit)

    def _survives(self, error: BaseException) -> bool:
        """Log and count a failure and wait for the back-off; False if it was the last attempt."""
        self._in_a_row += 1
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"
        last = self.attempts is not None and self._in_a_row >= self.attempts
        delay = 0.0 if last else restart_delay(self._in_a_row, self.jitter())
        what = "no further attempt" if last else f"next attempt in {delay:.1f} s"
        _log.error(
            "%s failed (%d in a row): %s; %s",
            self.name,
            self._in_a_row,
            self.last_error,
            what,
            exc_info=error,
        )
        if not last:
            self.wait(delay)
        else:
            on_failure = self._on_failure
            self._call(on_failure and (lambda: on_failure(error)))
        return not last

    def _call(self, callback: Callable[[], None] | None) -> None:
        try:
            if callback is not None:
                callback()
        except Exception as error:  # noqa: BLE001  # a callback must not affect the end of the thread
            _log.error("%s: a callback failed: %s", self.name, error, exc_info=error)

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._woken, _limit(seconds))


def _limit(seconds: float) -> float | None:
    return None if seconds == FOREVER else max(0.0, seconds)
