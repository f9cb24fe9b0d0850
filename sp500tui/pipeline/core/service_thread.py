"""Threads that outlive the exceptions of their work, or report them: every thread of the program is one of these."""

from __future__ import annotations

import logging
import math
import random
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)

_MAX_BACKOFF = 30.0
FOREVER = math.inf
"""What a step returns to sleep until `ServiceThread.wake`."""


def restart_delay(failures: int, jitter: float) -> float:
    """Seconds before attempt number `failures` + 1, full jitter: 0 to 0.1·2ⁿ, at most 30."""
    return float(jitter * min(_MAX_BACKOFF, 0.1 * 2 ** min(failures, 16)))


class ServiceThread:
    """Calls `step` again and again in a daemon thread of its own.

    `step` returns after how many seconds it is due again, `FOREVER` to wait for `wake`, or None when its work is
    done. Whatever it raises is logged with its traceback and counted, and the step is repeated after a back-off. After
    `attempts` failures in a row `give_up` is called with the last exception and the thread ends. `finished` is
    called last, however the thread ends.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float | None],
        *,
        attempts: int | None = None,
        give_up: Callable[[BaseException], None] | None = None,
        finished: Callable[[], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`attempts`: see the attribute."""
        self.name = name
        self.failures = 0
        """How often the step has failed since the start."""
        self.last_error = ""
        self.attempts = attempts
        """How often in a row the step may fail; None to repeat it without end. May change while the thread runs."""
        self._step = step
        self._give_up = give_up
        self._finished = finished
        self._jitter = jitter
        self._changed = threading.Condition()
        self._stopping = False
        self._woken = False
        self._in_a_row = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: it was started before, or the system has no room for another thread.
        """
        self._thread.start()

    def wake(self) -> None:
        """Make the next step due now; one that is running is followed by another. Does not shorten a back-off."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread after the step that is running, and cut waits and back-offs short. Returns at once."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended; False when `timeout` seconds passed first."""
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
        """The system's number of the thread; 0 before the start."""
        return self._thread.native_id or 0

    def wait(self, seconds: float) -> bool:
        """Sleep inside a step; True, and early, when the thread is to stop."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopping, _limit(seconds))

    def rest(self, seconds: float) -> None:
        """Sleep inside a step until `wake` or `stop` is called, at most so many seconds."""
        self._sleep(seconds)
        self._woken = False

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._woken = False
                try:
                    due = self._step()
                except BaseException as error:  # noqa: BLE001  # SystemExit would end a thread without a word
                    if not self._survives(error):
                        return
                else:
                    self._in_a_row = 0
                    if due is None:
                        return
                    if due > 0:
                        self._sleep(due)
        finally:
            self._report(self._finished)

    def _survives(self, error: BaseException) -> bool:
        """Log and count a failure; whether the step is to be tried again, after the back-off."""
        self._in_a_row += 1
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"
        last = self.attempts is not None and self._in_a_row >= self.attempts
        delay = 0.0 if last else restart_delay(self._in_a_row, self._jitter())
        what = "given up" if last else f"next attempt in {delay:.1f} s"
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
            give_up = self._give_up
            self._report(give_up and (lambda: give_up(error)))
        return not last

    def _report(self, callback: Callable[[], None] | None) -> None:
        try:
            if callback is not None:
                callback()
        except Exception as error:  # noqa: BLE001  # the thread's end must not depend on who hears of it
            _log.error("%s could not report its end: %s", self.name, error, exc_info=error)

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._woken, _limit(seconds))


def _limit(seconds: float) -> float | None:
    return None if seconds == FOREVER else max(0.0, seconds)
