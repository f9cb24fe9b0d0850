"""The parent's end of one writer process: start it, send it a batch, hear what became of it, end it."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sp500tui.config.child_processes import python_command, python_environment
from sp500tui.errors import Sp500tuiError
from sp500tui.logs.setup import reemit
from sp500tui.pipeline.writer.framing import FrameDecoder, FrameError, framed
from sp500tui.pipeline.writer.process import NUMBER_BYTES

_POLL_INTERVAL = 0.05
"""Seconds between two looks at `cancelled` while a commit is awaited."""
_PIECE = 1 << 16
"""Bytes read at once."""
_LATE_PIECES = 64
"""Pieces that are read after the time limit: more than a socket holds, so that an answer in it is always found."""
_EXIT_GRACE = 2.0
"""Seconds a process gets to leave by itself."""


class WriterDiedError(Sp500tuiError):
    """The writer process ended, hung or could not be started."""

    def __init__(self, message: str, *, by_itself: bool = False) -> None:
        super().__init__(message)
        self.by_itself = by_itself
        """Whether the process ended while it had a batch, rather than being late or told to stop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one batch."""

    committed: bool
    stored: int = 0
    """Rows that were new."""
    seconds: float = 0.0
    """Time of the statement, commit included."""
    sqlstate: str | None = None
    message: str = ""


class WriterClient:
    """One spawned process and one duplex pipe.

    A plain sub-process on a socket pair: no shared lock that a killed process could leave held, no helper process,
    and it can be started from any thread of a program whose terminal somebody else owns. The database's URL goes
    over the pipe, so that no process list shows a password.
    """

    def __init__(self, url: str, name: str, statement_timeout: float) -> None:
        """`statement_timeout`: seconds after which the server itself gives a statement up."""
        ours, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        try:
            self._process = subprocess.Popen(
                python_command("sp500tui.pipeline.writer.process", str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                # A session of its own: the terminal's signals are the parent's to answer.
                start_new_session=True,
                env=python_environment(),
            )
        except OSError as error:
            ours.close()
            self._stderr.close()
            raise WriterDiedError(f"cannot start a writer process: {error.strerror}") from error
        finally:
            theirs.close()
        self._socket = ours
        self._room = select.poll()
        self._room.register(ours, select.POLLOUT)
        self._arrivals = select.poll()
        self._arrivals.register(ours, select.POLLIN)
        self._frames = FrameDecoder()
        self._name = name
        self.pid = self._process.pid
        self._configuration = json.dumps(
            {"url": url, "name": name, "statement_timeout": statement_timeout}
        ).encode()

    def connect(self, timeout: float, cancelled: Callable[[], bool]) -> Answer:
        """How its first connection to the database went.

        Raises:
            WriterDiedError: as with `commit`.
        """
        deadline = time.monotonic() + timeout
        self._send(self._configuration, deadline, cancelled)
        return self._receive(0, deadline, cancelled)

    def commit(
        self,
        number: int,
        payload: bytes,
        timeout: float,
        cancelled: Callable[[], bool],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Have a payload written; returns when it is committed or refused. `meanwhile` is called once it is sent.

        Raises:
            WriterDiedError: the process ended, did not answer within `timeout` seconds, or `cancelled` said to
                stop waiting. Whether the payload was committed is then unknown.
        """
        deadline = time.monotonic() + timeout
        self._send(number.to_bytes(NUMBER_BYTES, "big") + payload, deadline, cancelled)
        meanwhile()
        return self._receive(number, deadline, cancelled)

    def _send(self, message: bytes, deadline: float, cancelled: Callable[[], bool]) -> None:
        """Send a frame, but never longer than asked: a stopped process reads nothing."""
        data = memoryview(framed(message))
        while data:
            try:
                data = data[self._socket.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._check_deadline(deadline, cancelled)
                self._room.poll(_POLL_INTERVAL * 1000)
            except OSError as error:
                raise self._process_died() from error

    def _receive(self, number: int, deadline: float, cancelled: Callable[[], bool]) -> Answer:
        late = 0
        while True:
            # The pipe is read to its end before the death is believed: an answer may still lie in it.
            try:
                while (frame := self._frames.take()) is not None:
                    message = json.loads(frame)
                    if message["kind"] == "log":
                        reemit({**message, "worker": self._name})
                    elif message["number"] == number:
                        return _answer(message)
            except (FrameError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
                raise WriterDiedError(
                    f"{self._name} (process {self.pid}) sent no answer but: {error}"
                ) from error
            # The socket before the clock: an answer may have come in time while this thread did something else.
            late += self._is_over(deadline, cancelled)
            if not self._read(0.0 if late else _POLL_INTERVAL) or late > _LATE_PIECES:
                self._check_deadline(deadline, cancelled)

    def _read(self, seconds: float) -> bool:
        """Take over what the process has sent, waiting so long where that is nothing yet; whether there was any."""
        if not self._arrivals.poll(seconds * 1000):
            return False
        try:
            piece = self._socket.recv(_PIECE, socket.MSG_DONTWAIT)
        except OSError as error:
            raise self._process_died() from error
        if not piece:
            raise self._process_died()
        self._frames.feed(piece)
        return True

    @staticmethod
    def _is_over(deadline: float, cancelled: Callable[[], bool]) -> bool:
        return time.monotonic() > deadline or cancelled()

    def _check_deadline(self, deadline: float, cancelled: Callable[[], bool]) -> None:
        if time.monotonic() > deadline:
            raise WriterDiedError(f"{self._name} (process {self.pid}) did not answer in time")
        if cancelled():
            raise WriterDiedError(f"{self._name} was told to stop before its commit was confirmed")

    def _process_died(self) -> WriterDiedError:
        return WriterDiedError(self._exit_reason(), by_itself=True)

    def _exit_reason(self) -> str:
        try:
            status = self._process.wait(_EXIT_GRACE)
        except subprocess.TimeoutExpired:
            return f"{self._name} (process {self.pid}) closed its pipe"
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 4096))
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        last = f": {said[-1][:300]}" if said else ""
        return f"{self._name} (process {self.pid}) ended by {how}{last}"

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self, *, at_once: bool = False) -> None:
        """Let the process leave, or make it; nothing of it remains."""
        # Shut down and not only closed: a child that is being started may hold a copy for a moment.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if at_once:
            self._process.kill()
        try:
            self._process.wait(_EXIT_GRACE)
        except subprocess.TimeoutExpired:
            logging.getLogger(__name__).warning("%s did not leave; killed", self._name)
            self._process.kill()
            self._process.wait()
        self._stderr.close()


def _answer(message: dict[str, object]) -> Answer:
    if message["kind"] == "ready":
        return Answer(committed=True)
    if message["kind"] == "committed":
        return Answer(True, int(str(message["stored"])), float(str(message["seconds"])))
    sqlstate = message["sqlstate"]
    return Answer(
        False, sqlstate=None if sqlstate is None else str(sqlstate), message=str(message["message"])
    )
