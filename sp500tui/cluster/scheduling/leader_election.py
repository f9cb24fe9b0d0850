"""Who starts the cycles: one node at a time, by a lease that it renews, with a token that outdates the last one's."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import text

LASTS = 5.0
"""Seconds after which an unrenewed lease ends."""
_MARGIN = 0.5
"""Seconds before its end from which a holder does not trust it any more."""
_TIMEOUT = 2.0


class LeaseResult(StrEnum):
    """What became of a wish for the lease."""

    NEW = "new"
    HELD = "held"
    REFUSED = "refused"


class SchedulerLease:
    """One node's wish to be the scheduler. One thread renews; any thread asks whether it is held."""

    def __init__(self, broker: Broker, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._name = name
        self._clock = clock
        self._until = 0.0
        self._confirmed = False
        self.token = 0
        """Of the lease held now or last."""

    def renew(self) -> LeaseResult:
        """Keep the lease, or take it where nobody has it. A new one counts from `confirm` on.

        Raises:
            BrokerError: the broker does not answer.
        """
        asked = self._clock()
        keys = [self._broker.key("scheduler"), self._broker.key("scheduler:token")]
        holder, token = self._broker.run("schedule", keys, [self._name, int(LASTS * 1000)], patience=_TIMEOUT)
        if text(holder) != self._name:
            self._confirmed = False
            return LeaseResult.REFUSED
        new = not self._confirmed or int(token) != self.token
        self.token, self._until = int(token), asked + LASTS - _MARGIN
        if new:
            self._confirmed = False
        return LeaseResult.NEW if new else LeaseResult.HELD

    def confirm(self) -> None:
        """The state of the schedule has been taken over: cycles may start."""
        self._confirmed = True

    @property
    def held(self) -> bool:
        """Whether this node may start cycles now."""
        return self._confirmed and self._clock() < self._until

    def resign(self) -> None:
        """Give it back, so that the next node need not wait for its end."""
        self._confirmed = False
        self._broker.run("step_down", [self._broker.key("scheduler")], [self._name], patience=_TIMEOUT)
