"""The parent's side of one writer process: start it, send batches, receive results, stop it."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from sp500tui.config.child_processes import error_file, python_command, python_environment
from sp500tui.errors import Sp500tuiError
from sp500tui.logs.setup import reemit
from sp500tui.pipeline.writer.framing import FrameDecoder, FrameError, encode_frame
from sp500tui.pipeline.writer.process import NUMBER_BYTES

_POLL_INTERVAL = 0.05
"""Seconds between two checks of `cancelled` while waiting for a commit."""
_READ_SIZE = 1 << 16
"""Bytes read per call."""
_MAX_LATE_READS = 64
"""Reads after the deadline: more than a socket buffer holds, so that an answer in the buffer is always found."""
_EXIT_GRACE = 2.0
"""Seconds a process may take to exit by itself."""


class WriterDiedError(Sp500tuiError):
    """The writer process exited, is hung or could not be started."""

    def __init__(self, message: str, *, crashed: bool = False) -> None:
        super().__init__(message)
        self.crashed = crashed
        """Whether the process exited by itself, as opposed to a timeout or a stop request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one batch."""

    committed: bool
    stored: int = 0
    """Rows that were new."""
    seconds: float = 0.0
    """Duration of the statement, commit included."""
    sqlstate: str | None = None
    message: str = ""


class WriterClient:
    """One writer process and the duplex pipe to it.

    A subprocess on a socket pair: no multiprocessing lock that a killed process could leave held, no
    resource-tracker process, and it can be started from any thread. The database URL is sent over the pipe, so that
    no process list shows a password.
    """

    def __init__(self, url: str, name: str, statement_timeout: float) -> None:
        """`statement_timeout`: seconds after which the server cancels a statement."""
        with ExitStack() as undo:
            try:
                ours, theirs = map(undo.enter_context, socket.socketpair())
                self._stderr = undo.enter_context(error_file())
                self._process = subprocess.Popen(
                    python_command("sp500tui.pipeline.writer.process", str(theirs.fileno())),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._stderr,
                    # In a new session, the process does not receive the terminal's signals.
                    start_new_session=True,
                    env=python_environment(),
                )
            except OSError as error:
                raise WriterDiedError(f"cannot start a writer process: {error.strerror}") from error
            undo.pop_all()
            theirs.close()
        self._socket = ours
        self._pollout = select.poll()
        self._pollout.register(ours, select.POLLOUT)
        self._pollin = select.poll()
        self._pollin.register(ours, select.POLLIN)
        self._frames = FrameDecoder()
        self._name = name
        self.pid = self._process.pid
        self._configuration = json.dumps(
            {"url": url, "name": name, "statement_timeout": statement_timeout}
        ).encode()

    def connect(self, timeout: float, cancelled: Callable[[], bool]) -> Answer:
        """Send the configuration and wait for the process's first connection to the database.

        Raises:
            WriterDiedError: see `commit`.
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
        while_waiting: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send a payload and wait until it is committed or refused; call `while_waiting` once it is sent.

        Raises:
            WriterDiedError: the process exited, did not answer within `timeout` seconds, or `cancelled` returned
                true. Whether the payload was committed is then unknown.
        """
        deadline = time.monotonic() + timeout
        self._send(number.to_bytes(NUMBER_BYTES, "big") + payload, deadline, cancelled)
        while_waiting()
        return self._receive(number, deadline, cancelled)

    def _send(self, message: bytes, deadline: float, cancelled: Callable[[], bool]) -> None:
        """Send a frame, at most until the deadline: a suspended process reads nothing."""
        data = memoryview(encode_frame(message))
        while data:
            try:
                data = data[self._socket.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._check_deadline(deadline, cancelled)
                self._pollout.poll(_POLL_INTERVAL * 1000)
            except OSError as error:
                raise self._process_died() from error

    def _receive(self, number: int, deadline: float, cancelled: Callable[[], bool]) -> Answer:
        late = 0
        while True:
            # Read the pipe to its end before reporting an exit: it may still hold an answer.
            try:
                while (frame := self._frames.take()) is not None:
                    message = json.loads(frame)
                    if message["kind"] == "log":
                        reemit({**message, "worker": self._name})
                    elif message["number"] == number:
                        return _answer(message)
            except (FrameError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
                raise WriterDiedError(
                    f"{self._name} (process {self.pid}) sent an invalid answer: {error}"
                ) from error
            # Read again after the deadline: the answer may have arrived while this thread was busy.
            late += self._is_over(deadline, cancelled)
            if not self._read(0.0 if late else _POLL_INTERVAL) or late > _MAX_LATE_READS:
                self._check_deadline(deadline, cancelled)

    def _read(self, seconds: float) -> bool:
        """Read what the process has sent, waiting up to `seconds`; returns whether anything was read."""
        if not self._pollin.poll(seconds * 1000):
            return False
        try:
            piece = self._socket.recv(_READ_SIZE, socket.MSG_DONTWAIT)
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
            raise WriterDiedError(f"{self._name} was stopped before its commit was confirmed")

    def _process_died(self) -> WriterDiedError:
        return WriterDiedError(self._exit_reason(), crashed=True)

    def _exit_reason(self) -> str:
        try:
            status = self._process.wait(_EXIT_GRACE)
        except subprocess.TimeoutExpired:
            return f"{self._name} (process {self.pid}) closed its pipe"
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 4096))
        output = self._stderr.read().decode(errors="replace").strip().splitlines()
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        last = f": {output[-1][:300]}" if output else ""
        return f"{self._name} (process {self.pid}) ended by {how}{last}"

    @property
    def exited(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise WriterDiedError if the process has ended."""
        if self.exited:
            raise self._process_died()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def close(self, *, kill: bool = False) -> None:
        """End the process, with SIGKILL if `kill` or if it does not exit in time, and free its resources."""
        # Shut down, not only closed: a child that is being started may hold a copy of the descriptor.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if kill:
            self._process.kill()
        try:
            self._process.wait(_EXIT_GRACE)
        except subprocess.TimeoutExpired:
            logging.getLogger(__name__).warning("%s did not exit in time; killed", self._name)
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
