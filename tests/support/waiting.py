"""Waiting for conditions, and a clock that advances only when a test sets it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

Wait = Callable[[Callable[[], object]], None]
"""The type of the fixture `eventually`."""


@pytest.fixture
def eventually() -> Wait:
    """Wait until a condition holds, at most 30 s."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "the condition did not become true within 30 s"
            time.sleep(0.001)

    return wait


class FakeClock:
    """A monotonic clock in seconds that advances only when `now` is changed."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
