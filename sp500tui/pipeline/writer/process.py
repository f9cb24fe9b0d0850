"""The writer process: receives batches over a pipe, writes them to PostgreSQL and reports each result.

Run as `python -m sp500tui.pipeline.writer.process FD`, where FD is a connected socket. The first message is the
configuration (JSON); each of the others is an eight-byte batch number and a payload of `storage.batch_codec`. Every
answer is JSON. Of the heavy packages it imports only psycopg.
"""

from __future__ import annotations

import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def _set_parent_death_signal() -> None:
    """On Linux, have the kernel kill this process when the parent thread exits (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform != "linux":
        return
    import ctypes

    # Without prctl in the C library, only the watch on the pipe remains.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    # Before the other imports, which take most of the start-up: a process suspended before this outlives its parent.
    _set_parent_death_signal()

import json
import logging
import os
import select
import time
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sp500tui.errors import DatabaseError
from sp500tui.logs.redaction import redact_url
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.storage.connection import KeptConnection, connect
from sp500tui.storage.errors import is_transient
from sp500tui.storage.transaction import Connection
from sp500tui.storage.writes import insert

NUMBER_BYTES = 8


def main(fd: int) -> None:
    """Serve until the parent closes its end of the pipe."""
    # The parent decides when to stop and closes the pipe.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pipe = Pipe(fd)
    # Without a watch on the pipe this process could outlive its parent, so it exits.
    ServiceThread(
        "end-of-pipe", lambda: _exit_with_parent(fd), attempts=1, on_failure=lambda _: os._exit(1)
    ).start()
    writer = _Writer(pipe, json.loads(pipe.recv_bytes()))
    try:
        writer.handshake()
        while True:
            message = pipe.recv_bytes()
            writer.write(int.from_bytes(message[:NUMBER_BYTES], "big"), message[NUMBER_BYTES:])
    except (EOFError, OSError):
        writer.disconnect()


def _exit_with_parent(fd: int) -> None:
    """Exit when the parent's end of the pipe is closed, even during a statement."""
    poller = select.poll()
    poller.register(fd, 0)
    poller.poll()
    # The main thread sees the closed pipe too and has a second to close its connection.
    time.sleep(1.0)
    os._exit(0)


class _Writer:
    def __init__(self, pipe: Pipe, configuration: dict[str, Any]) -> None:
        self._pipe = pipe
        self._url: str = configuration["url"]
        self._name: str = configuration["name"]
        self._statement_timeout: float = configuration["statement_timeout"]
        self._connection = KeptConnection(self._connect)

    def _answer(self, **fields: Any) -> None:
        self._pipe.send_bytes(json.dumps(fields).encode())

    def _log(self, message: str) -> None:
        self._answer(kind="log", name=__package__, level=logging.DEBUG, message=message, created=time.time())

    def handshake(self) -> None:
        """Connect to the database and send the result."""
        try:
            self._connection.get()
        except DatabaseError as error:
            self._answer(kind="failed", number=0, sqlstate=error.sqlstate, message=str(error))
        else:
            self._answer(kind="ready", number=0)

    def _connect(self) -> Connection:
        connection = connect(
            self._url,
            application_name=f"sp500tui {self._name}",
            statement_timeout=self._statement_timeout,
        )
        self._log(f"connected to {redact_url(self._url)}")
        return connection

    def write(self, number: int, payload: bytes) -> None:
        """Commit one batch and send the result."""
        started = time.perf_counter()
        try:
            stored = insert(self._connection.get(), payload)
        except DatabaseError as error:
            if error.sqlstate is None or is_transient(error.sqlstate):
                self._connection.close()
            self._answer(kind="failed", number=number, sqlstate=error.sqlstate, message=str(error))
        else:
            self._answer(
                kind="committed", number=number, stored=stored, seconds=time.perf_counter() - started
            )

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        self._connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
