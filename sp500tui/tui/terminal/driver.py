"""Terminal drivers that let the program continue when input or output stalls, fails or ends."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from textual import events
from textual.app import App
from textual.driver import Driver
from textual.drivers._byte_stream import ByteStream
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.web_driver import WebDriver
from textual.geometry import Size
from textual.message import Message

from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.tui.terminal.ascii import as_ascii
from sp500tui.tui.terminal.input import TerminalInput

LOG = logging.getLogger(__name__)
_WEB_DRIVER = "textual.drivers.web_driver:WebDriver"
"""The value of `TEXTUAL_DRIVER` under `textual serve`."""
_MAX_PENDING = 1 << 20
"""Maximum bytes pending; if there are more, all are dropped and the screen is repainted later."""
_WRITE_CHUNK = 4096
"""Bytes of one write, as many as a terminal buffers; the progress of a longer write is known only at its end."""
_READ_CHUNK = 4096
_EXIT_TIMEOUT = 1.0
"""Seconds without progress after which pending output is abandoned on exit."""
_TICK = 0.05
"""Seconds between checks of an unfinished sequence when no more input arrives."""
_LARGEST = (2000, 1000)
"""Maximum columns and lines drawn."""


class NonBlockingWriter:
    """Writes to a file descriptor on a separate thread, so that `write` neither blocks nor fails.

    When more than `max_pending` bytes wait, all of them are dropped, and `on_recovered` is called once the descriptor
    accepts data again. A piece is written completely or not at all. After a write error everything is dropped.
    """

    def __init__(
        self, fileno: int, on_recovered: Callable[[], None], max_pending: int = _MAX_PENDING
    ) -> None:
        self._fileno = fileno
        self._on_recovered = on_recovered
        self._max_pending = max_pending
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._pending = 0
        self._busy = False
        self._dropped = False
        self._failed = False
        self._written = 0
        """Bytes written so far."""
        self.thread = ServiceThread("terminal", self._step)
        self.thread.start()

    @property
    def pending(self) -> int:
        """Number of bytes pending."""
        return self._pending

    def write(self, text: str) -> int:
        """Queue text, encoded as UTF-8."""
        self.write_bytes(text.encode(errors="replace"))
        return len(text)

    def write_bytes(self, piece: bytes) -> None:
        """Queue bytes that must be written together."""
        with self._changed:
            if self._failed:
                return
            if self._pending + len(piece) > self._max_pending and self._pieces:
                self._pieces.clear()
                self._pending = 0
                self._dropped = True
            self._pieces.append(piece)
            self._pending += len(piece)
            self._changed.notify_all()

    def flush(self) -> None:
        """Do nothing: the thread writes everything as soon as it can."""

    def isatty(self) -> bool:
        """Whether the descriptor is a terminal."""
        return os.isatty(self._fileno)

    def fileno(self) -> int:
        """The descriptor."""
        return self._fileno

    def discard_pending(self) -> None:
        """Drop the queued pieces; a partly written piece is completed."""
        with self._changed:
            self._pieces.clear()
            self._pending = 0

    def drain(self, timeout: float) -> bool:
        """Wait until everything is written; False if nothing could be written for `timeout` seconds."""
        with self._changed:
            while not self._is_done():
                if not self._progressed(self._written, timeout):
                    return False
        return True

    def _progressed(self, written: int, timeout: float) -> bool:
        return self._changed.wait_for(lambda: self._is_done() or self._written != written, timeout)

    def _is_done(self) -> bool:
        return self._failed or not (self._pieces or self._busy)

    def _write_all(self, data: bytes) -> None:
        # Unbuffered: a thread that blocks inside a buffered file's lock would keep the interpreter from exiting.
        view = memoryview(data)
        while view:
            taken = os.write(self._fileno, view[:_WRITE_CHUNK])
            view = view[taken:]
            with self._changed:
                self._written += taken
                self._changed.notify_all()

    def _step(self) -> float | None:
        """Write the oldest piece. Returns None, which ends the thread, after a write error."""
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
            self._write_all(piece)
        except (OSError, ValueError):
            with self._changed:
                self._failed = True
                self._pieces.clear()
                self._changed.notify_all()
            return None
        except Exception:
            # An unexpected error loses this piece; a full repaint follows the next one.
            with self._changed:
                self._busy = False
                self._dropped = True
                self._changed.notify_all()
            raise
        if repaint:
            self._on_recovered()
        return 0.0


def driver_class() -> type[Driver] | None:
    """The driver for the environment; None if `TEXTUAL_DRIVER` names one that Textual loads itself."""
    named = os.environ.get("TEXTUAL_DRIVER")
    return {None: TerminalDriver, "": TerminalDriver, _WEB_DRIVER: BrowserDriver}.get(named)


class ResilientDriver(Driver):
    """Reads input without failing on malformed bytes, and treats the end of the input as a hang-up."""

    exit_event: threading.Event
    """Set when the driver stops."""

    def _read_input(self, fileno: int, source: TerminalInput, content: Callable[[bytes], bytes]) -> None:
        """Pass input to the app until the driver stops or the input ends.

        `content` extracts the terminal's bytes from the data read.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if not selector.select(_TICK):
                    self._post_input(source.end_overdue())
                    continue
                try:
                    data = os.read(fileno, _READ_CHUNK)
                except OSError:
                    data = b""
                if not data:
                    self._hang_up()
                    return
                self._post_input(source.feed(content(data)))

    def _post_input(self, found: Iterable[Message]) -> None:
        for event in found:
            # Textual looks up the widget under the pointer and fails outside the screen.
            if isinstance(event, events.MouseEvent) and not self._app.size.contains(event.x, event.y):
                continue
            try:
                self.process_message(event)
            except RuntimeError:
                return  # the event loop has ended

    def _hang_up(self) -> None:
        """End the program as SIGHUP does, which a terminal in another session does not send when it closes."""
        if not self.exit_event.is_set():
            os.kill(os.getpid(), signal.SIGHUP)

    def _repaint(self) -> None:
        self._app.call_later(self._app.refresh, layout=True)


