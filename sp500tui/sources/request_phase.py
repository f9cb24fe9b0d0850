"""The phases of a request to a source, reported while it runs."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class RequestPhase(StrEnum):
    """The activity or the wait of a request."""

    LIMIT = "limit"
    """Waits until the throttle admits it."""
    ANSWER = "answer"
    """Was sent and waits for its answer, or for the cookie that it needs."""
    READING = "reading"
    """The answer is being read."""


OnPhase = Callable[[RequestPhase], None]
"""Called on the requesting thread with every phase that begins."""


def ignore_phase(phase: RequestPhase) -> None:
    """An `OnPhase` that does nothing."""
