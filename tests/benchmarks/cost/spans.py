"""What recording a change of a worker's state costs."""

from __future__ import annotations

import time
import timeit

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Batches, SpanRing
from tests.benchmarks.report.figures import Figure, Scale, Spread

_GOAL = 2.0
"""Microseconds."""
_CALLS = 100_000


def run(scale: Scale) -> list[Figure]:
    """Microseconds of processor time for one span."""
    ring, batches = SpanRing(), Batches(1, 2)
    seconds = timeit.repeat(
        lambda: ring.record(WorkerState.BUSY, 1.25, 2.5, batches),
        number=_CALLS,
        repeat=max(5, scale.runs),
        timer=time.thread_time,
    )
    ours = Spread.of(each / _CALLS * 1e6 for each in seconds)
    return [
        Figure(
            "spans",
            "processor for one span of a worker",
            "µs",
            ours,
            "one thread that writes one ring",
            goal=f"at most {_GOAL:g} µs",
            met=ours.median <= _GOAL,
        )
    ]
