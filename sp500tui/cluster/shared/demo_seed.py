"""The seed and start time shared by the demo markets of all nodes, so that they show the same prices.

Each node runs its own market and needs no other node. Markets with the same seed generate the same prices; one that
starts more than half an hour after the first catches up in larger steps, and its prices differ.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import hash_fields, to_float, to_int, warn_invalid
from sp500tui.config.settings import Settings

_DAY = 86_400
_START = 34_220
"""Seconds after midnight at which the first market starts: 09:30:20 New York time."""
_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class DemoSeed:
    """The start parameters of a node's demo market."""

    seed: int
    start_at: str
    """New York time, `HH:MM:SS`."""


def share_demo_seed(broker: Broker, settings: Settings, *, reset: bool) -> DemoSeed:
    """The parameters shared by all nodes; set by the first node, and by every node with `reset`.

    Raises:
        BrokerError: the broker is unavailable.
    """
    own = secrets.randbits(32) if settings.market_seed is None else settings.market_seed
    for clear in (reset, True):
        arguments = [str(int(clear)), "seed", str(own), "began", repr(broker.now())]
        shared = hash_fields(broker.run("share_once", [broker.key("walk")], arguments, retry_for=_TIMEOUT))
        seed, began = to_int(shared.get("seed"), -(2**63), 2**63), to_float(shared.get("began"))
        if seed is not None and began is not None:
            break
        warn_invalid("the seed of the demo markets", str(shared))
    else:
        seed, began = own, broker.now()
    elapsed = max(0.0, broker.now() - began)
    return DemoSeed(seed, time_of_day(_START + elapsed * settings.market_speed))


def time_of_day(seconds: float) -> str:
    """Seconds since midnight, modulo one day, as `HH:MM:SS`."""
    second = int(seconds) % _DAY
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
