"""Leader election: the node that starts the cycles holds a renewable lease with a fencing token."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import to_text

LEASE_TTL = 5.0
"""Seconds after which a lease expires unless renewed."""
_MARGIN = 0.5
"""Seconds before its expiry at which the holder stops relying on the lease."""
_TIMEOUT = 2.0


class LeaseResult(StrEnum):
    """The result of acquiring or renewing the lease."""

    NEW = "new"
    HELD = "held"
    REFUSED = "refused"


class SchedulerLease:
    """One node's lease on being the scheduler. One thread renews it; `held` may be read from any thread."""

    def __init__(self, broker: Broker, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._name = name
        self._clock = clock
        self._until = 0.0
        self._active = False
        self.token = 0
        """Fencing token of the current or last lease."""

    def renew(self) -> LeaseResult:
        """Renew the lease, or acquire it when it is free. A new lease is held only after `activate`.

        Raises:
            BrokerError: the broker is unavailable.
        """
        requested = self._clock()
        keys = [self._broker.key("scheduler"), self._broker.key("scheduler:token")]
        holder, token = self._broker.run(
            "renew_lease", keys, [self._name, int(LEASE_TTL * 1000)], retry_for=_TIMEOUT
        )
        if to_text(holder) != self._name:
            self._active = False
            return LeaseResult.REFUSED
        new = not self._active or int(token) != self.token
        self.token, self._until = int(token), requested + LEASE_TTL - _MARGIN
        if new:
            self._active = False
        return LeaseResult.NEW if new else LeaseResult.HELD

    def activate(self) -> None:
        """Allow this node to start cycles, once it has loaded the schedule."""
        self._active = True

    @property
    def held(self) -> bool:
        """Whether this node may start cycles now."""
        return self._active and self._clock() < self._until

    def resign(self) -> None:
        """Release the lease, so that another node can acquire it before it expires."""
        self._active = False
        self._broker.run("resign", [self._broker.key("scheduler")], [self._name], retry_for=_TIMEOUT)
