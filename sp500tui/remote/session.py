"""One connection to a pipeline's control socket: a greeting, then requests, each with one answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sp500tui import __version__
from sp500tui.closable import Closable
from sp500tui.errors import ConfigurationError, ExitCode, Sp500tuiError
from sp500tui.pipeline.writer.framing import FrameDecoder, FrameError
from sp500tui.remote.address import NO_ANSWER, NoAnswerError, connect
from sp500tui.remote.commands import Command, Poll
from sp500tui.remote.wire import (
    MAX_ANSWER,
    PROTOCOL,
    Answer,
    Failure,
    Hello,
    Position,
    ProtocolError,
    Refusal,
    Update,
    Welcome,
    decode,
    frame,
)

TIMEOUT = 5.0
"""Seconds to wait for an answer."""
BLOCKING_TIMEOUT = 90.0
"""Seconds to wait for the answer to a command that may take seconds."""
_PIECE = 1 << 18

T = TypeVar("T")


class RefusedError(ConfigurationError):
    """The pipeline closed the connection and sent the reason."""


class ForeignAnswerError(ProtocolError):
    """The program that listens is not a pipeline of this version, so there is none for the command."""

    exit_code = ExitCode.USAGE


class CommandFailedError(Sp500tuiError):
    """The pipeline could not run a command."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.exit_code = failure.exit_code


class Session(Closable):
    """A connection to the pipeline of a data folder. Not thread-safe."""

    def __init__(self, data: Path, *, steering: bool = True, timeout: float = TIMEOUT) -> None:
        """Connect and exchange greetings.

        Raises:
            NoPipelineError: no pipeline runs there.
            RefusedError: it refuses this user or this version.
            NoAnswerError, ForeignAnswerError: it does not answer, or something else listens there.
        """
        self.data = data
        """Data folder of the pipeline."""
        self._timeout = timeout
        self._decoder = FrameDecoder(MAX_ANSWER)
        self._connection = connect(data, timeout)
        try:
            self._connection.sendall(frame(Hello(PROTOCOL, __version__, steering)))
            greeting: Welcome | Refusal = self._decoded(self._receive(timeout), Welcome | Refusal)
        except OSError as error:
            self.close()
            raise self._lost(error) from None
        except BaseException:
            self.close()
            raise
        if isinstance(greeting, Refusal):
            self.close()
            raise RefusedError(greeting.reason)
        self.welcome = greeting

    def call(self, request: Poll | Command, result: type[T]) -> T:
        """Send a request and return its result, of type `result`.

        Raises:
            CommandFailedError: the pipeline could not run it.
            NoAnswerError, ForeignAnswerError: no answer, or none that can be read; the session is closed.
        """
        value: T = self._closing_on_errors(lambda: self._decoded(self._exchange(request), result))
        return value

    def execute(self, command: Command) -> None:
        """Like `call`, for a command without a result."""
        self._closing_on_errors(lambda: self._exchange(command))

    def _exchange(self, request: Poll | Command) -> msgspec.Raw:
        """Send a request and return its encoded result."""
        blocks = isinstance(request, Command) and request.blocks
        self._connection.settimeout(self._timeout)
        self._connection.sendall(frame(request))
        answer: Answer | Failure = self._decoded(
            self._receive(BLOCKING_TIMEOUT if blocks else self._timeout), Answer | Failure
        )
        if isinstance(answer, Failure):
            raise CommandFailedError(answer)
        return answer.value

    def _closing_on_errors(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except OSError as error:
            self.close()
            raise self._lost(error) from None
        except (ProtocolError, NoAnswerError):
            self.close()
            raise

    def state(self) -> Update:
        """The current state without prices, log and list. Raises as `call`."""
        everything = 1 << 62
        return self.call(Poll(Position(everything, everything, everything, 0, everything)), Update)

    def abort(self) -> None:
        """End a call that waits for its answer on another thread."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _receive(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        try:
            while (message := self._decoder.take()) is None:
                self._connection.settimeout(max(0.001, deadline - time.monotonic()))
                piece = self._connection.recv(_PIECE)
                if not piece:
                    raise self._lost()
                self._decoder.feed(piece)
        except FrameError as error:
            raise self._foreign(error) from None
        return message

    def _decoded(self, data: Any, kind: Any) -> Any:
        try:
            return decode(data, kind)
        except ProtocolError as error:
            raise self._foreign(error) from None

    def _foreign(self, error: Exception) -> ForeignAnswerError:
        """The error for bytes that are not a message: another program, or a version whose values differ."""
        welcome: Welcome | None = getattr(self, "welcome", None)
        if welcome is not None and welcome.program != __version__:
            return ForeignAnswerError(
                f"the pipeline is sp500tui {welcome.program}, this program {__version__}; use the same version"
            )
        return ForeignAnswerError(
            f"what listens on data folder {self.data} is not an sp500tui pipeline ({error}); end that program, or name "
            "the folder of a pipeline with --data-dir DIR"
        )

    def _lost(self, error: OSError | None = None) -> NoAnswerError:
        if isinstance(error, socket.timeout):
            return NoAnswerError(f"the pipeline on data folder {self.data} {NO_ANSWER}")
        return NoAnswerError(f"the pipeline on data folder {self.data} closed the connection")
