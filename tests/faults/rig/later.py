"""Runs a module like `python -m`, with the wall clock ahead of the real one by the seconds in a file.

    python -m tests.faults.rig.later FILE MODULE [ARGUMENT …]

The file may change while the module runs, as if the machine had been suspended; the monotonic clock is not changed.
"""

from __future__ import annotations

import runpy
import sys
import threading
import time
from pathlib import Path

import time_machine

_POLL_INTERVAL = 0.02


def main(path: Path, module: str) -> None:
    """Run a module whose wall clock is set by the file."""
    shown = _offset(path)
    clock = time_machine.travel(time.time() + shown, tick=True).start()

    def follow() -> None:
        nonlocal shown
        while True:
            wanted = _offset(path)
            if wanted != shown:
                clock.shift(wanted - shown)
                shown = wanted
            threading.Event().wait(_POLL_INTERVAL)

    threading.Thread(target=follow, daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _offset(path: Path) -> float:
    return float(path.read_text() or 0)


if __name__ == "__main__":
    _, file, name, *arguments = sys.argv
    sys.argv = [name, *arguments]
    main(Path(file), name)
