"""Conclusions from the counters: the bottleneck and the health of the source."""

from __future__ import annotations

from collections.abc import Sequence

from sp500tui.pipeline.api import MAX_WORKERS
from sp500tui.pipeline.core.snapshot import (
    Bottleneck,
    DatabaseSnapshot,
    Health,
    QueueName,
    QueueSnapshot,
    SourceSnapshot,
    StageName,
    StageSnapshot,
    WorkerSnapshot,
    WorkerState,
)
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.sources.throttle import CircuitState, ThrottleState

_FULL = 0.75
"""Share of its capacity from which a queue counts as full."""
_LAGGING = 1.0
"""Seconds for which an item may be queued before its stage counts as lagging."""

_WAITING = (WorkerState.LIMIT, WorkerState.RATE, WorkerState.BACKOFF)

_INPUT_QUEUE = {
    StageName.PRICE: QueueName.TICKERS,
    StageName.CONVERTER: QueueName.QUOTES,
    StageName.WRITER: QueueName.ROWS,
}


def bottleneck(
    stages: Sequence[StageSnapshot],
    queues: Sequence[QueueSnapshot],
    workers: Sequence[WorkerSnapshot],
    database: DatabaseSnapshot,
) -> Bottleneck | None:
    """The last stage whose input queue is full or lagging, for which the others wait; None if there is none."""
    by_queue = {queue.name: queue for queue in queues}
    for stage in reversed(stages):
        if stage.name not in _INPUT_QUEUE:
            continue
        queue = by_queue[_INPUT_QUEUE[stage.name]]
        lagging = (queue.oldest_age or 0.0) >= _LAGGING
        if queue.fill < _FULL and not lagging:
            continue
        return Bottleneck(stage.name, *_reason_and_advice(stage, queue, workers, database))
    return None


def _reason_and_advice(
    stage: StageSnapshot,
    queue: QueueSnapshot,
    workers: Sequence[WorkerSnapshot],
    database: DatabaseSnapshot,
) -> tuple[str, str]:
    if stage.paused:
        return "paused", "p resumes"
    if not stage.size:
        return "no node runs it", f"sp500tui worker --stages {stage.name} adds one"
    if stage.name is StageName.WRITER and database.health is Health.DOWN:
        return "the database takes no rows", "rows go to the journal until it is back"
    waiting = [
        w for w in workers if w.stage is stage.name and (w.retry_in is not None or w.state in _WAITING)
    ]
    if waiting and len(waiting) >= stage.alive:
        return f"all {stage.alive} wait: {waiting[0].doing}", ""
    if stage.busy >= stage.alive:
        advice = "+ adds one" if stage.size < MAX_WORKERS else ""
        return f"all {stage.alive} busy, {queue.ready:,} {queue.name} wait", advice
    return f"{queue.ready:,} {queue.name} wait", ""


def source_snapshot(state: ThrottleState, fx: FxRates) -> SourceSnapshot:
    """The state of Yahoo Finance from the throttle and the exchange rates."""
    pair, rate, age = fx.primary()
    if state.circuit is CircuitState.CLOSED:
        slow = state.rate < state.limit
        started = state.last_success_age is not None
        health = Health.DEGRADED if slow else Health.OK if started else Health.STARTING
        message = f"Yahoo Finance: {state.rate:.1f} of {state.limit:.1f} requests/s allowed" if slow else ""
    else:
        health, message = Health.DOWN, f"Yahoo Finance: {state.message}"
    return SourceSnapshot(
        health=health,
        message=message,
        rate_limit=state.rate,
        max_rate=state.limit,
        retry_in=state.retry_in,
        requests=state.requests,
        succeeded=state.succeeded,
        failed=state.failed,
        throttled=state.throttled,
        last_success=state.last_success_age,
        fx_pair=pair,
        fx_rate=str(rate.rate) if rate else "",
        fx_age=age,
    )
