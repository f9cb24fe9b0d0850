"""The cost of viewers for a pipeline: three attach and scale, one is killed, one suspended, one quits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.remote.commands import Poll
from sp500tui.remote.session import Session
from sp500tui.remote.wire import Position, Update
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import ROOT, child_environment, public_folder, wait_until
from tests.faults.rig.terminal import PseudoTerminal

RATE = 0.95
"""Minimum ratio of the rows per second with viewers to those without."""
MEMORY = 1.05
"""Maximum ratio of the resident size with viewers to the size without."""
INTERVAL = 0.5
_EQUAL = (
    f"one headless run on the demo market, 503 symbols every {INTERVAL:g} s; stretches with and without viewers in "
    "turns, counted from the viewers' first frame; all programs at the same priority"
)
_EVERYTHING = Position(1 << 62, 1 << 62, 1 << 62, 0, 1 << 62)
"""Position from which a poll reads the snapshot and the list, but no prices."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Measurements of the pipeline over some seconds."""

    rate: float
    """Rows stored per second, including duplicates."""
    megabytes: float
    """Resident size at the end."""
    share: float
    """Processor time, % of a core."""


class Run:
    """A headless run and its data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data" / "demo"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sp500tui", "--no-ui", "--json", "--demo"),
                *(f"--interval={INTERVAL}", f"--data-dir={folder / 'data'}"),
            ],
            cwd=ROOT,
            env=child_environment({"HOME": str(folder)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._system = psutil.Process(self.process.pid)

    def snapshot(self) -> Snapshot:
        """Its current state."""
        with Session(self.data, timeout=60) as session:
            return session.call(Poll(_EVERYTHING), Update).snapshot

    def rows(self) -> int:
        """Rows stored so far; 0 while it starts."""
        if not (self.data / "run" / "control.sock").exists():
            return 0
        ledger = self.snapshot().ledger
        return ledger.stored + ledger.duplicate

    def measure(self, work: Iterator[float]) -> Stretch:
        """Measure while `work` waits for the seconds that it yields."""
        first, used, rows = time.monotonic(), self._cpu(), self.rows()
        for seconds in work:
            time.sleep(seconds)
        rows, passed = self.rows() - rows, time.monotonic() - first
        return Stretch(
            rows / passed, self._system.memory_info().rss / 1e6, (self._cpu() - used) / passed * 100
        )

    def _cpu(self) -> float:
        times = self._system.cpu_times()
        return float(times.user + times.system)

    def end(self) -> Ledger:
        """Stop it by the drain; returns the equation at its end."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=120)
        quotes = json.loads(output)["quotes"]
        return Ledger(**{name: quotes[name] for name in Ledger.__slots__})


class Viewer:
    """`sp500tui attach` in a terminal that is read continuously."""

    def __init__(self, run: Run) -> None:
        self.terminal = PseudoTerminal()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sp500tui", "attach", "--demo", f"--data-dir={run.folder / 'data'}"],
            cwd=ROOT,
            env=child_environment({"HOME": str(run.folder), "TERM": "xterm-256color"}),
            stdin=self.terminal.program_side,
            stdout=self.terminal.program_side,
            stderr=self.terminal.program_side,
            start_new_session=True,
        )

    @property
    def drawn(self) -> bool:
        """Whether its dashboard is on the screen."""
        return b"price workers" in self.terminal.output

    def close(self) -> None:
        """End it in any state."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.terminal.close()


@contextmanager
def three_viewers(run: Run) -> Iterator[list[Viewer]]:
    """Viewers that have drawn their first frame; they are ended afterwards."""
    viewers: list[Viewer] = []
    try:
        for _ in range(3):
            viewers.append(Viewer(run))
            wait_until(lambda: viewers[-1].drawn, 120.0, "the first frame of a viewer")
        yield viewers
    finally:
        for viewer in viewers:
            viewer.close()


def busy(viewers: list[Viewer], seconds: float) -> Iterator[float]:
    """Scale up and down, kill one viewer, suspend one, and quit one at the end; yields the time between."""
    killed, stopped, leaving = viewers
    yield seconds / 4
    leaving.terminal.send(b"+")
    yield seconds / 4
    leaving.terminal.send(b"-")
    killed.process.kill()
    stopped.process.send_signal(signal.SIGSTOP)
    yield seconds / 2
    leaving.terminal.send(b"q")


def run(scale: Scale) -> list[Figure]:
    """Rows per second, memory and processor time with and without viewers, and the quotes lost."""
    seconds = max(1.0, scale.seconds)
    alone: list[Stretch] = []
    watched: list[Stretch] = []
    with public_folder() as folder:
        pipeline = Run(folder)
        try:
            wait_until(lambda: pipeline.rows() > 503, 120.0, "the second cycle")
            for _ in range(scale.runs):
                alone.append(pipeline.measure(iter([seconds])))
                with three_viewers(pipeline) as viewers:
                    watched.append(pipeline.measure(busy(viewers, seconds)))
            ledger = pipeline.end()
        finally:
            if pipeline.process.poll() is None:
                pipeline.process.kill()
                pipeline.process.wait()
    return figures(alone, watched, ledger)


def figures(alone: list[Stretch], watched: list[Stretch], ledger: Ledger) -> list[Figure]:
    """The figures of stretches without and with viewers, measured alternately."""
    rate = Spread.pairwise([each.rate for each in watched], [each.rate for each in alone])
    memory = Spread.pairwise([each.megabytes for each in watched], [each.megabytes for each in alone])
    lost = ledger.fetched - ledger.stored - ledger.duplicate - ledger.dead
    return [
        Figure(
            "viewers",
            "rows stored with three viewers",
            "rows/s",
            Spread.of(each.rate for each in watched),
            _EQUAL,
            {"without a viewer": Spread.of(each.rate for each in alone)},
            ratio=rate,
            ratio_name="with : without",
            goal=f"unchanged: ≥ {RATE:g}",
            met=rate.median >= RATE,
        ),
        Figure(
            "viewers",
            "resident size of the pipeline with three viewers",
            "MB",
            Spread.of(each.megabytes for each in watched),
            _EQUAL,
            {"without a viewer": Spread.of(each.megabytes for each in alone)},
            ratio=memory,
            ratio_name="with : without",
            goal=f"unchanged: ≤ {MEMORY:g}",
            met=memory.median <= MEMORY,
        ),
        Figure(
            "viewers",
            "processor time of the pipeline with three viewers",
            "% of a core",
            Spread.of(each.share for each in watched),
            _EQUAL,
            {"without a viewer": Spread.of(each.share for each in alone)},
        ),
        Figure(
            "viewers",
            "quotes lost",
            "quotes",
            Spread.of([lost]),
            _EQUAL,
            goal="nothing lost",
            met=lost == 0,
            note=f"at the end: {ledger}",
        ),
    ]
