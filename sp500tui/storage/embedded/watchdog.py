"""Stops an embedded server whose users are all gone, killed ones too: a small process beside the server.

Run as `python -P -S -m sp500tui.storage.embedded.watchdog DATA_DIR PID`.
Whoever uses the server holds a lock that the system
drops with its process, so nobody has to say farewell. Imports next to nothing: it lives as long as the server.
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

_POLL_INTERVAL = 0.5
"""Seconds between two idle_polls."""
_IDLE_POLLS = 2
"""Looks in a row that find no user: a program that is started again at once finds its server running."""


def watch(data_dir: Path, pid: int) -> subprocess.Popen[bytes]:
    """Start the process that watches over the server `pid` of this data directory; OSError where that fails."""
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
    """Wait for the server's end, or for that of its last user."""
    # Never made here: where they are gone, the server's folder is too.
    starting, users = (
        os.open(data_dir / name, os.O_RDWR | os.O_NOFOLLOW)
        for name in ("postgres.starting", "postgres.users")
    )
    idle_polls = 0
    while _exists(pid):
        time.sleep(_POLL_INTERVAL)
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
    """Whether nobody else holds the lock; nobody else can take it meanwhile."""
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
    # Only here: it is the heavy part.
    from sp500tui.storage.embedded.process import find_running, stop

    process = find_running(pgdata)
    if process is not None:
        stop(process, lambda: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
