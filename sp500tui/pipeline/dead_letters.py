"""The dead letters: rows that the database refuses for good, kept with the reason until somebody replays them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sp500tui.domain import JournalError


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
        text = "".join(json.dumps(asdict(letter), ensure_ascii=False) + "\n" for letter in letters)
        with self._locked() as file:
            size = file.seek(0, os.SEEK_END)
            try:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                os.ftruncate(file.fileno(), size)
                raise JournalError(f"cannot write {self._path}: {error.strerror}") from error

    def listing(self) -> list[DeadLetter]:
        """All letters, oldest first.

        Raises:
            JournalError: the file cannot be read.
        """
        if not self._path.exists():
            return []
        with self._locked() as file:
            return _parse(file.read(), self._path)

    def replay(self, accept: Callable[[DeadLetter], bool]) -> tuple[int, int]:
        """Offer every letter to `accept` and keep those it refuses; returns how many went and how many stay."""
        if not self._path.exists():
            return 0, 0
        with self._locked() as file:
            letters = _parse(file.read(), self._path)
            kept = [letter for letter in letters if not accept(letter)]
            fresh = self._path.with_suffix(".new")
            fresh.touch(mode=0o600)
            lines = (json.dumps(asdict(letter), ensure_ascii=False) for letter in kept)
            fresh.write_text("".join(f"{line}\n" for line in lines))
            # In place and not by renaming: a program that waits for the lock holds this very file.
            file.seek(0)
            file.truncate()
            file.write(fresh.read_bytes())
            file.flush()
            os.fsync(file.fileno())
            fresh.unlink()
        return len(letters) - len(kept), len(kept)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"cannot open {self._path}: {error.strerror}") from error
        with open(fd, "r+b") as file:  # noqa: PTH123  # from a descriptor made with the right mode
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _parse(data: bytes, path: Path) -> list[DeadLetter]:
    letters = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        try:
            letters.append(DeadLetter(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise JournalError(f"line {number} of {path} is no dead letter: mend or remove it") from error
    return letters
