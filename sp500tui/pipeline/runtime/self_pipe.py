"""A self-pipe: wakes a sleeping thread, even from a signal handler, where locks cannot be used."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable

from sp500tui.pipeline.core.service_thread import ServiceThread


class SelfPipe:
    """Wakes one sleeping thread; a notification is kept until the thread has woken."""

    def __init__(self) -> None:
        self._read_end, self._write_end = socket.socketpair()
        self._read_end.setblocking(False)
        self._write_end.setblocking(False)

    def notify(self) -> None:
        """Wake the sleeping thread; never blocks, and is safe in signal handlers and from any thread."""
        try:
            self._write_end.send(b"\0")
        except OSError:
            return  # the buffer is full of notifications, or the pipe is closed

    def notify_on_signals(self) -> int:
        """Notify at each signal, whichever thread receives it; returns the former `signal.set_wakeup_fd`."""
        return signal.set_wakeup_fd(self._write_end.fileno(), warn_on_full_buffer=False)

    def notify_after(self, wait: Callable[[], object]) -> None:
        """Call `wait` on a new thread, and notify once it has returned."""

        def step() -> None:
            wait()
            self.notify()

        # Retried without limit: the main thread sleeps until then.
        ServiceThread("wakeup", step).start()

    def fileno(self) -> int:
        """A descriptor that is readable while a notification is pending."""
        return self._read_end.fileno()

    def sleep(self, seconds: float | None) -> None:
        """Sleep until notified, at most `seconds`; None sets no limit."""
        select.select([self._read_end], [], [], seconds)
        try:
            while self._read_end.recv(4096):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close the pipe; later notifications have no effect."""
        self._write_end.close()
        self._read_end.close()
