"""Everything a face needs to know of the cluster, read from the broker in one atomic step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sp500tui.cluster.broker import Broker
from sp500tui.cluster.entries import Reading
from sp500tui.pipeline.snapshot import Ledger, QueueName


@dataclass(frozen=True, slots=True)
class BrokerState:
    """The cluster at one moment."""

    now: float
    """The broker's clock, seconds since 1970."""
    queues: Mapping[QueueName, Reading]
    books: Mapping[str, int]
    """`fetched`, `stored`, `duplicate`, `dead`: of the whole cluster since its first start."""
    cycle: Mapping[str, str]
    scheduler: str
    """Value of the scheduler's lease; empty when nobody holds it."""
    desired: Mapping[str, int]
    """`<node>:<stage>` → number of workers."""
    nodes: Mapping[str, str]
    """Name of a node → its last heartbeat, JSON; empty when it is not heard any more."""
    lost: Mapping[str, str]
    """Name of a lost node → when and with what, JSON."""
    takers: Mapping[str, Mapping[str, int]]
    """Name of a lost node → `<queue> <node>` → entries of it that this node took over."""

    @property
    def ledger(self) -> Ledger:
        """The equation over the whole cluster."""
        quotes, rows = self.queues[QueueName.QUOTES], self.queues[QueueName.ROWS]
        return Ledger(
            fetched=self.books.get("fetched", 0),
            stored=self.books.get("stored", 0),
            duplicate=self.books.get("duplicate", 0),
            queued=quotes.ready + rows.ready,
            in_flight=quotes.in_flight + rows.in_flight,
            dead=self.books.get("dead", 0),
        )

    @property
    def outstanding(self) -> int:
        """Symbols of the cycle that are not settled."""
        return sum(queue.ready + queue.in_flight for queue in self.queues.values())


def read_state(broker: Broker, *, patience: float | None = 0.0) -> BrokerState:
    """The cluster as it is now.

    Raises:
        BrokerAwayError: the broker was not reached within `patience` seconds.
        BrokerError: it refuses.
    """
    names = ("books", "cycle", "scheduler", "desired", "nodes", "lost")
    keys = [*(broker.key(name) for name in names), *(broker.key("queue", name) for name in QueueName)]
    time, queues, books, cycle, scheduler, desired, nodes, lost, takers = broker.run(
        "state", keys, patience=patience
    )
    return BrokerState(
        now=int(time[0]) + int(time[1]) / 1e6,
        queues={name: Reading.of(found) for name, found in zip(QueueName, queues, strict=True)},
        books=_numbers(books),
        cycle=_texts(cycle),
        scheduler=_text(scheduler),
        desired=_numbers(desired),
        nodes=_texts(nodes),
        lost=_texts(lost),
        takers={_text(takers[at]): _numbers(takers[at + 1]) for at in range(0, len(takers), 2)},
    )


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _texts(pairs: Sequence[Any]) -> dict[str, str]:
    """A hash as the broker lists it: name, value, name, value."""
    return {_text(pairs[at]): _text(pairs[at + 1]) for at in range(0, len(pairs), 2)}


def _numbers(pairs: Sequence[Any]) -> dict[str, int]:
    return {name: int(value) for name, value in _texts(pairs).items()}
