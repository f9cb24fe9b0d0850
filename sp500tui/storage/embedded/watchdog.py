"""A process that stops an embedded server when all programs that used it have exited, even by SIGKILL.

Run as `python -P -S -m sp500tui.storage.embedded.watchdog DATA_DIR PID`.
Every user holds a flock that the kernel releases when the process exits. Imports little, because it runs as long as the
server.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sp500tui.config.child_processes import python_command, python_environment

POLL_INTERVAL = 0.5
"""Seconds."""
_IDLE_POLLS = 2
"""Consecutive polls without a user before the server is stopped; a program can restart without a new server."""


def watch(data_dir: Path, pid: int) -> subprocess.Popen[bytes]:
    """Start the watchdog process of the server `pid` of this data directory.

    Raises:
        OSError: the process cannot be started.
    """
    return subprocess.Popen(
        python_command(__name__, str(data_dir), str(pid), site=False),
        cwd="/",
        env=python_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(data_dir: Path, pid: int) -> None:
    """Wait until the server or its last user exits; in the latter case stop the server."""
    # Not created here: if they are missing, so is the data directory.
    starting, users = (
        os.open(data_dir / name, os.O_RDWR | os.O_NOFOLLOW)
        for name in ("postgres.starting", "postgres.users")
    )
    idle_polls = 0
    while _exists(pid):
        time.sleep(POLL_INTERVAL)
        with _try_exclusive(starting) as no_start:
            if not no_start:
                continue
            with _try_exclusive(users) as no_user:
                idle_polls = idle_polls + 1 if no_user else 0
            if idle_polls >= _IDLE_POLLS:
                _stop_server(data_dir / "pgdata")
                return


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def _try_exclusive(lock: int) -> Iterator[bool]:
    """Try to hold the lock exclusively during the block; yields whether it is held."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def _stop_server(pgdata: Path) -> None:
    # Imported here because it loads psutil.
    from sp500tui.storage.embedded.process import find_running, stop

    process = find_running(pgdata)
    if process is not None:
        stop(process, lambda: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
