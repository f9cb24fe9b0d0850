"""The server process of a data directory: finding it and stopping it."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from sp500tui.errors import resource_remedy

SOCKET_NAME = ".s.PGSQL.5432"
_NO_SUCH_PID = 2**31 - 1
"""Greater than any process id."""
_FAST, _IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""Fast shutdown (ends sessions, writes a checkpoint) and immediate shutdown (recovers at the next start)."""
_STOP_SIGNALS = ((_FAST, 30.0), (_IMMEDIATE, 5.0), (signal.SIGKILL, 5.0))
"""Signal and timeout in seconds before the next one."""


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The content of `postmaster.pid`."""

    pid: int
    sockets: Path
    """Directory of the Unix socket."""
    ready: bool
    """Whether it accepts connections."""

    @classmethod
    def read(cls, pgdata: Path) -> Postmaster | None:
        """Read the file; None if it is missing or incomplete."""
        try:
            lines = (pgdata / "postmaster.pid").read_text("utf-8").splitlines()
            # The socket's folder is written after the rest.
            if not lines[4]:
                return None
            return cls(int(lines[0]), Path(lines[4]), len(lines) > 7 and lines[7].strip() == "ready")
        except (FileNotFoundError, IndexError, ValueError):
            return None


def find_running(pgdata: Path) -> psutil.Process | None:
    """The running server of this data directory.

    A zombie does not count, nor a process id that was reused by another program.
    """
    try:
        process = psutil.Process(int((pgdata / "postmaster.pid").read_text("utf-8").split(maxsplit=1)[0]))
        return process if not _has_exited(process) and _is_server_for(process, pgdata) else None
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return None


def clear_stale_lock_files(pgdata: Path, socket_folder: Path) -> None:
    """Neutralize the lock files of a dead server, so that a new one can start.

    PostgreSQL refuses to start while the process id in them exists, such as that of a zombie or a reused one. Only that
    id is replaced in `postmaster.pid`: the shared memory named there still prevents a new server from starting while
    sessions of the old one survive.
    """
    path = pgdata / "postmaster.pid"
    if path.exists():
        _kill_orphaned_sessions(pgdata)
    with suppress(FileNotFoundError):
        _, newline, rest = path.read_text("utf-8").partition("\n")
        path.write_text(f"{_NO_SUCH_PID}{newline}{rest}", "utf-8")
    for name in (f"{SOCKET_NAME}.lock", SOCKET_NAME):
        (socket_folder / name).unlink(missing_ok=True)


def stop(process: psutil.Process, reap: Callable[[], object]) -> bool:
    """Stop a server by a fast, then an immediate shutdown, then SIGKILL; False if it still runs.

    Args:
        process: the postmaster.
        reap: called while waiting, to reap the process if it is a child of this one.
    """
    for signal_number, timeout in _STOP_SIGNALS:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal_number)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            reap()
            if _has_exited(process):
                return True
            time.sleep(0.005)
    return False


def _kill_orphaned_sessions(pgdata: Path) -> None:
    """Kill the sessions that outlived their server: they are unreachable and prevent a new server from starting."""
    orphans = [process for process in psutil.process_iter() if _is_session(process, pgdata)]
    for process in orphans:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(orphans, timeout=5)


def _is_session(process: psutil.Process, pgdata: Path) -> bool:
    try:
        return _is_server_for(process, pgdata) and not _has_exited(process)
    except psutil.Error:
        return False


def _has_exited(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return True


def _is_server_for(process: psutil.Process, pgdata: Path) -> bool:
    """Whether the process is a PostgreSQL server whose working directory is `pgdata`."""
    try:
        return process.name().startswith("postgres") and Path(process.cwd()).resolve() == pgdata.resolve()
    except psutil.AccessDenied:
        return process.name().startswith("postgres") and str(pgdata) in process.cmdline()


_START_ERRORS = {
    "file descriptors": errno.EMFILE,
    "Too many open files": errno.EMFILE,
    "No space left": errno.ENOSPC,
    "File too large": errno.EFBIG,
    "Cannot allocate memory": errno.ENOMEM,
}
"""Text in the error of a server that cannot start, with the system's error number."""


def start_remedy(status: int, reason: str) -> str:
    """The remedy for a server that ended at its start with this exit status and error; empty if none is known."""
    if status == -signal.SIGXFSZ:
        return resource_remedy(OSError(errno.EFBIG, reason))
    number = next((number for words, number in _START_ERRORS.items() if words in reason), 0)
    return resource_remedy(OSError(number, reason))
