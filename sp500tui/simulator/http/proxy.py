"""An HTTPS forward proxy that terminates every tunnel itself and forwards nothing to other hosts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

from aiohttp import web

from sp500tui.simulator.stats import Statistics

_MAX_HEAD = 16_384
"""Largest size of a request head in bytes."""
_HEAD_TIMEOUT = 30.0
"""Seconds within which a client must send its request head."""


class ProxyConnection(asyncio.Protocol):
    """A client connection: reads the first request, then passes the connection to the server of the requested host.

    `CONNECT host:443` for a simulated host is answered by that host's server over TLS, a plain request with a path by
    the control endpoint; everything else is rejected.
    """

    def __init__(
        self,
        hosts: Mapping[str, web.Server],
        control: web.Server,
        context: ssl.SSLContext,
        statistics: Statistics,
        track: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._hosts = hosts
        self._control = control
        self._context = context
        self._statistics = statistics
        self._track = track
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._tunnelled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request, with a timeout."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP server hands out
        self._transport = transport
        self._deadline = asyncio.get_running_loop().call_later(_HEAD_TIMEOUT, transport.abort)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Discard the connection."""
        self._transport = None
        self._cancel_deadline()

    def data_received(self, data: bytes) -> None:
        """Buffer the head of the first request or, in a tunnel, data that arrives before its server takes over."""
        self._received += data
        if self._tunnelled or self._transport is None:
            return
        if b"\r\n\r\n" in self._received:
            self._cancel_deadline()
            self._route(self._transport)
        elif len(self._received) > _MAX_HEAD:
            self._refuse(self._transport, 431, "the request head is too large")

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _route(self, transport: asyncio.Transport) -> None:
        words = bytes(self._received.partition(b"\r\n")[0]).decode("latin-1").split(" ")
        if len(words) != 3:
            self._refuse(transport, 400, "not an HTTP request")
        elif words[0] == "CONNECT":
            self._connect(transport, words[1].lower())
        elif words[1].startswith("/"):
            self._hand_over(transport, self._control)
        else:
            self._refuse(transport, 403, "the demo market accepts https requests only")

    def _connect(self, transport: asyncio.Transport, target: str) -> None:
        host, _, port = target.rpartition(":")
        server = self._hosts.get(host)
        if server is None or port != "443":
            self._refuse(transport, 403, "the demo market does not simulate this host")
            return
        self._tunnelled = True
        self._statistics.count("connections")
        self._received.clear()
        transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._track(asyncio.ensure_future(self._serve_tls(transport, server)))

    async def _serve_tls(self, transport: asyncio.Transport, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(transport, self, self._context, server_side=True)
        except (OSError, ssl.SSLError):
            self._statistics.count("tls_refused")
            transport.abort()
            return
        if secured is not None:
            self._hand_over(secured, server)

    def _hand_over(self, transport: asyncio.Transport, server: web.Server) -> None:
        handler = server()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        if self._received:
            handler.data_received(bytes(self._received))

    def _refuse(self, transport: asyncio.Transport, status: int, reason: str) -> None:
        self._statistics.count("refused")
        self._cancel_deadline()
        body = f"{reason}\n".encode()
        head = (
            f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        transport.write(head.encode() + body)
        transport.close()