class TerminalDriver(ResilientDriver, LinuxDriver):
    """Textual's driver, writing through a `NonBlockingWriter` and reading through a `TerminalInput`.

    Textual's writer blocks the event loop when the terminal does not read, and keeps the program from exiting when
    it is gone. Its reader ends the program at the first byte that is not UTF-8.
    """

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        assert self._file is not None  # noqa: S101  # the command line requires a terminal
        self._ascii = bool(getattr(app, "ascii_only", False))
        self._terminal = NonBlockingWriter(self._file.fileno(), self._repaint)
        self._file = self._terminal  # type: ignore[assignment]  # all that the driver needs of a file

    def write(self, data: str) -> None:
        """Write text and escape sequences, in ASCII where the terminal has no Unicode."""
        super().write(as_ascii(data) if self._ascii else data)

    def stop_application_mode(self) -> None:
        """Restore the terminal. Pending frames are dropped, so that they do not delay it."""
        self._terminal.discard_pending()
        super().stop_application_mode()

    def close(self) -> None:
        """Write the pending output, if the terminal accepts it in time."""
        super().close()
        self._terminal.drain(_EXIT_TIMEOUT)

    def _get_terminal_size(self) -> tuple[int, int]:
        """The size the kernel reports, limited to what can be drawn in reasonable time."""
        return _limited(*super()._get_terminal_size())

    def _query_in_band_window_resize(self) -> None:
        """Request no in-band size reports: any text could contain one, and SIGWINCH reports the same."""

    def run_input_thread(self) -> None:
        """Pass what the terminal sends to the app."""
        self._read_input(self.fileno, TerminalInput(), lambda data: data)


class BrowserDriver(ResilientDriver, WebDriver):
    """Textual's driver for `textual serve`, which exchanges packets through stdin and stdout.

    Textual's own replaces the program's handlers of SIGINT and SIGTERM, blocks when the server does not read, and stops
    reading at the first byte that is not UTF-8.
    """

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._packets = NonBlockingWriter(self.fileno, self._repaint)
        self._write = self._packets.write_bytes  # type: ignore[assignment]  # a partial of os.write

    def start_application_mode(self) -> None:
        """Start as Textual does, but without its handlers of SIGINT and SIGTERM."""
        self._write(b"__GANGLION__\n")
        self.write("\x1b[?1049h")
        self._enable_mouse_support()
        self.write("\x1b[?25l")
        size = Size(*_limited(*(self._size or (80, 24))))
        self._app.post_message(events.Resize(size, size))
        self._request_terminal_sync_mode_support()
        self._enable_bracketed_paste()
        self._key_thread.start()
        self._app.call_later(self._app.post_message, events.AppBlur())

    def close(self) -> None:
        """Write the pending output, if the server accepts it in time."""
        super().close()
        self._packets.drain(_EXIT_TIMEOUT)

    def run_input_thread(self) -> None:
        """Pass what the browser sends to the app."""
        stream = ByteStream()

        def content(data: bytes) -> bytes:
            packets = stream.feed(data)
            return b"".join(
                payload if kind == "D" else self._handle_meta(payload) for kind, payload in packets
            )

        assert sys.__stdin__ is not None  # noqa: S101  # a pipe of the server's
        self._read_input(sys.__stdin__.fileno(), TerminalInput(), content)

    def _handle_meta(self, payload: bytes) -> bytes:
        try:
            self._on_meta("M", payload)
        except Exception as error:  # noqa: BLE001  # a malformed packet must not end the input
            LOG.warning(
                "the web server sent a malformed packet, which was ignored (%s)", type(error).__name__
            )
        return b""

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Handle a packet that is not input; sizes are limited as for a terminal."""
        if packet_type == "resize":
            size = Size(*_limited(int(str(payload["width"])), int(str(payload["height"]))))
            self._app.post_message(events.Resize(size, size))
        else:
            super().on_meta(packet_type, payload)


def _limited(width: int, height: int) -> tuple[int, int]:
    return max(1, min(width, _LARGEST[0])), max(1, min(height, _LARGEST[1]))
