"""The activity of each worker as spans: the changes of its state in a ring of preallocated memory.

A span is a state with its start, its end and the fetch batches that were worked on. One thread writes a ring, any
thread reads it; there is no lock. A reader drops the spans that may have been overwritten while it copied them.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from sp500tui.model import Bar, BarBlock, FetchedQuote
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample

CAPACITY = 1600
"""Spans of one worker that are kept: a minute or more at 26 changes of state a second."""
_FIELDS = 5
_PROCESSES_KEPT = 64
RING_BYTES = CAPACITY * _FIELDS * 8
"""Memory of one ring."""
STATES: tuple[WorkerState, ...] = tuple(WorkerState)
_INDEX: Mapping[WorkerState, int] = {state: index for index, state in enumerate(STATES)}


class Batches(NamedTuple):
    """The fetch batches that a worker works on: those numbered from `first` to `last`, inclusive."""

    first: int = 0
    """0 for none."""
    last: int = 0


NO_BATCHES = Batches()


def batches_of(items: Sequence[FetchedQuote | Bar]) -> Batches:
    """The batches of some quotes; those of unknown batches are left out, and bars are part of none."""
    if isinstance(items, BarBlock):
        return NO_BATCHES
    numbers = {item.batch for item in items if isinstance(item, FetchedQuote)} - {0}
    return Batches(min(numbers), max(numbers)) if numbers else NO_BATCHES


class Span(NamedTuple):
    """One state of one worker. Times are seconds of the pipeline's monotonic clock."""

    state: WorkerState
    start: float
    end: float
    batches: Batches = NO_BATCHES


class ProcessUse(NamedTuple):
    """A process that a writer works with."""

    since: float
    """Seconds of the pipeline's monotonic clock."""
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerSpans:
    """The spans of one worker, oldest first, each beginning where the one before it ended."""

    name: str
    """`price-3`."""
    stage: StageName
    pid: int
    """Process id: of a writer's current process, otherwise of the pipeline's."""
    thread: int
    """Native thread id in the pipeline's process."""
    spans: tuple[Span, ...]
    """The last one ends now if the worker still runs."""
    overwritten: bool = False
    """Whether older spans of the requested time are no longer kept."""
    processes: tuple[ProcessUse, ...] = ()
    """The processes of a writer, oldest first, including those that have ended."""

    def process_at(self, time: float) -> int:
        """The id of the process that it worked with at a time."""
        number = bisect_right(self.processes, time, key=attrgetter("since"))
        return self.processes[max(0, number - 1)].pid if self.processes else self.pid


def process_spans(worker: WorkerSpans) -> list[Span]:
    """The spans of the process of a writer, from those of its thread: commits (`DATABASE`), starts, idle time.

    There is no span while there is no process. While a commit lasts, its thread may prepare the next batch.
    """
    found: list[Span] = []
    for batches, group in groupby(worker.spans, key=lambda span: span.batches):
        spans = list(group)
        commits = [number for number, span in enumerate(spans) if span.state is WorkerState.DATABASE]
        if not batches.first or not commits:
            found += [_process_span(span) for span in spans if span.state is not WorkerState.BACKOFF]
            continue
        first, last = commits[0], commits[-1]
        found += [_process_span(span) for span in spans[:first]]
        found.append(Span(WorkerState.DATABASE, spans[first].start, spans[last].end, batches))
        found += [_process_span(span) for span in spans[last + 1 :]]
    return found


def _process_span(span: Span) -> Span:
    state = WorkerState.STARTING if span.state is WorkerState.STARTING else WorkerState.IDLE
    return Span(state, span.start, span.end)


@dataclass(frozen=True, slots=True)
class SpanReport:
    """The spans of all workers of this program, with the clocks at the time of the reading."""

    taken_at: datetime
    """UTC."""
    monotonic: float
    """`time.monotonic()` in the pipeline's process."""
    pid: int
    """The pipeline's process."""
    workers: tuple[WorkerSpans, ...] = ()
    """In the order of stages and numbers; those that ended are included while their ring is kept."""
    second: int = 0
    """Number of the current second, as in `SecondSample` and in events; 0 if unknown."""
    by_second: bool = False
    """Whether only the time in each state is known, not its position within a second."""

    def time_of(self, second: int, at: datetime) -> float:
        """The monotonic time of something that happened in a numbered second, at `at` by the wall clock.

        The number is valid even if the wall clock has been set in between.
        """
        time = self.monotonic - (self.taken_at - at).total_seconds()
        if not self.second or not second:
            return time
        start = int(self.monotonic) - (self.second - second)
        return time if start <= time < start + 1 else float(start)


