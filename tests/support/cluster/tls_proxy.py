"""A TLS proxy for the real broker, because the Valkey of the tests is built without TLS."""

from __future__ import annotations

import asyncio
import ssl
import sys
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.cluster.valkey import ValkeyServer
from tests.support.ports import free_port

HERE = ("127.0.0.1", "localhost")
_HOUR = timedelta(hours=1)
_PIECE = 65_536


@dataclass
class Authority:
    """A certificate authority, trusted only by clients that are configured with `file`."""

    file: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.ca.cert_pem.write_to_path(str(self.file))

    def certificate(self, *names: str, expired: bool = False) -> trustme.LeafCert:
        """A certificate for a server or client with these names, by default those of this machine."""
        now = datetime.now(UTC)
        begin, end = (now - 2 * _HOUR, now - _HOUR) if expired else (None, None)
        return self.ca.issue_cert(*(names or HERE), not_before=begin, not_after=end)

    def context(self, certificate: trustme.LeafCert) -> ssl.SSLContext:
        """A server's context that presents the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


class TlsProxy:
    """Terminates TLS and forwards to the broker; it can be stopped and started again."""

    def __init__(self, broker: ValkeyServer, context: ssl.SSLContext) -> None:
        self.port = free_port()
        self.connections = 0
        """Number of connections whose handshake succeeded."""
        self._broker = broker
        self.context = context
        """The TLS context of connections accepted after the next start."""
        self.loop = asyncio.new_event_loop()
        """Runs on the proxy's thread until it is closed."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Some tests use clients that reject the certificate; their failed handshakes are not logged.
        self.loop.set_exception_handler(lambda _loop, _context: None)
        self._thread = threading.Thread(target=self.loop.run_forever, name="tls-proxy", daemon=True)
        self._thread.start()
        self.start()

    def url(self, ca: Path | None = None, *, host: str = "127.0.0.1", password: str = "") -> str:
        """The URL for clients, which trust the authority in the file `ca`."""
        secret = f":{password}@" if password else ""
        return f"rediss://{secret}{host}:{self.port}/0" + (f"?ssl_ca_certs={ca}" if ca else "")

    def start(self) -> None:
        """Accept connections, always on the same port."""
        self._run(self._start())

    def stop(self) -> None:
        """Refuse new connections and abort the existing ones; returns when all of them have ended."""
        self._run(self._stop())

    def close(self) -> None:
        """Stop the proxy and its thread; does nothing if it is closed already."""
        if self.loop.is_closed():
            return
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HERE[0], self.port, ssl=self.context)

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if sys.version_info >= (3, 13):  # earlier versions cannot end handshakes in progress
            server.abort_clients()
            await server.wait_closed()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Start the task of a connection. Not a coroutine: `stop` could miss a task that has not run yet."""
        if self._server is None:
            writer.transport.abort()  # the handshake ended after the proxy was stopped
            return
        self.connections += 1
        task = self.loop.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Forward one connection until either side ends it or the proxy is stopped."""
        writers = [writer]
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._broker.port)
            writers.append(broker_writer)
            directions = [
                asyncio.ensure_future(_copy(reader, broker_writer)),
                asyncio.ensure_future(_copy(broker_reader, writer)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
        except OSError:
            pass  # the broker is unavailable, so the client's connection ends too
        finally:
            for each in writers:
                each.transport.abort()


async def _copy(source: StreamReader, sink: StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(_PIECE):
            sink.write(piece)
            await sink.drain()


MakeTlsProxy = Callable[..., TlsProxy]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certificate authority for one test."""
    return Authority(tmp_path / "ca.pem")


@pytest.fixture
def make_tls_proxy(valkey: ValkeyServer, authority: Authority) -> Iterator[MakeTlsProxy]:
    """Creates proxies for a broker, by default the shared one, with a certificate issued by `authority`."""
    made: list[TlsProxy] = []

    def make(*names: str, broker: ValkeyServer = valkey, expired: bool = False) -> TlsProxy:
        proxy = TlsProxy(broker, authority.context(authority.certificate(*names, expired=expired)))
        made.append(proxy)
        return proxy

    yield make
    for proxy in made:
        proxy.close()
