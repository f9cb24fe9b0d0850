"""The queues and the ledger of the whole cluster, read atomically from the broker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import hash_fields, to_int
from sp500tui.cluster.queue.entries import Reading
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import QueueName

_QUEUES = tuple(QueueName)


@dataclass(frozen=True, slots=True)
class BrokerState:
    """A consistent reading of the cluster."""

    now: float
    """The broker's clock, seconds since 1970."""
    queues: Mapping[QueueName, Reading]
    counters: Mapping[str, int]
    """`fetched`, `stored`, `duplicate`, `dead`, since the cluster first started."""

    @property
    def ledger(self) -> Ledger:
        """The ledger of the whole cluster."""
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
        """Items of the cycle in all queues, waiting or leased."""
        return sum(
            queue.ready + queue.in_flight
            for name, queue in self.queues.items()
            if name is not QueueName.HISTORY
        )


def read_state(broker: Broker, *, retry_for: float | None = 0.0) -> BrokerState:
    """Read the queues and the ledger.

    Raises:
        BrokerAwayError: the broker was not reached within `retry_for` seconds.
        BrokerError: the broker rejects the command.
    """
    keys = [broker.key("books"), *(broker.key("queue", name) for name in _QUEUES)]
    time, queues, flat = broker.run("state", keys, retry_for=retry_for)
    counters = ((name, to_int(count)) for name, count in hash_fields(flat).items())
    return BrokerState(
        now=int(time[0]) + int(time[1]) / 1e6,
        queues={name: Reading.of(found) for name, found in zip(_QUEUES, queues, strict=True)},
        counters={name: count for name, count in counters if count is not None},
    )