class SpanRing:
    """The last `CAPACITY` spans of one worker. `record` is called by one thread at a time."""

    __slots__ = ("_capacity", "_cells", "_count", "_processes")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._processes: tuple[ProcessUse, ...] = ()
        self._capacity = capacity
        # Floating-point numbers hold times as they were measured, and batch numbers below 2**53 exactly.
        self._cells = array("d", bytes(capacity * _FIELDS * 8))
        self._count = 0

    def record(self, state: WorkerState, start: float, end: float, batches: Batches = NO_BATCHES) -> None:
        """Add a span; the oldest one is overwritten when the ring is full."""
        cells, at = self._cells, self._count % self._capacity * _FIELDS
        cells[at] = _INDEX[state]
        cells[at + 1] = start
        cells[at + 2] = end
        cells[at + 3], cells[at + 4] = batches
        self._count += 1

    def use_process(self, since: float, pid: int) -> None:
        """Record a process that the worker starts to use."""
        self._processes = (*self._processes[-_PROCESSES_KEPT + 1 :], ProcessUse(since, pid))

    @property
    def processes(self) -> tuple[ProcessUse, ...]:
        """The last processes of the worker, oldest first."""
        return self._processes

    def since(self, start: float) -> tuple[list[Span], bool]:
        """The spans that ended after the monotonic time `start`, and whether older ones of them were overwritten."""
        last = self._count
        cells = self._cells[:]
        # The next span may be half written, overwriting the oldest one.
        first = max(0, self._count + 1 - self._capacity)
        found: list[Span] = []
        for number in range(last - 1, first - 1, -1):
            at = number % self._capacity * _FIELDS
            state, begin, end, first_batch, last_batch = cells[at : at + _FIELDS]
            if end <= start:
                return found[::-1], False
            found.append(Span(STATES[int(state)], begin, end, Batches(int(first_batch), int(last_batch))))
        return found[::-1], first > 0


class SpanRings:
    """The rings of one stage: one for each name of a worker, which its successor continues."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rings: dict[str, SpanRing] = {}

    def ring(self, name: str, *, fresh: bool = False) -> SpanRing:
        """The ring of a worker; `fresh` if its predecessor may still write the old one."""
        with self._lock:
            if fresh or name not in self._rings:
                self._rings[name] = SpanRing()
            return self._rings[name]

    def by_name(self) -> dict[str, SpanRing]:
        """The rings by the workers' names, in the order of their numbers."""
        with self._lock:
            return dict(sorted(self._rings.items(), key=lambda item: int(item[0].rpartition("-")[2])))


def spans_of_seconds(samples: Sequence[SecondSample], taken_at: datetime) -> SpanReport:
    """Spans from the samples of each second, without batches: within a second the order of the states is arbitrary.

    `taken_at` is within the second after the last sample. Process and thread ids are not known.
    """
    if not samples:
        return SpanReport(taken_at, 0.0, 0, by_second=True)
    spans: dict[tuple[StageName, str], list[Span]] = {}
    for sample in samples:
        for worker in sample.workers:
            at = float(sample.second)
            own = spans.setdefault((worker.stage, worker.name), [])
            for state in sorted(worker.seconds, key=STATES.index):
                own.append(Span(state, at, at + worker.seconds[state]))
                at += worker.seconds[state]
    stages = list(StageName)
    ordered = sorted(spans, key=lambda key: (stages.index(key[0]), int(key[1].rpartition("-")[2])))
    workers = tuple(WorkerSpans(name, stage, 0, 0, tuple(spans[stage, name])) for stage, name in ordered)
    last = samples[-1].second
    return SpanReport(taken_at, float(last + 1), 0, workers, last + 1, by_second=True)
