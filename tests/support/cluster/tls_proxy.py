"""A TLS proxy for the real broker, because the Valkey of the tests is built without TLS."""

from __future__ import annotations

import asyncio
import ssl
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
    """A certificate authority, which only clients that are given `file` trust."""

    file: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.ca.cert_pem.write_to_path(str(self.file))

    def certificate(self, *names: str, expired: bool = False) -> trustme.LeafCert:
        """For a server or a client of these names, by default for this machine."""
        now = datetime.now(UTC)
        begin, end = (now - 2 * _HOUR, now - _HOUR) if expired else (None, None)
        return self.ca.issue_cert(*(names or HERE), not_before=begin, not_after=end)

    def context(self, certificate: trustme.LeafCert) -> ssl.SSLContext:
        """A server's that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


class TlsDoor:
    """Terminates TLS and forwards to the broker; it can be closed and opened again."""

    def __init__(self, broker: ValkeyServer, context: ssl.SSLContext) -> None:
        self.port = free_port()
        self.passed = 0
        """Connections whose handshake succeeded."""
        self._broker = broker
        self.context = context
        """What it shows to those who come after it was opened again."""
        self._server: asyncio.Server | None = None
        self._passages: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        # Clients that do not like the certificate are what some tests are about.
        self._loop.set_exception_handler(lambda _loop, _what: None)
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls-door", daemon=True)
        self._thread.start()
        self.open()

    def url(self, ca: Path | None = None, *, host: str = "127.0.0.1", password: str = "") -> str:
        """For clients that are to believe `ca`."""
        secret = f":{password}@" if password else ""
        return f"rediss://{secret}{host}:{self.port}/0" + (f"?ssl_ca_certs={ca}" if ca else "")

    def open(self) -> None:
        """Let clients in, always at the same port."""
        self._do(self._listen())

    def shut(self) -> None:
        """Refuse new connections, and cut the present ones."""
        self._do(self._cut())

    def close(self) -> None:
        """End it."""
        self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass, HERE[0], self.port, ssl=self.context)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for passage in self._passages:
            passage.cancel()
        await asyncio.gather(*self._passages, return_exceptions=True)

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One client, until either side ends or the door is shut."""
        task = asyncio.current_task()
        assert task is not None
        self._passages.add(task)
        self.passed += 1
        writers = [writer]
        try:
            inner, behind = await asyncio.open_connection("127.0.0.1", self._broker.port)
            writers.append(behind)
            ways = [
                asyncio.ensure_future(_carry(reader, behind)),
                asyncio.ensure_future(_carry(inner, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
        except OSError:
            pass  # the broker is away: so is the connection
        finally:
            for each in writers:
                each.transport.abort()
            self._passages.discard(task)


async def _carry(source: StreamReader, sink: StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(_PIECE):
            sink.write(piece)
            await sink.drain()


MakeDoor = Callable[..., TlsDoor]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of the test's own."""
    return Authority(tmp_path / "ca.pem")


@pytest.fixture
def make_door(valkey: ValkeyServer, authority: Authority) -> Iterator[MakeDoor]:
    """Doors in front of a broker, by default the one of all tests, with a certificate of `authority`."""
    made: list[TlsDoor] = []

    def make(*names: str, broker: ValkeyServer = valkey, expired: bool = False) -> TlsDoor:
        door = TlsDoor(broker, authority.context(authority.certificate(*names, expired=expired)))
        made.append(door)
        return door

    yield make
    for door in made:
        door.close()
