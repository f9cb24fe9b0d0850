"""A broker that is unreachable, killed, full or read-only: calls are retried, or fail with the reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.errors import BrokerAwayError
from sp500tui.cluster.queue.entries import Entry
from sp500tui.cluster.queue.stream_queue import StreamQueue
from sp500tui.pipeline.core.queue import CancelledError
from sp500tui.pipeline.core.snapshot import Health
from tests.support.cluster.broker_work import assert_work_survives, queue_on
from tests.support.cluster.valkey import CutBroker, NumberCodec, ValkeyServer
from tests.support.waiting import Wait

MakeBroker = Callable[..., Broker]


def test_a_command_executed_before_the_connection_was_cut_is_not_repeated(cut: CutBroker) -> None:
    queue = queue_on(cut)

    cut.cuts = 2
    assert queue.put([1, 2])
    assert queue.reading().total_in == 2
    cut.cuts = 1
    lease = queue.take(5)
    assert lease is not None
    assert lease.items == [1, 2]
    cut.cuts = 1
    assert lease.ack({"stored": 2})

    assert (queue.depth().ready, queue.depth().in_flight, queue.reading().total_out) == (0, 0, 2)


def test_a_lease_whose_answer_was_lost_is_returned_by_the_next_take(cut: CutBroker) -> None:
    queue = queue_on(cut)
    queue.put([1, 2])
    cut.cuts = 2
    assert queue.take(5, timeout=0) is None
    assert queue.depth().in_flight == 2

    lease = queue.take(5)

    assert lease is not None
    assert lease.items == [1, 2]
    assert lease.ack()


def test_items_finished_by_another_node_are_not_leased_again(cut: CutBroker) -> None:
    queue = queue_on(cut)
    other = StreamQueue(cut, "quotes", NumberCodec(), 100, consumer="other")
    queue.put([1, 2])
    cut.cuts = 2
    assert queue.take(5, timeout=0) is None
    cut.run("reclaim", [queue.key], ("here",))
    done = other.take(5)
    assert done is not None
    done.ack()
    queue.put([3])

    lease = queue.take(5)

    assert lease is not None
    assert lease.items == [3]


def test_nothing_is_lost_or_duplicated_when_the_broker_is_killed_under_load(
    own_valkey: ValkeyServer, make_broker: MakeBroker, eventually: Wait
) -> None:
    def kill() -> None:
        own_valkey.kill()
        own_valkey.start()

    assert_work_survives(make_broker(own_valkey, timeout=2.0), eventually, kill)


def test_an_outage_of_the_broker_is_reported_once_with_a_countdown_and_work_resumes_afterwards(
    own_valkey: ValkeyServer, make_broker: MakeBroker, eventually: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    broker = make_broker(own_valkey)
    queue = queue_on(broker)
    own_valkey.kill()
    put = threading.Thread(target=queue.put, args=([1],), daemon=True)
    put.start()

    eventually(lambda: broker.health()[0] is Health.DOWN)
    health, message, retry_in = broker.health()
    assert (health, retry_in is not None and retry_in <= 3.0) == (Health.DOWN, True)
    assert message.startswith(f"the broker at redis://127.0.0.1:{own_valkey.port}/0 cannot be reached")
    with pytest.raises(BrokerAwayError, match="cannot be reached"):
        broker.run("depth", (queue.key,), retry_for=0)
    assert queue.take(1, timeout=0) is None

    own_valkey.start()
    put.join(10)

    assert queue.depth().ready == 1
    assert broker.health() == (Health.OK, "", None)
    reported = [record.getMessage() for record in caplog.records if "the broker at" in record.getMessage()]
    assert reported[-1].endswith("works again")
    assert len(reported) == len(set(reported))


def test_no_call_waits_for_an_abandoned_broker(
    own_valkey: ValkeyServer, make_broker: MakeBroker, eventually: Wait
) -> None:
    broker = make_broker(own_valkey)
    queue = queue_on(broker)
    queue.put([1])
    lease = queue.take(1)
    assert lease is not None
    own_valkey.kill()
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(lease.ack()), daemon=True)
    thread.start()
    eventually(lambda: broker.health()[0] is Health.DOWN)

    broker.abandon()

    thread.join(10)
    assert ended == [False]
    with pytest.raises(BrokerAwayError):
        queue.put([2])


def test_a_wait_for_the_broker_can_be_cancelled(own_valkey: ValkeyServer, make_broker: MakeBroker) -> None:
    queue = queue_on(make_broker(own_valkey))
    own_valkey.kill()
    with pytest.raises(CancelledError):
        queue.put([1], cancelled=lambda: True)
    with pytest.raises(CancelledError):
        queue.take(1, cancelled=lambda: True)


def test_a_quick_restart_of_the_broker_is_not_reported(
    own_valkey: ValkeyServer, make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    queue = queue_on(make_broker(own_valkey))
    queue.put([1])
    own_valkey.kill()
    own_valkey.start()

    queue.put([2])

    assert queue.depth().ready == 2
    assert not caplog.records


def test_a_primary_that_becomes_a_replica_is_waited_for_with_a_message(
    own_valkey: ValkeyServer, valkey: ValkeyServer, make_broker: MakeBroker
) -> None:
    broker = make_broker(own_valkey)
    queue = queue_on(broker)
    queue.put([1])
    client = own_valkey.client()
    client.replicaof("127.0.0.1", valkey.port)

    with pytest.raises(CancelledError):
        queue.put([2], cancelled=lambda: True)

    assert "read-only replica" in broker.health()[1]


def test_a_full_memory_holds_puts_back_and_can_be_emptied(
    own_valkey: ValkeyServer, make_broker: MakeBroker, eventually: Wait
) -> None:
    broker = make_broker(own_valkey)
    queue, further = (
        queue_on(broker, 10**9),
        StreamQueue(broker, "rows", NumberCodec(), 10**9, consumer="here"),
    )
    queue.put([10**500] * 200)
    client = own_valkey.client()
    client.config_set("maxmemory", "1mb")

    with pytest.raises(CancelledError):
        queue.put([1], cancelled=lambda: True)
    health, message, retry_in = broker.health()
    assert (health, retry_in is not None) == (Health.DEGRADED, True)
    assert "is out of memory: raise its maxmemory" in message

    lease = queue.take(100)
    assert lease is not None
    assert further.put([1], ack=lease), "a put that frees as much memory as it takes is accepted"
    lease = queue.take(50)
    assert lease is not None
    assert lease.release()
    assert further.take(1) is not None
    assert broker.health()[0] is Health.DEGRADED, (
        "the broker stays degraded although it accepts some commands"
    )
    client.config_set("maxmemory", "0")
    assert queue.put([1])
    eventually(lambda: queue.depth() and broker.health()[0] is Health.OK)


def test_two_clusters_on_one_broker_do_not_see_each_other(
    valkey: ValkeyServer, make_broker: MakeBroker
) -> None:
    one, other = queue_on(make_broker(valkey, "one-a")), queue_on(make_broker(valkey, "one-b"))

    one.put([1])

    assert other.take(1, timeout=0) is None
    assert (one.depth().ready, other.depth().ready, other.reading().total_in) == (1, 0, 0)


def test_data_of_other_programs_under_the_same_keys_is_renamed(
    valkey: ValkeyServer, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    queue, client = queue_on(broker), valkey.client()
    client.set(queue.key, "something else")

    assert queue.put([1])

    assert queue.depth().ready == 1
    (renamed,) = client.scan_iter(f"{queue.key}:unreadable-*")
    assert client.get(renamed) == b"something else"
    assert "held data of another program" in caplog.text


def test_a_password_that_changes_under_load_loses_nothing(
    own_valkey: ValkeyServer, make_broker: MakeBroker, eventually: Wait
) -> None:
    broker = make_broker(own_valkey)
    queue, client = queue_on(broker), own_valkey.client()
    queue.put([1])
    lease = queue.take(1)
    assert lease is not None
    client.config_set("requirepass", "new")
    client.client_kill_filter(_type="normal", skipme=True)
    work = threading.Thread(target=lambda: (queue.put([2]), lease.ack()), daemon=True)
    work.start()
    eventually(lambda: "requires a password" in broker.health()[1])

    client.config_set("requirepass", "")
    work.join(10)

    assert (queue.depth().ready, queue.depth().in_flight) == (1, 0)


def test_a_lease_that_cannot_be_ended_is_ended_by_the_sweep(broker: Broker, valkey: ValkeyServer) -> None:
    queue = queue_on(broker)
    queue.put([1])
    lease = queue.take(1)
    assert lease is not None
    lease.entries = (Entry("no entry", 1),)

    assert not lease.release()

    assert queue.requeue_orphans(idle=0) == 1
    assert queue.depth().ready == 1


def test_a_script_is_loaded_again_after_a_restart_of_the_broker(valkey: ValkeyServer, broker: Broker) -> None:
    queue = queue_on(broker)
    queue.put([1])
    valkey.client().script_flush()
    queue.put([2])
    assert queue.depth().ready == 2


def test_the_clock_is_the_brokers(valkey: ValkeyServer, broker: Broker) -> None:
    def its_time() -> float:
        seconds, microseconds = valkey.client().time()
        return float(seconds) + float(microseconds) / 1e6

    theirs, ours = its_time(), time.monotonic()
    now = broker.now()
    assert theirs - 1.0 < now < its_time() + 1.0
    assert ours - 0.001 < now - broker.offset < time.monotonic() + 0.001


def test_the_clock_is_read_again_after_the_machine_was_asleep(
    own_valkey: ValkeyServer, make_broker: MakeBroker
) -> None:
    def readings() -> int:
        return int(own_valkey.client().info("commandstats").get("cmdstat_time", {}).get("calls", 0))

    # given a node that works
    asleep = 0.0
    broker = make_broker(own_valkey, clock=lambda: time.time() + asleep)
    queue = queue_on(broker)
    queue.put([1])
    before = readings()

    # when the time of day runs ahead of the monotonic clock
    asleep = 3600.0
    queue.put([2])
    after = readings()
    queue.put([3])

    # then the broker's clock was read with the next command, once
    assert after > before
    assert readings() - after == 0
