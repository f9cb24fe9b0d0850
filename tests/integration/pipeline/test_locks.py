"""No lock is held across a call that can block, and all locks are acquired in one order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.snapshot import Health, WorkerState
from tests.faults.rig.engine import EngineStarter
from tests.faults.rig.steps import FIFTY
from tests.support.cluster.nodes import ClusterUnderTest
from tests.support.cluster.valkey import ValkeyServer, new_server
from tests.support.locks import Watch, watching


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    with watching(monkeypatch) as found:
        yield found


@pytest.fixture
def own_broker() -> Iterator[ValkeyServer]:
    server = new_server()
    yield server
    server.close()


def is_in_order(watch: Watch, *expected: str) -> None:
    assert watch.names >= set(expected), "the locks that this is about were not made"
    assert watch.waits == []
    assert watch.cycles() == [], watch.taken
    assert watch.out_of_order() == []


def test_the_pipeline_takes_its_locks_in_order(watch: Watch, start: EngineStarter, database_url: str) -> None:
    # given a market that throttles and loses answers, pools that are scaled, and snapshots all the time
    start.market.set_faults(throttle=0.2)
    run = start(database_url, symbols=FIFTY, interval=0.3, cycles=3, write_batch=20)
    run.waits_for(lambda seen: seen.ledger.stored >= 50, "stored rows")
    start.market.clear_faults()
    assert run.pipeline.join(60)

    # then
    is_in_order(
        watch,
        "WorkerPool._lock",
        "LedgerCounters.lock",
        "Segment._lock",
        "FxRates._changed",
        "Throttle._changed",
    )


@pytest.mark.thorough
def test_a_node_takes_its_locks_in_order_also_without_its_broker(
    watch: Watch, join: ClusterUnderTest, own_broker: ValkeyServer
) -> None:
    # given a node with a screen whose broker fails and recovers
    node = join(broker=own_broker.url, no_ui=False, symbols=FIFTY)
    node.waits_for(lambda seen: seen.ledger.stored >= 50, "stored rows")
    own_broker.kill()
    seen = node.waits_for(lambda seen: seen.broker_health is Health.DOWN, "the outage of the broker")
    own_broker.start()
    node.waits_for(lambda later: later.ledger.stored > seen.ledger.stored, "more rows")
    node.stops()

    # then
    is_in_order(
        watch, "WorkerPool._lock", "StreamQueue._poll_lock", "LeaseBatchStore._lock", "CycleSchedule._lock"
    )


def test_a_call_under_a_lock_is_found(watch: Watch) -> None:
    """The watch itself reports a violation."""
    from sp500tui.pipeline.core.latest_prices import LatestPrices
    from sp500tui.pipeline.stages.schedule import CycleSchedule, Plan

    cycles, latest_prices = CycleSchedule(Plan(), 1.0), LatestPrices()
    with cycles._lock, latest_prices._lock:
        threading.Event().wait(0)
    with latest_prices._lock, cycles._lock:
        watch.waiting("a query")

    assert watch.cycles() == ["CycleSchedule._lock", "LatestPrices._lock"]
    assert [each.partition(" in ")[0] for each in watch.out_of_order()] == [
        "LatestPrices._lock after CycleSchedule._lock",
        "CycleSchedule._lock after LatestPrices._lock",
    ]
    assert [wait.partition(" in ")[0] for wait in watch.waits] == [
        "a query while ['LatestPrices._lock', 'CycleSchedule._lock'] is held,"
    ]


@pytest.mark.thorough
def test_a_node_without_its_broker_answers_and_can_be_stopped(
    join: ClusterUnderTest, own_broker: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a broker that fails while a price worker waits for a response and soon counts as hung
    node = join(broker=own_broker.url, interval=0.5, price_workers=2)
    node.waits_for(lambda seen: seen.ledger.stored >= 3, "stored rows")
    stage = next(stage for name, stage in node.node.components.stages.items() if name == "price")
    join.market.set_faults(latency=3.0)
    node.waits_for(lambda _seen: any(worker.busy for worker in stage.workers), "a request")
    own_broker.kill()
    stage.hang_after = 0.1
    node.waits_for(lambda seen: any(w.state is WorkerState.HUNG for w in seen.workers), "a hung worker")

    # when it is stopped while the broker is still unavailable
    node.node.stop(ShutdownLevel.DRAIN)

    # then snapshots are still returned, and it ends
    assert node.snapshot().broker_health is Health.DOWN
    assert node.node.join(40)
