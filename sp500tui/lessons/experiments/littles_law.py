"""Little's law: the work in progress is the arrival rate times the time that each item takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sp500tui.lessons.bench import Bench
from sp500tui.lessons.lesson import Figure, Lesson, Measured, Source, Value, number, ratio
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot, WorkerState
from sp500tui.pipeline.core.timing.spans import SpanReport

_LATENCIES = (0.2, 0.5)
"""Response times of the demo market in seconds, one for each measurement."""
_WORKERS = 16
"""Enough for the slow measurement; more would only add to the load of this program."""
_RATE = 25.0
"""Maximum requests per second: the capacity of the workers while the source is slow, with a margin."""
_MIN_INTERVAL = 1.0
_OBSERVED = 3.0
"""Seconds of one measurement, in whole cycles so that each is counted from start to end."""
_SAMPLE_INTERVAL = 0.01
_TOLERANCE = 0.2
"""Relative tolerance between the two sides: one is sampled, the other counts requests that have ended."""
_MIN_GROWTH = 1.5
"""Minimum growth of the work in progress when the latency grows 2.5 times."""


@dataclass(slots=True)
class Observation:
    """Requests during one measurement: how many were in progress at each sample, and how long each one took."""

    seconds: float = 0.0
    request_seconds: float = 0.0
    """Sum over the samples of the requests in progress times the time since the last sample."""
    durations: list[float] = field(default_factory=list)
    """Seconds of each request that ended."""

    def sample(self, elapsed: float, in_progress: int) -> None:
        """Add a sample, `elapsed` seconds after the one before."""
        self.seconds += elapsed
        self.request_seconds += in_progress * elapsed

    @property
    def in_progress(self) -> float:
        """L: requests in progress, on average."""
        return self.request_seconds / self.seconds if self.seconds else 0.0

    @property
    def rate(self) -> float:
        """λ: requests finished per second."""
        return len(self.durations) / self.seconds if self.seconds else 0.0

    @property
    def mean_duration(self) -> float:
        """W: seconds of a request, on average."""
        return sum(self.durations) / len(self.durations) if self.durations else 0.0


def _in_progress(seen: Snapshot) -> int:
    return sum(
        worker.stage is StageName.PRICE and worker.state is WorkerState.SOURCE for worker in seen.workers
    )


def request_durations(report: SpanReport, begin: float) -> list[float]:
    """The seconds of each request that ended after the monotonic time `begin` and before the report.

    A request can wait several times, for the headers of its response and for the body; its batch number identifies it.
    """
    requests: dict[int, float] = {}
    for worker in report.workers:
        for span in worker.spans if worker.stage is StageName.PRICE else ():
            if span.state is WorkerState.SOURCE and begin < span.end < report.monotonic:
                number = span.batches.first
                requests[number] = requests.get(number, 0.0) + span.end - span.start
    return list(requests.values())


def _observe(bench: Bench, latency: float, interval: float) -> Observation:
    bench.market.set_faults(latency=latency)
    bench.settle()
    observed = Observation()
    last = bench.pipeline.snapshot().cycle.number + max(1, round(_OBSERVED / interval))
    bench.pipeline.set_interval(interval)
    bench.pipeline.run_cycle_now()
    begin = at = time.monotonic()
    while (seen := bench.pipeline.snapshot()).cycle.number <= last:
        now = time.monotonic()
        observed.sample(now - at, _in_progress(seen))
        at = now
        bench.sleep(_SAMPLE_INTERVAL)
    report = bench.pipeline.spans(time.monotonic() - begin)
    observed.durations = request_durations(report, begin)
    return observed


def _measure(bench: Bench) -> dict[str, Value]:
    bench.report("counting the requests of a cycle")
    requests = bench.requests_of_a_cycle()
    bench.scale(StageName.PRICE, _WORKERS)
    measured: dict[str, Value] = {}
    for name, latency in zip(("fast", "slow"), _LATENCIES, strict=True):
        bench.report(f"requests in progress while the source takes {latency * 1000:.0f} ms")
        log = _observe(bench, latency, max(_MIN_INTERVAL, requests / _RATE))
        measured |= {
            f"{name}_rate": log.rate,
            f"{name}_seconds": log.mean_duration,
            f"{name}_predicted": log.rate * log.mean_duration,
            f"{name}_in_progress": log.in_progress,
        }
    return measured


def _effect(measured: Measured) -> bool:
    return (
        ratio(measured, "slow_in_progress", "fast_in_progress") >= _MIN_GROWTH
        and _law_holds(measured, "fast")
        and _law_holds(measured, "slow")
    )


def _law_holds(measured: Measured, name: str) -> bool:
    predicted, counted = number(measured, f"{name}_predicted"), number(measured, f"{name}_in_progress")
    return abs(predicted - counted) <= _TOLERANCE * counted


LESSON = Lesson(
    name="littles-law",
    title="Little's law",
    question=(
        "Cycles start at a fixed interval, so that the same number of requests a second is sent whatever happens. "
        "The source becomes slower: 500 ms instead of 200 ms an answer. How many requests are in progress at the "
        "same time?"
    ),
    answers=("as many as before", "about two and a half times as many", "about six times as many"),
    correct=1,
    change=(
        "There are sixteen price workers. With a latency of 200 ms and then of 500 ms, the busy ones are counted a "
        "hundred times a second, and each request is timed."
    ),
    claim=(
        f"In both cases the average number in progress is the rate times the duration, within {_TOLERANCE:.0%}, and "
        "it grows with the latency."
    ),
    why=(
        "L = λ · W holds for every system in which what arrives also leaves: the average number in progress is the "
        "arrival rate times the average stay. Read the other way round, it gives the number of workers that a stage "
        "needs: rate times duration, and some more for peaks."
    ),
    source=(
        Source("pipeline/core/worker.py", "Worker.switch"),
        Source("pipeline/stages/fetcher.py", "FetchTask.run_once"),
    ),
    figures=(
        Figure("fast_rate", "200 ms: requests a second, λ", "/s", 1),
        Figure("fast_seconds", "200 ms: duration of a request, W", "s", 3),
        Figure("fast_predicted", "200 ms: λ · W", "", 2),
        Figure("fast_in_progress", "200 ms: in progress as counted, L", "", 2),
        Figure("slow_rate", "500 ms: requests a second, λ", "/s", 1),
        Figure("slow_seconds", "500 ms: duration of a request, W", "s", 3),
        Figure("slow_predicted", "500 ms: λ · W", "", 2),
        Figure("slow_in_progress", "500 ms: in progress as counted, L", "", 2),
    ),
    measure=_measure,
    effect=_effect,
)
