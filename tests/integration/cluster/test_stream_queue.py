"""A queue on the broker beyond the protocol: leases that two nodes cannot both hold, and poison messages."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.errors import BrokerError, FencedError
from sp500tui.cluster.membership.view import LOST_NODE_TTL
from sp500tui.cluster.node.broker_state import read_state
from sp500tui.cluster.queue.dead_lettering import PoisonMessage
from sp500tui.cluster.queue.stream_queue import StreamLease, StreamQueue
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.queue import MemoryQueue
from tests.support.cluster.valkey import MakeQueue, ValkeyServer
from tests.support.waiting import Wait


def lease_of(queue: StreamQueue[int], n: int = 10) -> StreamLease[int]:
    lease = queue.take(n, timeout=0)
    assert lease is not None
    return lease


def lose(broker: Broker, node: str, *queues: StreamQueue[int]) -> None:
    """Evict a node as lost, like another node that misses its heartbeat."""
    keys = [broker.key(name) for name in ("heard", "beats", "details", "lost", "desired")]
    broker.run("heartbeat", keys[:4], (node, "{}", "[]"))
    assert broker.run("evict", [*keys, *(queue.key for queue in queues)], (node, 0, 60, 60)) == 1


def test_items_of_a_lost_node_move_to_another_and_its_leases_are_void(
    broker: Broker, make_stream: MakeQueue
) -> None:
    lost, other = make_stream(consumer="lost"), make_stream(consumer="other")
    further = make_stream(name="rows", consumer="lost")
    lost.put([1, 2, 3])
    stale = lease_of(lost, 2)

    lose(broker, "lost", lost)
    taken = lease_of(other)

    assert taken.items == [1, 2, 3]
    assert not further.put([10, 20], ack=stale)
    assert not stale.ack({"stored": 2})
    assert not stale.release()
    assert further.depth().ready == 0
    assert taken.ack({"stored": 3})
    assert read_state(broker).counters == {"stored": 3}


@pytest.mark.parametrize("end", ["ack", "release", "hand over"])
def test_a_node_that_gets_its_own_items_again_cannot_end_them_by_the_old_lease(
    broker: Broker, make_stream: MakeQueue, end: str
) -> None:
    queue, further = make_stream(), make_stream(name="rows")
    queue.put([1, 2])
    stale = lease_of(queue)
    lose(broker, "here", queue)
    newer = lease_of(queue)

    if end == "hand over":
        assert not further.put([10], ack=stale)
    else:
        assert not getattr(stale, end)()

    assert queue.depth().in_flight == 2
    assert further.depth().ready == 0
    assert newer.ack()


def test_a_takeover_from_a_lost_node_is_counted_once(
    valkey: ValkeyServer, broker: Broker, make_stream: MakeQueue
) -> None:
    lost, one, two = (make_stream(consumer=name) for name in ("lost", "one", "two"))
    lost.put([1, 2, 3])
    lease_of(lost)
    lose(broker, "lost", lost)

    lease_of(one, 2).release()
    lease_of(two, 3)

    key = broker.key("lost", "lost", "takers")
    assert valkey.client().hgetall(key) == {b"quotes one": b"2", b"quotes two": b"1"}
    # Every lost node has such a key, which must expire.
    assert LOST_NODE_TTL <= valkey.client().ttl(key) <= 3600


def test_an_item_that_was_held_by_too_many_lost_nodes_is_removed(
    broker: Broker, make_stream: MakeQueue
) -> None:
    poisoned: list[PoisonMessage[int]] = []
    queue = make_stream(max_deliveries=2, dead_counter="dead", on_poison=poisoned.extend)
    queue.put([1, 2])
    for _ in range(2):
        lease_of(queue, 1)
        lose(broker, "here", queue)

    rest = lease_of(queue)

    assert rest.items == [2]
    assert [(poison.item, poison.payload) for poison in poisoned] == [(1, b"1")]
    assert "2 nodes were lost while they held it" in poisoned[0].reason
    assert read_state(broker).counters == {"dead": 1}
    assert (queue.depth().in_flight, queue.reading().total_out) == (1, 1)


def test_ordinary_releases_do_not_count_against_an_item(make_stream: MakeQueue) -> None:
    queue = make_stream(max_deliveries=2)
    queue.put([1])
    for _ in range(6):
        lease_of(queue).release()

    assert lease_of(queue).items == [1]


def test_an_unreadable_entry_is_removed_and_the_others_are_processed(
    broker: Broker, make_stream: MakeQueue
) -> None:
    poisoned: list[PoisonMessage[int]] = []
    queue = make_stream(on_poison=poisoned.extend, dead_counter="dead")
    queue.put([1])
    broker.run_once(
        "put", (queue.key, broker.key("books"), "", queue.key), (-1, "", "", "x", "", b"\xffnonsense")
    )
    queue.put([2])

    assert lease_of(queue).items == [1, 2]
    assert [poison.item for poison in poisoned] == [None]
    assert "no number" in poisoned[0].reason
    assert read_state(broker).counters == {"dead": 1}


def test_nothing_is_lost_while_poison_messages_cannot_be_stored(make_stream: MakeQueue) -> None:
    def full_disk(_poison: Sequence[PoisonMessage[int]]) -> None:
        raise BrokerError("the disk is full")

    queue = make_stream(on_poison=full_disk, max_deliveries=0)
    queue.put([1, 2])

    with pytest.raises(BrokerError, match="disk is full"):
        queue.take(10)

    assert (queue.depth().ready, queue.depth().in_flight) == (2, 0)


def test_only_the_holder_of_the_fencing_token_may_put(broker: Broker, make_stream: MakeQueue) -> None:
    token = "7"
    queue = make_stream(fencing_token=lambda: (broker.key("token"), token))

    with pytest.raises(FencedError, match="the fencing token is outdated"):
        queue.put([1])

    assert queue.depth().ready == 0


def test_the_ledger_counts_a_put_in_the_same_step(broker: Broker, make_stream: MakeQueue) -> None:
    make_stream(put_counter="fetched").put([1, 2, 3])
    make_stream(name="rows").put([1])
    lease_of(make_stream(name="rows")).ack({"stored": 1, "duplicate": 0})

    state = read_state(broker)

    assert state.ledger.fetched == 3
    assert (state.ledger.queued, state.ledger.stored, state.outstanding) == (3, 1, 3)
    assert state.queues[QueueName.QUOTES].high_water == 3
    assert state.queues[QueueName.TICKERS].oldest_age is None


def test_other_items_that_went_back_stay_the_others_after_their_node_is_lost(
    broker: Broker, make_stream: MakeQueue
) -> None:
    queue = make_stream()
    queue.put([1, 2])
    lease_of(queue).release([11, 2])
    lease_of(queue)
    lose(broker, "here", queue)

    assert lease_of(queue).items == [11, 2]


def test_more_cannot_go_back_than_was_leased(make_stream: MakeQueue) -> None:
    queue = make_stream()
    queue.put([1])
    with pytest.raises(BrokerError, match="2 items cannot replace 1 leased"):
        lease_of(queue).release([1, 2])


def test_a_lease_of_another_queue_type_cannot_be_handed_over(make_stream: MakeQueue) -> None:
    memory: MemoryQueue[int] = MemoryQueue(10)
    memory.put([1])
    with pytest.raises(BrokerError, match="only a lease of a broker queue"):
        make_stream().put([1], ack=memory.take(1))


def test_the_age_is_that_of_the_oldest_item_even_after_a_release(
    make_stream: MakeQueue, eventually: Wait
) -> None:
    queue = make_stream()
    queue.put([1])
    eventually(lambda: (queue.reading().oldest_age or 0) > 0.05)
    queue.put([2])
    lease = lease_of(queue, 1)
    younger = queue.reading().oldest_age

    lease.release()

    older = queue.reading().oldest_age
    assert younger is not None
    assert older is not None
    assert older >= younger + 0.05


def test_deregistration_releases_everything_and_counts_against_no_item(
    broker: Broker, make_stream: MakeQueue
) -> None:
    queue = make_stream(max_deliveries=1)
    queue.put([1])
    lease_of(queue)

    assert broker.run("reclaim", (queue.key, broker.key("queue", "never-used")), ("here",)) == [1, 0]

    assert lease_of(queue).items == [1]


def test_entries_without_a_lease_are_put_back(broker: Broker, make_stream: MakeQueue) -> None:
    forgetful, queue = make_stream(), make_stream()
    queue.put([1, 2, 3])
    lease_of(forgetful, 2)
    held = lease_of(queue, 1)

    assert queue.requeue_orphans(idle=0) == 2

    assert lease_of(queue).items == [1, 2]
    assert held.ack()


def test_large_leases_are_released_and_taken_again_in_order(make_stream: MakeQueue) -> None:
    queue = make_stream(5000)
    numbers = list(range(3000))
    queue.put(numbers)

    lease_of(queue, 3000).release(numbers[1:])
    again = lease_of(queue, 5000)

    assert again.items == numbers[1:]
    assert again.ack()
    assert queue.reading().total_out == 3000


def test_an_idle_node_sends_few_commands(valkey: ValkeyServer, make_stream: MakeQueue) -> None:
    client, queue = valkey.client(), make_stream()

    def scripts_run() -> int:
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

    assert queue.take(1, timeout=0) is None
    before, started = scripts_run(), time.monotonic()

    assert queue.take(1, timeout=1.0) is None

    seconds = time.monotonic() - started
    assert scripts_run() - before <= 10 * seconds + 6
