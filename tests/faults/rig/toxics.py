"""A TCP proxy between the program and its database that can delay, throttle, reset, mute or refuse connections."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress

from sp500tui.closable import Closable

_PIECE = 16_384
_POLL_INTERVAL = 0.02


class ToxicProxy(Closable):
    """Listens on 127.0.0.1 and forwards every connection to `target` until a fault is set.

    The attributes may be changed at any time, and also apply to open connections.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        """Port on 127.0.0.1."""
        self.latency = 0.0
        """Delay of every piece in seconds, in both directions."""
        self.rate: float | None = None
        """Bytes per second towards the database; None for no limit."""
        self.cut_after: int | None = None
        """Bytes towards the database after which each connection is reset once; None for never."""
        self.half_open = False
        """Accept bytes and forward none, while every connection stays open."""
        self.deaf = False
        """Forward to the database, but nothing back."""
        self.gone = False
        """Reset every open and every new connection."""
        self.connections = 0
        """Number of connections so far."""
        self._leaving = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def calm(self) -> None:
        """Remove all faults."""
        self.latency, self.rate, self.cut_after, self.half_open = 0.0, None, None, False
        self.deaf = self.gone = False

    def _start(self, run: object, *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._leaving.is_set():
            if not select.select([self._listener], [], [], _POLL_INTERVAL)[0]:
                continue
            client, _ = self._listener.accept()
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                _reset(client)
                continue
            self._start(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        up = 0
        try:
            while not (self._leaving.is_set() or self.gone):
                ready = select.select([client, server], [], [], _POLL_INTERVAL)[0]
                if self.half_open:
                    self._leaving.wait(_POLL_INTERVAL)
                    continue
                for source in ready:
                    data = source.recv(_PIECE)
                    if not data:
                        return
                    up = self._forward(
                        data, up, towards=server if source is client else client, rising=source is client
                    )
                    if up < 0:
                        return
        except OSError:
            return
        finally:
            _reset(client)
            _reset(server)

    def _forward(self, data: bytes, up: int, *, towards: socket.socket, rising: bool) -> int:
        """Forward a piece; returns the bytes sent so far, or -1 if the connection is to be reset."""
        self._leaving.wait(self.latency)
        if not rising:
            if not self.deaf:
                towards.sendall(data)
            return up
        limit = self.cut_after
        if limit is not None and up + len(data) > limit:
            towards.sendall(data[: max(0, limit - up)])
            return -1
        if self.rate:
            self._leaving.wait(len(data) / self.rate)
        towards.sendall(data)
        return up + len(data)

    def close(self) -> None:
        """Reset all connections and stop listening."""
        self._leaving.set()
        for thread in self._threads:
            thread.join(30)
        self._listener.close()


def _reset(connection: socket.socket) -> None:
    """End a connection with RST instead of FIN."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
