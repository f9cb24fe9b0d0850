"""Lets a thread sleep until something happens; may be rung from a signal handler, which no lock allows."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from sp500tui.pipeline.core.service_thread import ServiceThread


class SelfPipe:
    """A bell that stays rung until the sleeper has woken."""

    def __init__(self) -> None:
        self._hears, self._rings = socket.socketpair()
        self._hears.setblocking(False)
        self._rings.setblocking(False)

    def ring(self) -> None:
        """Wake the sleeper; never blocks and is safe in a signal handler and from any thread."""
        try:
            self._rings.send(b"\0")
        except OSError:
            return  # rung so often that the buffer is full, or nobody listens any more

    def ring_after(self, wait: Callable[[], object]) -> None:
        """Ring once `wait` has returned, which happens on a thread of its own."""

        def step() -> None:
            wait()
            self.ring()

        # Tried again without end: the main thread sleeps until then.
        ServiceThread("wakeup", step).start()

    def fileno(self) -> int:
        """A descriptor that is readable while the bell is rung."""
        return self._hears.fileno()

    def sleep(self, seconds: float | None) -> None:
        """Sleep until the bell rings, at most so many seconds; None sets no limit."""
        select.select([self._hears], [], [], seconds)
        try:
            while self._hears.recv(4096):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Take the bell away; a later ring does nothing."""
        self._rings.close()
        self._hears.close()
