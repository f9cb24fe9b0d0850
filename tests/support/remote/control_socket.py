"""A fake pipeline served on a real control socket."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sp500tui.logs.setup import NoLog
from sp500tui.remote.address import Claim
from sp500tui.remote.commands import Poll
from sp500tui.remote.server import ControlServer
from sp500tui.remote.session import Session
from sp500tui.remote.wire import Position, RunFacts, Update
from tests.support.tui.fake_pipeline import FakePipeline

FACTS = RunFacts(demo=True, currency="DKK", drain_timeout=30.0, broker="")


class Served:
    """A pipeline, its data folder and the server on it."""

    def __init__(self, data: Path, pipeline: FakePipeline | None = None, **options: Any) -> None:
        self.data = data
        self.pipeline = pipeline or FakePipeline(prices=())
        self.claim = Claim.take(data)
        log = options.pop("log", NoLog())
        self.server = ControlServer(self.claim.listen(), self.pipeline, FACTS, log, **options)
        self.server.start()

    def close(self) -> None:
        self.server.close()
        self.claim.release()

    def raw(self) -> socket.socket:
        """A connection on which a test sends arbitrary bytes."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(self.data / "run" / "control.sock"))
        return connection


Serve = Callable[..., Served]
"""The type of the fixture `serve`."""


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="sp500tui-"))
    yield folder / "live"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def serve(data: Path) -> Iterator[Serve]:
    """Serves fake pipelines; closed at the end of the test."""
    served: list[Served] = []

    def start(pipeline: FakePipeline | None = None, **options: Any) -> Served:
        served.append(Served(data, pipeline, **options))
        return served[-1]

    yield start
    for each in served:
        each.close()


def poll(session: Session, position: Position | None = None) -> Update:
    """The updates since a position, from the beginning if none is given."""
    return session.call(Poll(position or Position()), Update)


@contextmanager
def answering(data: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """A listener in place of a pipeline that answers one connection."""
    claim = Claim.take(data)
    listener = claim.listen()
    listener.setblocking(True)

    def accept() -> None:
        connection, _ = listener.accept()
        with connection:
            answer(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        thread.join(10)
        listener.close()
        claim.release()
