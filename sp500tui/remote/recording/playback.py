"""The current time of a replay: paused, or advancing at a speed."""

from __future__ import annotations

import time
from collections.abc import Callable

SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Speeds that the keys step through."""


class Playback:
    """A clock between two times that can be stopped, set and accelerated.

    Args:
        first: POSIX time of the first moment.
        last: POSIX time of the last moment; the clock stops there.
        clock: Monotonic seconds.
    """

    def __init__(
        self, first: float, last: float, *, speed: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.first = first
        self.last = last
        self._clock = clock
        self._speed = speed
        self._at = first
        self._since: float | None = None
        self.seeks = 0
        """Number of times another time was set."""

    @property
    def at(self) -> float:
        """The time shown."""
        if self._since is None:
            return self._at
        at = self._at + (self._clock() - self._since) * self._speed
        if at >= self.last:
            at = self._at = self.last
            self._since = None
        return at

    @property
    def playing(self) -> bool:
        """Whether the clock runs."""
        return self._since is not None

    @property
    def speed(self) -> float:
        """Seconds of the recording per second; kept while paused."""
        return self._speed

    def play(self) -> None:
        """Start the clock; from the beginning if it is at the end."""
        if self.at >= self.last:
            self._at = self.first
        self._since = self._clock()

    def pause(self) -> None:
        """Stop the clock."""
        self._at, self._since = self.at if self._since is not None else self._at, None

    def seek(self, at: float) -> None:
        """Set another time, within the recording; a running clock keeps running."""
        self.seeks += 1
        self._at = min(max(at, self.first), self.last)
        if self._since is not None:
            self._since = self._clock()

    def change_speed(self, direction: int) -> float:
        """Select the next lower (-1) or higher (+1) speed; returns it."""
        at = self.at
        if direction < 0:
            self._speed = max((speed for speed in SPEEDS if speed < self._speed), default=SPEEDS[0])
        else:
            self._speed = min((speed for speed in SPEEDS if speed > self._speed), default=SPEEDS[-1])
        self.seek(at)
        return self._speed
