"""Blocking calls of the screens on daemon threads.

A call that never returns, such as a query to a frozen server, does not keep the program from exiting. Textual's thread
workers would: they use asyncio's executor, whose threads the event loop and the interpreter join.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from sp500tui.pipeline.core.service_thread import ServiceThread

T = TypeVar("T")


def start_in_background(name: str, function: Callable[[], None]) -> None:
    """Call a function on a daemon thread; an exception is logged."""
    ServiceThread(name, function, attempts=1).start()


async def run_in_background(name: str, function: Callable[[], T]) -> T:
    """Call a function on a daemon thread and return its result or raise its exception.

    If the wait is cancelled, the call continues and its result is dropped.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def call() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001  # raised again by the await
            outcome.set_exception(error)

    start_in_background(name, call)
    return await asyncio.wrap_future(outcome)
