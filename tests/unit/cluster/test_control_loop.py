"""The control loop of a node: desired values reach the broker in the order in which they were set."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sp500tui.cluster.broker.errors import BrokerAwayError
from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.cluster.membership.view import ClusterView
from sp500tui.cluster.node.control_loop import ControlLoop
from sp500tui.config.settings import Settings
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.queue import Depth


class FlakyMembership:
    """Loses the broker during the first call, while another value is set; keeps what was stored later."""

    def __init__(self) -> None:
        self.loop: ControlLoop | None = None
        self.stored: dict[str, str] = {}

    def set_desired(self, values: Mapping[str, str]) -> None:
        loop, self.loop = self.loop, None
        if loop is not None:
            loop.set_desired("interval", "10.0")
            raise BrokerAwayError("the broker does not answer")
        self.stored.update(values)

    def heartbeat(self, *_: object) -> bool:
        raise BrokerAwayError("the broker does not answer")


def test_a_value_set_during_an_outage_replaces_the_one_that_could_not_be_sent() -> None:
    # given a value that cannot be sent, and a newer one that is set in the meantime
    membership = FlakyMembership()
    components: Any = SimpleNamespace(
        membership=membership, stages={}, history=SimpleNamespace(writer_snapshots=lambda: ())
    )
    loop = membership.loop = ControlLoop(
        Settings(no_ui=True),
        components,
        "node",
        emit=lambda *_: None,
        heartbeat=lambda: Heartbeat("node", "", ""),
    )
    loop.set_desired("interval", "5.0")
    loop.set_desired("paused|price", "1")
    loop.run_once()
    assert membership.stored == {}

    # when the broker is back
    loop.run_once()

    # then the newer one is stored, and values not changed since are stored as set
    assert membership.stored == {"interval": "10.0", "paused|price": "1"}
    assert loop.desired("interval") == "10.0"


class TwoNodes:
    """The membership of a node with one other; the test sets both clocks and the other node's heartbeats."""

    def __init__(self) -> None:
        self.now = 0.0
        """Monotonic time of the node."""
        self.brokers_clock = 1_000.0
        self.others_heartbeat = self.brokers_clock
        self.evicted: list[str] = []

    def heartbeat(self, *_: object) -> bool:
        return False

    def view(self, **_: object) -> ClusterView:
        return ClusterView(
            time=self.brokers_clock, last_seen={"node": self.brokers_clock, "other": self.others_heartbeat}
        )

    def evict(self, name: str, _queues: object) -> bool:
        self.evicted.append(name)
        return True

    def passes(self, loop: ControlLoop, seconds: int, *, other_lives: bool = True) -> None:
        for _ in range(seconds):
            self.now += 1.0
            self.brokers_clock += 1.0
            loop.run_once()
            if other_lives:
                self.others_heartbeat = self.brokers_clock


def loop_of(nodes: TwoNodes) -> ControlLoop:
    def away(*_: object, **__: object) -> None:
        raise BrokerAwayError("the queues are not part of this")

    nothing = lambda *_, **__: None  # noqa: E731
    components: Any = SimpleNamespace(
        membership=nodes,
        stages={},
        queue_stats={name: SimpleNamespace(depth=lambda: Depth(0, 0, 1, None)) for name in QueueName},
        queue_keys=(),
        broker=SimpleNamespace(run=away, key=lambda *names: ":".join(names)),
        history=SimpleNamespace(writer_snapshots=lambda: ()),
        cycles=SimpleNamespace(follow=nothing, complete=False),
        lease=SimpleNamespace(held=False),
        fx=SimpleNamespace(merge=nothing),
        missing=SimpleNamespace(merge=nothing),
        current_constituents=SimpleNamespace(refresh_from=nothing),
    )
    return ControlLoop(
        Settings(no_ui=True),
        components,
        "node",
        emit=nothing,
        heartbeat=lambda: Heartbeat("node", "", ""),
        clock=lambda: nodes.now,
    )


def test_a_jump_of_the_brokers_clock_evicts_no_node_that_is_there() -> None:
    # given two nodes whose heartbeats arrive
    nodes = TwoNodes()
    loop = loop_of(nodes)
    nodes.passes(loop, 10)

    # when the broker's clock is set forward by an hour, as after its machine was suspended
    nodes.brokers_clock += 3600
    nodes.passes(loop, 10)
    assert nodes.evicted == []

    # then a node that stops is still evicted, in time
    nodes.passes(loop, 7, other_lives=False)
    assert "other" in nodes.evicted
