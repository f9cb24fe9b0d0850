"""The address of the pipeline of a data folder: one Unix socket, private to its user, guarded by a lock."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sp500tui.errors import ConfigurationError, Sp500tuiError
from sp500tui.storage.embedded.lock import FileLock

_FOLDER = "run"
_LONGEST_PATH = 107 if sys.platform == "linux" else 103
"""Bytes of a socket's path: `sun_path` of `unix(7)` without its final null byte."""
_BACKLOG = 128
NO_ANSWER = "does not answer; it may be stopped or overloaded"
_QUEUE_DELAY = 0.02
_PROBE_LIMIT = 0.2
"""Seconds for which a command that checks whether a pipeline runs may hold the lock."""


class PipelineRunsError(ConfigurationError):
    """Another pipeline runs on the data folder."""

    def __init__(self, data: Path, pid: int | None) -> None:
        process = f" (process {pid})" if pid else ""
        super().__init__(
            f"a pipeline{process} already runs on data folder {data}; show it with sp500tui attach, "
            "or give this one its own folder with --data-dir DIR"
        )
        self.data = data
        self.pid = pid


class NoPipelineError(ConfigurationError):
    """No pipeline runs on the data folder, or none that this user may use."""


class NoAnswerError(Sp500tuiError):
    """The pipeline does not answer in time, or the connection was lost."""


@dataclass(frozen=True, slots=True)
class ControlFolder:
    """The folder of the socket and its lock below a data folder."""

    data: Path

    @property
    def path(self) -> Path:
        """The folder, mode 0700."""
        return self.data / _FOLDER

    @property
    def lock_file(self) -> Path:
        """Locked while a pipeline runs; holds its process id and the path of its socket."""
        return self.path / "control.lock"

    def socket_path(self) -> Path:
        """The path of the socket: in the folder, or in a runtime folder if that path is too long.

        Raises:
            OSError: no such folder can be used.
        """
        path = self.path / "control.sock"
        if _fits(path):
            return path
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:20]
        problem = OSError(errno.ENAMETOOLONG, f"the path {path} is too long for a socket")
        for folder in _runtime_folders():
            short = folder / f"{name}.sock"
            try:
                if _fits(short):
                    _ensure_private(folder)
                    return short
            except OSError as error:
                problem = error
        raise problem

    def owner(self) -> tuple[int | None, Path | None]:
        """Process id and socket of the last pipeline that ran here; each is None if absent or unknown.

        Raises:
            NoPipelineError: the folder belongs to another user.
        """
        try:
            known = json.loads(self.lock_file.read_text(encoding="utf-8"))
            return int(known["pid"]), None if known["socket"] is None else Path(known["socket"])
        except PermissionError:
            raise NoPipelineError(
                f"data folder {self.data} belongs to another user; run this command as the user of its pipeline"
            ) from None
        except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
            return None, None

    def record_owner(self, socket_path: Path | None) -> None:
        """Record this process and its socket in the lock file; the lock is held."""
        path = None if socket_path is None else os.fspath(socket_path)
        self.lock_file.write_text(json.dumps({"pid": os.getpid(), "socket": path}), encoding="utf-8")


class Claim:
    """The right to listen for a data folder, from `take` until `release` or the end of the process."""

    def __init__(self, folder: ControlFolder, lock: FileLock) -> None:
        self._folder = folder
        self._lock = lock
        self._path: Path | None = None
        self._bound: os.stat_result | None = None
        """Status of the socket's file."""

    @classmethod
    def take(cls, data: Path) -> Claim:
        """Claim a data folder.

        Raises:
            PipelineRunsError: another pipeline runs on it.
            ConfigurationError: the lock cannot be used.
            OSError: the folder cannot be created.
        """
        folder = ControlFolder(data)
        _ensure_private(folder.path)
        lock = FileLock(folder.lock_file)
        if not lock.acquire_exclusive(_PROBE_LIMIT):
            raise PipelineRunsError(data, folder.owner()[0])
        with suppress(OSError):  # the lock protects the folder in any case
            folder.record_owner(None)
        return cls(folder, lock)

    def listen(self) -> socket.socket:
        """The listening socket; one left over from a crash is replaced.

        Raises:
            OSError: it cannot be created.
        """
        path = self._folder.socket_path()
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(os.fspath(path))
            path.chmod(0o600)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            self._path, self._bound = path, path.lstat()
            self._folder.record_owner(path)
        except BaseException:
            listener.close()
            raise
        return listener

    def renew(self) -> socket.socket | None:
        """A new listening socket if that of `listen` was removed or replaced in its folder; None while it exists.

        Raises:
            ConfigurationError: another pipeline has taken the data folder, whose lock was removed too.
            OSError: it cannot be created.
        """
        if self._path is None or self._is_in_place(self._path) or not self._folder.data.is_dir():
            return None
        _ensure_private(self._folder.path)
        if not self._lock.is_in_place:
            self._lock.release()
            if not self._lock.acquire_exclusive(_PROBE_LIMIT):
                raise PipelineRunsError(self._folder.data, self._folder.owner()[0])
        return self.listen()

    def release(self) -> None:
        """Remove the socket and release the lock. The lock file stays: others may be waiting for it."""
        try:
            if self._path is not None and self._is_in_place(self._path):
                self._path.unlink()
        finally:
            self._lock.release()

    def _is_in_place(self, path: Path) -> bool:
        """Whether the socket of `listen` is still at its path."""
        try:
            return self._bound is not None and os.path.samestat(path.lstat(), self._bound)
        except OSError:
            return False


