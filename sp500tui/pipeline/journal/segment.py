"""One file of the journal, readable after crashes and torn writes and locked against other processes.

A record is a header (magic, kind, number, rows, payload length, CRC-32 of all that and the payload) and its payload.
Kind `B` is a batch; kind `D`, without payload, marks the batch of that number as committed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sp500tui.errors import JournalError, resource_remedy

SUFFIX = ".journal"
_MAGIC = b"SPJ1"
_HEADER = struct.Struct(">4scQIII")
_BATCH, _DONE = b"B", b"D"
_REUSE_ABOVE = 1 << 20
"""File size in bytes above which a segment without open batches is truncated for reuse."""


class UnreadableError(JournalError):
    """A batch was changed or truncated on disk after it was written; its rows are lost."""


@dataclass(frozen=True, slots=True)
class Record:
    """Position of an open batch's payload."""

    offset: int
    length: int
    rows: int


def frame(kind: bytes, number: int, rows: int, payload: bytes) -> bytes:
    """The header of a record with this payload."""
    blank = _HEADER.pack(_MAGIC, kind, number, rows, len(payload), 0)
    return _HEADER.pack(_MAGIC, kind, number, rows, len(payload), zlib.crc32(payload, zlib.crc32(blank)))


def _parse(data: bytes, at: int) -> tuple[bytes, int, int, int] | None:
    """Kind, number, rows and payload length of the intact record at `at`; None when there is none."""
    if at + _HEADER.size > len(data):
        return None
    magic, kind, number, rows, length, crc = _HEADER.unpack_from(data, at)
    end = at + _HEADER.size + length
    if magic != _MAGIC or kind not in (_BATCH, _DONE) or end > len(data):
        return None
    blank = _HEADER.pack(magic, kind, number, rows, length, 0)
    if zlib.crc32(data[at + _HEADER.size : end], zlib.crc32(blank)) != crc:
        return None
    return kind, number, rows, length


@dataclass(frozen=True, slots=True)
class Contents:
    """The content of a journal file."""

    open_batches: dict[int, Record]
    """Batch number → position of its payload, oldest first."""
    end: int
    """Offset in bytes at which the next record is written: after the last intact one, or after unreadable bytes."""
    damaged: bool
    """Whether there are unreadable bytes; a torn tail, which a crash can leave, does not count."""


def scan(data: bytes) -> Contents:
    """Scan a file's bytes for intact records, skipping unreadable ones."""
    found: dict[int, Record] = {}
    at, end, gap, damaged = 0, 0, False, False
    while at < len(data):
        record = _parse(data, at)
        if record is None:
            gap = True
            at = data.find(_MAGIC, at + 1)
            if at < 0:
                break
            continue
        damaged = damaged or gap
        gap = False
        kind, number, rows, length = record
        if kind == _BATCH:
            found[number] = Record(at + _HEADER.size, length, rows)
        else:
            found.pop(number, None)
        at = end = at + _HEADER.size + length
    if gap and not _is_torn(data[end:]):
        damaged, end = True, len(data)
    return Contents(found, end, damaged)


def _is_torn(tail: bytes) -> bool:
    """Whether a crash can have left these bytes: the start of a record, possibly followed by zeros."""
    written = tail.rstrip(b"\0")
    if len(written) < _HEADER.size:
        return _MAGIC.startswith(written[: len(_MAGIC)])
    magic, _, _, _, length, _ = _HEADER.unpack_from(written)
    return bool(magic == _MAGIC and _HEADER.size + length > len(written))


