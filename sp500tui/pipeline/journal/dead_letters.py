"""The dead letters: rows that the database refuses for good, kept with the reason until somebody replays them."""

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

_log = logging.getLogger(__name__)

_PIECE = 1 << 20
_MARK = 256
"""Bytes by which a file that has only grown is told from one that was written anew."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused row."""

    at: str
    """When it was refused, ISO 8601, UTC."""
    reason: str
    sqlstate: str | None
    row: Mapping[str, str | None]
    """Column → text, None for NULL, as in the table `prices`."""

    @classmethod
    def of(cls, row: Mapping[str, str | None], reason: str, sqlstate: str | None) -> DeadLetter:
        """A letter of this moment."""
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), reason, sqlstate, row)


@dataclass(frozen=True, slots=True)
class _Counted:
    """How far a file has been counted."""

    state: tuple[int, int, int] = (0, 0, 0)
    """Inode, bytes and time of the last change (ns) then."""
    lines: int = 0
    """Line feeds."""
    end: int = 0
    """Bytes from the start to the last line feed, it included."""
    mark: bytes = b""
    """What stands before `end`: unchanged unless letters were taken out."""
    torn: bool = False
    """Whether something without a line feed follows."""

    def brought_up_to_date(self, fd: int) -> _Counted:
        """The same for the file as it is now; reads only what was appended, where nothing else has changed."""
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
        while piece := os.pread(fd, _PIECE, at):
            lines += piece.count(b"\n")
            if b"\n" in piece:
                end = at + piece.rindex(b"\n") + 1
            at, last = at + len(piece), piece[-1:]
        mark = os.pread(fd, min(_MARK, end), end - min(_MARK, end))
        return _Counted(state, lines, end, mark, torn=last not in (b"", b"\n"))


class DeadLetters:
    """A file of JSON lines, shared by every program that uses the same data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counted = _Counted()

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Append letters; they are safe on the disk when this returns.

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
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(fd, end)
                raise JournalError(f"cannot write {self._path}: {error.strerror}") from error

    def listing(self) -> list[DeadLetter]:
        """All letters, oldest first.

        Raises:
            JournalError: the file cannot be read.
        """
        if not self._path.exists():
            return []
        with self._locked() as fd:
            return _parse(_read(fd), self._path)

    def count(self) -> int:
        """How many letters there are, by their lines; takes no lock, and reads only what is new since the last call.

        Raises:
            JournalError: the file cannot be read.
        """
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise JournalError(f"cannot read {self._path}: {error.strerror}") from error
        try:
            self._counted = counted = self._counted.brought_up_to_date(fd)
        except OSError as error:
            raise JournalError(f"cannot read {self._path}: {error.strerror}") from error
        finally:
            os.close(fd)
        return counted.lines + counted.torn

    def replay(self, accept: Callable[[DeadLetter], bool]) -> tuple[int, int]:
        """Offer every letter to `accept` and keep those it refuses; returns how many went and how many stay.

        The file is not locked meanwhile: letters that are added stay, and are not counted.

        Raises:
            JournalError: the file cannot be read or written. Letters that went may then be offered once more.
        """
        if not self._path.exists():
            return 0, 0
        with self._locked() as fd:
            offered = _parse(_read(fd), self._path)
        went: Counter[bytes] = Counter()
        try:
            for letter in offered:
                if accept(letter):
                    went[_lines([letter])] += 1
        finally:
            # Also when the database went away in the middle: what it has taken need not be offered again.
            if went:
                self._remove(went.copy())
        return went.total(), len(offered) - went.total()

    def _remove(self, went: Counter[bytes]) -> None:
        """Take letters out of the file as it is by now; one that another replay has taken out is no matter."""
        with self._locked() as fd:
            kept = []
            for letter in _parse(_read(fd), self._path):
                line = _lines([letter])
                if went[line] > 0:
                    went[line] -= 1
                else:
                    kept.append(letter)
            self._replace(fd, _lines(kept))

    def _replace(self, fd: int, data: bytes) -> None:
        # In place and not by renaming: a program that waits for the lock holds this very file. What stays is a
        # part of what is there, so it always fits; should the machine stop in between, the copy has it.
        copy = self._path.with_suffix(".copy")
        try:
            with open(copy, "wb", opener=_private) as file:  # Path.open takes no opener
                _write(file.fileno(), data, 0)
            _write(fd, data, 0)
            os.ftruncate(fd, len(data))
            copy.unlink()
        except OSError as error:
            raise JournalError(f"cannot write {self._path}: {error.strerror}") from error

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"cannot open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _lines(letters: Sequence[DeadLetter]) -> bytes:
    # Escaped to ASCII: a refused row may hold anything, and people look at this file with a terminal.
    return "".join(json.dumps(asdict(letter)) + "\n" for letter in letters).encode()


def _end(fd: int) -> tuple[int, bytes]:
    """Where the next letter goes, and what must come before it. One torn by a crash is written over."""
    size = os.fstat(fd).st_size
    if not size or os.pread(fd, 1, size - 1) == b"\n":
        return size, b""
    tail = _read(fd).rpartition(b"\n")[2]
    return (size - len(tail), b"") if _dead_letter(tail.decode(errors="replace")) is None else (size, b"\n")


def _read(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _write(fd: int, data: bytes, at: int) -> None:
    """Put `data` there; it is safe on the disk when this returns."""
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
            raise JournalError(f"line {number} of {path} is no dead letter: mend or remove it")
        else:
            _log.warning("the last letter in %s was torn by a crash: the journal still has its row", path)
    return letters


def _dead_letter(line: str) -> DeadLetter | None:
    """The letter in a line; None where that holds none, or not all of one."""
    try:
        return DeadLetter(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
