"""Records a pipeline every second: the last minutes in memory, and optionally in files."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from sp500tui import __version__
from sp500tui.closable import Closable
from sp500tui.errors import Sp500tuiError
from sp500tui.logs.setup import LogSource
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.remote.recording.blocks import BlockWriter, FileFacts
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.stores import RecentBlocks, RecordingFolder, StoredBlock, save
from sp500tui.remote.updates import UpdateSource
from sp500tui.remote.wire import Position, RunFacts

_log = logging.getLogger(__name__)

_INTERVAL = 1.0
_KEPT_FAILURES = 10
"""Recordings of failed runs kept in a folder."""
_LINGER = 10.0
"""Seconds for which the end waits for a moment that is being recorded."""


class Recorder(Closable):
    """A thread that records a pipeline until it is closed."""

    def __init__(
        self,
        pipeline: PipelineControl,
        run: RunFacts,
        log: LogSource,
        *,
        folder: Path | None = None,
        failures: Path | None = None,
        interval: float = _INTERVAL,
    ) -> None:
        """Prepare the recording.

        Args:
            pipeline: the pipeline to record.
            run: facts of the run, for the replay.
            log: source of the log lines.
            folder: folder for files; None to record only in memory.
            failures: folder for the last minutes of a failed run; None to discard them.
            interval: seconds between two moments.

        Raises:
            ConfigurationError: `folder` cannot be created or written.
        """
        self.facts = FileFacts(__version__, run)
        self.recent = RecentBlocks()
        self._pipeline = pipeline
        self._source = UpdateSource(pipeline, log)
        self._position = Position()
        self._writer = BlockWriter()
        self._lock = threading.Lock()
        self._unwritten: deque[StoredBlock] = deque()
        """Blocks for the file: written by the thread, so that a slow disk delays neither readers nor the end."""
        self._failures = failures
        self._interval = interval
        self._due = time.monotonic()
        self._folder = (
            None if folder is None else RecordingFolder(folder, self.facts, self._writer.begin_chunk)
        )
        self.thread = ServiceThread("recorder", self._step)

    def start(self) -> None:
        """Start recording."""
        self.thread.start()

    def _step(self) -> float:
        """Record one moment; returns the seconds to the next."""
        self.record()
        self._due = max(self._due + self._interval, time.monotonic())
        return self._due - time.monotonic()

    def record(self) -> None:
        """Record the current moment."""
        update = self._source.since(self._position)
        self._position = update.position
        with self._lock:
            self._keep(self._writer.add(update))
        self._write()

    def flush(self) -> None:
        """Make everything recorded so far available in `recent`."""
        with self._lock:
            self._keep(self._writer.finish())

    def recent_recording(self) -> Recording | None:
        """The last minutes; None before anything is recorded."""
        self.flush()
        blocks = self.recent.blocks()
        return Recording.of_blocks(self.facts, blocks) if blocks else None

    def _keep(self, complete: StoredBlock | None) -> None:
        if complete is not None:
            self.recent.append(*complete)
            if self._folder is not None:
                self._unwritten.append(complete)

    def _write(self) -> None:
        """Write the completed blocks to the file. May be slow; called by the thread, and by `close` after it."""
        while self._folder is not None and self._unwritten:
            self._folder.append(*self._unwritten.popleft())

    def close(self) -> None:
        """Record the end and close the file; a failed run leaves a recording of its last minutes."""
        self.thread.stop()
        idle = self.thread.join(_LINGER)
        if idle:
            with suppress(Exception):  # raised by a killed pipeline; everything before is recorded
                self.record()
        self.flush()
        if self._folder is not None and idle:
            self._write()
            self._folder.close()
        elif self._folder is not None:
            _log.warning("the end of the recording is missing: its disk or the pipeline does not answer")
        elif self._failures is not None and self._pipeline.outcome().failure:
            self._save(self._failures)

    def _save(self, folder: Path) -> None:
        try:
            path = save(folder, self.facts, self.recent.blocks(), prefix="failed", keep=_KEPT_FAILURES)
        except Sp500tuiError as error:
            _log.warning("the last minutes of the failed run could not be recorded: %s", error)
            return
        if path is not None:
            _log.info("the last minutes of the failed run: sp500tui replay %s", path)
