"""Wake-ups and processor time of an idle program between two cycles."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.cost.memory import writer_processes
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import ROOT, child_environment, public_folder, wait_until

SHARE_OF_A_CORE = 0.005
WAKE_UPS = 15.0
"""Wake-ups per second of all threads of the program: polls of the supervisor and of the database monitor."""
_EQUAL = "the demo market, 503 symbols, ten minutes between two cycles; /proc of the kernel"


@dataclass(frozen=True, slots=True)
class Use:
    """Resources used by all threads of a process since its start."""

    cpu: float
    """Seconds."""
    wake_ups: int
    """Voluntary context switches."""


def use_of(pid: int) -> Use:
    """The use of one process, from /proc."""
    ticks = wake_ups = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        status = (task / "status").read_text().splitlines()
        wake_ups += next(
            int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches")
        )
    return Use(ticks / os.sysconf("SC_CLK_TCK"), wake_ups)


@contextmanager
def idle_program() -> Iterator[int]:
    """A headless run ten minutes before its second cycle; yields its process id."""
    with public_folder() as folder:
        log = folder / "app.log"
        options = [
            "--no-ui",
            "--demo",
            "--interval=600",
            f"--data-dir={folder / 'data'}",
            f"--log-file={log}",
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "sp500tui", *options],
            cwd=ROOT,
            env=child_environment({"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(
                lambda: log.exists() and "cycle 1 finished" in log.read_text(), 90.0, "the first cycle"
            )
            yield process.pid
        finally:
            process.terminate()
            assert process.wait(60) == 143


def measure(pids: list[int], seconds: float) -> Use:
    """The use of these processes per second, on average over `seconds`."""
    before, started = [use_of(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)
    after, passed = [use_of(pid) for pid in pids], time.monotonic() - started
    pairs = list(zip(before, after, strict=True))
    cpu = sum(last.cpu - first.cpu for first, last in pairs) / passed
    wake_ups = sum(last.wake_ups - first.wake_ups for first, last in pairs) / passed
    return Use(cpu, round(wake_ups))


def run(scale: Scale) -> list[Figure]:
    """Wake-ups and processor time of the program and of its writers."""
    with idle_program() as pid:
        writers = [process.pid for process in writer_processes(pid)]
        stretches = [
            (measure([pid], scale.seconds), measure(writers, scale.seconds)) for _ in range(scale.runs)
        ]
    own, theirs = [one for one, _ in stretches], [other for _, other in stretches]
    wake_ups, share = Spread.of(use.wake_ups for use in own), Spread.of(use.cpu * 100 for use in own)
    return [
        Figure(
            "idle",
            "wake-ups of the program",
            "/s",
            wake_ups,
            _EQUAL,
            goal=f"≤ {WAKE_UPS:g}",
            met=wake_ups.median <= WAKE_UPS,
        ),
        Figure(
            "idle",
            "processor time of the program",
            "% of a core",
            share,
            _EQUAL,
            goal=f"≤ {SHARE_OF_A_CORE:.1%}",
            met=share.median <= SHARE_OF_A_CORE * 100,
        ),
        Figure("idle", "wake-ups of its writers", "/s", Spread.of(use.wake_ups for use in theirs), _EQUAL),
    ]
