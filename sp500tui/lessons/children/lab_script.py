"""One computation run sequentially, in threads, in processes and in sub-interpreters, under Python 3.11 or later.

Run as a file: `python lab_script.py ROUNDS`; prints one JSON object. Uses the standard library only,
because a free-threaded or newer interpreter does not have the packages of this program.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

_COMPUTE = r"""
def compute(rounds):
    fields = 0
    for _ in range(rounds):
        rows = sorted((f"S{number * 7919 % 500}", number / 100) for number in range(500))
        text = "\n".join(f"{symbol},{price}" for symbol, price in rows)
        fields += sum(len(line.split(",")) for line in text.split("\n"))
    return fields
"""
_scope: dict[str, Any] = {}
exec(_COMPUTE, _scope)  # noqa: S102  # the sub-interpreters execute the same text
compute = _scope["compute"]


_TASKS = 2
_BUDGET = 3.5
"""Seconds after which no further round is started."""
_MAX_REPETITIONS = 40
_MIN_REPETITIONS = 7

Way = Callable[[], object]


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _sequential(rounds: int) -> Way:
    return lambda: [compute(rounds) for _ in range(_TASKS)]


def _threads(rounds: int) -> Way:
    return lambda: _join([threading.Thread(target=compute, args=(rounds,)) for _ in range(_TASKS)])


def _serve(pipe: Any, rounds: int) -> None:
    # Linux divides the processors among sessions first: on a busy machine, two processes of one session would get
    # hardly more than one.
    os.setsid()
    while True:
        pipe.send("ready")
        try:
            pipe.recv()
        except EOFError:
            return
        compute(rounds)


def _processes(rounds: int, stack: ExitStack) -> Way:
    """Processes that have started and wait for their tasks."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for _ in range(_TASKS):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, rounds), daemon=True)
        process.start()
        theirs.close()
        stack.callback(process.join)
        stack.callback(ours.close)
        ours.recv()
        pipes.append(ours)

    def run() -> None:
        for pipe in pipes:
            pipe.send("go")
        for pipe in pipes:
            pipe.recv()

    return run


def _sub_interpreters(rounds: int, stack: ExitStack) -> Way | None:
    """Sub-interpreters with the computation defined; None before Python 3.14."""
    try:
        from concurrent import interpreters  # type: ignore[attr-defined,unused-ignore]
    except ImportError:
        return None
    created = [interpreters.create() for _ in range(_TASKS)]
    for each in created:
        stack.callback(each.close)
        each.exec(_COMPUTE)
    call = f"compute({rounds})"
    return lambda: _join([threading.Thread(target=each.exec, args=(call,)) for each in created])


def _medians(ways: dict[str, Way]) -> dict[str, float]:
    """Median seconds of each way; they take turns, so that other programs affect all of them equally."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    begin = time.monotonic()
    for number in range(_MAX_REPETITIONS):
        if number >= _MIN_REPETITIONS and time.monotonic() - begin > _BUDGET:
            break
        for name, way in ways.items():
            started = time.monotonic()
            way()
            seconds[name].append(time.monotonic() - started)
    return {name: statistics.median(each) for name, each in seconds.items()}


def main(rounds: int) -> None:
    """Measure every way and print the median seconds of each."""
    with ExitStack() as stack:
        ways = {
            "sequential": _sequential(rounds),
            "threads": _threads(rounds),
            "processes": _processes(rounds, stack),
        }
        if (sub_interpreters := _sub_interpreters(rounds, stack)) is not None:
            ways["interpreters"] = sub_interpreters
        medians = _medians(ways)
    report = {
        "version": "{}.{}.{}".format(*sys.version_info[:3]),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        **dict.fromkeys(("sequential", "threads", "processes", "interpreters")),
        **medians,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
