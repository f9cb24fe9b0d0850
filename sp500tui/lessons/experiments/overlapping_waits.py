"""Waiting overlaps: one price worker against twelve, with a source that answers slowly."""

from __future__ import annotations

from sp500tui.lessons.bench import Bench
from sp500tui.lessons.lesson import Figure, Lesson, Measured, Source, Value, ratio
from sp500tui.pipeline.core.names import StageName

_WAITING = 6.0
"""Seconds of a cycle for which a single worker waits for answers."""
_MAX_LATENCY = 0.5
_WORKERS = 12
_MIN_SPEEDUP = 2.5


def _measure(bench: Bench) -> dict[str, Value]:
    bench.report("counting the requests of a cycle")
    requests = bench.requests_of_a_cycle()
    latency = min(_MAX_LATENCY, _WAITING / requests)
    bench.market.set_faults(latency=latency)
    seconds: dict[int, float] = {}
    for workers in (1, _WORKERS):
        bench.report(f"one cycle over all symbols with {workers} price worker{'s' * (workers > 1)}")
        bench.scale(StageName.PRICE, workers)
        seconds[workers] = bench.run_cycle()
    return {
        "requests": requests,
        "latency_milliseconds": latency * 1000,
        "one_worker_seconds": seconds[1],
        "twelve_workers_seconds": seconds[_WORKERS],
        "speedup": seconds[1] / seconds[_WORKERS],
    }


def _effect(measured: Measured) -> bool:
    return ratio(measured, "one_worker_seconds", "twelve_workers_seconds") >= _MIN_SPEEDUP


LESSON = Lesson(
    name="overlap",
    title="Waiting overlaps",
    question=(
        "The source answers each request of a cycle slowly. How much faster is a cycle with twelve price "
        "workers, which are threads, than with one?"
    ),
    answers=(
        "not at all: Python runs one thread at a time",
        "twice as fast, one thread for each processor core",
        "several times as fast",
    ),
    correct=2,
    change=(
        "The market's latency is set so that the requests of a cycle wait for some six seconds in total; one cycle "
        "runs with 1 price worker and one with 12."
    ),
    claim=f"Twelve workers finish a cycle at least {_MIN_SPEEDUP:g} times as fast as one.",
    why=(
        "A thread that waits for the network uses no processor and has released the interpreter lock, so that the "
        "others can send their requests. One worker waits for one answer after the other; twelve wait at the "
        "same time, and a cycle takes a twelfth of the time, or as long as the limit on requests a second allows."
    ),
    source=(
        Source("pipeline/stages/fetcher.py", "FetchTask.run_once"),
        Source("pipeline/core/worker_pool.py", "WorkerPool.scale"),
    ),
    figures=(
        Figure("requests", "requests of a cycle"),
        Figure("latency_milliseconds", "latency of the source", "ms"),
        Figure("one_worker_seconds", "a cycle with 1 price worker", "s", 2),
        Figure("twelve_workers_seconds", "a cycle with 12 price workers", "s", 2),
        Figure("speedup", "times as fast", "×", 1),
    ),
    measure=_measure,
    effect=_effect,
)
