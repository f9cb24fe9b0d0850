"""The dead letters: rows that the database refuses for good, kept with the reason until somebody replays them."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sp500tui.domain import JournalError

_log = logging.getLogger(__name__)


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


class DeadLetters:
    """A file of JSON lines, shared by every program that uses the same data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

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
        """How many letters there are, by their lines; waits for nobody who writes or replays them.

        Raises:
            JournalError: the file cannot be read.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise JournalError(f"cannot read {self._path}: {error.strerror}") from error
        return data.count(b"\n") + (data[-1:] not in (b"", b"\n"))

    def replay(self, accept: Callable[[DeadLetter], bool]) -> tuple[int, int]:
        """Offer every letter to `accept` and keep those it refuses; returns how many went and how many stay.

        Raises:
            JournalError: the file cannot be read or written. Letters that went may then be offered once more.
        """
        if not self._path.exists():
            return 0, 0
        with self._locked() as fd:
            letters = _parse(_read(fd), self._path)
            kept = [letter for letter in letters if not accept(letter)]
            if len(kept) < len(letters):
                self._replace(fd, _lines(kept))
        return len(letters) - len(kept), len(kept)

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
    return (size - len(tail), b"") if _letter(tail.decode(errors="replace")) is None else (size, b"\n")


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
        letter = _letter(line)
        if letter is not None:
            letters.append(letter)
        elif number < len(lines) or data.endswith(b"\n"):
            raise JournalError(f"line {number} of {path} is no dead letter: mend or remove it")
        else:
            _log.warning("the last letter in %s was torn by a crash: the journal still has its row", path)
    return letters


def _letter(line: str) -> DeadLetter | None:
    """The letter in a line; None where that holds none, or not all of one."""
    try:
        return DeadLetter(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
