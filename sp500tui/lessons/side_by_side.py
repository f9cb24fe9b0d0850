"""Compares the durations of several ways to do the same work, on a machine that may be busy with other programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

MAX_ROUNDS = 40
MIN_ROUNDS = 7
BUDGET = 4.0
"""Seconds after which no further round starts, unless there were fewer than `MIN_ROUNDS`."""


def median_seconds(
    ways: Mapping[str, Callable[[], object]],
    between: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, float]:
    """The median duration of each way in seconds.

    The ways take turns, in many short rounds, so that the load of other programs affects all of them equally. `between`
    is called after each round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    begin = clock()
    for number in range(MAX_ROUNDS):
        if number >= MIN_ROUNDS and clock() - begin > BUDGET:
            break
        for name, way in ways.items():
            started = clock()
            way()
            seconds[name].append(clock() - started)
        between()
    return {name: median(each) for name, each in seconds.items()}
