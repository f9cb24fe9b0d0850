"""The lab: one computation run sequentially, in threads, processes, sub-interpreters and free-threaded Python."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sp500tui.config.child_processes import isolated_command
from sp500tui.lessons import children
from sp500tui.lessons.bench import Bench
from sp500tui.lessons.interpreters import Interpreter, find_interpreters
from sp500tui.lessons.lesson import Figure, Lesson, LessonError, Measured, Needs, Source, Value, number

_SCRIPT = Path(next(iter(children.__path__)), "lab_script.py")
_TASK_SECONDS = 0.03
"""Processor time of one of the two tasks."""
_LIMIT = 60.0
_MAX_THREAD_SPEEDUP = 1.25
_MIN_ADVANTAGE = 1.15
NOT_FOUND = "not measured: no such interpreter was found"


def _rounds_of_a_task() -> int:
    from sp500tui.lessons.children.lab_script import compute

    started = time.thread_time()
    compute(10)
    return max(1, round(10 * _TASK_SECONDS / max(1e-6, time.thread_time() - started)))


def _report_of(bench: Bench, interpreter: Interpreter, rounds: int) -> dict[str, Any]:
    """The measurements of the script under an interpreter."""
    command = isolated_command(interpreter.program, str(_SCRIPT), str(rounds))
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + _LIMIT
    try:
        while child.poll() is None and time.monotonic() < deadline:
            bench.sleep(0.05)
        if child.returncode is None:
            raise LessonError(
                f"{interpreter.program} did not finish within {_LIMIT:.0f} s; try again on a less busy machine"
            )
        if child.returncode != 0:
            raise LessonError(f"{interpreter.program} could not run the computation; remove it from PATH")
        report: dict[str, Any] = json.loads(child.stdout.read()) if child.stdout is not None else {}
        return report
    finally:
        child.kill()
        child.communicate()


def choose(found: Sequence[Interpreter]) -> dict[str, Interpreter]:
    """The interpreters to measure: this one, one with sub-interpreters, and one without a lock."""
    chosen: dict[str, Interpreter] = {"own": found[0]}
    for each in found:
        if each.has_sub_interpreters and each.gil:
            chosen.setdefault("interpreters", each)
        if not each.gil:
            chosen.setdefault("free_threaded", each)
    return chosen


def measured_values(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
    """The figures of the lesson, from the reports of the interpreters that were chosen."""
    own = reports["own"]
    values: dict[str, Value] = {
        "python": str(own["version"]),
        "sequential_milliseconds": own["sequential"] * 1000,
        "threads_speedup": own["sequential"] / own["threads"],
        "processes_speedup": own["sequential"] / own["processes"],
    }
    for name, way in (("interpreters", "interpreters"), ("free_threaded", "threads")):
        report = reports.get(name)
        found = report is not None and report[way] is not None
        values[f"{name}_python"] = str(report["version"]) if report is not None and found else NOT_FOUND
        values[f"{name}_speedup"] = (
            report["sequential"] / report[way] if report is not None and found else None
        )
    return values


def _measure(bench: Bench) -> dict[str, Value]:
    bench.report("looking for Python interpreters")
    rounds = _rounds_of_a_task()
    chosen = choose(find_interpreters())
    reports: dict[Interpreter, dict[str, Any]] = {}
    for interpreter in chosen.values():
        if interpreter not in reports:
            version = ".".join(map(str, interpreter.version))
            bench.report(f"Python {version}{'' if interpreter.gil else ', free-threaded'}: all ways in turn")
            reports[interpreter] = _report_of(bench, interpreter, rounds)
    return measured_values({name: reports[interpreter] for name, interpreter in chosen.items()})


def _effect(measured: Measured) -> bool:
    threads, processes = number(measured, "threads_speedup"), number(measured, "processes_speedup")
    return threads <= _MAX_THREAD_SPEEDUP and processes >= _MIN_ADVANTAGE * threads > 0


LESSON = Lesson(
    name="lab",
    title="The lab: five ways to compute",
    question=(
        "Two equal computations, on two processor cores: one after the other, in threads, in processes, in "
        "sub-interpreters, and in threads of a free-threaded Python. Which of them use both cores?"
    ),
    answers=(
        "all but the first",
        "processes only",
        "processes, sub-interpreters and the threads of a free-threaded Python",
    ),
    correct=2,
    change=(
        "A script of the standard library computes in each way, under this Python and under others that are found "
        "on this machine; the ways take turns after their start-up, and the medians of up to forty rounds are "
        "compared."
    ),
    claim=(
        f"Threads of this Python are at most {_MAX_THREAD_SPEEDUP:g} times as fast as one after the other, and "
        f"processes at least {_MIN_ADVANTAGE:g} times as fast as threads; the other ways are shown beside them where "
        "they exist."
    ),
    why=(
        "Python code runs under an interpreter lock. Threads of one interpreter share it; processes and, from 3.12 "
        "on, sub-interpreters have one each; a free-threaded build (3.13t, 3.14t) has none. Processes and "
        "sub-interpreters share no objects, so that what they exchange is copied; free-threaded code needs locks of "
        "its own."
    ),
    source=(
        Source("lessons/children/lab_script.py", "main"),
        Source("pipeline/writer/client.py", "WriterClient"),
    ),
    figures=(
        Figure("python", "this Python"),
        Figure("sequential_milliseconds", "one after the other", "ms", 1),
        Figure("threads_speedup", "speed-up by threads", "×", 2),
        Figure("processes_speedup", "speed-up by processes", "×", 2),
        Figure("interpreters_python", "Python with sub-interpreters"),
        Figure("interpreters_speedup", "speed-up by sub-interpreters", "×", 2),
        Figure("free_threaded_python", "free-threaded Python"),
        Figure("free_threaded_speedup", "speed-up by its threads", "×", 2),
    ),
    measure=_measure,
    effect=_effect,
    needs=Needs.PROCESSOR,
)
