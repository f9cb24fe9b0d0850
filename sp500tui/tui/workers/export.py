"""A worker as it leaves the program: the workers panel's lines for files and the clipboard."""

from __future__ import annotations

from dataclasses import dataclass

from sp500tui.pipeline.core.snapshot import WorkerSnapshot
from sp500tui.tui.render.formats import clean

_DIGITS = 3
"""Decimals of rates and latencies; more would be noise."""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One thread or process; the names of its figures carry their units."""

    name: str
    stage: str
    state: str
    state_seconds: float
    doing: str
    items: int
    rate_1s_per_second: float
    """Items a second over the last second; over 10 and 60 s below."""
    rate_10s_per_second: float
    rate_60s_per_second: float
    p50_ms: float | None
    """Of one lease; None before the first."""
    p95_ms: float | None
    p99_ms: float | None
    restarts: int
    last_error: str
    retry_in_seconds: float | None
    """Until a backing-off or waiting worker tries again."""
    pid: int
    """Of a writer's process; of this process for a thread."""
    thread: int
    """Native id of its thread in this process."""
    node: str
    """Host in a cluster; empty when local."""


def worker_record(worker: WorkerSnapshot) -> WorkerRecord:
    """What the panel knows of one worker, without the panel's formats."""
    return WorkerRecord(
        clean(worker.name),
        str(worker.stage),
        str(worker.state),
        round(worker.state_seconds, _DIGITS),
        clean(worker.doing),
        worker.items,
        round(worker.rate_1, _DIGITS),
        round(worker.rate_10, _DIGITS),
        round(worker.rate_60, _DIGITS),
        _rounded(worker.latency.p50),
        _rounded(worker.latency.p95),
        _rounded(worker.latency.p99),
        worker.restarts,
        clean(worker.last_error),
        _rounded(worker.retry_in),
        worker.pid,
        worker.thread,
        clean(worker.node),
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, _DIGITS)
