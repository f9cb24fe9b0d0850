"""Has the demo markets of several nodes show the same prices: one seed, and one moment at which the day began.

Each node has a market of its own, so that none depends on another's life. Markets with the same seed walk alike; one
that starts more than half an hour after the first makes up for the time in longer strides, and walks elsewhere.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import fields, real, report, whole
from sp500tui.config.settings import Settings

_DAY = 86_400
_BEGINS = 34_220
"""09:30:20 in seconds of the exchange's day: when the first market begins."""
_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class DemoSeed:
    """What a node's demo market starts with."""

    seed: int
    start_at: str
    """New York time, `HH:MM:SS`."""


def agree(broker: Broker, settings: Settings, *, anew: bool) -> DemoSeed:
    """The walk of all nodes; the first node's own, which is also every `anew` one's.

    Raises:
        BrokerError: the broker does not answer.
    """
    own = secrets.randbits(32) if settings.market_seed is None else settings.market_seed
    for forget in (anew, True):
        arguments = [str(int(forget)), "seed", str(own), "began", repr(broker.now())]
        agreed = fields(broker.run("agree", [broker.key("walk")], arguments, patience=_TIMEOUT))
        seed, began = whole(agreed.get("seed"), -(2**63), 2**63), real(agreed.get("began"))
        if seed is not None and began is not None:
            break
        report("the seed of the demo markets", str(agreed))
    else:
        seed, began = own, broker.now()
    passed = max(0.0, broker.now() - began)
    return DemoSeed(seed, time_of_day(_BEGINS + passed * settings.market_speed))


def time_of_day(seconds: float) -> str:
    """Seconds since midnight as `HH:MM:SS`; a day later it is the same time again."""
    whole = int(seconds) % _DAY
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
