"""A file lock (flock), shared or exclusive, which the kernel releases when the process exits."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from sp500tui.errors import ConfigurationError


def open_private(path: Path, flags: int, owner: tuple[int, int] | None) -> int:
    """Open a file that only its owner can read; does not follow symbolic links."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if owner is not None:
        os.fchown(descriptor, *owner)
    return descriptor


class FileLock:
    """A handle on the lock. Two handles in one process lock independently."""

    def __init__(self, path: Path, owner: tuple[int, int] | None = None) -> None:
        """`owner`: user and group id that a file created by root is given to."""
        self._path = path
        self._owner = owner
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this handle holds the lock, shared or exclusive."""
        return self._descriptor is not None

    @property
    def is_in_place(self) -> bool:
        """Whether this handle holds the lock, and its file was neither removed nor replaced since."""
        try:
            return self._descriptor is not None and os.path.samestat(
                os.fstat(self._descriptor), self._path.lstat()
            )
        except OSError:
            return False

    def acquire_shared(self) -> None:
        """Acquire the lock shared; waits while it is held exclusively."""
        self._flock(fcntl.LOCK_SH)

    def try_acquire_exclusive(self) -> bool:
        """Acquire the lock exclusively; if it is held elsewhere, release this handle and return False."""
        try:
            self._flock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        return True

    def acquire_exclusive(self, timeout: float) -> bool:
        """Wait to acquire the lock exclusively; False after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self.try_acquire_exclusive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _flock(self, operation: int) -> None:
        try:
            if self._descriptor is None:
                self._descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT, self._owner)
            fcntl.flock(self._descriptor, operation)
        except BlockingIOError:
            raise
        except OSError as error:
            raise ConfigurationError(
                f"the lock file {str(self._path)!r} cannot be used: {error.strerror}; "
                "choose a data directory of your own on a local disk with --data-dir"
            ) from None

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
