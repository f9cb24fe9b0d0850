"""A pseudo-terminal: a thread reads the program's output, and a test types into it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import termios
import threading


class PseudoTerminal:
    """A pair of descriptors: the program's and the test's. A thread reads the latter, so the program never blocks."""

    KEPT = 100_000
    """Number of newest bytes of output kept."""

    def __init__(self, lines: int = 40, columns: int = 120) -> None:
        self.output = bytearray()
        self._own_side, self.program_side = pty.openpty()
        self.resize(lines, columns)
        self._reader = threading.Thread(target=self._drain, name="pseudo-terminal", daemon=True)
        self._reader.start()

    def resize(self, lines: int, columns: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self._own_side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def send(self, data: bytes) -> None:
        """Type bytes; they are dropped if the program has ended."""
        with contextlib.suppress(OSError):
            os.write(self._own_side, data)

    def close(self) -> None:
        """Close both sides."""
        os.close(self.program_side)
        self._reader.join(10)
        os.close(self._own_side)

    def _drain(self) -> None:
        # Linux reports EIO once the last descriptor of the program's side is closed; other systems report the end.
        with contextlib.suppress(OSError):
            while data := os.read(self._own_side, 65_536):
                self.output += data
                del self.output[: -self.KEPT]
