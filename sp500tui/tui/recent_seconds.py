"""The last seconds of the pipeline, as drawn by the panels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import BUSY_STATES, SECONDS_KEPT, SecondSample, share_of
from sp500tui.pipeline.core.timing.shares import WINDOWS, held_back
from sp500tui.tui.render.lines import Line
from sp500tui.tui.render.strips import Activity, activity_strip

_WAITING = (WorkerState.LIMIT, WorkerState.RATE, WorkerState.BACKOFF)
"""States of a worker that holds items and waits for something other than the next queue."""

ActivitySeries = Sequence[Activity | None]
"""One value for each second up to the newest; None where there is no sample, or the worker did not exist."""
DepthSeries = Sequence[float | None]
"""The maximum depth in each second, in items; None where there is no sample."""
_JOURNAL = "journal"
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RecentSeconds:
    """One series for each stage, worker and queue, extended by new samples.

    The newest second is the last value of every series; series may begin at different times.
    """

    def __init__(self) -> None:
        self.second = 0
        """Number of the newest second; 0 before the first."""
        self._stages: dict[StageName, list[Activity | None]] = {}
        self._workers: dict[str, list[Activity | None]] = {}
        self._depths: dict[QueueName | str, list[float | None]] = {}
        self._events: deque[tuple[int, PipelineEvent]] = deque()
        self._recent: deque[SecondSample] = deque(maxlen=WINDOWS[-1])
        self._lines: dict[Hashable, Line] = {}
        self._held_back: dict[QueueName, Sequence[float]] = {}

    def extend(self, samples: Iterable[SecondSample]) -> None:
        """Append samples; those that are not newer than the last one are ignored."""
        for sample in samples:
            if sample.second > self.second:
                if self.second:
                    self._pass_over(min(sample.second - self.second - 1, SECONDS_KEPT))
                self.second = sample.second
                self._append(sample)
                self._lines.clear()
                self._held_back.clear()

    def line(self, key: Hashable, draw: Callable[[], Line]) -> Line:
        """The line of a key, cached until the second ends, because panels are drawn more often."""
        if key not in self._lines:
            self._lines[key] = draw()
        return self._lines[key]

    def stage(self, name: StageName) -> ActivitySeries:
        """The activity of the workers of a stage."""
        return self._stages.get(name, ())

    def worker(self, name: str) -> ActivitySeries:
        """The activity of one worker."""
        return self._workers.get(name, ())

    def worker_strip(self, name: str, width: int) -> Line:
        """The activity of one worker in the last `width` seconds."""
        return self.line((name, width), lambda: activity_strip(self.worker(name), width))

    @property
    def window(self) -> int:
        """The number of seconds that `time_of` covers: 60, or fewer shortly after the start."""
        return len(self._recent)

    def time_of(self, name: StageName) -> Mapping[WorkerState, float]:
        """The seconds that the workers of a stage spent in each state, summed over the workers and the window."""
        times: dict[WorkerState, float] = {}
        for sample in self._recent:
            stage = sample.stage(name)
            for state, seconds in stage.seconds.items() if stage is not None else ():
                times[state] = times.get(state, 0.0) + seconds
        return times

    def queue(self, name: QueueName) -> DepthSeries:
        """The depth of a queue."""
        return self._depths.get(name, ())

    def journal(self) -> DepthSeries:
        """The rows in the journal."""
        return self._depths.get(_JOURNAL, ())

    def held_back(self, name: QueueName) -> Sequence[float]:
        """The shares of the last 1, 10 and 60 s in which the producers of a queue waited for room in it."""
        if name not in self._held_back:
            recent = list(self._recent)
            self._held_back[name] = [held_back(recent[-seconds:], name) or 0.0 for seconds in WINDOWS]
        return self._held_back[name]

    def events(self) -> Sequence[tuple[int, PipelineEvent]]:
        """The events, oldest first, each with its distance in seconds from the newest second."""
        return [(self.second - second, event) for second, event in self._events]

    def _append(self, sample: SecondSample) -> None:
        stages = {each.name: _activity(each.seconds, each.failed) for each in sample.stages if each.seconds}
        workers = {each.name: _activity(each.seconds, each.failed) for each in sample.workers}
        depths: dict[QueueName | str, float] = {each.name: each.max_ready for each in sample.queues}
        depths[_JOURNAL] = sample.journal.max_rows
        _extend(self._stages, stages)
        _extend(self._workers, workers)
        _extend(self._depths, depths)
        self._recent.append(sample)
        self._events.extend((sample.second, event) for event in sample.events)
        while self._events and self._events[0][0] <= self.second - SECONDS_KEPT:
            self._events.popleft()

    def _pass_over(self, seconds: int) -> None:
        """Leave a gap for seconds without a sample."""
        for _ in range(seconds):
            _extend(self._stages, {})
            _extend(self._workers, {})
            _extend(self._depths, {})


def _extend(series: dict[K, list[V | None]], values: Mapping[K, V]) -> None:
    """Append one second to every series; series without any value left are dropped."""
    for key in values:
        series.setdefault(key, [])
    for key, past in list(series.items()):
        past.append(values.get(key))
        if len(past) >= 2 * SECONDS_KEPT:  # rarely, because it moves every value
            del past[:-SECONDS_KEPT]
        if past[-1] is None and all(value is None for value in past[-SECONDS_KEPT:]):
            del series[key]


def _activity(seconds: Mapping[WorkerState, float], failed: int) -> Activity:
    return Activity(
        share_of(seconds, BUSY_STATES),
        share_of(seconds, _WAITING),
        share_of(seconds, (WorkerState.BLOCKED,)),
        share_of(seconds, (WorkerState.PAUSED,)),
        failed,
        share_of(seconds, (WorkerState.DATABASE_DOWN,)),
    )
