"""The control socket of a running pipeline: answers viewers and commands on one thread."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from sp500tui import __version__
from sp500tui.errors import ConfigurationError, Sp500tuiError
from sp500tui.logs.setup import LogSource
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.runtime.self_pipe import SelfPipe
from sp500tui.pipeline.writer.framing import FrameDecoder, FrameError
from sp500tui.remote.address import peer_user
from sp500tui.remote.commands import READ_ONLY, Command, Poll, Request
from sp500tui.remote.updates import UpdateSource
from sp500tui.remote.wire import (
    MAX_REQUEST,
    PROTOCOL,
    Answer,
    Failure,
    Hello,
    Position,
    ProtocolError,
    Refusal,
    RunFacts,
    Welcome,
    decode,
    encode,
    frame,
)

_log = logging.getLogger(__name__)

MAX_CONNECTIONS = 100
QUIET_LIMIT = 20.0
"""Seconds without a complete request, or a byte of an answer, after which a connection is closed; viewers reconnect."""
_LINGER = 1.0
"""Seconds for which viewers can still read the end of the run."""
_PIECE = 1 << 16
_SNAPSHOT_AGE = 0.05
"""Seconds for which one snapshot answers all viewers."""
_NO_DESCRIPTOR_DELAY = 0.2
_RENEWAL = 10.0
"""Seconds between two checks that the socket is still in its folder."""


class _Connection:
    """One viewer or command: bytes in, requests, bytes out. One request at a time."""

    def __init__(self, channel: socket.socket, now: float) -> None:
        self.channel = channel
        self.decoder = FrameDecoder(MAX_REQUEST)
        self.outgoing = bytearray()
        self.last_progress = now
        self.refusal = ""
        """Why the greeting is answered with a refusal; empty if it is not."""
        self.greeted = False
        self.steering = False
        self.polls = False
        """Whether it is a viewer."""
        self.knows_end = False
        """Whether it has received the end of the run."""
        self.working = False
        """Whether one of its commands is running on a separate thread."""
        self.closing = False
        """Whether it is closed once everything is sent."""
        self.closed = False

    @property
    def ready(self) -> bool:
        """Whether the next request may be answered."""
        return not (self.working or self.outgoing or self.closing or self.closed)

    @property
    def interest(self) -> int:
        """The event to wait for: the socket is writable for the answer, or else the next request."""
        return selectors.EVENT_WRITE if self.outgoing else selectors.EVENT_READ


class ControlServer:
    """Serves the protocol on a listening socket. A connection that misbehaves is closed; the others are not affected.

    Each connection holds at most one request and one answer, and updates are made when a viewer requests one, so a
    viewer that is slow or stopped costs nothing.
    """

    def __init__(
        self,
        listener: socket.socket,
        pipeline: PipelineControl,
        run: RunFacts,
        log: LogSource,
        *,
        clock: Callable[[], float] = time.monotonic,
        user_of: Callable[[socket.socket], int] = peer_user,
        on_viewer: Callable[[], None] = lambda: None,
        renew: Callable[[], socket.socket | None] = lambda: None,
    ) -> None:
        """Create the server.

        Args:
            listener: the listening socket.
            pipeline: the pipeline to serve.
            run: facts of the run, for the viewers.
            log: source of the log lines.
            clock: monotonic seconds.
            user_of: returns the user id at the other end of a connection.
            on_viewer: called when a viewer begins to read.
            renew: called periodically; returns a new listening socket if the previous one was removed
                or replaced.
        """
        self._listener = listener
        self._pipeline = pipeline
        self._source = UpdateSource(pipeline, log, reuse=_SNAPSHOT_AGE)
        self._welcome = Welcome(PROTOCOL, __version__, os.getpid(), datetime.now(UTC), run)
        self._clock = clock
        self._user_of = user_of
        self._on_viewer = on_viewer
        self._renew = renew
        self._renewal_due = clock() + _RENEWAL
        self._renewal_error = ""
        self._selector = selectors.DefaultSelector()
        self._wakeup = SelfPipe()
        self._connections: set[_Connection] = set()
        self._finished: deque[tuple[_Connection, bytes]] = deque()
        self._ending = False
        self._all_informed = threading.Event()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self.thread = ServiceThread("control-socket", self._step, on_exit=self._close_all)

    def start(self) -> None:
        """Start answering."""
        self.thread.start()

    def close(self) -> None:
        """Wait until the viewers have read the end of the run, then close every connection."""
        if not self.thread.started:
            self._close_all()
            return
        if self._pipeline.join(0):
            self._ending = True
            self._wakeup.notify()
            self._all_informed.wait(_LINGER)
        self.thread.stop()
        self._wakeup.notify()
        self.thread.join(_LINGER)

    # The thread

    def _step(self) -> float:
        """Wait for events on the sockets and handle them."""
        for key, mask in self._selector.select(self._timeout()):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wakeup:
                self._wakeup.sleep(0)
            else:
                self._guarded(key.data, mask)
        while self._finished:
            connection, answer = self._finished.popleft()
            connection.working = False
            connection.outgoing += answer
            self._guarded(connection, selectors.EVENT_WRITE)
        self._close_quiet()
        self._renew_listener()
        if self._ending and not any(
            each.polls and (each.outgoing or not each.knows_end) for each in self._connections
        ):
            self._all_informed.set()
        return 0.0

    def _timeout(self) -> float:
        return 1.0 if self._connections else _RENEWAL

    def _renew_listener(self) -> None:
        """Listen again if the socket was replaced or removed, such as by a program that cleans up temporary files."""
        now = self._clock()
        if now < self._renewal_due:
            return
        self._renewal_due = now + _RENEWAL
        try:
            listener = self._renew()
        except (OSError, ConfigurationError) as error:
            if str(error) != self._renewal_error:
                self._renewal_error = str(error)
                _log.warning(
                    "viewers can no longer attach: the control socket was removed or replaced; %s", error
                )
            return
        if listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = listener
            self._selector.register(listener, selectors.EVENT_READ)
            _log.warning("the control socket was removed or replaced; created a new one")

    def _accept(self) -> None:
        try:
            channel, _ = self._listener.accept()
        except OSError:
            # The client has disconnected, or no descriptor is free: do not retry in a busy loop.
            self.thread.wait(_NO_DESCRIPTOR_DELAY)
            return
        channel.setblocking(False)
        connection = _Connection(channel, self._clock())
        self._connections.add(connection)
        self._selector.register(channel, connection.interest, connection)
        try:
            if self._user_of(channel) != os.geteuid():
                connection.refusal = "this pipeline belongs to another user; run this command as that user"
            elif len(self._connections) > MAX_CONNECTIONS:
                connection.refusal = (
                    f"{MAX_CONNECTIONS} viewers and commands are connected already; close one"
                )
        except OSError:
            self._drop(connection)

    def _guarded(self, connection: _Connection, mask: int) -> None:
        """Read or write, and answer the requests received; an error closes only this connection."""
        if connection.closed:
            return
        try:
            if mask & selectors.EVENT_WRITE:
                self._flush(connection)
            else:
                self._receive(connection)
            self._take_requests(connection)
        except OSError:
            self._drop(connection)
        except (ProtocolError, FrameError) as error:
            _log.warning("a connection to the control socket was closed: %s", error)
            self._drop(connection)

    def _receive(self, connection: _Connection) -> None:
        piece = connection.channel.recv(_PIECE)
        if not piece:
            self._drop(connection)
            return
        connection.decoder.feed(piece)
        if connection.decoder.pending > 2 * MAX_REQUEST:
            raise ProtocolError("more requests arrive than are answered")

    def _take_requests(self, connection: _Connection) -> None:
        """Answer the requests that have arrived completely, each once the answer to the one before is sent."""
        while connection.ready and (data := connection.decoder.take()) is not None:
            connection.last_progress = self._clock()
            if not connection.greeted:
                self._greet(connection, decode(data, Hello))
            else:
                self._answer(connection, decode(data, Request))

    def _greet(self, connection: _Connection, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            connection.refusal = connection.refusal or (
                f"this pipeline is sp500tui {__version__} with protocol {PROTOCOL}, the other side sp500tui "
                f"{hello.program} with protocol {hello.protocol}; use the same version for both"
            )
        if connection.refusal:
            connection.closing = True
            self._send(connection, frame(Refusal(connection.refusal)))
            return
        connection.greeted, connection.steering = True, hello.steering
        self._send(connection, frame(self._welcome))

    def _answer(self, connection: _Connection, request: Poll | Command) -> None:
        if isinstance(request, Poll):
            connection.polls = True
            if request.position == Position():
                self._on_viewer()
            answer, connection.knows_end = self._update(request)
            self._send(connection, answer)
        elif request.changes and not connection.steering:
            self._send(connection, frame(Failure(READ_ONLY)))
        elif request.blocks:
            connection.working = True
            self._start(connection, request)
        else:
            self._send(connection, self._result(request))

    def _update(self, poll: Poll) -> tuple[bytes, bool]:
        """The answer to a poll, and whether it reports the end of the run."""
        try:
            update = self._source.since(poll.position, poll.symbol)
            return _answered(update), update.report is not None
        except Exception as error:  # noqa: BLE001  # of the pipeline; the connection is not to blame
            _log.error("no update for a viewer: %s", error, exc_info=error)
            return frame(Failure("the pipeline could not be read; its log has the reason")), False

    def _start(self, connection: _Connection, request: Command) -> None:
        """Run a command that may take seconds on its own thread."""

        def work() -> None:
            self._finished.append((connection, self._result(request)))
            self._wakeup.notify()

        ServiceThread("control-command", work, attempts=1).start()

    def _result(self, request: Command) -> bytes:
        try:
            return _answered(request.run(self._pipeline))
        except Sp500tuiError as error:
            return frame(Failure(str(error), error.exit_code))
        except Exception as error:  # noqa: BLE001  # of the pipeline; the connection is not to blame
            _log.error("a command failed: %s", error, exc_info=error)
            return frame(Failure(f"unexpected {type(error).__name__}: {error}"))

    # Sending and closing

    def _send(self, connection: _Connection, message: bytes) -> None:
        connection.outgoing += message
        self._flush(connection)

    def _flush(self, connection: _Connection) -> None:
        """Send as much as the system accepts."""
        try:
            while connection.outgoing:
                sent = connection.channel.send(memoryview(connection.outgoing)[:_PIECE])
                connection.last_progress = self._clock()
                del connection.outgoing[:sent]
        except BlockingIOError:
            pass
        if not connection.outgoing and connection.closing:
            self._drop(connection)
            return
        self._selector.modify(connection.channel, connection.interest, connection)

    def _close_quiet(self) -> None:
        """Close connections without progress: of stopped viewers, or of programs that never sent a greeting."""
        limit = self._clock() - QUIET_LIMIT
        for connection in [each for each in self._connections if each.last_progress < limit]:
            if not connection.working:
                self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        if not connection.closed:
            connection.closed = True
            self._connections.discard(connection)
            self._selector.unregister(connection.channel)
            connection.channel.close()

    def _close_all(self) -> None:
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        self._listener.close()
        self._wakeup.close()


def _answered(value: object) -> bytes:
    return frame(Answer(msgspec.Raw(encode(value))))
