"""Exponential back-off with jitter, for requests, commits and commands that are retried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackOff:
    """Exponential back-off with jitter."""

    base: float
    """Maximum delay after the first failure, in seconds."""
    cap: float
    """Maximum delay after any failure, in seconds."""

    def delay(self, failures: int, jitter: float) -> float:
        """Seconds to wait after that many failures; `jitter` from 0 to 1 spreads them over the upper half.

        The lower half is fixed, so that the number of requests during an outage is bounded for every jitter.
        """
        doublings = min(max(failures, 1) - 1, 32)
        longest = min(self.cap, self.base * float(2**doublings))
        return longest * (0.5 + 0.5 * min(max(jitter, 0.0), 1.0))
