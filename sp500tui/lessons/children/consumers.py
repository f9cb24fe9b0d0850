"""Kills a consumer and reports whether another one still works, for two ways to hand items to processes.

Run as `python -m sp500tui.lessons.children.consumers TRIALS`; prints a line of JSON for each trial. It starts processes
by fork, which is safe only in a process without threads: this one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

_ITEMS = 20
_ANSWER_LIMIT = 0.5
"""Maximum seconds until an item is answered; without blocking it takes microseconds."""
_SETTLE = 0.1
"""Seconds for an idle consumer to start waiting."""
_fork = multiprocessing.get_context("fork")


def _serve(take: Callable[[], int], answers: Connection) -> None:
    answers.send("ready")
    while True:
        answers.send(take())


def _started(take: Callable[[], int]) -> tuple[BaseProcess, Connection]:
    """A consumer that waits for its first item, and the pipe with its answers."""
    ours, theirs = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_serve, args=(take, theirs), daemon=True)
    process.start()
    theirs.close()
    ours.recv()
    time.sleep(_SETTLE)
    return process, ours


def _answered(pipes: list[Connection], items: int) -> int:
    """Number of items that are answered, until no answer arrives for `_ANSWER_LIMIT` seconds."""
    received = 0
    while received < items and (ready := wait(pipes, _ANSWER_LIMIT)):
        for pipe in ready:
            assert isinstance(pipe, Connection)  # noqa: S101  # as given
            try:
                pipe.recv()
                received += 1
            except EOFError:
                pipes.remove(pipe)
    return received


def shared_queue() -> int:
    """Two consumers of one `multiprocessing.Queue`; the first one is killed while it waits."""
    queue: multiprocessing.Queue[int] = _fork.Queue()
    first, _ = _started(queue.get)
    second, answers = _started(queue.get)
    _kill(first)
    for item in range(_ITEMS):
        queue.put(item)
    received = _answered([answers], _ITEMS)
    _kill(second)
    queue.cancel_join_thread()
    return received


def pipe_each() -> int:
    """Two consumers with a pipe each; items not confirmed by the killed one go to the other."""
    consumers = []
    for _ in range(2):
        theirs, ours = _fork.Pipe(duplex=False)
        consumers.append((*_started(theirs.recv), ours))
    (first, first_answers, _), (second, answers, items) = consumers
    _kill(first)
    # End of file on its pipe shows which consumer was killed, so all items go to the other.
    assert wait([first_answers, first.sentinel], _ANSWER_LIMIT)  # noqa: S101
    for item in range(_ITEMS):
        items.send(item)
    received = _answered([answers], _ITEMS)
    _kill(second)
    return received


def _kill(process: BaseProcess) -> None:
    assert process.pid is not None  # noqa: S101  # it was started
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def main(trials: int) -> None:
    """Run the trials and print the items received by the surviving consumer in each."""
    for _ in range(trials):
        # Forked before the queue of the next trial starts its thread.
        result = {"items": _ITEMS, "pipe_each": pipe_each(), "shared_queue": shared_queue()}
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
