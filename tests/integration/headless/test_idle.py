"""Idle is idle: between two cycles the threads sleep until they are notified."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks.rig import public_folder

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts by /proc")

SECONDS = 10.0
SHARE_OF_A_CORE = 0.005
WAKE_UPS = 15.0
"""A second, over all threads: a clock of the supervisor, and the database monitor's with a query now and then."""


@dataclass(frozen=True)
class Use:
    """What all threads of a process have used so far."""

    cpu: float
    """Seconds."""
    wake_ups: int


def use_of(pid: int) -> Use:
    ticks = wake_ups = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        status = (task / "status").read_text().splitlines()
        wake_ups += next(
            int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches")
        )
    return Use(ticks / os.sysconf("SC_CLK_TCK"), wake_ups)


@pytest.fixture
def program() -> Iterator[Callable[..., tuple[int, Path]]]:
    """Starts the program; gives its number and its log."""
    running: list[subprocess.Popen[bytes]] = []
    with public_folder() as folder:

        def start(*arguments: str) -> tuple[int, Path]:
            log = folder / "app.log"
            command = [sys.executable, "-m", "sp500tui", *arguments]
            command += ["--data-dir", str(folder / "data"), "--log-file", str(log)]
            home = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
            running.append(
                subprocess.Popen(
                    command,
                    env=os.environ | home,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            return running[-1].pid, log

        yield start
        for process in running:
            process.terminate()
            assert process.wait(60) == 143


def test_between_cycles_the_program_uses_next_to_nothing(
    program: Callable[..., tuple[int, Path]],
) -> None:
    # Given a run whose first cycle is over and whose next one is far away
    pid, log = program("--no-ui", "--demo", "--interval", "600")
    deadline = time.monotonic() + 90
    while not (log.exists() and "cycle 1 finished" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.2)

    # When it has nothing to do (what the first cycle has left to do takes a moment: the quietest stretch counts)
    quietest: list[tuple[float, float]] = []
    for _ in range(3):
        before, started = use_of(pid), time.monotonic()
        time.sleep(SECONDS)
        after, seconds = use_of(pid), time.monotonic() - started
        quietest.append(((after.cpu - before.cpu) / seconds, (after.wake_ups - before.wake_ups) / seconds))
        if quietest[-1][0] <= SHARE_OF_A_CORE and quietest[-1][1] <= WAKE_UPS:
            break

    # Then it hardly wakes up
    assert min(share for share, _ in quietest) <= SHARE_OF_A_CORE, quietest
    assert min(wake_ups for _, wake_ups in quietest) <= WAKE_UPS, quietest
