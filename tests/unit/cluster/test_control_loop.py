"""The control loop of a node: desired values reach the broker in the order in which they were set."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sp500tui.cluster.broker.errors import BrokerAwayError
from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.cluster.node.control_loop import ControlLoop
from sp500tui.config.settings import Settings


class FlakyMembership:
    """Loses the broker during the first call, while another value is set; remembers what was stored later."""

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
    # given a value that cannot be sent, and a newer one that is set meanwhile
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

    # then the newer one is stored, and what was not changed since as it was set
    assert membership.stored == {"interval": "10.0", "paused|price": "1"}
    assert loop.desired("interval") == "10.0"