class Segment:
    """An open, locked journal file and the batches in it that are not committed."""

    def __init__(self, path: Path, fd: int, contents: Contents) -> None:
        self.path = path
        self.open_batches = contents.open_batches
        self.open_bytes = sum(record.length for record in contents.open_batches.values())
        """Bytes of the open batches' payloads."""
        self.damaged = contents.damaged
        self._fd = fd
        self._size = contents.end
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        """Held during a sync."""
        self._written = 0
        """Batches appended so far."""
        self._synced = 0
        """How many of these, the oldest ones, are durable."""
        self._sync_error: tuple[int, str] | None = None
        """Number and text of the error of a failed sync."""

    @classmethod
    def create(cls, folder: Path) -> Segment:
        """Create an empty segment in `folder`.

        Raises:
            JournalError: the folder cannot be written.
        """
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        temp_path = path.with_suffix(".new")
        fd = -1
        try:
            fd = os.open(temp_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            # Locked before it is renamed to its final name, so that no other process mistakes it for an orphan.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temp_path.rename(path)
            sync_folder(folder)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            for left in (temp_path, path):
                with suppress(OSError):
                    left.unlink(missing_ok=True)
            raise JournalError(f"cannot write the journal in {folder}: {describe(error)}") from error
        return cls(path, fd, Contents({}, 0, damaged=False))

    @classmethod
    def recover(cls, path: Path) -> Segment | None:
        """Open and lock the file of a dead process; None when its owner is alive or the file no longer exists.

        Raises:
            JournalError: the file cannot be read.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JournalError(_unreadable_message(path, error)) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        if not os.fstat(fd).st_nlink:
            os.close(fd)
            return None
        try:
            contents = scan(_read_all(fd))
            # A later scan would report the rest of a torn tail as damage.
            os.ftruncate(fd, contents.end)
        except OSError as error:
            os.close(fd)
            raise JournalError(_unreadable_message(path, error)) from error
        return cls(path, fd, contents)

    def append(self, number: int, rows: int, payload: bytes) -> None:
        """Write a batch to disk; it is durable when this returns.

        Raises:
            JournalError: the disk cannot be written; nothing of the batch remains.
        """
        descriptor, written = -1, 0
        try:
            with self._lock:
                if self._fd < 0:
                    raise JournalError(f"the journal file {self.path} is closed: the run has ended")
                # Duplicated: the file may be closed during the sync, and its descriptor reused.
                descriptor = os.dup(self._fd)
                written = self._write(number, rows, payload)
            self._sync(descriptor, written)
        except OSError as error:
            if written:
                self.mark_committed(number)
            raise JournalError(_disk_error_message(self.path, error)) from error
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _write(self, number: int, rows: int, payload: bytes) -> int:
        """Write a batch without a sync, the lock held; returns the number of batches written."""
        if self._sync_error is not None:
            raise OSError(*self._sync_error)
        start = self._size
        try:
            _write_all(self._fd, frame(_BATCH, number, rows, payload) + payload, start)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, start)
            raise
        self._size = start + _HEADER.size + len(payload)
        self.open_batches[number] = Record(start + _HEADER.size, len(payload), rows)
        self.open_bytes += len(payload)
        self._written += 1
        return self._written

    def _sync(self, descriptor: int, written: int) -> None:
        """Make the first `written` batches durable, unless another thread has; one sync covers all before it.

        Linux reports a failed write-back to only one sync of an open file and marks the pages clean afterwards. So the
        failure applies to every batch that was not durable yet, and no further batch is written to this file.
        """
        with self._sync_lock:
            if self._synced >= written:
                return
            if self._sync_error is not None:
                raise OSError(*self._sync_error)
            covered = self._written
            try:
                os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
            except OSError as error:
                self._sync_error = (error.errno or errno.EIO, error.strerror or str(error))
                raise
            self._synced = covered

    @property
    def failed(self) -> bool:
        """Whether a sync has failed, after which the file takes no further batch."""
        return self._sync_error is not None

    def read(self, number: int) -> bytes:
        """The payload of an open batch, as it was written.

        Raises:
            UnreadableError: the record was truncated or changed.
            JournalError: the disk cannot be read.
        """
        record = self.open_batches[number]
        try:
            with self._lock:
                frame = os.pread(self._fd, _HEADER.size + record.length, record.offset - _HEADER.size)
        except OSError as error:
            raise JournalError(
                f"batch {number} of the journal file {self.path} cannot be read: {error.strerror}"
            ) from error
        if _parse(frame, 0) != (_BATCH, number, record.rows, record.length):
            raise UnreadableError(
                f"batch {number} of the journal file {self.path} is damaged: it was truncated or changed on disk"
            )
        return frame[_HEADER.size :]

    def quarantine(self) -> Path:
        """Keep the file under another name when it is closed, for inspection; returns that name."""
        self.damaged = True
        return self._quarantine_path

    def mark_committed(self, number: int) -> None:
        """Mark a batch as committed. Not synced: sending it again after a crash is harmless, writes are idempotent."""
        with self._lock:
            record = self.open_batches.pop(number, None)
            self.open_bytes -= record.length if record else 0
            if self._fd < 0:
                return
            try:
                if not self.open_batches and self._size > _REUSE_ABOVE and not self.damaged:
                    os.ftruncate(self._fd, 0)
                    self._size = 0
                    return
                mark = frame(_DONE, number, 0, b"")
                _write_all(self._fd, mark, self._size)
                self._size += len(mark)
            except OSError:
                # If the mark does not fit on a full disk, a crash only causes the batch to be sent again.
                with suppress(OSError):
                    os.ftruncate(self._fd, self._size)

    @property
    def size(self) -> int:
        """File size in bytes."""
        return self._size

    @property
    def removed(self) -> bool:
        """Whether the file was unlinked by another process; its batches would not survive this one."""
        with self._lock:
            return self._fd >= 0 and not os.fstat(self._fd).st_nlink

    @property
    def _quarantine_path(self) -> Path:
        return self.path.with_suffix(".damaged")

    def close(self) -> None:
        """Close the file: removed when it has no open batch, else kept for the next start. Idempotent."""
        with self._lock:
            if self._fd < 0:
                return
            fd, self._fd = self._fd, -1
            try:
                if not self.open_batches:
                    if self.damaged and os.fstat(fd).st_nlink:
                        self.path.rename(self._quarantine_path)
                    else:
                        self.path.unlink(missing_ok=True)
            finally:
                os.close(fd)


def orphaned_segments(folder: Path) -> Iterator[Segment]:
    """Recover the segments in `folder` whose processes are dead."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        segment = Segment.recover(path) if path.is_file() else None
        if segment is not None:
            yield segment


def rows_left(folder: Path) -> int:
    """The rows in `folder` that wait for a run; files of running processes and unreadable ones are left out.

    Nothing is changed.
    """
    rows = 0
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                # Released at once: a process that starts now must be able to recover the file.
                fcntl.flock(fd, fcntl.LOCK_UN)
                rows += sum(record.rows for record in scan(_read_all(fd)).open_batches.values())
            finally:
                os.close(fd)
    return rows


def _read_all(fd: int) -> bytes:
    parts = []
    at = 0
    while part := os.pread(fd, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _write_all(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable, such as that of a new file."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unreadable_message(path: Path, error: OSError) -> str:
    remedy = resource_remedy(error) or "run as its owner, or name another folder with --data-dir DIR"
    return f"cannot read the journal file {path}: {error.strerror}; {remedy}"


def _disk_error_message(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of the journal is full ({path.parent}): free some space; nothing is lost, intake waits"
        )
    return f"the journal cannot be written ({path}): {describe(error)}"


def describe(error: OSError) -> str:
    """The reason why a file of the data folder cannot be used, and the remedy."""
    remedy = resource_remedy(error) or "make the folder writable, or name another with --data-dir DIR"
    return f"{error.strerror}; {remedy}"
