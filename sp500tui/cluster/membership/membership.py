"""A node among the others: it joins, is heard once a second, learns who is there, and says goodbye."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence

from sp500tui import __version__
from sp500tui.cluster.broker.client import Argument, Broker
from sp500tui.cluster.membership.heartbeat import Heartbeat, encode, encode_workers
from sp500tui.cluster.membership.view import HEARTBEAT_TIMEOUT, REMEMBERED, ClusterView, parse
from sp500tui.errors import ConfigurationError
from sp500tui.pipeline.core.snapshot import WorkerSnapshot

_TIMEOUT = 2.0
"""Seconds that the broker may take before the node goes on with what it knows."""
_COUNTED = 86_400
"""Seconds for which a lost node can still be told that it was given up."""


def node_name() -> str:
    """A name that no other program has: host, process and chance."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def short_name(name: str) -> str:
    """The name without the part that chance made."""
    return name.rpartition(":")[0] or name


def check_versions(roll: ClusterView, version: str = __version__) -> None:
    """Refuse to join nodes of another version.

    Raises:
        ConfigurationError: names one of them.
    """
    for beat in roll.alive():
        if beat.version != version:
            raise ConfigurationError(
                f"node {short_name(beat.name)} runs sp500tui {beat.version}, this is {version}: "
                "one cluster needs one version everywhere; update this machine, or join another --cluster-name"
            )


class Membership:
    """One node's place in the cluster."""

    def __init__(self, broker: Broker, name: str, currency: str) -> None:
        self._broker = broker
        self.name = name
        self._currency = currency
        self._times_lost = 0
        """How often the others had given this node up, by the last heartbeat that was answered."""

    def join(self) -> ClusterView:
        """Look who is there before the first heartbeat; whoever finds nobody starts with no wishes of yesterday.

        Raises:
            ConfigurationError: a node of another version is there.
            BrokerError: the broker does not answer.
        """
        roll = self.roll(details=False)
        check_versions(roll)
        if not roll.alive() and roll.requests:
            self.remove_requests(*roll.requests)
        return roll

    def beat(self, beat: Heartbeat, workers: tuple[WorkerSnapshot, ...]) -> bool:
        """Be heard; whether the others had given this node up meanwhile."""
        keys = self._keys("heard", "beats", "details", "lost")
        arguments: list[Argument] = [self.name, encode(beat), encode_workers(workers)]
        times = int(self._broker.run("beat", keys, arguments, patience=_TIMEOUT))
        before, self._times_lost = self._times_lost, times
        return times > before

    def roll(self, *, details: bool) -> ClusterView:
        """Who is there now; with `details` every node's workers too."""
        names = ("heard", "beats", "details", "lost", "scheduler", "cycle", "wishes", "missing")
        keys = [*self._keys(*names), self._broker.key("fx", self._currency), self._broker.key("list")]
        return parse(self._broker.run("roll", keys, [int(details)], patience=_TIMEOUT))

    def evict(self, name: str, queues: Sequence[str]) -> bool:
        """Strike a silent node off and give back to `queues` (keys) what it holds; whether it was this call that did.

        A node that is heard after all keeps everything.
        """
        keys = [*self._keys("heard", "beats", "details", "lost", "wishes"), *queues]
        arguments: list[Argument] = [name, HEARTBEAT_TIMEOUT, int(REMEMBERED), _COUNTED]
        return bool(self._broker.run("lost", keys, arguments, patience=_TIMEOUT))

    def deregister(self) -> None:
        """Say goodbye."""
        keys = self._keys("heard", "beats", "details", "wishes", "scheduler")
        self._broker.run("leave", keys, [self.name], patience=_TIMEOUT)

    def wish(self, requests: Mapping[str, str]) -> None:
        """Set desired values, for every node to heed."""
        arguments = [part for pair in requests.items() for part in pair]
        if arguments:
            self._broker.run("note", self._keys("wishes"), arguments, patience=_TIMEOUT)

    def remove_requests(self, *names: str) -> None:
        """Take desired values back."""
        self._broker.run("strike", self._keys("wishes"), list(names), patience=_TIMEOUT)

    def _keys(self, *names: str) -> list[str]:
        return [self._broker.key(name) for name in names]
