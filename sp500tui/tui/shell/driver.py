"""The driver of an ordinary terminal: one that does not read, is gone or sends garbage stops nothing."""

from __future__ import annotations

import os
import selectors
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import IO, Any

from textual import events
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.tui.shell.terminal_input import TerminalInput

_MAX_PENDING = 1 << 20
"""Characters that may wait for the terminal; when there are more, they are dropped for one full picture later."""
_WRITE_CHUNK = 4096
"""Bytes offered at once, as many as a terminal holds: what it has taken of more would be known only at the end."""
_EXIT_TIMEOUT = 1.0
"""Seconds that the terminal may take nothing of the last words before they are given up."""
_TICK = 0.05
"""Seconds after which an unfinished sequence is looked at when nothing more comes."""
_LARGEST = (2000, 1000)
"""Columns and lines that are drawn at most."""


class NonBlockingWriter:
    """Hands text on to a file from a thread of its own: `write` neither waits nor fails.

    What cannot be written in time is dropped whole, never in the middle of a piece, and `on_recovered` is called once
    the file takes text again. After an error everything is dropped: nobody looks any more.
    """

    def __init__(
        self, file: IO[str], on_recovered: Callable[[], None], most_kept: int = _MAX_PENDING
    ) -> None:
        self._file = file
        self._caught_up = on_recovered
        self._max_pending = most_kept
        self._changed = threading.Condition()
        self._pieces: deque[str] = deque()
        self._pending = 0
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
            if self._pending + len(text) > self._max_pending and self._pieces:
                self._pieces.clear()
                self._pending = 0
                self._dropped = True
            self._pieces.append(text)
            self._pending += len(text)
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

    def discard_pending(self) -> None:
        """Drop what waits, but for a piece that is half written."""
        with self._changed:
            self._pieces.clear()
            self._pending = 0

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written; False when the file has taken nothing for `seconds`."""
        with self._changed:
            while not self._is_done():
                if not self._progressed(self._written, seconds):
                    return False
        return True

    def _progressed(self, written: int, seconds: float) -> bool:
        return self._changed.wait_for(lambda: self._is_done() or self._written != written, seconds)

    def _is_done(self) -> bool:
        return self._gone or not (self._pieces or self._busy)

    def _write_all(self, data: bytes) -> None:
        # Past the file's own buffer: a thread that hangs in it would keep the interpreter from ending.
        view = memoryview(data)
        while view:
            taken = os.write(self._file.fileno(), view[:_WRITE_CHUNK])
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
            self._pending -= len(piece)
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
    return None if os.environ.get("TEXTUAL_DRIVER") else TerminalDriver


class TerminalDriver(LinuxDriver):
    """Textual's driver, writing through a `NonBlockingWriter` and reading through a `TerminalInput`.

    Textual's own writer waits for the terminal with a short queue, and the event loop waits with it: a stalled
    terminal stops the dashboard, and one that is gone keeps the program from ending. Its reader ends the program
    at the first byte that is not UTF-8.
    """

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        assert self._file is not None  # noqa: S101  # the command line has asked for a terminal
        self._terminal = NonBlockingWriter(self._file, self._repaint)
        self._file = self._terminal  # type: ignore[assignment]  # all that the driver needs of a file

    def _repaint(self) -> None:
        self._app.call_later(self._app.refresh, layout=True)

    def stop_application_mode(self) -> None:
        """Give the terminal back. Pictures that it has not taken yet must not keep it from hearing that."""
        self._terminal.discard_pending()
        super().stop_application_mode()

    def close(self) -> None:
        """Let the last words out, if the terminal takes them."""
        super().close()
        self._terminal.drain(_EXIT_TIMEOUT)

    def _get_terminal_size(self) -> tuple[int, int]:
        """The size the kernel knows, within what can be drawn in reasonable time."""
        width, height = super()._get_terminal_size()
        return min(width, _LARGEST[0]), min(height, _LARGEST[1])

    def _query_in_band_window_resize(self) -> None:
        """Ask for no reports of the size: any text can claim one, and SIGWINCH says the same."""

    def run_input_thread(self) -> None:
        """Hand what the terminal sends to the app, until the driver stops or the terminal is gone."""
        source = TerminalInput()
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if not selector.select(_TICK):
                    self._hand_over(source.tick())
                    continue
                try:
                    data = os.read(self.fileno, _WRITE_CHUNK)
                except OSError:
                    data = b""
                if not data:
                    self._hang_up()
                    return
                self._hand_over(source.feed(data))

    def _hand_over(self, found: Iterable[Message]) -> None:
        for event in found:
            # Textual looks for the widget under a click and fails where there is none.
            if isinstance(event, events.MouseEvent) and not self._app.size.contains(event.x, event.y):
                continue
            try:
                self.process_message(event)
            except RuntimeError:
                return  # the event loop has ended

    def _hang_up(self) -> None:
        """End as a terminal's hang-up does, which sends no signal to a program in a session of its own."""
        if not self.exit_event.is_set():
            os.kill(os.getpid(), signal.SIGHUP)
