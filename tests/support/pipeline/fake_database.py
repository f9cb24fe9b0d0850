"""An in-memory database and a fake writer process, whose faults a test sets."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sp500tui.pipeline.writer.client import Answer, WriterDiedError
from sp500tui.storage import batch_codec as rowcodec

Fault = Callable[[list[str]], None]
"""Called with the symbols of a batch; raises `QueryFailed` or `WriterDiedError`, or does nothing."""


class RefusedError(Exception):
    """The database rejects the batch with this SQLSTATE."""

    def __init__(self, sqlstate: str | None, message: str = "refused") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class FakeDatabase:
    """Rows by primary key, and the active faults."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: dict[tuple[str | None, str | None], dict[str, str | None]] = {}
        self.batches: list[list[str]] = []
        self.before_commit: Fault = lambda _symbols: None
        self.after_commit: Fault = lambda _symbols: None
        self.refuse_entry: RefusedError | None = None
        self.clients: list[FakeClient] = []

    def client(self, url: str, name: str, statement_timeout: float) -> FakeClient:
        """Replaces the class `WriterClient`."""
        made = FakeClient(self, name, statement_timeout)
        self.clients.append(made)
        return made

    @property
    def symbols(self) -> set[str | None]:
        return {symbol for symbol, _ in self.rows}

    def insert(self, payload: bytes) -> int:
        """Store a batch; returns how many rows were new."""
        records = rowcodec.decode(payload)
        symbols = [str(record["symbol"]) for record in records]
        with self.lock:
            self.batches.append(symbols)
        self.before_commit(symbols)
        with self.lock:
            before = len(self.rows)
            for record in records:
                self.rows.setdefault((record["symbol"], record["quote_time"]), record)
            new = len(self.rows) - before
        self.after_commit(symbols)
        return new


class FakeClient:
    """Has the methods of `WriterClient`."""

    def __init__(self, database: FakeDatabase, name: str, statement_timeout: float) -> None:
        self.database = database
        self.name = name
        self.statement_timeout = statement_timeout
        self.pid = 4_000_000 + len(database.clients)
        self.dead = False
        self.closed = False

    def connect(self, timeout: float, cancelled: Callable[[], bool]) -> Answer:
        refusal = self.database.refuse_entry
        if refusal is not None:
            return Answer(committed=False, sqlstate=refusal.sqlstate, message=str(refusal))
        return Answer(committed=True)

    def commit(
        self,
        number: int,
        payload: bytes,
        timeout: float,
        cancelled: Callable[[], bool],
        while_waiting: Callable[[], None] = lambda: None,
    ) -> Answer:
        if self.dead:
            raise WriterDiedError(f"{self.name} ended by signal 9", crashed=True)
        while_waiting()
        try:
            stored = self.database.insert(payload)
        except RefusedError as refusal:
            return Answer(committed=False, sqlstate=refusal.sqlstate, message=str(refusal))
        return Answer(committed=True, stored=stored, seconds=0.001)

    @property
    def exited(self) -> bool:
        return self.dead

    def check(self) -> None:
        if self.dead:
            raise WriterDiedError(f"{self.name} ended by signal 9", crashed=True)

    def kill(self) -> None:
        self.dead = True

    def close(self, *, kill: bool = False) -> None:
        self.closed = True
