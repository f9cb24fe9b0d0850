"""Four situations of a pipeline with matching spans, queue depths and events, the same in every run."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import LockSecond, QueueSecond, SecondSample, WorkerSecond
from sp500tui.pipeline.core.timing.spans import NO_BATCHES, Batches, Span, SpanReport, WorkerSpans
from sp500tui.pipeline.core.verdict import Severity, Verdict, VerdictKind
from sp500tui.tui.timeline.cells import Window, cells_of
from tests.support.tui.fake_pipeline import NOON, FakePipeline, running

NOW = 1000.0
"""The monotonic time of the report."""
_BEGIN = NOW - 125.0
_PID, _WRITER_PID = 4100, 4200
_SIZES = {StageName.SCRAPER: 1, StageName.PRICE: 12, StageName.CONVERTER: 2, StageName.WRITER: 2}
_IDLE, _BUSY, _SOURCE = WorkerState.IDLE, WorkerState.BUSY, WorkerState.SOURCE
_JOURNAL, _DATABASE = WorkerState.JOURNAL, WorkerState.DATABASE


class Track:
    """The spans of one worker, added in chronological order."""

    def __init__(self) -> None:
        self.at = _BEGIN
        self.spans: list[Span] = []

    def idle_until(self, time: float) -> None:
        """Add an idle span up to a time."""
        if time > self.at:
            self.add(_IDLE, time - self.at)

    def add(self, state: WorkerState, seconds: float, batches: Batches = NO_BATCHES) -> None:
        """Add a span in a state of some seconds."""
        end = min(self.at + seconds, NOW)
        if end > self.at:
            self.spans.append(Span(state, self.at, end, batches))
            self.at = end


@dataclass
class Scene:
    """The tracks of all workers, with the queues and events on the same axis."""

    tracks: dict[tuple[StageName, int], Track] = field(
        default_factory=lambda: {
            (stage, number): Track() for stage, size in _SIZES.items() for number in range(1, size + 1)
        }
    )
    depths: dict[QueueName, Callable[[int], int]] = field(default_factory=dict)
    """The maximum depth of each queue in the second before an age."""
    events: list[PipelineEvent] = field(default_factory=list)

    def stage(self, stage: StageName) -> list[Track]:
        """The tracks of one stage."""
        return [track for (name, _), track in self.tracks.items() if name is stage]

    def mark(self, kind: EventKind, message: str, time: float, worker: str = "") -> None:
        """Add an event."""
        at = NOON - timedelta(seconds=NOW - time)
        self.events.append(PipelineEvent(kind, message, 20, at, worker=worker, number=len(self.events) + 1))

    def report(self) -> SpanReport:
        """The spans up to now."""
        for track in self.tracks.values():
            track.idle_until(NOW)
        workers = tuple(
            WorkerSpans(
                f"{stage}-{number}",
                stage,
                _WRITER_PID + number if stage is StageName.WRITER else _PID,
                4300 + number,
                tuple(track.spans),
            )
            for (stage, number), track in self.tracks.items()
        )
        return SpanReport(NOON, NOW, _PID, workers)

    def samples(self) -> list[SecondSample]:
        """The workers' states and the queue depths of every second."""
        window = Window(NOW, 120.0, 120)
        cells = {key: cells_of(track.spans, window) for key, track in self.tracks.items()}
        return [
            SecondSample(
                130 - age,
                NOON - timedelta(seconds=age),
                tuple(
                    WorkerSecond(
                        f"{stage}-{number}",
                        stage,
                        cell.seconds,
                        cpu=0.9 * cell.seconds.get(_BUSY, 0.0),
                        process_cpu=0.1 * cell.seconds.get(_DATABASE, 0.0),
                    )
                    for (stage, number), found in cells.items()
                    if (cell := found[120 - age]) is not None
                ),
                queues=tuple(
                    QueueSecond(name, 0.0, self.depths[name](age) if name in self.depths else 0)
                    for name in QueueName
                ),
                interpreter_lock=LockSecond(20, (held := 0.02 + age % 5 / 20), 0.001 * held, 0.0021),
            )
            for age in range(120, 0, -1)
        ]


