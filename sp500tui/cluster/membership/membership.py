"""Membership of one node in the cluster: join, heartbeat, view of the other nodes, eviction and departure."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence

from sp500tui import __version__
from sp500tui.cluster.broker.client import Argument, Broker
from sp500tui.cluster.membership.heartbeat import Heartbeat, encode, encode_workers
from sp500tui.cluster.membership.view import HEARTBEAT_TIMEOUT, LOST_NODE_TTL, ClusterView, parse
from sp500tui.errors import ConfigurationError
from sp500tui.pipeline.core.snapshot import WorkerSnapshot

_TIMEOUT = 2.0
"""Seconds to retry before the node continues with its last view."""
_EVICTION_TTL = 86_400
"""Seconds for which the number of evictions of a node is kept for it to read."""


def node_name() -> str:
    """A unique node name: host, process id and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def short_name(name: str) -> str:
    """The node name without its random part."""
    return name.rpartition(":")[0] or name


def check_versions(view: ClusterView, version: str = __version__) -> None:
    """Require that all nodes run one version.

    Raises:
        ConfigurationError: a node runs another version; names it.
    """
    for heartbeat in view.alive():
        if heartbeat.version != version:
            raise ConfigurationError(
                f"node {short_name(heartbeat.name)} runs sp500tui {heartbeat.version}, this is {version}: "
                "all nodes of a cluster need the same version; update this machine, or join another --cluster-name"
            )


class Membership:
    """Publishes one node's heartbeat and reads those of the others."""

    def __init__(self, broker: Broker, name: str, currency: str) -> None:
        self._broker = broker
        self.name = name
        self._currency = currency
        self._evictions = 0
        """Number of evictions of this node as of its last heartbeat."""

    def join(self) -> ClusterView:
        """Read the view before the first heartbeat; the first node of a cluster clears the desired state.

        Raises:
            ConfigurationError: a node of another version is there.
            BrokerError: the broker does not answer.
        """
        view = self.view(details=False)
        check_versions(view)
        if not view.alive() and view.desired:
            self.remove_desired(*view.desired)
        return view

    def heartbeat(self, heartbeat: Heartbeat, workers: tuple[WorkerSnapshot, ...]) -> bool:
        """Publish a heartbeat; returns whether the node was evicted since the last one."""
        keys = self._keys("heard", "beats", "details", "lost")
        arguments: list[Argument] = [self.name, encode(heartbeat), encode_workers(workers)]
        evictions = int(self._broker.run("heartbeat", keys, arguments, retry_for=_TIMEOUT))
        before, self._evictions = self._evictions, evictions
        return evictions > before

    def view(self, *, details: bool) -> ClusterView:
        """The current view of the cluster; `details` includes the workers of all nodes."""
        names = ("heard", "beats", "details", "lost", "scheduler", "cycle", "desired", "missing")
        keys = [*self._keys(*names), self._broker.key("fx", self._currency), self._broker.key("list")]
        return parse(self._broker.run("view", keys, [int(details)], retry_for=_TIMEOUT))

    def evict(self, name: str, queues: Sequence[str]) -> bool:
        """Evict an unresponsive node and requeue its leases of `queues` (keys); returns whether this call did.

        A node whose heartbeat has arrived in the meantime keeps its leases.
        """
        keys = [*self._keys("heard", "beats", "details", "lost", "desired"), *queues]
        arguments: list[Argument] = [name, HEARTBEAT_TIMEOUT, int(LOST_NODE_TTL), _EVICTION_TTL]
        return bool(self._broker.run("evict", keys, arguments, retry_for=_TIMEOUT))

    def deregister(self) -> None:
        """Remove this node from the cluster."""
        keys = self._keys("heard", "beats", "details", "desired", "scheduler")
        self._broker.run("deregister", keys, [self.name], retry_for=_TIMEOUT)

    def set_desired(self, values: Mapping[str, str]) -> None:
        """Set desired values, which every node reconciles with."""
        self._broker.set_fields(self._broker.key("desired"), values, retry_for=_TIMEOUT)

    def remove_desired(self, *names: str) -> None:
        """Remove desired values."""
        self._broker.delete_fields(self._broker.key("desired"), names, retry_for=_TIMEOUT)

    def _keys(self, *names: str) -> list[str]:
        return [self._broker.key(name) for name in names]
