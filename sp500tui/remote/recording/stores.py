"""The stores of blocks: the last minutes in memory, and files that are rotated."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from sp500tui.config.paths import ensure_folder
from sp500tui.remote.recording.blocks import Block, FileFacts, file_header

_log = logging.getLogger(__name__)

SUFFIX = ".sp5"
_FILE_SECONDS = 2 * 86_400.0
_FILE_BYTES = 1 << 30
_FILES = 30
"""Recordings kept in a folder; the oldest ones are removed."""
_RETRY_AFTER = 60.0
"""Seconds until the next attempt after the disk was full."""

StoredBlock = tuple[Block, bytes]


class RecentBlocks:
    """The blocks of the last minutes in memory, in whole chunks. Thread-safe."""

    def __init__(self, seconds: float = 900.0, limit_bytes: int = 20 << 20) -> None:
        self._seconds = seconds
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._chunks: deque[list[StoredBlock]] = deque()
        self._bytes = 0

    def append(self, block: Block, payload: bytes) -> None:
        """Add a block; drops the oldest chunks beyond the limits, but never the current one.

        After the clock was set back, all earlier blocks are dropped: times only increase.
        """
        with self._lock:
            if self._chunks and block.first < self._chunks[-1][-1][0].last:
                self._chunks.clear()
                self._bytes = 0
            if block.begins_chunk or not self._chunks:
                self._chunks.append([])
            self._chunks[-1].append((block, payload))
            self._bytes += len(payload)
            while len(self._chunks) > 1 and self._is_dispensable(block.last):
                self._bytes -= sum(len(old) for _, old in self._chunks.popleft())

    def _is_dispensable(self, now: float) -> bool:
        """Whether the oldest chunk can be dropped: the others cover enough time, or the memory limit is exceeded."""
        return now - self._chunks[1][0][0].first >= self._seconds or self._bytes > self._limit

    @property
    def bytes(self) -> int:
        """Bytes of all payloads."""
        return self._bytes

    def blocks(self) -> list[StoredBlock]:
        """All blocks, oldest first."""
        with self._lock:
            return [block for chunk in self._chunks for block in chunk]


def ensure_recordings(folder: Path) -> None:
    """Create a folder of recordings.

    Raises:
        ConfigurationError: it cannot be created or written.
    """
    ensure_folder(folder, "folder of recordings", "name another with --record FOLDER")


class RecordingFile:
    """One file. Every block is on disk before the next one is written."""

    def __init__(self, path: Path, facts: FileFacts) -> None:
        """Create the file; raises OSError if it exists or cannot be written."""
        self.path = path
        self.bytes = 0
        self._has_blocks = False
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._write(file_header(facts))
        except OSError:
            self.close()
            raise

    def append(self, block: Block, payload: bytes) -> None:
        """Write a block; raises OSError."""
        self._write(block.encoded() + payload)
        self._has_blocks = True

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor) if hasattr(os, "fdatasync") else os.fsync(self._descriptor)
        self.bytes += len(data)

    def close(self) -> None:
        """Close the file; one without a complete block is removed, so that a full disk leaves no empty ones."""
        os.close(self._descriptor)
        if not self._has_blocks:
            with suppress(OSError):
                self.path.unlink()


class RecordingFolder:
    """A folder of recordings.

    A new file is started by the first chunk after two days or one gibibyte, and when the clock was set back.
    A full disk interrupts the recording with a warning, never the run.
    """

    def __init__(
        self,
        folder: Path,
        facts: FileFacts,
        begin_chunk: Callable[[], None],
        *,
        prefix: str = "sp500tui",
        keep: int = _FILES,
    ) -> None:
        """Create the folder; `begin_chunk` makes one of the next blocks begin a chunk, as every file must.

        Raises:
            ConfigurationError: the folder cannot be created or written.
        """
        ensure_recordings(folder)
        self._folder = folder
        self._facts = facts
        self._begin_chunk = begin_chunk
        self._prefix = prefix
        self._keep = keep
        self._file: RecordingFile | None = None
        self._first = self._last = 0.0
        """Times of the current file."""
        self._paused_at = float("-inf")
        """Time of the last attempt to write after a failure."""

    @property
    def path(self) -> Path | None:
        """The current file."""
        return None if self._file is None else self._file.path

    def append(self, block: Block, payload: bytes) -> None:
        """Write a block to the current file, or start the next one."""
        if block.first < self._last or (block.begins_chunk and self._is_complete(block.first)):
            self.close()
        try:
            if self._file is None:
                if not block.begins_chunk:
                    # By a clock that may have been set back in between.
                    if not 0 <= block.first - self._paused_at < _RETRY_AFTER:
                        self._paused_at = block.last
                        self._begin_chunk()
                    return
                self._open(block.first)
            assert self._file is not None  # noqa: S101  # opened above
            self._file.append(block, payload)
            self._last = block.last
        except OSError as error:
            _log.warning(
                "the recording in %s is interrupted: %s; the next attempt follows in %.0f s",
                self._folder,
                error.strerror,
                _RETRY_AFTER,
            )
            self.close()
            self._paused_at = block.last

    def _is_complete(self, at: float) -> bool:
        return self._file is not None and (
            at - self._first >= _FILE_SECONDS or self._file.bytes >= _FILE_BYTES
        )

    def _open(self, at: float) -> None:
        name = f"{self._prefix}-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}"
        for number in count(1):
            path = self._folder / f"{name}{f'-{number}' if number > 1 else ''}{SUFFIX}"
            # Another program may record to the same folder.
            with suppress(FileExistsError):
                self._file = RecordingFile(path, self._facts)
                break
        self._first = at
        _log.info("recording to %s", self.path)
        self._remove_oldest()

    def _remove_oldest(self) -> None:
        """Remove the oldest files; never the current one, which appears old after the clock was set back."""
        older = [path for path in self._folder.glob(f"{self._prefix}-*{SUFFIX}") if path != self.path]
        older.sort(key=lambda path: (_changed_at(path), path.name), reverse=True)
        for path in older[self._keep - 1 :]:
            with suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Close the current file."""
        file, self._file = self._file, None
        self._last = 0.0
        if file is not None:
            file.close()


def _changed_at(path: Path) -> float:
    """Modification time of a file, POSIX time; 0 if another program has removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def save(
    folder: Path, facts: FileFacts, blocks: Sequence[StoredBlock], *, prefix: str, keep: int
) -> Path | None:
    """Write blocks to a new file of a folder, such as those of the last minutes after a failure.

    Returns its path; None without blocks, or if it cannot be written.
    """
    if not blocks:
        return None
    recordings = RecordingFolder(folder, facts, lambda: None, prefix=prefix, keep=keep)
    for block, payload in blocks:
        recordings.append(block, payload)
    path = recordings.path
    recordings.close()
    return path
