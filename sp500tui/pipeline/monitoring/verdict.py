"""The verdict on a run in one sentence: whether it keeps up, what limits it, and what would help.

The rules apply in the order of `verdict`; the first that matches wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sp500tui.config.settings import MAX_WORKERS
from sp500tui.duration_text import share_of_time
from sp500tui.pipeline.core.names import INTAKE, QueueName, StageName
from sp500tui.pipeline.core.snapshot import CycleSnapshot, Health, Phase, Snapshot, WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample, share_of
from sp500tui.pipeline.core.verdict import ADDS_ONE, RESUMES, RESUMES_STAGE, Severity, Verdict, VerdictKind

WINDOW = 5
"""Seconds of samples that the verdict takes into account."""
_FULL = 0.75
"""Share of its capacity at which a queue counts as full."""
_OLD = 1.0
"""Seconds for which quotes or rows may be queued."""
_SATURATED = 0.85
"""Share of its time at which a worker, the request limit or a processor core counts as fully used."""
_LIMITED = 0.25
"""Share of the price workers' occupied time spent waiting for the limit at which the limit sets the pace."""
_SLOW = 1.0
"""Seconds without an answer after which a source counts as slow."""
_FREE = (WorkerState.IDLE, WorkerState.BLOCKED, WorkerState.PAUSED, WorkerState.STARTING)
"""States in which a worker does not limit the throughput."""
_SHARED = (
    WorkerState.LIMIT,
    WorkerState.RATE,
    WorkerState.BACKOFF,
    WorkerState.JOURNAL,
    WorkerState.DATABASE_DOWN,
)
"""States of waiting for a resource that all workers share, so that additional workers would wait too."""
_INPUT = {
    StageName.PRICE: QueueName.TICKERS,
    StageName.CONVERTER: QueueName.QUOTES,
    StageName.WRITER: QueueName.ROWS,
}
_WORKERS = {
    StageName.SCRAPER: "scraper",
    StageName.PRICE: "price workers",
    StageName.CONVERTER: "converters",
    StageName.WRITER: "writers",
}
"""The stages of the live prices, which the verdict covers."""


def verdict(snapshot: Snapshot, samples: Sequence[SecondSample]) -> Verdict:
    """The verdict on a snapshot, whose own verdict is ignored, and the samples of the last `WINDOW` seconds."""
    for rule in (_not_running, _paused, _down, _without_workers, _behind, _full_queue):
        if (found := rule(snapshot, samples)) is not None:
            return found
    return _keeps_up(snapshot, samples)


def _not_running(snapshot: Snapshot, _: Sequence[SecondSample]) -> Verdict | None:
    if snapshot.phase in (Phase.RUNNING, Phase.PAUSED):
        return None
    if snapshot.phase is Phase.FAILED:
        return Verdict(VerdictKind.ENDING, Severity.PROBLEM, f"failed: {snapshot.failure}")
    if snapshot.phase is Phase.STARTING:
        down = _down(snapshot, ())
        return down or Verdict(VerdictKind.STARTING, Severity.NOTE, "starting")
    return Verdict(VerdictKind.ENDING, Severity.NOTE, str(snapshot.phase))


def _paused(snapshot: Snapshot, _: Sequence[SecondSample]) -> Verdict | None:
    paused = [stage.name for stage in snapshot.stages if stage.paused and stage.name in _WORKERS]
    if snapshot.phase is Phase.PAUSED:
        paused += [name for name in INTAKE if name not in paused]
    if not paused:
        return None
    names = " and ".join(f"the {_WORKERS[name]}" for name in _WORKERS if name in paused)
    verb = "takes" if paused == [StageName.SCRAPER] else "take"
    return Verdict(
        VerdictKind.PAUSED,
        Severity.WARNING,
        f"paused: {names} {verb} no work",
        RESUMES if snapshot.phase is Phase.PAUSED else RESUMES_STAGE,
        paused[0] if len(paused) == 1 else None,
    )


def _down(snapshot: Snapshot, _: Sequence[SecondSample]) -> Verdict | None:
    """Whether the broker, the database, the journal or the source of the prices cannot be used."""
    database, journal, sources = snapshot.database, snapshot.journal, snapshot.sources
    if snapshot.broker_health is Health.DOWN:
        return Verdict(VerdictKind.BROKER_DOWN, Severity.PROBLEM, f"held up: {snapshot.broker_message}")
    if database.health is Health.DOWN:
        waiting = f"; {journal.rows:,} rows wait in the journal" if journal.rows else ""
        sentence = f"held up: the database is down: {database.message}{waiting}"
        return Verdict(VerdictKind.DATABASE_DOWN, Severity.PROBLEM, sentence, stage=StageName.WRITER)
    if journal.health is Health.DOWN:
        return Verdict(
            VerdictKind.JOURNAL_DOWN, Severity.PROBLEM, f"held up: {journal.message}", stage=StageName.WRITER
        )
    if sources.health is Health.DOWN:
        attempt = f"; next attempt in {sources.retry_in:.0f} s" if sources.retry_in else ""
        sentence = f"held up: {sources.message}{attempt}"
        return Verdict(VerdictKind.SOURCE_DOWN, Severity.PROBLEM, sentence, stage=StageName.PRICE)
    return None


