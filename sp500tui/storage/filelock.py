"""A lock on a file, held shared or alone; the system drops it when its program dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from sp500tui.domain import ConfigurationError


class FileLock:
    """One holder's grip on the lock; two of one program are two holders."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this holder has the lock, shared or alone."""
        return self._descriptor is not None

    def share(self) -> None:
        """Hold it together with others; waits for one who holds it alone."""
        fcntl.flock(self._open(), fcntl.LOCK_SH)

    def try_alone(self) -> bool:
        """Hold it alone; False, and nothing is held any more, where somebody else holds it."""
        try:
            fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        return True

    def wait_alone(self, patience: float) -> bool:
        """Hold it alone as soon as nobody else does; False after `patience` seconds."""
        deadline = time.monotonic() + patience
        while not self.try_alone():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def release(self) -> None:
        """Hold it no longer."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise ConfigurationError(
                    f"the lock file {str(self._path)!r} cannot be opened: {error.strerror}; "
                    "its folder belongs to another user or cannot be written"
                ) from None
        return self._descriptor

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
