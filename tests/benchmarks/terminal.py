"""A program in a real pseudo-terminal: the time and content of its output, its bytes and its cost."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

import psutil

from sp500tui.closable import Closable
from tests.benchmarks.rig import ROOT, child_environment

WIDTH, HEIGHT = 160, 48
_TAIL = 1 << 16


class Terminal(Closable):
    """Python with these arguments in a terminal of 160x48 cells. Its output is read, counted and forgotten."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=child_environment({"TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.received = 0
        """Bytes of output so far."""
        self._tail = b""

    def read(self, seconds: float, until: Callable[[bytes], bool] | None = None) -> bool:
        """Read its output for a time, or until the end of the output satisfies `until`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                break
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return False
            self.received += len(data)
            self._tail = (self._tail + data)[-_TAIL:]
            if until is not None and until(self._tail):
                return True
        return until is None

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._master, keys.encode())

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def tail(self) -> str:
        """The end of its output, for messages."""
        return self._tail[-600:].decode(errors="replace")

    def close(self, timeout: float = 5.0) -> None:
        """Wait for its end while reading its output; kill it after a timeout."""
        if self._master < 0:
            return
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.05)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        self._master = -1