class ScenePipeline(FakePipeline):
    """A pipeline in one of the situations."""

    def __init__(self, scene: Scene, verdict: Verdict, *, cycle: float, interval: float = 2.0) -> None:
        """`cycle`, `interval`: seconds of a cycle, and between two starts."""
        calm = running()
        super().__init__(
            replace(
                calm, verdict=verdict, cycle=replace(calm.cycle, seconds=cycle, interval=interval, done=503)
            )
        )
        self._report, self._samples, self._marks = scene.report(), scene.samples(), scene.events

    def spans(self, seconds: float) -> SpanReport:
        workers = tuple(
            replace(worker, spans=tuple(span for span in worker.spans if span.end > NOW - seconds))
            for worker in self._report.workers
        )
        return replace(self._report, workers=workers)

    def seconds_since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        return 129, [sample for sample in self._samples if sample.second > second]

    def events_since(self, number: int) -> tuple[int, Sequence[PipelineEvent]]:
        return len(self._marks), [event for event in self._marks if event.number > number]


def _cycles(
    scene: Scene, interval: float, latency: float, *, requests: int = 100, pace: float = 1 / 55
) -> None:
    """Cycles every `interval` seconds, in which each request is answered after `latency` seconds."""
    rng = random.Random(15)
    (scraper,), prices = scene.stage(StageName.SCRAPER), scene.stage(StageName.PRICE)
    done: list[tuple[float, int]] = []
    slot, batch = 0.0, 0
    start, number = _BEGIN + 1.3, 30
    while start < NOW:
        scraper.idle_until(start)
        scraper.add(_BUSY, 0.002)
        scene.mark(EventKind.CYCLE_STARTED, f"cycle {number} started: 503 symbols", start)
        for _ in range(requests):
            worker = min(prices, key=lambda track: track.at)
            batch += 1
            own = Batches(batch, batch)
            worker.idle_until(start)
            slot = max(slot + pace, worker.at)
            worker.add(WorkerState.LIMIT, slot - worker.at, own)
            worker.add(_SOURCE, latency * rng.uniform(0.8, 1.3), own)
            worker.add(_BUSY, 0.004, own)
            done.append((worker.at, batch))
        start = max(start + interval, max(track.at for track in prices))
        number += 1
    _store(scene, [each for each in sorted(done) if each[0] < NOW])


