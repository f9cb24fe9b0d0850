"""Loads the pipeline after the first frame, and provides the snapshot shown until it is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from textual.message import Message

from sp500tui.config.settings import Settings
from sp500tui.errors import ExitCode, Sp500tuiError
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import (
    CycleSnapshot,
    Latency,
    Phase,
    QueueSnapshot,
    Snapshot,
    StageSnapshot,
)
from sp500tui.tui.messages import PipelineFailed, PipelineOpened
from sp500tui.tui.render.formats import clean


class PipelineLoader:
    """Builds and starts the pipeline on its own thread, because importing its modules takes long.

    There is one attempt; its failure ends the run.
    """

    def __init__(self, build: Callable[[], PipelineControl], post: Callable[[Message], bool]) -> None:
        self.pipeline: PipelineControl | None = None
        """Set before it is started."""
        self._build = build
        self._post = post
        self._since = time.monotonic()
        self._cancelled = threading.Event()
        self.thread = ServiceThread("pipeline-opener", self._open, attempts=1, on_failure=self._failed)

    @property
    def seconds(self) -> float:
        """Since the program started."""
        return time.monotonic() - self._since

    def start(self) -> None:
        """Start loading; the outcome is posted as a message."""
        self.thread.start()

    def cancel(self, timeout: float) -> None:
        """Prevent the start of the pipeline; waits at most `timeout` seconds for a start in progress."""
        self._cancelled.set()
        self.thread.join(timeout)

    def _open(self) -> None:
        try:
            pipeline = self._build()
            if self._cancelled.is_set():
                return
            self.pipeline = pipeline
            pipeline.start()
        except Sp500tuiError as error:
            self._failed(error)
        else:
            self._post(PipelineOpened(pipeline))

    def _failed(self, error: BaseException) -> None:
        """Report why there is no pipeline."""
        self._post(PipelineFailed(error))


def starting_snapshot(
    settings: Settings, now: datetime, uptime: float, failure: BaseException | None = None
) -> Snapshot:
    """A pipeline that is starting, or that could not be opened because of `failure`."""
    sizes = {
        StageName.SCRAPER: 1,
        StageName.PRICE: settings.price_workers,
        StageName.CONVERTER: settings.converters,
        StageName.WRITER: settings.writers,
        StageName.HISTORY: settings.history_workers,
    }
    capacities = {
        QueueName.TICKERS: settings.tickers_capacity,
        QueueName.QUOTES: settings.quotes_capacity,
        QueueName.ROWS: settings.rows_capacity,
        QueueName.HISTORY: 0,
    }
    return Snapshot(
        taken_at=now,
        phase=Phase.FAILED if failure else Phase.STARTING,
        demo=settings.demo,
        uptime=uptime,
        ledger=Ledger(),
        cycle=CycleSnapshot(interval=settings.interval),
        queues=tuple(QueueSnapshot(name, 0, 0, room, 0, None, 0.0, 0.0) for name, room in capacities.items()),
        stages=tuple(StageSnapshot(name, n, 0, 0, 0, 0, 0.0, Latency(), 0) for name, n in sizes.items()),
        workers=(),
        failure=clean(str(failure)) if failure else "",
        failure_code=failure.exit_code if isinstance(failure, Sp500tuiError) else ExitCode.INCOMPLETE,
    )
