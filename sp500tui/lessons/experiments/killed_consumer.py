"""A killed consumer of `multiprocessing.Queue` can block all others; a pipe for each consumer cannot."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

from sp500tui.config.child_processes import python_command, python_environment
from sp500tui.lessons.bench import Bench
from sp500tui.lessons.lesson import Figure, Lesson, LessonError, Measured, Needs, Source, Value, number

_TRIALS = 4
_POLL_INTERVAL = 0.05


def _results(bench: Bench) -> Iterator[dict[str, int]]:
    """The result of each trial, run in its own process because a queue's thread outlives its trial."""
    for trial in range(1, _TRIALS + 1):
        bench.report(f"kill -9 of an idle consumer, trial {trial} of {_TRIALS}")
        child = subprocess.Popen(
            python_command("sp500tui.lessons.children.consumers", "1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # A separate process group, so that none of its consumers is left if the lesson is stopped.
            start_new_session=True,
            env=python_environment(),
        )
        try:
            assert child.stdout is not None  # noqa: S101  # started with a pipe
            while not select.select([child.stdout], [], [], 0)[0]:
                bench.sleep(_POLL_INTERVAL)
            line = child.stdout.readline()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
        if not line:
            raise LessonError("a process of the experiment ended early; see the log")
        yield json.loads(line)


def _measure(bench: Bench) -> dict[str, Value]:
    results = list(_results(bench))
    return {
        "trials": len(results),
        "items_a_trial": results[0]["items"],
        "queue_trials_blocked": sum(result["shared_queue"] < result["items"] for result in results),
        "queue_items_received": sum(result["shared_queue"] for result in results),
        "pipe_trials_blocked": sum(result["pipe_each"] < result["items"] for result in results),
        "pipe_items_received": sum(result["pipe_each"] for result in results),
    }


def _effect(measured: Measured) -> bool:
    return (
        number(measured, "queue_trials_blocked") > 0
        and number(measured, "pipe_trials_blocked") == 0
        and number(measured, "pipe_items_received")
        == number(measured, "trials") * number(measured, "items_a_trial")
    )


LESSON = Lesson(
    name="killed-consumer",
    title="A killed consumer of multiprocessing.Queue",
    question=(
        "Two processes wait for items of one multiprocessing.Queue. One of them is killed with SIGKILL while it "
        "waits; then 20 items are put. What does the other one receive?"
    ),
    answers=("all 20 items", "about half of them", "nothing: it is blocked forever"),
    correct=2,
    change=(
        f"{_TRIALS} times, two consumers of one queue are started and the first is killed with SIGKILL; then the "
        "same with a pipe for each consumer."
    ),
    claim="With the shared queue the surviving consumer is blocked; with a pipe each it receives every item.",
    why=(
        "A consumer that waits in get() holds the queue's read lock, a semaphore in shared memory. SIGKILL leaves "
        "it locked, no process unlocks it, and every other consumer waits for it forever. A writer of the "
        "pipeline has a socket pair of its own: its death closes that one alone, and its batch, which the parent "
        "has kept, goes to another writer."
    ),
    source=(
        Source("pipeline/writer/client.py", "WriterClient"),
        Source("pipeline/writer/worker.py", "WriterTask._requeue"),
    ),
    figures=(
        Figure("trials", "trials"),
        Figure("items_a_trial", "items put in each trial"),
        Figure("queue_trials_blocked", "one queue: trials in which the survivor was blocked"),
        Figure("queue_items_received", "one queue: items received by the survivor"),
        Figure("pipe_trials_blocked", "a pipe each: trials in which the survivor was blocked"),
        Figure("pipe_items_received", "a pipe each: items received by the survivor"),
    ),
    measure=_measure,
    effect=_effect,
    needs=Needs.PROCESSOR,
)
