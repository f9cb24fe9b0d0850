"""Computing: threads of one interpreter take turns, processes do not."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from sp500tui.config.child_processes import python_command, python_environment
from sp500tui.lessons.bench import Bench
from sp500tui.lessons.children.computing import compute
from sp500tui.lessons.lesson import Figure, Lesson, LessonError, Measured, Needs, Source, Value, number
from sp500tui.lessons.side_by_side import median_seconds

_TASKS = 2
_TASK_SECONDS = 0.03
"""Processor time of one task."""
_MAX_THREAD_SPEEDUP = 1.25
_MIN_ADVANTAGE = 1.15
"""Minimum speed-up of the processes over the threads."""
_ENDED_EARLY = "a process of the experiment ended early; see the log"


def _rounds_of_a_task() -> int:
    """How many rounds of `compute` take `_TASK_SECONDS`."""
    started = time.thread_time()
    compute(20)
    return max(1, round(20 * _TASK_SECONDS / max(1e-6, time.thread_time() - started)))


def _in_threads(rounds: int) -> None:
    threads = [threading.Thread(target=compute, args=(rounds,), daemon=True) for _ in range(_TASKS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def _processes(rounds: int) -> Iterator[Callable[[], None]]:
    """Processes that are ready to compute; yields the function that starts them and waits for their ends."""
    children: list[subprocess.Popen[bytes]] = []

    def run() -> None:
        for child in children:
            _begin(child)
        for child in children:
            _expect(child, b"done")

    with ExitStack() as stack:
        for _ in range(_TASKS):
            children.append(_started(rounds))
            stack.callback(_end, children[-1])
        for child in children:
            _expect(child, b"ready")
        yield run


def _started(rounds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        python_command("sp500tui.lessons.children.computing", str(rounds)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Linux divides the processors among sessions first: on a busy machine, two processes of one session would
        # get hardly more than one.
        start_new_session=True,
        env=python_environment(),
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.communicate()


def _begin(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None  # noqa: S101  # started with a pipe
    try:
        child.stdin.write(b"go\n")
        child.stdin.flush()
    except BrokenPipeError:
        raise LessonError(_ENDED_EARLY) from None


def _expect(child: subprocess.Popen[bytes], line: bytes) -> None:
    assert child.stdout is not None  # noqa: S101  # started with a pipe
    if child.stdout.readline().strip() != line:
        raise LessonError(_ENDED_EARLY)


def _measure(bench: Bench) -> dict[str, Value]:
    rounds = _rounds_of_a_task()
    bench.report(f"{_TASKS} tasks one after the other, in threads and in processes, in turns")
    with _processes(rounds) as run_processes:
        seconds = median_seconds(
            {
                "sequential": lambda: [compute(rounds) for _ in range(_TASKS)],
                "threads": lambda: _in_threads(rounds),
                "processes": run_processes,
            },
            between=lambda: bench.sleep(0.0),
        )
    return {
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **{f"{name}_milliseconds": each * 1000 for name, each in seconds.items()},
        "threads_speedup": seconds["sequential"] / seconds["threads"],
        "processes_speedup": seconds["sequential"] / seconds["processes"],
    }


def _effect(measured: Measured) -> bool:
    threads, processes = number(measured, "threads_speedup"), number(measured, "processes_speedup")
    return threads <= _MAX_THREAD_SPEEDUP and processes >= _MIN_ADVANTAGE * threads > 0


LESSON = Lesson(
    name="computing",
    title="Threads do not speed up computing, processes do",
    question=(
        "Two batches of rows are encoded, which is pure computing: one after the other, then in two threads, then "
        "in two processes. How much faster are the threads and the processes on two processor cores?"
    ),
    answers=(
        "both about twice as fast",
        "the threads not at all, the processes up to twice as fast",
        "the threads twice as fast, the processes not at all",
    ),
    correct=1,
    change=(
        f"The same work is done one after the other, in {_TASKS} threads and in {_TASKS} processes that have already "
        "started, in turns; the medians of up to forty rounds are compared."
    ),
    claim=(
        f"Threads are at most {_MAX_THREAD_SPEEDUP:g} times as fast as one after the other; processes are at least "
        f"{_MIN_ADVANTAGE:g} times as fast as threads."
    ),
    why=(
        "Only the thread that holds the interpreter lock (GIL) executes Python code, so that two threads take turns "
        "on one core. Processes have an interpreter and a lock each. That is why the writers, whose work is "
        "computing and waiting for commits, are processes, and the price workers, which wait for the network, are "
        "threads."
    ),
    source=(
        Source("storage/batch_codec.py", "encode"),
        Source("pipeline/writer/client.py", "WriterClient"),
    ),
    figures=(
        Figure("processors", "processor cores that may be used"),
        Figure("sequential_milliseconds", "one after the other", "ms", 1),
        Figure("threads_milliseconds", "in two threads", "ms", 1),
        Figure("processes_milliseconds", "in two processes", "ms", 1),
        Figure("threads_speedup", "speed-up by threads", "×", 2),
        Figure("processes_speedup", "speed-up by processes", "×", 2),
    ),
    measure=_measure,
    effect=_effect,
    needs=Needs.PROCESSOR,
)
