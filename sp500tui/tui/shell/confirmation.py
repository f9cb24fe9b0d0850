"""Confirmation of destructive keys by a second press."""

from __future__ import annotations

import time
from collections.abc import Callable

WITHIN = 5.0
"""Seconds within which the second press confirms."""


class Confirmation:
    """Remembers the last act that was asked for.

    Args:
        clock: Gives seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: tuple[str, float] | None = None

    def given(self, act: str) -> bool:
        """Return whether this is the second request for `act` within the time limit; a first one is stored."""
        now = self._clock()
        asked, self._asked = self._asked, (act, now)
        if asked is None or asked[0] != act or now - asked[1] > WITHIN:
            return False
        self._asked = None
        return True
