"""The way to the terminal: one that does not read, or is gone, holds nobody up."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Any

from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from sp500tui.pipeline.service_thread import ServiceThread

_MOST_KEPT = 1 << 20
"""Characters that may wait for the terminal; when there are more, they are dropped for one full picture later."""
_MOUTHFUL = 4096
"""Bytes offered at once, as many as a terminal holds: what it has taken of more would be known only at the end."""
_FAREWELL = 1.0
"""Seconds that the terminal may take nothing of the last words before they are given up."""


class TerminalFile:
    """Hands text on to a file from a thread of its own: `write` neither waits nor fails.

    What cannot be written in time is dropped whole, never in the middle of a piece, and `caught_up` is called once
    the file takes text again. After an error everything is dropped: nobody looks any more.
    """

    def __init__(self, file: IO[str], caught_up: Callable[[], None], most_kept: int = _MOST_KEPT) -> None:
        self._file = file
        self._caught_up = caught_up
        self._most_kept = most_kept
        self._changed = threading.Condition()
        self._pieces: deque[str] = deque()
        self._kept = 0
        self._busy = False
        self._dropped = False
        self._gone = False
        self._written = 0
        """Bytes that the file has taken."""
        self._thread = ServiceThread("terminal", self._step)
        self._thread.start()

    def write(self, text: str) -> int:
        """Have `text` written soon."""
        with self._changed:
            if self._gone:
                return len(text)
            if self._kept + len(text) > self._most_kept and self._pieces:
                self._pieces.clear()
                self._kept = 0
                self._dropped = True
            self._pieces.append(text)
            self._kept += len(text)
            self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Nothing to do: nothing is held back."""

    def isatty(self) -> bool:
        """What the file says."""
        return self._file.isatty()

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def forget(self) -> None:
        """Drop what waits, but for a piece that is half written."""
        with self._changed:
            self._pieces.clear()
            self._kept = 0

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written; False when the file has taken nothing for `seconds`."""
        with self._changed:
            while not self._is_done():
                if not self._goes_on(self._written, seconds):
                    return False
        return True

    def _goes_on(self, written: int, seconds: float) -> bool:
        return self._changed.wait_for(lambda: self._is_done() or self._written != written, seconds)

    def _is_done(self) -> bool:
        return self._gone or not (self._pieces or self._busy)

    def _write_all(self, data: bytes) -> None:
        # Past the file's own buffer: a thread that hangs in it would keep the interpreter from ending.
        view = memoryview(data)
        while view:
            taken = os.write(self._file.fileno(), view[:_MOUTHFUL])
            view = view[taken:]
            with self._changed:
                self._written += taken
                self._changed.notify_all()

    def _step(self) -> float | None:
        """Write the oldest piece; None, the thread's end, after the file has failed."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._pieces))
            piece = self._pieces.popleft()
            self._kept -= len(piece)
            self._busy = True
            last = not self._pieces
            repaint, self._dropped = self._dropped and last, self._dropped and not last
        try:
            self._write_all(piece.encode(errors="replace"))
        except (OSError, ValueError):
            with self._changed:
                self._gone = True
                self._pieces.clear()
                self._changed.notify_all()
            return None
        except Exception:
            # An unforeseen error costs this piece alone: a full picture follows with the next.
            with self._changed:
                self._busy = False
                self._dropped = True
                self._changed.notify_all()
            raise
        if repaint:
            self._caught_up()
        return 0.0


def driver_class() -> type[Driver] | None:
    """The driver for an ordinary terminal; None, Textual's choice, where the environment names another."""
    return None if "TEXTUAL_DRIVER" in os.environ else PatientDriver


class PatientDriver(LinuxDriver):
    """Textual's driver on a `TerminalFile`.

    Textual's own writer waits for the terminal with a short queue, and the event loop waits with it: a stalled
    terminal stops the dashboard, and one that is gone keeps the program from ending.
    """

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        assert self._file is not None  # noqa: S101  # the command line has asked for a terminal
        self._terminal = TerminalFile(self._file, self._repaint)
        self._file = self._terminal  # type: ignore[assignment]  # all that the driver needs of a file

    def _repaint(self) -> None:
        self._app.call_later(self._app.refresh, layout=True)

    def stop_application_mode(self) -> None:
        """Give the terminal back. Pictures that it has not taken yet must not keep it from hearing that."""
        self._terminal.forget()
        super().stop_application_mode()

    def close(self) -> None:
        """Let the last words out, if the terminal takes them."""
        super().close()
        self._terminal.drain(_FAREWELL)