def _without_workers(snapshot: Snapshot, _: Sequence[SecondSample]) -> Verdict | None:
    """A stage that no node of the cluster runs: one for which work waits, or the one that starts the cycles."""
    for stage in reversed(snapshot.stages):
        if stage.name in _INPUT and not stage.size and snapshot.queue(_INPUT[stage.name]).ready:
            return Verdict(
                VerdictKind.NO_WORKERS,
                Severity.PROBLEM,
                f"held up: no node runs {_WORKERS[stage.name]}",
                f"sp500tui worker --stages {stage.name} adds one",
                stage.name,
            )
    if snapshot.nodes and not snapshot.stage(StageName.SCRAPER).size:
        return Verdict(
            VerdictKind.NO_WORKERS,
            Severity.PROBLEM,
            f"held up: no node runs the {_WORKERS[StageName.SCRAPER]}",
            f"sp500tui worker --stages {StageName.SCRAPER} adds one",
            StageName.SCRAPER,
        )
    return None


def _behind(snapshot: Snapshot, samples: Sequence[SecondSample]) -> Verdict | None:
    cycle = snapshot.cycle
    seconds = cycle_seconds(snapshot)
    if seconds is None or cycle.next_in is None or seconds <= cycle.interval:
        return None
    sentence = f"behind: a cycle takes {share_of_time(seconds, cycle.interval)}"
    cause = _cause(snapshot, samples)
    if cause is None:
        return Verdict(VerdictKind.BEHIND, Severity.WARNING, sentence)
    return Verdict(
        VerdictKind.BEHIND, Severity.WARNING, f"{sentence}: {cause.sentence}", cause.advice, cause.stage
    )


def _full_queue(snapshot: Snapshot, samples: Sequence[SecondSample]) -> Verdict | None:
    """The last stage for whose input the stages before it wait, although the cycles end in time."""
    for name in (StageName.WRITER, StageName.CONVERTER):
        queue = snapshot.queue(_INPUT[name])
        old = (queue.oldest_age or 0.0) >= _OLD
        if queue.fill < _FULL and not old:
            continue
        depth = f"{queue.ready:,} of {queue.capacity:,}"
        state = f"is full ({depth})" if queue.fill >= _FULL else f"is {queue.oldest_age:.1f} s behind"
        cause = _cause_of_stage(snapshot, samples, name)
        reason = f": {cause.sentence}" if cause is not None else ""
        advice = cause.advice if cause is not None else ""
        return Verdict(
            VerdictKind.FULL_QUEUE, Severity.WARNING, f"the {queue.name} queue {state}{reason}", advice, name
        )
    return None


def _keeps_up(snapshot: Snapshot, samples: Sequence[SecondSample]) -> Verdict:
    cycle = snapshot.cycle
    seconds = cycle_seconds(snapshot)
    if not cycle.number:
        return Verdict(VerdictKind.STARTING, Severity.NOTE, "starting: no cycle has begun yet")
    if seconds is None:
        sentence = f"starting: the first cycle opens connections, it {_took(cycle)} {cycle.seconds:.1f} s"
        return Verdict(VerdictKind.STARTING, Severity.NOTE, sentence)
    if cycle.next_in is None:
        sentence = f"keeps up: the last cycle {_took(cycle)} {seconds:.1f} s"
    else:
        sentence = f"keeps up: a cycle takes {share_of_time(seconds, cycle.interval)}"
    if _limit_share(samples) < _LIMITED:
        return Verdict(VerdictKind.KEEPS_UP, Severity.OK, sentence)
    return Verdict(
        VerdictKind.LIMIT,
        Severity.NOTE,
        f"{sentence}; {_limit(snapshot)}",
        f"more {_WORKERS[StageName.PRICE]} would not help",
        StageName.PRICE,
    )


def _took(cycle: CycleSnapshot) -> str:
    return "has taken" if cycle.running else "took"


