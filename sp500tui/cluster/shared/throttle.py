"""A throttle that shares its limit with the other nodes behind the same outgoing address."""

from __future__ import annotations

from collections.abc import Sequence

from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.pipeline.core.snapshot import StageName
from sp500tui.sources.throttle import Throttle


def peers(alive: Sequence[Heartbeat], group: str) -> tuple[Heartbeat, ...]:
    """The nodes that ask for prices through one outgoing address."""
    return tuple(
        beat for beat in alive if beat.fetch_group == group and beat.stage(StageName.PRICE) is not None
    )


def share(limit: float, nodes: int) -> float:
    """The requests a second that are one node's part of the limit."""
    return limit / max(1, nodes)


class SharedThrottle(Throttle):
    """One node's part of the rate limit, and its part in the others' back-offs."""

    def __init__(self, rate: float, *, burst: int) -> None:
        super().__init__(rate, burst=burst)
        self._whole = rate
        self._whole_burst = burst
        self._held_until = 0.0

    def divide(self, nodes: int) -> None:
        """Take one of `nodes` equal parts of the limit from now on."""
        limit = share(self._whole, nodes)
        with self._changed:
            if limit != self._limit:
                # What a 429 has lowered stays as low in proportion.
                self._rate *= limit / self._limit
                self._limit = limit
                self._burst = max(1, self._whole_burst // max(1, nodes))

    def hold(self, seconds: float, reason: str) -> None:
        """Send nothing for so long: another node behind this address was told to wait."""
        with self._changed:
            now = self._clock()
            if self._open_until is None:
                self._held_until = now + seconds
                self._open(now, seconds, reason)

    def own_backoff(self) -> tuple[float, str]:
        """Seconds that its own circuit breaker stays open, and why; not what others asked it to hold."""
        with self._changed:
            until = self._open_until
            if until is None or until == self._held_until:
                return 0.0, ""
            return max(0.0, until - self._clock()), self._message
