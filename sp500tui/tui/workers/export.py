"""The rows of the workers panel as exported to files."""

from __future__ import annotations

from dataclasses import dataclass

from sp500tui.pipeline.core.snapshot import WorkerSnapshot
from sp500tui.tui.render.formats import clean

_DIGITS = 3
"""Decimals of rates and latencies."""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One thread or process; field names of measurements end in their unit."""

    name: str
    stage: str
    state: str
    state_seconds: float
    doing: str
    items: int
    rate_1s_per_second: float
    """Items per second over the last second; the fields below are over 10 and 60 s."""
    rate_10s_per_second: float
    rate_60s_per_second: float
    p50_ms: float | None
    """Duration of a lease; None before the first one."""
    p95_ms: float | None
    p99_ms: float | None
    restarts: int
    last_error: str
    retry_in_seconds: float | None
    """Seconds until a worker in back-off or waiting tries again."""
    pid: int
    """The writer's process; for a thread this process."""
    thread: int
    """Native id of its thread in this process."""
    node: str
    """Node in a cluster; empty otherwise."""


def worker_record(worker: WorkerSnapshot) -> WorkerRecord:
    """A worker as a record, without the panel's formats."""
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
