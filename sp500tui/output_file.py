"""A file that a user has named for output: it is written completely, or stays as it was."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sp500tui.errors import ConfigurationError, Sp500tuiError

_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "name a file on a disk with free space"),
    errno.EPIPE: "the program that reads it has ended",
}
"""Remedies for errors while a file is written, by `errno`."""
_NAME_LENGTH = 50
"""Characters of the file's name in that of its temporary file: at most 200 of the 255 bytes that a name may have."""


@contextmanager
def output_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that replaces `path` when the block ends without an error; otherwise `path` stays as it was.

    A replaced file keeps its permissions. A pipe or a device is written directly.

    Raises:
        ConfigurationError: it cannot be created; the block has not begun.
        Sp500tuiError: it cannot be written completely.
    """
    begun = False
    try:
        mode = _mode(path)
        with _replacing(path, mode) if mode is None or stat.S_ISREG(mode) else path.open("wb") as file:
            begun = True
            yield file
    except OSError as error:
        if not begun:
            raise ConfigurationError(f"cannot write {path}: {_obstacle(path, error)}") from None
        raise Sp500tuiError(
            f"cannot write {path}: {error.strerror or error}; {_REMEDIES.get(error.errno or 0, 'name another file')}"
        ) from error


def _mode(path: Path) -> int | None:
    """Type and permissions of the file that `path` leads to; None if there is none."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return mode


@contextmanager
def _replacing(path: Path, mode: int | None) -> Iterator[IO[bytes]]:
    """A new file next to the target of `path` that replaces it when the block ends without an error."""
    target = Path(os.path.realpath(path))
    if mode is not None and not os.access(target, os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    part = target.with_name(f".{target.name[:_NAME_LENGTH]}.{os.getpid()}.part")
    with part.open("xb") as file:
        try:
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            yield file
            file.flush()
            if mode is not None:
                # After a power failure the file has its old or its new content, and is not empty.
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _obstacle(path: Path, error: OSError) -> str:
    """Why a file cannot be created, and the remedy."""
    if error.errno == errno.EISDIR:
        return "it is a folder; name a file in it"
    if error.errno == errno.ENOENT:
        return f"the folder {path.parent} does not exist; create it, or name a file in another one"
    return f"{error.strerror or error}; name a file that you may write, in a folder that you may write to"
