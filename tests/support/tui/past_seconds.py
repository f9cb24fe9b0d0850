"""Invented samples of the last minutes of a run, always the same."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import timedelta

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import WorkerSnapshot, WorkerState
from sp500tui.pipeline.core.timing.second_sample import (
    JournalSecond,
    QueueSecond,
    SecondSample,
    StageSecond,
    WorkerSecond,
)
from tests.support.tui.fake_pipeline import NOON, running

KILLED, DOWN, BACK = 95, 104, 114
"""Seconds in which a writer is killed, and a database outage starts and ends."""


def worker_second(name: str, stage: StageName, busy: float, failed: int = 0) -> WorkerSecond:
    """A worker that was busy for a share of the second, and idle otherwise."""
    state = WorkerState.SOURCE if stage is StageName.PRICE else WorkerState.BUSY
    return WorkerSecond(name, stage, {state: busy, WorkerState.IDLE: 1 - busy}, failed=failed)


def sample(
    second: int,
    workers: Iterable[WorkerSecond] = (),
    depths: Mapping[QueueName, int] | None = None,
    journal: int = 0,
    events: tuple[PipelineEvent, ...] = (),
) -> SecondSample:
    """A sample with the stages as sums of the workers."""
    workers = tuple(workers)
    stages = []
    for stage in StageName:
        members = [worker for worker in workers if worker.stage is stage]
        seconds: dict[WorkerState, float] = {}
        for worker in members:
            for state, spent in worker.seconds.items():
                seconds[state] = seconds.get(state, 0.0) + spent
        stages.append(StageSecond(stage, seconds, failed=sum(worker.failed for worker in members)))
    queues = [QueueSecond(name, max_ready=(depths or {}).get(name, 0)) for name in QueueName]
    return SecondSample(
        second,
        NOON + timedelta(seconds=second),
        workers,
        tuple(stages),
        tuple(queues),
        JournalSecond(journal, journal),
        events,
    )


def past_seconds(seconds: int = 130, workers: Iterable[WorkerSnapshot] | None = None) -> list[SecondSample]:
    """A run in which a writer was killed and the database was down for ten seconds."""
    rng = random.Random(42)
    names = [(worker.name, worker.stage) for worker in workers or running().workers]
    return [_past_second(second, names, rng) for second in range(1, seconds + 1)]


def _past_second(second: int, names: list[tuple[str, StageName]], rng: random.Random) -> SecondSample:
    outage = max(0, second - DOWN) if second <= BACK else 0
    shares = {
        StageName.SCRAPER: 0.05,
        StageName.PRICE: 0.55,
        StageName.CONVERTER: 0.08,
        StageName.WRITER: 0.2,
        StageName.HISTORY: 0.3,
    }
    workers = [
        worker_second(
            name,
            stage,
            min(1.0, shares[stage] * rng.uniform(0.4, 1.7))
            if not (outage and stage is StageName.WRITER)
            else 1.0,
            failed=int(name == "writer-1" and second == KILLED),
        )
        for name, stage in names
    ]
    depths = {
        QueueName.TICKERS: rng.randrange(40, 503),
        QueueName.ROWS: 250 * outage if outage else rng.choice((0, 0, 5)),
    }
    found = {
        KILLED: (EventKind.WORKER_DIED, "writer-1 was killed", "writer-1"),
        DOWN: (EventKind.DATABASE_DOWN, "PostgreSQL does not answer", ""),
        BACK: (EventKind.DATABASE_BACK, "PostgreSQL is back", ""),
    }.get(second)
    events = () if found is None else (PipelineEvent(found[0], found[1], 40, NOON, None, found[2]),)
    return sample(second, workers, depths, 250 * outage, events)