def cycle_seconds(snapshot: Snapshot) -> float | None:
    """Seconds that a cycle takes: those of the last finished one, or of the running one if that has taken longer.

    None before the first cycle, and while the only known duration is that of a first one that opened connections.
    """
    cycle = snapshot.cycle
    if not cycle.number or (
        cycle.warming_up and cycle.next_in is not None and cycle.seconds > cycle.interval
    ):
        return None
    return max(cycle.seconds, cycle.last_seconds or 0.0) if cycle.running else cycle.seconds


# What limits the throughput


@dataclass(frozen=True, slots=True)
class _Cause:
    stage: StageName
    sentence: str
    advice: str


def _cause(snapshot: Snapshot, samples: Sequence[SecondSample]) -> _Cause | None:
    """The main activity of the stage with the highest occupancy; the later one of two that are equal."""
    occupancies = [(round(_occupancy(samples, name), 1), name) for name in reversed(_INPUT)]
    highest, name = max(occupancies, key=lambda pair: pair[0])
    return _cause_of_stage(snapshot, samples, name) if highest > 0 else None


def _cause_of_stage(snapshot: Snapshot, samples: Sequence[SecondSample], name: StageName) -> _Cause | None:
    seconds = {state: time for state, time in _seconds(samples, name).items() if state not in _FREE}
    if not seconds:
        return None
    state = max(seconds, key=lambda each: seconds[each])
    if name is StageName.PRICE and _limit_share(samples) >= _LIMITED:
        oldest = _oldest_work(snapshot, name, WorkerState.SOURCE)
        if oldest >= _SLOW and not _is_any(snapshot, name, WorkerState.LIMIT):
            # Answers have just become slow: the samples still show the limit, for which no request waits now.
            return _Cause(name, _silence(oldest), "")
        state = WorkerState.LIMIT
    sentence = _sentence(snapshot, samples, name, state)
    return _Cause(name, sentence, _advice(snapshot, samples, name, state))


def _sentence(
    snapshot: Snapshot, samples: Sequence[SecondSample], name: StageName, state: WorkerState
) -> str:
    workers = _WORKERS[name]
    match state:
        case WorkerState.LIMIT:
            return _limit(snapshot)
        case WorkerState.SOURCE:
            return _answers(snapshot, samples)
        case WorkerState.DATABASE:
            return _durations(snapshot, samples, name, state, "a commit")
        case WorkerState.JOURNAL:
            return _durations(snapshot, samples, name, state, "writing a batch to the journal")
        case WorkerState.DATABASE_DOWN:
            return f"the {workers} wait for the database"
        case WorkerState.RATE:
            return f"the {workers} wait for an exchange rate"
        case WorkerState.BACKOFF:
            waiting = (w for w in snapshot.workers if w.stage is name and w.state is state and w.doing)
            return next((worker.doing for worker in waiting), f"the {workers} wait after errors")
    doing = {StageName.PRICE: "reading an answer", StageName.CONVERTER: "converting a batch"}
    return _durations(snapshot, samples, name, state, doing.get(name, "preparing a batch"))


def _limit(snapshot: Snapshot) -> str:
    sources = snapshot.sources
    lowered = f", lowered from {sources.max_rate:.3g}" if sources.rate_limit < sources.max_rate else ""
    return f"the request limit ({sources.rate_limit:.3g}/s{lowered}) sets the pace"


def _durations(
    snapshot: Snapshot, samples: Sequence[SecondSample], name: StageName, state: WorkerState, what: str
) -> str:
    """How long `what` takes on average, or has taken so far if that is longer."""
    oldest = _oldest_work(snapshot, name, state)
    mean = _seconds_per_lease(samples, name, state)
    if mean is None or oldest > 2 * max(1.0, mean):
        return f"{what} has taken {_duration(oldest)} so far"
    return f"{what} takes {_duration(mean)}"


def _oldest_work(snapshot: Snapshot, name: StageName, state: WorkerState) -> float:
    """Seconds since the oldest lease was begun by a worker that is in `state` now."""
    return max(
        (w.work_seconds or 0.0 for w in snapshot.workers if w.stage is name and w.state is state),
        default=0.0,
    )


def _is_any(snapshot: Snapshot, name: StageName, state: WorkerState) -> bool:
    return any(worker.stage is name and worker.state is state for worker in snapshot.workers)


def _answers(snapshot: Snapshot, samples: Sequence[SecondSample]) -> str:
    mean = _mean_answer(snapshot, samples)
    if mean is None or _is_silent(snapshot, samples):
        return _silence(_oldest_work(snapshot, StageName.PRICE, WorkerState.SOURCE))
    return f"Yahoo Finance answers in {_duration(mean)}"


