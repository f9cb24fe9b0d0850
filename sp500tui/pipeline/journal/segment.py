"""One file of the journal: records that survive a crash, a torn write and a second program.

A record is a header (magic, kind, number, rows, payload length, CRC-32 of all that and the payload) and its payload.
Kind `B` is a batch; kind `D`, without payload, says that the batch of that number is committed.
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

from sp500tui.errors import JournalError

SUFFIX = ".journal"
_MAGIC = b"SPJ1"
_HEADER = struct.Struct(">4scQIII")
_BATCH, _DONE = b"B", b"D"
_REUSE_ABOVE = 1 << 20
"""Bytes above which a file without open batches is emptied for reuse."""


class UnreadableError(JournalError):
    """A batch was changed or cut off on the disk after it was written: what it held cannot be had any more."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where the payload of one open batch lies."""

    offset: int
    length: int
    rows: int


def _frame(kind: bytes, number: int, rows: int, payload: bytes) -> bytes:
    blank = _HEADER.pack(_MAGIC, kind, number, rows, len(payload), 0)
    return _HEADER.pack(_MAGIC, kind, number, rows, len(payload), zlib.crc32(payload, zlib.crc32(blank)))


def _parse(data: bytes, at: int) -> tuple[bytes, int, int, int] | None:
    """Kind, number, rows and payload length of the whole, unharmed record at `at`; None when there is none."""
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
    """What a journal file holds."""

    open_batches: dict[int, Record]
    """Batch number → where its payload lies, oldest first."""
    end: int
    """Where the last whole record ends, in bytes from the start."""
    damaged: bool
    """Whether an unreadable stretch lies before a whole record; a torn tail, as a crash leaves it, is no damage."""


def scan(data: bytes) -> Contents:
    """What can be read of a file's bytes, whatever happened to them."""
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
    return Contents(found, end, damaged)


class Segment:
    """An open, locked journal file and the batches in it that are not committed yet."""

    def __init__(self, path: Path, fd: int, contents: Contents) -> None:
        self.path = path
        self.open_batches = contents.open_batches
        self.open_bytes = sum(record.length for record in contents.open_batches.values())
        """Bytes of the open batches' payloads."""
        self.damaged = contents.damaged
        self._fd = fd
        # A torn tail is written over, or the next scan would find it between whole records.
        self._size = contents.end
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path) -> Segment:
        """A new, empty file of this process in `folder`.

        Raises:
            JournalError: the folder cannot be written.
        """
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        young = path.with_suffix(".new")
        try:
            fd = os.open(young, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            # Locked before it gets the name that others look for, so that nobody can take it for a leftover.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            young.rename(path)
            _sync_folder(folder)
        except OSError as error:
            raise JournalError(f"cannot write the journal in {folder}: {error.strerror}") from error
        return cls(path, fd, Contents({}, 0, damaged=False))

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """A file that a dead process left behind; None when its owner lives or it is gone."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JournalError(f"cannot read the journal file {path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        if not os.fstat(fd).st_nlink:
            os.close(fd)
            return None
        return cls(path, fd, scan(_read_all(fd)))

    def append(self, number: int, rows: int, payload: bytes) -> None:
        """Put a batch on the disk; it is safe when this returns.

        Raises:
            JournalError: the disk is full or failed; nothing of the batch remains.
        """
        with self._lock:
            if self._fd < 0:
                raise JournalError(f"the journal file {self.path} is closed: the run has ended")
            start = self._size
            try:
                _write_all(self._fd, _frame(_BATCH, number, rows, payload) + payload, start)
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(self._fd, start)
                raise JournalError(_disk_error_message(self.path, error)) from error
            self._size = start + _HEADER.size + len(payload)
            self.open_batches[number] = Record(start + _HEADER.size, len(payload), rows)
            self.open_bytes += len(payload)
            # A descriptor of its own: the file may be closed meanwhile, and its number given to another.
            synced = os.dup(self._fd)
        try:
            # Outside the lock: two writers' syncs may overlap.
            os.fdatasync(synced) if hasattr(os, "fdatasync") else os.fsync(synced)
        except OSError as error:
            self.done(number)
            raise JournalError(_disk_error_message(self.path, error)) from error
        finally:
            os.close(synced)

    def read(self, number: int) -> bytes:
        """The payload of an open batch, as it was written.

        Raises:
            UnreadableError: the file was cut or changed from outside.
            JournalError: the disk cannot be read now.
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
                f"batch {number} of the journal file {self.path} is damaged: it was cut or changed from outside"
            )
        return frame[_HEADER.size :]

    def keep(self) -> Path:
        """Have the file kept when it is let go, as its owner may want to look at it; returns under what name."""
        self.damaged = True
        return self._quarantine_path

    def done(self, number: int) -> None:
        """The batch is committed. Not synced: after a crash it is sent again, which the database absorbs."""
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
                mark = _frame(_DONE, number, 0, b"")
                _write_all(self._fd, mark, self._size)
                self._size += len(mark)
            except OSError:
                # A mark that does not fit on a full disk costs a repeated batch after a crash, not a row.
                with suppress(OSError):
                    os.ftruncate(self._fd, self._size)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._size

    @property
    def removed(self) -> bool:
        """Whether somebody has removed the file: what is in it does not outlive this process."""
        with self._lock:
            return self._fd >= 0 and not os.fstat(self._fd).st_nlink

    @property
    def _quarantine_path(self) -> Path:
        return self.path.with_suffix(".damaged")

    def close(self) -> None:
        """Let the file go: removed when nothing is open in it, else left for the next start. May be repeated."""
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
    """The journal files in `folder` whose processes are gone, adopted."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        segment = Segment.adopt(path)
        if segment is not None:
            yield segment


def _read_all(fd: int) -> bytes:
    components = []
    at = 0
    while part := os.pread(fd, 1 << 20, at):
        components.append(part)
        at += len(part)
    return b"".join(components)


def _write_all(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _disk_error_message(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of the journal is full ({path.parent}): free some space; nothing is lost, intake waits"
        )
    return f"the journal cannot be written ({path}): {error.strerror}"
