"""A rotating log file that several processes can share, readable by its owner only.

The handlers of the standard library buffer a record after a failed write and write it again, and rotate without a lock
between processes.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path

_CHECK_EVERY = 64
FILE_LIMIT = 5 << 20
"""Bytes beyond which a log file is rotated."""


class PrivateRotatingFileHandler(logging.Handler):
    """Appends one record per line; `path` becomes `path.1`, `path.2` … when it grows beyond `limit` bytes.

    A record that cannot be written is counted, not raised: a full disk must not stop a worker.
    """

    def __init__(
        self,
        path: Path,
        *,
        limit: int = FILE_LIMIT,
        keep: int = 3,
        on_failure: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.path = path
        self.lost = 0
        """Consecutive records that could not be written."""
        self._limit = limit
        self._keep = keep
        self._warn = on_failure
        self._rotate_above = limit
        """Size in bytes; beyond the limit if the file could not be rotated."""
        self._file = -1
        self._size = 0
        self._torn = False
        """Whether the file ends in the middle of a line, because the disk was full."""
        self._until_check = 0
        self._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; the first of several failures is reported to `on_failure`, the others are counted."""
        line = self._line_of(record)
        try:
            self._write(line)
        except OSError as error:
            self.lost += 1
            if self.lost == 1:
                self._warn(
                    f"log file {self.path} cannot be written ({error.strerror}): records are lost until it can"
                )

    def close(self) -> None:
        """Close the file."""
        self.acquire()
        try:
            self._close_file()
        finally:
            self.release()
        super().close()

    def _write(self, line: bytes) -> None:
        self._until_check -= 1
        if self._until_check <= 0 or self._size + len(line) > self._rotate_above:
            self._reopen_or_rotate(len(line))
        if self._file < 0:
            self._open()
        if self.lost:
            line = self._line_of(_loss_of(self.lost)) + line
        if self._torn:
            line = b"\n" + line
        written = os.write(self._file, line)
        self._size += written
        self._torn = written < len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.lost = 0

    def _line_of(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode("utf-8", "backslashreplace")

    def _reopen_or_rotate(self, size: int) -> None:
        """Reopen the file after a rotation by another process; rotate it if it would grow beyond the limit."""
        self._until_check = _CHECK_EVERY
        if not self._is_current():
            self._open()
        if self._size and self._size + size > self._rotate_above:
            self._try_to_rotate()

    def _try_to_rotate(self) -> None:
        """Rotate the file; one that is a mount point, or in a folder that cannot be written, keeps growing instead."""
        try:
            self._rotate()
        except OSError as error:
            self._rotate_above = self._size + self._limit
            self._warn(
                f"log file {self.path} cannot be rotated ({error.strerror}): it grows beyond {self._limit:,} bytes"
            )

    def _is_current(self) -> bool:
        try:
            there, ours = self.path.stat(), os.fstat(self._file)
        except OSError:
            return False
        self._size = ours.st_size
        return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)

    def _rotate(self) -> None:
        # The lock is on the file itself: a second process that waited for it finds another file under the path.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        if self._is_current():
            for number in range(self._keep - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self._target().replace(self._numbered(1))
        self._open()

    def _target(self) -> Path:
        """The target if the path is a link: `/dev/stderr` must not be renamed."""
        return Path(os.path.realpath(self.path))

    def _numbered(self, number: int) -> Path:
        target = self._target()
        return target.with_name(f"{target.name}.{number}")

    def _open(self) -> None:
        self._close_file()
        # A pipe that is full or has no reader is an error instead of an unlimited wait.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(self.path, flags, 0o600)
        self._size = os.fstat(self._file).st_size
        self._torn = False
        self._rotate_above = self._limit

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _loss_of(records: int) -> logging.LogRecord:
    """A record with the number of those that were lost before it."""
    message = "%d log records before this one were lost"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (records,), None)