def _store(scene: Scene, done: Sequence[tuple[float, int]]) -> None:
    """Convert and write the responses of requests, in chronological order."""
    converters, writers = scene.stage(StageName.CONVERTER), scene.stage(StageName.WRITER)
    for number, (time, batch) in enumerate(done):
        converter = converters[number % 2]
        converter.idle_until(time)
        converter.add(_BUSY, 0.0008, Batches(batch, batch))
        if number % 6 == 5:
            first = done[number - 5][1]
            _commit(
                writers[number // 6 % 2], time + 0.05, Batches(min(first, batch), max(first, batch)), 0.012
            )


def _commit(writer: Track, time: float, batches: Batches, seconds: float) -> None:
    writer.idle_until(time)
    writer.add(_BUSY, 0.001, batches)
    writer.add(_JOURNAL, 0.004, batches)
    writer.add(_DATABASE, seconds, batches)
    writer.add(_JOURNAL, 0.001, batches)


def idle() -> ScenePipeline:
    """A cycle every ten seconds that takes a second."""
    scene = Scene()
    _cycles(scene, 10.0, 0.06, pace=1 / 110)
    scene.depths = {QueueName.TICKERS: lambda age: 480 if age % 10 == 4 else 0}
    sentence = "keeps up: a cycle takes 1.0 of 10 s"
    return ScenePipeline(
        scene, Verdict(VerdictKind.KEEPS_UP, Severity.OK, sentence), cycle=1.0, interval=10.0
    )


def slow_source() -> ScenePipeline:
    """Every request takes two seconds."""
    scene = Scene()
    _cycles(scene, 2.0, 2.0, pace=1 / 30)
    scene.mark(EventKind.SOURCE_SLOW, "Yahoo Finance answers slowly", NOW - 8.2)
    scene.depths = {QueueName.TICKERS: lambda age: 60 + 26 * (age % 17)}
    sentence = "behind: a cycle takes 18 of 2.0 s: Yahoo Finance answers in 2.1 s"
    verdict = Verdict(VerdictKind.BEHIND, Severity.WARNING, sentence, "+ adds one", StageName.PRICE)
    return ScenePipeline(scene, verdict, cycle=18.4)


def slow_database() -> ScenePipeline:
    """Every commit takes half a second, and the queues before the writers are full."""
    scene, rng = Scene(), random.Random(4)
    batch = 0
    for number, writer in enumerate(scene.stage(StageName.WRITER)):
        writer.idle_until(NOW - 9.4 + number * 0.2)
        while writer.at < NOW:
            batch += 10
            _commit(writer, writer.at, Batches(batch, batch + 9), rng.uniform(0.46, 0.58))
    for number, converter in enumerate(scene.stage(StageName.CONVERTER)):
        converter.idle_until(NOW - 8.8 + number * 0.1)
        while converter.at < NOW:
            converter.add(_BUSY, 0.02)
            converter.add(WorkerState.BLOCKED, rng.uniform(0.3, 0.7))
    for number, price in enumerate(scene.stage(StageName.PRICE)):
        price.idle_until(NOW - 9.5 + number * 0.03)
        while price.at < NOW:
            price.add(_SOURCE, rng.uniform(0.08, 0.2))
            price.add(_BUSY, 0.004)
            if price.at > NOW - 6.8:
                price.add(WorkerState.BLOCKED, rng.uniform(0.9, 1.9))
    (scraper,) = scene.stage(StageName.SCRAPER)
    for cycle in range(5):
        start = NOW - 9.5 + 2 * cycle
        scraper.idle_until(start)
        scene.mark(EventKind.CYCLE_STARTED, f"cycle {40 + cycle} started: 503 symbols", start)
        scraper.add(_BUSY, 0.002)
    scene.depths = {
        QueueName.TICKERS: lambda age: 1500 - 130 * age if age < 9 else 0,
        QueueName.QUOTES: lambda age: min(4096, max(0, 900 * (9 - age))),
        QueueName.ROWS: lambda age: min(4096, max(0, 1800 * (10 - age))),
    }
    sentence = "the rows queue is full (4,096 of 4,096): a commit takes 520 ms"
    verdict = Verdict(VerdictKind.FULL_QUEUE, Severity.WARNING, sentence, "+ adds one", StageName.WRITER)
    return ScenePipeline(scene, verdict, cycle=1.8)


def killed_writer() -> ScenePipeline:
    """The process of the second writer is killed in a commit, and started again."""
    scene = Scene()
    _cycles(scene, 2.0, 0.06)
    killed = NOW - 5.6
    writer = scene.tracks[StageName.WRITER, 2]
    before = [span for span in writer.spans if span.end <= killed - 0.05]
    after = [span for span in writer.spans if span.start > killed + 2.6]
    writer.spans, writer.at = before, before[-1].end
    writer.idle_until(killed - 0.04)
    writer.add(_DATABASE, 0.04, Batches(310, 315))
    writer.add(WorkerState.BACKOFF, 1.3)
    writer.add(WorkerState.STARTING, 0.9)
    writer.add(_DATABASE, 0.03, Batches(310, 315))
    writer.idle_until(after[0].start)
    writer.spans += after
    writer.at = after[-1].end
    scene.mark(EventKind.WORKER_DIED, "writer-2 died: its process was killed", killed, "writer-2")
    scene.mark(EventKind.WORKER_RESTARTED, "writer-2 was restarted after 2.2 s", killed + 2.2, "writer-2")
    scene.depths = {
        QueueName.TICKERS: lambda age: 440 if age % 2 else 80,
        QueueName.ROWS: lambda age: 30 + 45 * max(0, age - 3) if age < 7 else 30,
    }
    sentence = "keeps up: a cycle takes 1.8 of 2.0 s; the request limit (55/s) sets the pace"
    return ScenePipeline(scene, Verdict(VerdictKind.LIMIT, Severity.NOTE, sentence), cycle=1.8)


SCENES: dict[str, Callable[[], ScenePipeline]] = {
    "idle": idle,
    "slow source": slow_source,
    "slow database": slow_database,
    "killed writer": killed_writer,
}
