"""The cost of recording the workers' spans: one span, and all of them in a running pipeline."""

from __future__ import annotations

import itertools
import time
import timeit
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Batches, SpanRing
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.simulator.process import DemoMarket
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import fresh_database, many_symbols, scratch_server, wait_until
from tests.benchmarks.throughput.end_to_end import pipeline, settled

_GOAL = 2.0
"""Microseconds."""
_CALLS = 100_000
_SYMBOLS = 2_012
_CYCLES = 2
"""Number of cycles in one turn."""
_EQUAL = (
    "one running pipeline, demo market to database, whose workers record their spans and do not, in turns of two "
    "cycles; processor time of the program, without the market, the writers' processes and the server"
)


@dataclass(slots=True)
class Turns:
    """Microseconds of processor time per quote in the program, in each turn."""

    recorded: list[float]
    """With spans."""
    unrecorded: list[float]
    spans: int = 0
    """Spans of the turns that are recorded."""
    quotes: int = 0
    """Quotes of these turns."""


@contextmanager
def counted(turns: Turns) -> Iterator[None]:
    """Record spans as usual, and count them."""
    record, count = SpanRing.record, itertools.count()

    def counting(ring: SpanRing, state: WorkerState, start: float, end: float, batches: Batches) -> None:
        next(count)
        record(ring, state, start, end, batches)

    with patch.object(SpanRing, "record", counting):
        yield
    turns.spans += next(count)


def in_turns(url: str, symbols: Sequence[str], seconds: float, market: DemoMarket) -> Turns:
    """Run one pipeline whose workers record their spans in every second turn."""
    turns = Turns([], [])
    with pipeline(url, symbols, 0.2, market) as made:
        wait_until(lambda: made.snapshot().cycle.number > 2, 60.0, "the third cycle")
        _turn(made)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or not turns.unrecorded:
            turns.recorded.append(_turn(made).cost)
            with patch.object(SpanRing, "record", lambda *_: None):
                turns.unrecorded.append(_turn(made).cost)
        with counted(turns):
            turns.quotes = _turn(made).quotes
    return turns


@dataclass(frozen=True, slots=True)
class Turn:
    """Some cycles, from the end of the previous one to the end of the last one."""

    quotes: int
    cost: float
    """Microseconds of processor time per quote."""


def _turn(made: Pipeline) -> Turn:
    """Wait for the next cycles; the processor time of the waiting is subtracted."""
    goal = made.snapshot().cycle.number + _CYCLES
    before, own, spent = settled(made.snapshot()), time.thread_time(), time.process_time()

    def ended() -> bool:
        cycle = made.snapshot().cycle
        return cycle.number >= goal and not cycle.running

    wait_until(ended, 60.0, "the end of a cycle")
    used = time.process_time() - spent - (time.thread_time() - own)
    quotes = settled(made.snapshot()) - before
    return Turn(quotes, used / quotes * 1e6)


def cost_of_span(runs: int) -> Spread:
    """Microseconds of processor time for one span."""
    ring, batches = SpanRing(), Batches(1, 2)
    seconds = timeit.repeat(
        lambda: ring.record(WorkerState.BUSY, 1.25, 2.5, batches),
        number=_CALLS,
        repeat=max(5, runs),
        timer=time.thread_time,
    )
    return Spread.of(each / _CALLS * 1e6 for each in seconds)


def figures(one: Spread, turns: Turns) -> list[Figure]:
    """One span, all spans of a quote as a share of its processor time, and the throughput with and without them."""
    recorded, unrecorded = Spread.of(turns.recorded), Spread.of(turns.unrecorded)
    a_quote = turns.spans / turns.quotes
    share = Spread.of(100 * a_quote * one.median / cost for cost in turns.recorded)
    throughput = Spread.pairwise(turns.unrecorded, turns.recorded).times(100)
    return [
        Figure(
            "spans",
            "processor for one span of a worker",
            "µs",
            one,
            "one thread that writes one ring",
            goal=f"at most {_GOAL:g} µs",
            met=one.median <= _GOAL,
        ),
        Figure(
            "spans",
            "processor time of the spans of a quote, end to end",
            "% of that of a quote",
            share,
            _EQUAL,
            goal="at most 1 % of the throughput",
            met=share.median <= 1.0,
            note=f"{a_quote:.2f} spans a quote; spans counted in a turn, the time of one measured by itself",
        ),
        Figure(
            "spans",
            "processor time of a quote in the program, end to end",
            "µs",
            recorded,
            _EQUAL,
            {"spans not recorded": unrecorded},
            ratio=throughput,
            ratio_name="throughput with spans, % of that without",
            goal="≥ 99 % of the throughput without spans",
            met=throughput.median >= 99,
            note=f"{len(turns.recorded)} turns each, compared with the turn that follows",
        ),
    ]


def run(scale: Scale) -> list[Figure]:
    """Processor time of one span, and of all spans in a pipeline at full speed."""
    with (
        scratch_server() as server,
        fresh_database(server) as url,
        DemoMarket.start(seed=500, speed=60.0, start_at="10:00", extra_symbols=_SYMBOLS) as market,
    ):
        turns = in_turns(url, many_symbols(_SYMBOLS), 5 * scale.seconds, market)
    return figures(cost_of_span(scale.runs), turns)
