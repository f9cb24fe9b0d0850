"""The queues and the books of the whole cluster, read from the broker in one atomic step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import fields, whole
from sp500tui.cluster.queue.entries import Reading
from sp500tui.pipeline.core.snapshot import Ledger, QueueName


@dataclass(frozen=True, slots=True)
class BrokerState:
    """The cluster at one moment."""

    now: float
    """The broker's clock, seconds since 1970."""
    queues: Mapping[QueueName, Reading]
    counters: Mapping[str, int]
    """`fetched`, `stored`, `duplicate`, `dead`: of the whole cluster since its first start."""

    @property
    def ledger(self) -> Ledger:
        """The equation over the whole cluster."""
        quotes, rows = self.queues[QueueName.QUOTES], self.queues[QueueName.ROWS]
        return Ledger(
            fetched=self.counters.get("fetched", 0),
            stored=self.counters.get("stored", 0),
            duplicate=self.counters.get("duplicate", 0),
            queued=quotes.ready + rows.ready,
            in_flight=quotes.in_flight + rows.in_flight,
            dead=self.counters.get("dead", 0),
        )

    @property
    def outstanding(self) -> int:
        """Symbols of the cycle that are not settled."""
        return sum(queue.ready + queue.in_flight for queue in self.queues.values())


def read_state(broker: Broker, *, patience: float | None = 0.0) -> BrokerState:
    """Queues and books as they are now.

    Raises:
        BrokerAwayError: the broker was not reached within `patience` seconds.
        BrokerError: it refuses.
    """
    keys = [broker.key("books"), *(broker.key("queue", name) for name in QueueName)]
    time, queues, flat = broker.run("state", keys, patience=patience)
    counters = ((name, whole(count)) for name, count in fields(flat).items())
    return BrokerState(
        now=int(time[0]) + int(time[1]) / 1e6,
        queues={name: Reading.of(found) for name, found in zip(QueueName, queues, strict=True)},
        counters={name: count for name, count in counters if count is not None},
    )
