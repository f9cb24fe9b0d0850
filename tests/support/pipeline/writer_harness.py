"""Writers between a rows queue and an in-memory database, with a continuous check of the conservation equation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sp500tui.backoff import BackOff
from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.ledger import Ledger, LedgerCounters
from sp500tui.pipeline.core.metrics import LatencyHistogram
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.journal.dead_letters import DeadLetters
from sp500tui.pipeline.journal.journal import Journal
from sp500tui.pipeline.writer import database_health as database_state
from sp500tui.pipeline.writer import worker as writing_module
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.pipeline.writer.spooler import Spooler
from sp500tui.pipeline.writer.worker import WriterStage
from tests.support.pipeline.fake_database import FakeDatabase


class WriterHarness:
    """Writers between a rows queue and an in-memory database."""

    def __init__(
        self,
        folder: Path,
        *,
        batch: int = 10,
        capacity: int = 1000,
        write_ahead: bool = True,
        journal_limit: int = 1 << 24,
    ) -> None:
        self.database = FakeDatabase()
        self.counters = LedgerCounters()
        self.rows: MemoryQueue[ConvertedQuote] = MemoryQueue(capacity, self.counters.lock)
        self.journal = Journal(
            folder / "journal", self.counters, limit_bytes=journal_limit, write_ahead=write_ahead
        )
        self.journal.open()
        self.dead_letters = DeadLetters(folder / "dead.jsonl")
        self.events: list[PipelineEvent] = []
        self.health = DatabaseHealth(self.events.append, jitter=lambda: 0.0)
        self.health.ready.set()
        self.health.record_success()
        self.latest_prices = LatestPrices()
        self.end_to_end = LatencyHistogram()
        self.writer_stage = WriterStage(
            self.rows,
            self.journal,
            health=self.health,
            dead_letters=self.dead_letters,
            latest_prices=self.latest_prices,
            end_to_end=self.end_to_end,
            url=lambda: "postgresql://nowhere",
            batch_size=batch,
            commit_timeout=5.0,
        )
        self.stage = WorkerPool(
            StageName.WRITER, self.writer_stage.make_task, 1, listener=self.events.append, jitter=lambda: 0.0
        )
        self.spooler = Spooler(
            self.writer_stage, self.journal, paused=lambda: self.stage.must_pause, wake=self.stage.wake
        )

    def put(self, rows: Sequence[ConvertedQuote]) -> None:
        self.rows.put(rows, on_put=lambda: self.counters.count_fetched(len(rows)))

    def ledger(self) -> Ledger:
        with self.counters.lock:
            depth, counters = self.rows.depth(), self.counters
            return Ledger(
                counters.fetched,
                counters.stored,
                counters.duplicate,
                depth.ready,
                depth.in_flight + self.journal.in_progress,
                self.journal.spooled,
                counters.dead,
            )

    def settled(self) -> bool:
        ledger = self.ledger()
        return ledger.fetched == ledger.stored + ledger.duplicate + ledger.dead

    def dead_lettered(self) -> list[str | None]:
        return [letter.row["symbol"] for letter in self.dead_letters.listing()]

    def restarts(self) -> int:
        return self.stage.snapshot(self.stage.workers).restarts


Open = Callable[..., AbstractContextManager[WriterHarness]]


@pytest.fixture
def open_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    @contextmanager
    def make(
        writers: int = 1, *, away: bool = False, spooling: bool = False, **kwargs: Any
    ) -> Iterator[WriterHarness]:
        """`away`: the database is unavailable; `spooling`: the spooler takes rows that no writer takes in time."""
        harness = WriterHarness(tmp_path, **kwargs)
        if away:
            harness.health.ready.clear()
        monkeypatch.setattr(writing_module, "WriterClient", harness.database.client)
        monkeypatch.setattr(database_state, "_RETRY", BackOff(base=0.05, cap=0.05))
        unbalanced: list[Ledger] = []
        over = threading.Event()

        def sample() -> None:
            while not over.wait(0.0005):
                ledger = harness.ledger()
                if not ledger.is_balanced:
                    unbalanced.append(ledger)

        watcher = threading.Thread(target=sample)
        watcher.start()
        harness.stage.scale(writers)
        harness.stage.start()
        if spooling:
            harness.spooler.thread.start()
        try:
            yield harness
            harness.rows.close()
            if not harness.stage.join(0.3):
                # Remaining rows are spooled to disk, as on the second request to stop.
                harness.writer_stage.spooling_since = time.monotonic() - 60
                harness.stage.shutdown_now()
                assert harness.stage.join(60)
        finally:
            harness.spooler.close()
            over.set()
            watcher.join()
        assert unbalanced == [], "the equation holds at every moment"
        assert all(client.closed for client in harness.database.clients)
        harness.journal.close()

    return make