def connect(data: Path, timeout: float) -> socket.socket:
    """Connect to the pipeline of a data folder.

    Raises:
        NoPipelineError: none runs there, or it belongs to another user.
        NoAnswerError: one runs there, but accepts no connection.
    """
    _, path = ControlFolder(data).owner()
    if path is None:
        raise _unreachable(data)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        _connect(connection, path, time.monotonic() + timeout)
    except PermissionError:
        connection.close()
        raise NoPipelineError(
            f"the pipeline on data folder {data} belongs to another user; run this command as that user"
        ) from None
    except BlockingIOError:
        connection.close()
        raise NoAnswerError(f"the pipeline on data folder {data} {NO_ANSWER}") from None
    except (OSError, ValueError):
        connection.close()
        raise _unreachable(data) from None
    return connection


def _connect(connection: socket.socket, path: Path, deadline: float) -> None:
    """Connect; raises BlockingIOError if more connections wait than the system queues until `deadline`."""
    while True:
        try:
            connection.connect(os.fspath(path))
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_QUEUE_DELAY)
        else:
            return


def _unreachable(data: Path) -> Sp500tuiError:
    """The error for a folder whose socket is missing, or left over from a pipeline that was killed."""
    if not _is_claimed(data):
        return _none_runs(data)
    pid, _ = ControlFolder(data).owner()
    end = f"kill {pid}" if pid else "a signal"
    return NoAnswerError(
        f"the pipeline on data folder {data} cannot be reached: it is starting or ending, or its socket was removed, "
        f"replaced or could not be created; try again, or end it with {end}"
    )


def _none_runs(data: Path) -> NoPipelineError:
    """The error for a folder without a pipeline; names the other market's pipeline if that one runs."""
    other = data.parent / ("live" if data.name == "demo" else "demo")
    flag = "without --demo" if other.name == "live" else "with --demo"
    hint = f"; one runs on {other}: repeat the command {flag}" if _is_claimed(other) else ""
    return NoPipelineError(
        f"no pipeline runs on data folder {data}"
        f"{hint or '; start sp500tui, or name the folder of the pipeline with --data-dir DIR'}"
    )


def _is_claimed(data: Path) -> bool:
    lock_file = ControlFolder(data).lock_file
    if not os.access(lock_file, os.R_OK | os.W_OK):
        return False
    lock = FileLock(lock_file)
    try:
        return not lock.try_acquire_exclusive()
    except ConfigurationError:
        return False
    finally:
        lock.release()


def peer_user(connection: socket.socket) -> int:
    """The user id of the process at the other end of a Unix socket."""
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("3i")
        _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return int(user)
    # macOS: `struct xucred` of `LOCAL_PEERCRED`, level SOL_LOCAL, begins with a version and the user id.
    _, user = struct.unpack_from("=II", connection.getsockopt(0, 1, 76))
    return int(user)


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _LONGEST_PATH


def _runtime_folders() -> Iterator[Path]:
    """Short private folders: that of the session, which may be missing or foreign, and two for temporary files."""
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    # Path.is_dir raises below a folder that cannot be read; os.path does not.
    if named and os.path.isdir(named):  # noqa: PTH112
        yield Path(named, "sp500tui")
    for folder in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108  # a private folder in it
        yield Path(folder, f"sp500tui-{os.getuid()}")


def _ensure_private(folder: Path) -> None:
    """Create a folder of mode 0700; raises OSError unless it belongs only to this user."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{folder} is not a private folder of this user")
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)
