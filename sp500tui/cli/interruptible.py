"""Interruptible calls of blocking C code: a stop signal ends a one-shot command immediately."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sp500tui.pipeline.core.service_thread import ServiceThread

P = ParamSpec("P")
T = TypeVar("T")


def interruptible(function: Callable[P, T]) -> Callable[P, T]:
    """Run each call of `function` on its own thread; the caller waits for the result or exception.

    Python runs signal handlers between two instructions of the main thread, and libcurl does not return to it before
    the response or the time limit. After a signal the thread is left running; it does not delay the end of the process.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        results: list[T] = []
        errors: list[BaseException] = []
        ended = threading.Event()

        def step() -> None:
            try:
                results.append(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # raised again by the caller
                errors.append(error)

        ServiceThread("request", step, attempts=1, on_exit=ended.set).start()
        ended.wait()
        if errors:
            raise errors[0]
        return results[0]

    return call
