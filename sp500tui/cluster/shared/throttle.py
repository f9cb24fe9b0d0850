"""A throttle that shares the rate limit with other nodes behind the same egress address."""

from __future__ import annotations

from collections.abc import Sequence

from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.sources.throttle import Throttle


def peers(alive: Sequence[Heartbeat], group: str) -> tuple[Heartbeat, ...]:
    """The nodes that request prices or bars through one egress address."""
    return tuple(beat for beat in alive if beat.fetch_group == group and beat.sends_requests)


def share(limit: float, nodes: int) -> float:
    """One node's share of the limit, in requests a second."""
    return limit / max(1, nodes)


class SharedThrottle(Throttle):
    """One node's share of the rate limit; it also observes the back-offs of its peers."""

    def __init__(self, rate: float, *, burst: int) -> None:
        super().__init__(rate, burst=burst)
        self._total_rate = rate
        self._total_burst = burst
        self._peer_backoff_until = 0.0

    def divide(self, nodes: int) -> None:
        """Use one of `nodes` equal shares of the limit."""
        limit = share(self._total_rate, nodes)
        with self._changed:
            if limit != self._limit:
                # A rate lowered by a 429 stays lowered in proportion.
                self._rate *= limit / self._limit
                self._limit = limit
                self._burst = max(1, self._total_burst // max(1, nodes))

    def hold(self, seconds: float, reason: str) -> None:
        """Send no request for `seconds`, because a peer has been throttled."""
        with self._changed:
            now = self._clock()
            if self._open_until is None:
                self._peer_backoff_until = now + seconds
                self._open(now, seconds, reason)

    def own_backoff(self) -> tuple[float, str]:
        """Seconds until this node's own circuit breaker closes, and the reason; excludes back-offs of peers."""
        with self._changed:
            until = self._open_until
            if until is None or until == self._peer_backoff_until:
                return 0.0, ""
            return max(0.0, until - self._clock()), self._message