def _mean_answer(snapshot: Snapshot, samples: Sequence[SecondSample]) -> float | None:
    """Seconds that an answer takes on average; the 95th percentile if none came in the window of the samples."""
    mean = _seconds_per_lease(samples, StageName.PRICE, WorkerState.SOURCE)
    longest = snapshot.stage(StageName.PRICE).latency.p95
    return longest / 1000 if mean is None and longest is not None else mean


def _is_silent(snapshot: Snapshot, samples: Sequence[SecondSample]) -> bool:
    """Whether the oldest request has waited much longer than answers take, or there are no answers."""
    mean = _mean_answer(snapshot, samples)
    oldest = _oldest_work(snapshot, StageName.PRICE, WorkerState.SOURCE)
    return mean is None or oldest > 2 * max(_SLOW, mean)


def _silence(seconds: float) -> str:
    return f"Yahoo Finance has not answered for {seconds:.1f} s"


def _advice(snapshot: Snapshot, samples: Sequence[SecondSample], name: StageName, state: WorkerState) -> str:
    """Whether more workers would help: only if work waits, all workers are busy and no shared resource is used up."""
    useless = f"more {_WORKERS[name]} would not help"
    if state in _SHARED:
        return useless
    if name is StageName.PRICE and _request_rate(samples) >= _SATURATED * snapshot.sources.rate_limit > 0:
        return useless
    if state is WorkerState.BUSY and _mean([sample.cpu for sample in samples]) >= _SATURATED:
        return useless
    size = snapshot.stage(name).size
    if size >= MAX_WORKERS:
        return ""
    if not any(sample.queue(_INPUT[name]).mean_ready >= 1 for sample in samples):
        return useless
    if name is not StageName.PRICE:
        return ADDS_ONE
    if state is WorkerState.SOURCE and _is_silent(snapshot, samples):
        return ""  # whether it would answer more requests is not known
    needed = _next_useful_size(size, _batches(snapshot, samples))
    if needed == size + 1:
        return ADDS_ONE
    return f"{needed} price workers would help" if needed is not None else useless


def _next_useful_size(size: int, batches: int) -> int | None:
    """The smallest number of workers above `size` that needs fewer rounds for a cycle's batches, if any."""
    rounds = math.ceil(batches / max(1, size))
    if rounds <= 1:
        return None
    needed = math.ceil(batches / (rounds - 1))
    return needed if needed <= MAX_WORKERS else None


def _batches(snapshot: Snapshot, samples: Sequence[SecondSample]) -> int:
    """Requests of a cycle, from the mean number of symbols per request."""
    stages = [stage for sample in samples if (stage := sample.stage(StageName.PRICE)) is not None]
    leases = sum(stage.leases for stage in stages)
    items = sum(stage.items for stage in stages)
    if not leases or not items:
        # Nothing finished: what waits and what is being fetched, one batch per worker.
        queue = snapshot.queue(QueueName.TICKERS)
        busy = max(1, snapshot.stage(StageName.PRICE).busy)
        return busy + math.ceil(queue.ready * busy / max(1, queue.in_flight))
    return math.ceil(snapshot.cycle.total * leases / items)


# Figures of the window


def _seconds(samples: Sequence[SecondSample], name: StageName) -> dict[WorkerState, float]:
    total: dict[WorkerState, float] = {}
    for sample in samples:
        stage = sample.stage(name)
        for state, seconds in stage.seconds.items() if stage is not None else ():
            total[state] = total.get(state, 0.0) + seconds
    return total


def _occupancy(samples: Sequence[SecondSample], name: StageName) -> float:
    """The share of the workers' time in which they waited neither for work nor for space."""
    seconds = _seconds(samples, name)
    return 1 - share_of(seconds, _FREE) if seconds else 0.0


def _limit_share(samples: Sequence[SecondSample]) -> float:
    """The share of the price workers' occupied time that waits for the request limit."""
    seconds = {s: t for s, t in _seconds(samples, StageName.PRICE).items() if s not in _FREE}
    return share_of(seconds, (WorkerState.LIMIT,))


def _request_rate(samples: Sequence[SecondSample]) -> float:
    stages = [stage for sample in samples if (stage := sample.stage(StageName.PRICE)) is not None]
    return _mean([float(stage.leases) for stage in stages])


def _seconds_per_lease(samples: Sequence[SecondSample], name: StageName, state: WorkerState) -> float | None:
    stages = [stage for sample in samples if (stage := sample.stage(name)) is not None]
    leases = sum(stage.leases for stage in stages)
    return sum(stage.seconds.get(state, 0.0) for stage in stages) / leases if leases else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _duration(seconds: float) -> str:
    """A duration as text: `2.4 s`, `47 ms`."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
