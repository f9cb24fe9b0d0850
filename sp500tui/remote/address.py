"""Where the pipeline of a data folder listens: one Unix socket, private to its user, guarded by a lock."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sp500tui.errors import ConfigurationError
from sp500tui.storage.embedded.lock import FileLock

_FOLDER = "run"
_LONGEST_PATH = 107 if sys.platform == "linux" else 103
"""Bytes of a socket's path: `sun_path` of `unix(7)` without its final null byte."""
_BACKLOG = 64


class PipelineRunsError(ConfigurationError):
    """Another pipeline runs on the data folder."""

    def __init__(self, data: Path, pid: int | None) -> None:
        process = f" (process {pid})" if pid else ""
        super().__init__(
            f"a pipeline{process} already runs on data folder {data}; show it with sp500tui attach, "
            "or give this one a folder of its own with --data-dir DIR"
        )
        self.data = data
        self.pid = pid


class NoPipelineError(ConfigurationError):
    """No pipeline runs on the data folder, or none that this user may use."""


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
        """Where the socket is created: in the folder, or in the runtime folder where that path is too long."""
        path = self.path / "control.sock"
        if len(os.fsencode(path)) <= _LONGEST_PATH:
            return path
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:20]
        return _runtime_folder() / f"{name}.sock"

    def owner(self) -> tuple[int | None, Path | None]:
        """Process id and socket of the last pipeline that ran here; None where they are unknown.

        Raises:
            NoPipelineError: the folder belongs to another user.
        """
        try:
            known = json.loads(self.lock_file.read_text(encoding="utf-8"))
            return int(known["pid"]), Path(known["socket"])
        except PermissionError:
            raise NoPipelineError(
                f"data folder {self.data} belongs to another user; run this command as the user of its pipeline"
            ) from None
        except (OSError, ValueError, KeyError, TypeError):
            return None, None


class Claim:
    """The right to listen for a data folder, from `take` until `release` or the end of the process."""

    def __init__(self, folder: ControlFolder, lock: FileLock) -> None:
        self._folder = folder
        self._lock = lock
        self._path: Path | None = None

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
        if not lock.try_acquire_exclusive():
            raise PipelineRunsError(data, folder.owner()[0])
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
            self._path = path
            content = json.dumps({"pid": os.getpid(), "socket": os.fspath(path)})
            self._folder.lock_file.write_text(content, encoding="utf-8")
        except BaseException:
            listener.close()
            raise
        return listener

    def release(self) -> None:
        """Remove the socket and release the lock. The lock file stays: others may be waiting for it."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._lock.release()


def connect(data: Path, timeout: float) -> socket.socket:
    """Connect to the pipeline of a data folder.

    Raises:
        NoPipelineError: none runs there, or it belongs to another user.
    """
    _, path = ControlFolder(data).owner()
    if path is None:
        raise _none_runs(data)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(os.fspath(path))
    except PermissionError:
        connection.close()
        raise NoPipelineError(
            f"the pipeline on data folder {data} belongs to another user; run this command as that user"
        ) from None
    except OSError:
        connection.close()
        raise _none_runs(data) from None
    return connection


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


def _runtime_folder() -> Path:
    """A short private folder: that of the session, or one below the temporary folder."""
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    parent = Path(named) if named and Path(named).is_dir() else None
    folder = parent / "sp500tui" if parent else Path(tempfile.gettempdir()) / f"sp500tui-{os.getuid()}"
    _ensure_private(folder)
    return folder


def _ensure_private(folder: Path) -> None:
    """Create a folder of mode 0700; raises OSError unless it belongs to this user alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{folder} is no folder of this user")
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)
