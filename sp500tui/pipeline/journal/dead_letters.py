"""Dead letters: rows that the database rejects permanently, kept with the reason until they are replayed."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sp500tui.errors import JournalError
from sp500tui.pipeline.journal.segment import describe, sync_folder

_log = logging.getLogger(__name__)

_READ_SIZE = 1 << 20
_MARK_SIZE = 256
"""Bytes compared to distinguish a file that was appended to from one that was rewritten."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One rejected row."""

    at: str
    """When it was rejected, ISO 8601, UTC."""
    reason: str
    sqlstate: str | None
    row: Mapping[str, str | None]
    """Column of the table `prices` → text, None for NULL."""

    @classmethod
    def of(cls, row: Mapping[str, str | None], reason: str, sqlstate: str | None) -> DeadLetter:
        """Make a dead letter with the current time."""
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), reason, sqlstate, row)


@dataclass(frozen=True, slots=True)
class _LineCount:
    """Lines of a file counted so far."""

    state: tuple[int, int, int] = (0, 0, 0)
    """Inode, size in bytes and modification time (ns) at the last count."""
    lines: int = 0
    """Line feeds."""
    end: int = 0
    """Offset in bytes after the last line feed."""
    mark: bytes = b""
    """The bytes before `end`: unchanged unless the file was rewritten."""
    torn: bool = False
    """Whether an incomplete line follows."""

    def updated(self, fd: int) -> _LineCount:
        """The current count of the file; reads only what was appended since, if nothing else changed."""
        status = os.fstat(fd)
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        if state == self.state:
            return self
        continued = (
            status.st_ino == self.state[0]
            and os.pread(fd, len(self.mark), self.end - len(self.mark)) == self.mark
        )
        lines, end, mark = (self.lines, self.end, self.mark) if continued else (0, 0, b"")
        at, last = end, b""
        while piece := os.pread(fd, _READ_SIZE, at):
            lines += piece.count(b"\n")
            if b"\n" in piece:
                end = at + piece.rindex(b"\n") + 1
            at, last = at + len(piece), piece[-1:]
        mark = os.pread(fd, min(_MARK_SIZE, end), end - min(_MARK_SIZE, end))
        return _LineCount(state, lines, end, mark, torn=last not in (b"", b"\n"))


class DeadLetters:
    """A file of JSON lines, shared by all processes that use the same data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """The file."""
        self._counted = _LineCount()

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Append letters; they are durable when this returns.

        Raises:
            JournalError: the file cannot be written.
        """
        if not letters:
            return
        data = _lines(letters)
        with self._locked() as fd:
            end, gap = _end(fd)
            try:
                os.ftruncate(fd, end)
                _write(fd, gap + data, end)
                if not end:
                    # Without a sync of the folder, a new file can be lost.
                    sync_folder(self.path.parent)
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(fd, end)
                raise JournalError(f"cannot write {self.path}: {describe(error)}") from error

    def listing(self) -> list[DeadLetter]:
        """All letters, oldest first.

        Raises:
            JournalError: the file cannot be read.
        """
        if not self._exists():
            return []
        with self._locked() as fd:
            return _parse(_read(fd), self.path)

    def _exists(self) -> bool:
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise JournalError(
                f"cannot read {self.path}: {error.strerror}; run as its owner, or name another with --data-dir DIR"
            ) from error
        return True

    def count(self) -> int:
        """Count the letters by their lines, without a lock; reads only what was appended since the last call.

        Raises:
            JournalError: the file cannot be read.
        """
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise JournalError(f"cannot read {self.path}: {error.strerror}") from error
        try:
            self._counted = counted = self._counted.updated(fd)
        except OSError as error:
            raise JournalError(f"cannot read {self.path}: {error.strerror}") from error
        finally:
            os.close(fd)
        return counted.lines + counted.torn

    def replay(self, accept: Callable[[DeadLetter], bool]) -> tuple[int, int]:
        """Pass every letter to `accept` and remove those it accepts; returns the numbers of removed and kept letters.

        The file is not locked during the calls: letters added meanwhile are kept and not counted.

        Raises:
            JournalError: the file cannot be read or written. Accepted letters may then be passed again.
        """
        if not self._exists():
            return 0, 0
        with self._locked() as fd:
            offered = _parse(_read(fd), self.path)
        accepted: Counter[bytes] = Counter()
        try:
            for letter in offered:
                if accept(letter):
                    accepted[_lines([letter])] += 1
        finally:
            # Even when `accept` raises: letters that were already accepted must not be passed again.
            if accepted:
                self._remove(accepted.copy())
        return accepted.total(), len(offered) - accepted.total()

    def _remove(self, accepted: Counter[bytes]) -> None:
        """Remove letters from the current file; those that another replay has removed are ignored."""
        with self._locked() as fd:
            kept = []
            for letter in _parse(_read(fd), self.path):
                line = _lines([letter])
                if accepted[line] > 0:
                    accepted[line] -= 1
                else:
                    kept.append(letter)
            self._replace(fd, _lines(kept))

    def _replace(self, fd: int, data: bytes) -> None:
        # In place, not by renaming: processes waiting for the lock hold this inode. The kept letters are a part of
        # the file, so they always fit; after a crash in between, they are in the copy.
        copy = self.path.with_suffix(".copy")
        try:
            with open(copy, "wb", opener=_private) as file:  # Path.open takes no opener
                _write(file.fileno(), data, 0)
            _write(fd, data, 0)
            os.ftruncate(fd, len(data))
            copy.unlink()
        except OSError as error:
            raise JournalError(f"cannot write {self.path}: {describe(error)}") from error

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"cannot open {self.path}: {describe(error)}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _lines(letters: Sequence[DeadLetter]) -> bytes:
    # Escaped to ASCII: a rejected row may contain control characters, and the file is read in terminals.
    return "".join(json.dumps(asdict(letter)) + "\n" for letter in letters).encode()


def _end(fd: int) -> tuple[int, bytes]:
    """Offset of the next letter and the separator before it. A letter torn by a crash is overwritten."""
    size = os.fstat(fd).st_size
    if not size or os.pread(fd, 1, size - 1) == b"\n":
        return size, b""
    tail = _read(fd).rpartition(b"\n")[2]
    return (size - len(tail), b"") if _dead_letter(tail.decode(errors="replace")) is None else (size, b"\n")


def _read(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _write(fd: int, data: bytes, at: int) -> None:
    """Write `data` at offset `at`; it is durable when this returns."""
    while data:
        written = os.pwrite(fd, data, at)
        data, at = data[written:], at + written
    os.fsync(fd)


def _parse(data: bytes, path: Path) -> list[DeadLetter]:
    letters = []
    lines = data.decode(errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        letter = _dead_letter(line)
        if letter is not None:
            letters.append(letter)
        elif number < len(lines) or data.endswith(b"\n"):
            raise JournalError(f"line {number} of {path} is not a dead letter: fix or remove it")
        else:
            _log.warning("the last letter in %s was torn by a crash; its row is still in the journal", path)
    return letters


def _dead_letter(line: str) -> DeadLetter | None:
    """The letter in a line; None if the line is not a complete letter."""
    try:
        return DeadLetter(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
