"""The verdict as a table: what the pipeline does, and the sentence and the advice that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import CycleSnapshot, Health, Phase, Snapshot, WorkerState
from sp500tui.pipeline.core.timing.second_sample import QueueSecond, SecondSample, StageSecond
from sp500tui.pipeline.core.verdict import Severity, VerdictKind
from sp500tui.pipeline.monitoring.verdict import WINDOW, verdict
from tests.support.tui.fake_cluster import three_nodes
from tests.support.tui.fake_pipeline import NOON, running, worker

IDLE, BUSY, BLOCKED = WorkerState.IDLE, WorkerState.BUSY, WorkerState.BLOCKED
LIMIT, SOURCE, DATABASE = WorkerState.LIMIT, WorkerState.SOURCE, WorkerState.DATABASE
PRICE, CONVERTER, WRITER = StageName.PRICE, StageName.CONVERTER, StageName.WRITER

Times = Mapping[WorkerState, float]


def cycle(seconds: float, *, last: float | None = 0.1, **changes: Any) -> CycleSnapshot:
    """A running cycle of 503 symbols with an interval of two seconds."""
    shown = CycleSnapshot(
        number=42, total=503, done=250, running=True, seconds=seconds, next_in=1.0, interval=2.0
    )
    return replace(shown, last_seconds=last, **changes)


def at(*, running_for: float = 0.1, sizes: Mapping[StageName, int] | None = None, **changes: Any) -> Snapshot:
    """A run without faults, with the given number of workers."""
    calm = running()
    stages = tuple(
        replace(stage, size=(sizes or {}).get(stage.name, stage.size), alive=(sizes or {}).get(stage.name, 2))
        for stage in calm.stages
    )
    queues = tuple(replace(queue, ready=0, oldest_age=None) for queue in calm.queues)
    sources = replace(calm.sources, health=Health.OK, rate_limit=45.0, max_rate=45.0)
    return replace(
        calm,
        **{
            "stages": stages,
            "queues": queues,
            "sources": sources,
            "workers": (),
            "cycle": cycle(running_for),
            **changes,
        },
    )


def window(
    price: Times | None = None,
    converter: Times | None = None,
    writer: Times | None = None,
    *,
    leases: int = 10,
    items: int = 50,
    waiting: float = 0.0,
    cpu: float = 0.1,
) -> Sequence[SecondSample]:
    """Seconds in which each stage spent its time as given: `leases` of `items` each, `waiting` items in each queue."""
    times = {PRICE: price, CONVERTER: converter, WRITER: writer}
    stages = tuple(
        StageSecond(name, {IDLE: 2.0} if spent is None else spent, leases * items, 0, leases)
        for name, spent in times.items()
    )
    queues = tuple(QueueSecond(name, waiting, int(waiting)) for name in QueueName)
    return [
        SecondSample(second, NOON, stages=stages, queues=queues, cpu=cpu) for second in range(1, WINDOW + 1)
    ]


def full(name: QueueName, ready: int = 4096, age: float | None = 3.0) -> Any:
    return tuple(
        replace(
            queue, ready=ready if queue.name is name else 0, oldest_age=age if queue.name is name else None
        )
        for queue in running().queues
    )


def with_stage(name: StageName, **changes: Any) -> Any:
    return tuple(replace(stage, **changes) if stage.name is name else stage for stage in at().stages)


WAITS_FOR_YAHOO = {SOURCE: 11.0, IDLE: 1.0}
WAITS_FOR_LIMIT = {LIMIT: 9.0, SOURCE: 1.0, IDLE: 2.0}

CASES: dict[str, tuple[Snapshot, Sequence[SecondSample], VerdictKind, str, str]] = {
    "no samples yet": (at(), [], VerdictKind.KEEPS_UP, "keeps up: a cycle takes 0.1 of 2.0 s", ""),
    "calm": (
        at(),
        window({SOURCE: 0.4, IDLE: 11.6}),
        VerdictKind.KEEPS_UP,
        "keeps up: a cycle takes 0.1 of 2.0 s",
        "",
    ),
    "between two cycles": (
        at(cycle=cycle(1.4, last=1.4, running=False)),
        window(),
        VerdictKind.KEEPS_UP,
        "keeps up: a cycle takes 1.4 of 2.0 s",
        "",
    ),
    "before the first cycle": (
        at(cycle=CycleSnapshot(next_in=0.0, interval=2.0)),
        window(),
        VerdictKind.STARTING,
        "starting: no cycle has begun yet",
        "",
    ),
    "the first cycle opens the connections": (
        at(cycle=cycle(3.2, last=None, number=1, warming_up=True)),
        window(WAITS_FOR_YAHOO),
        VerdictKind.STARTING,
        "starting: the first cycle opens connections, it has taken 3.2 s",
        "",
    ),
    "the first cycle has opened the connections": (
        at(cycle=cycle(4.9, last=None, number=1, warming_up=True, running=False)),
        window(),
        VerdictKind.STARTING,
        "starting: the first cycle opens connections, it took 4.9 s",
        "",
    ),
    "the first cycle ends in time": (
        at(cycle=cycle(1.6, last=None, number=1, warming_up=True, running=False)),
        window(),
        VerdictKind.KEEPS_UP,
        "keeps up: a cycle takes 1.6 of 2.0 s",
        "",
    ),
    "the only cycle of a bounded run opens the connections": (
        at(cycle=cycle(4.9, last=None, number=1, warming_up=True, running=False, next_in=None)),
        window(),
        VerdictKind.KEEPS_UP,
        "keeps up: the last cycle took 4.9 s",
        "",
    ),
    "a database that is not open yet": (
        at(cycle=cycle(3.0, last=5.0)),
        window(writer={WorkerState.DATABASE_DOWN: 1.9, BUSY: 0.1}),
        VerdictKind.BEHIND,
        "behind: a cycle takes 5.0 of 2.0 s: the writers wait for the database",
        "more writers would not help",
    ),
    "the last cycle of a bounded run takes long": (
        at(cycle=cycle(9.0, next_in=None)),
        window(WAITS_FOR_YAHOO),
        VerdictKind.KEEPS_UP,
        "keeps up: the last cycle has taken 9.0 s",
        "",
    ),
    "slow answers, all requests in flight": (
        at(running_for=3.0, sizes={PRICE: 12}, cycle=cycle(3.0, last=7.6)),
        window(WAITS_FOR_YAHOO, leases=11, items=46),
        VerdictKind.BEHIND,
        "behind: a cycle takes 7.6 of 2.0 s: Yahoo Finance answers in 1.0 s",
        "more price workers would not help",
    ),
    "answers that have just become slow": (
        at(
            cycle=cycle(2.2, last=1.6),
            workers=(worker(PRICE, 1, SOURCE, "5 symbols", work_seconds=2.1),),
        ),
        window(WAITS_FOR_LIMIT, leases=55, items=5),
        VerdictKind.BEHIND,
        "behind: a cycle takes 2.2 of 2.0 s: Yahoo Finance has not answered for 2.1 s",
        "",
    ),
    "a slow answer while other requests wait for the limit": (
        at(
            cycle=cycle(2.2, last=1.6),
            workers=(
                worker(PRICE, 1, SOURCE, "5 symbols", work_seconds=2.1),
                worker(PRICE, 2, LIMIT, "5 symbols", work_seconds=0.1),
            ),
        ),
        window(WAITS_FOR_LIMIT, leases=55, items=5),
        VerdictKind.BEHIND,
        "behind: a cycle takes 2.2 of 2.0 s: the request limit (45/s) sets the pace",
        "more price workers would not help",
    ),
    "slow answers, requests wait for a worker": (
        at(sizes={PRICE: 10}, cycle=cycle(3.0, last=5.0)),
        window({SOURCE: 10.0}, leases=10, items=46, waiting=40),
        VerdictKind.BEHIND,
        "behind: a cycle takes 5.0 of 2.0 s: Yahoo Finance answers in 1.0 s",
        "+ adds one",
    ),
    "one worker more would not save a round of requests": (
        at(sizes={PRICE: 4}, cycle=cycle(3.0, last=5.0)),
        window({SOURCE: 4.0}, leases=4, items=46, waiting=40),
        VerdictKind.BEHIND,
        "behind: a cycle takes 5.0 of 2.0 s: Yahoo Finance answers in 1.0 s",
        "6 price workers would help",
    ),
    "the answers take so long that none arrives": (
        at(
            sizes={PRICE: 12},
            cycle=cycle(9.8),
            workers=(worker(PRICE, 1, SOURCE, "50 symbols", 0.0, work_seconds=9.8),),
        ),
        window({SOURCE: 11.0, IDLE: 1.0}, leases=0),
        VerdictKind.BEHIND,
        "behind: a cycle takes 9.8 of 2.0 s: Yahoo Finance has not answered for 9.8 s",
        "more price workers would not help",
    ),
    "no answer arrives while requests wait for a worker": (
        at(
            sizes={PRICE: 10},
            cycle=cycle(9.8),
            workers=(worker(PRICE, 1, SOURCE, "50 symbols", 0.0, work_seconds=9.8),),
        ),
        window({SOURCE: 10.0}, leases=0, waiting=40),
        VerdictKind.BEHIND,
        "behind: a cycle takes 9.8 of 2.0 s: Yahoo Finance has not answered for 9.8 s",
        "",
    ),
    "the limit makes cycles too long": (
        at(sizes={PRICE: 12}, cycle=cycle(3.0, last=10.2)),
        window(WAITS_FOR_LIMIT, waiting=40),
        VerdictKind.BEHIND,
        "behind: a cycle takes 10 of 2.0 s: the request limit (45/s) sets the pace",
        "more price workers would not help",
    ),
    "the limit was lowered": (
        at(sources=replace(at().sources, rate_limit=5.0, max_rate=10.0), cycle=cycle(3.0)),
        window(WAITS_FOR_LIMIT, waiting=40),
        VerdictKind.BEHIND,
        "behind: a cycle takes 3.0 of 2.0 s: the request limit (5/s, lowered from 10) sets the pace",
        "more price workers would not help",
    ),
    "the limit sets the pace and the cycles end in time": (
        at(cycle=cycle(1.7)),
        window(WAITS_FOR_LIMIT),
        VerdictKind.LIMIT,
        "keeps up: a cycle takes 1.7 of 2.0 s; the request limit (45/s) sets the pace",
        "more price workers would not help",
    ),
    "requests are sent as fast as the limit allows": (
        at(sizes={PRICE: 10}, cycle=cycle(3.0, last=5.0)),
        window({SOURCE: 10.0}, leases=44, waiting=40),
        VerdictKind.BEHIND,
        "behind: a cycle takes 5.0 of 2.0 s: Yahoo Finance answers in 227 ms",
        "more price workers would not help",
    ),
    "slow commits, rows wait": (
        at(queues=full(QueueName.ROWS)),
        window(writer={DATABASE: 2.0}, leases=4, waiting=4000),
        VerdictKind.FULL_QUEUE,
        "the rows queue is full (4,096 of 4,096): a commit takes 500 ms",
        "+ adds one",
    ),
    "old rows in a queue that is not full": (
        at(queues=full(QueueName.ROWS, 10, 1.5)),
        window(writer={DATABASE: 2.0}, leases=4, waiting=10),
        VerdictKind.FULL_QUEUE,
        "the rows queue is 1.5 s behind: a commit takes 500 ms",
        "+ adds one",
    ),
    "the journal's disk is slow": (
        at(queues=full(QueueName.ROWS)),
        window(writer={WorkerState.JOURNAL: 1.5, DATABASE: 0.5}, leases=10, waiting=4000),
        VerdictKind.FULL_QUEUE,
        "the rows queue is full (4,096 of 4,096): writing a batch to the journal takes 150 ms",
        "more writers would not help",
    ),
    "slow conversion that uses no processor": (
        at(queues=full(QueueName.QUOTES)),
        window(converter={BUSY: 2.0}, leases=4, waiting=4000),
        VerdictKind.FULL_QUEUE,
        "the quotes queue is full (4,096 of 4,096): converting a batch takes 500 ms",
        "+ adds one",
    ),
    "slow conversion that uses a whole processor core": (
        at(queues=full(QueueName.QUOTES)),
        window(converter={BUSY: 2.0}, leases=4, waiting=4000, cpu=0.97),
        VerdictKind.FULL_QUEUE,
        "the quotes queue is full (4,096 of 4,096): converting a batch takes 500 ms",
        "more converters would not help",
    ),
    "no exchange rate": (
        at(queues=full(QueueName.QUOTES)),
        window(converter={WorkerState.RATE: 2.0}, waiting=4000),
        VerdictKind.FULL_QUEUE,
        "the quotes queue is full (4,096 of 4,096): the converters wait for an exchange rate",
        "more converters would not help",
    ),
    "behind because of the writers: the stages before them are blocked": (
        at(cycle=cycle(6.0), queues=full(QueueName.ROWS)),
        window({BLOCKED: 12.0}, {BLOCKED: 2.0}, {DATABASE: 2.0}, leases=4, waiting=4000),
        VerdictKind.BEHIND,
        "behind: a cycle takes 6.0 of 2.0 s: a commit takes 500 ms",
        "+ adds one",
    ),
    "as many writers as there can be": (
        at(cycle=cycle(6.0), sizes={WRITER: 64}, queues=full(QueueName.ROWS)),
        window({BLOCKED: 12.0}, {BLOCKED: 2.0}, {DATABASE: 64.0}, leases=4, waiting=4000),
        VerdictKind.BEHIND,
        "behind: a cycle takes 6.0 of 2.0 s: a commit takes 16.0 s",
        "",
    ),
    "the database is down": (
        at(
            database=replace(at().database, health=Health.DOWN, message="connection refused"),
            journal=replace(at().journal, rows=2515),
            cycle=cycle(6.0),
        ),
        window(),
        VerdictKind.DATABASE_DOWN,
        "held up: the database is down: connection refused; 2,515 rows wait in the journal",
        "",
    ),
    "the journal is full": (
        at(journal=replace(at().journal, health=Health.DOWN, message="the journal has reached its limit")),
        window(),
        VerdictKind.JOURNAL_DOWN,
        "held up: the journal has reached its limit",
        "",
    ),
    "the circuit is open": (
        at(
            sources=replace(
                at().sources,
                health=Health.DOWN,
                message="Yahoo Finance limits the request rate (429)",
                retry_in=4.2,
            ),
            cycle=cycle(6.0),
        ),
        window(WAITS_FOR_LIMIT),
        VerdictKind.SOURCE_DOWN,
        "held up: Yahoo Finance limits the request rate (429); next attempt in 4 s",
        "",
    ),
    "the intake is paused, and the database is down": (
        at(phase=Phase.PAUSED, database=replace(at().database, health=Health.DOWN, message="away")),
        window({WorkerState.PAUSED: 12.0}),
        VerdictKind.PAUSED,
        "paused: the scraper and the price workers take no work",
        "p resumes",
    ),
    "one stage is paused": (
        at(stages=with_stage(WRITER, paused=True)),
        window(writer={WorkerState.PAUSED: 2.0}),
        VerdictKind.PAUSED,
        "paused: the writers take no work",
        "P resumes the selected stage",
    ),
    "the scraper is paused": (
        at(stages=with_stage(StageName.SCRAPER, paused=True)),
        window(),
        VerdictKind.PAUSED,
        "paused: the scraper takes no work",
        "P resumes the selected stage",
    ),
    "no node runs a stage": (
        at(stages=with_stage(WRITER, size=0, alive=0), queues=full(QueueName.ROWS, 10, 0.1)),
        window(),
        VerdictKind.NO_WORKERS,
        "held up: no node runs writers",
        "sp500tui worker --stages writer adds one",
    ),
    "no node runs the scraper": (
        at(nodes=three_nodes().nodes, stages=with_stage(StageName.SCRAPER, size=0, alive=0)),
        window(),
        VerdictKind.NO_WORKERS,
        "held up: no node runs the scraper",
        "sp500tui worker --stages scraper adds one",
    ),
    "the run is ending": (at(phase=Phase.DRAINING), window(), VerdictKind.ENDING, "draining", ""),
    "the run has failed": (
        at(phase=Phase.FAILED, failure="no server"),
        window(),
        VerdictKind.ENDING,
        "failed: no server",
        "",
    ),
}


@pytest.mark.parametrize(("snapshot", "samples", "kind", "sentence", "advice"), CASES.values(), ids=CASES)
def test_the_verdict(
    snapshot: Snapshot, samples: Sequence[SecondSample], kind: VerdictKind, sentence: str, advice: str
) -> None:
    found = verdict(snapshot, samples)
    assert (found.kind, found.sentence, found.advice) == (kind, sentence, advice)


@pytest.mark.parametrize(
    ("case", "severity", "stage"),
    [
        ("calm", Severity.OK, None),
        ("the limit sets the pace and the cycles end in time", Severity.NOTE, PRICE),
        ("slow answers, all requests in flight", Severity.WARNING, PRICE),
        ("slow commits, rows wait", Severity.WARNING, WRITER),
        ("one stage is paused", Severity.WARNING, WRITER),
        ("the intake is paused, and the database is down", Severity.WARNING, None),
        ("the database is down", Severity.PROBLEM, WRITER),
    ],
)
def test_its_severity_and_stage(case: str, severity: Severity, stage: StageName | None) -> None:
    snapshot, samples, *_ = CASES[case]
    found = verdict(snapshot, samples)
    assert (found.severity, found.stage) == (severity, stage)


def test_workers_that_never_finish_anything_are_no_division_by_zero() -> None:
    # given every state, no finished lease, no worker and no limit
    empty = at(cycle=cycle(9.0), sources=replace(at().sources, rate_limit=0.0, max_rate=0.0))
    for name in (PRICE, CONVERTER, WRITER):
        for state in WorkerState:
            spent: dict[str, Any] = {str(name): {state: 2.0}}
            samples = window(**spent, leases=0, items=0, waiting=100)
            found = verdict(empty, samples)
            assert found.sentence.startswith("behind: a cycle takes 9.0 of 2.0 s")
