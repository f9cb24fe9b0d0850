"""Outages of a cluster: no broker, a wrong password, another version, a broker that fails and recovers."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sp500tui import __version__
from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.membership.membership import Membership
from sp500tui.cluster.scheduling.schedule import SharedSchedule
from sp500tui.errors import ExitCode
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, Phase
from sp500tui.pipeline.report import exit_code
from tests.support.cluster.nodes import ClusterUnderTest, continues_after_outage
from tests.support.cluster.valkey import ValkeyServer, new_server
from tests.support.ports import free_port
from tests.unit.cluster.test_heartbeat import BEAT


class TestAtTheStart:
    def test_a_bounded_run_without_a_broker_fails_at_once(self, join: ClusterUnderTest) -> None:
        node = join(once=True, broker=f"redis://127.0.0.1:{free_port()}/0")
        assert node.node.join(60)
        report = node.node.outcome()
        assert exit_code(report) is ExitCode.DATABASE
        assert "cannot be reached" in report.failure

    @pytest.mark.thorough
    def test_a_service_waits_for_its_broker_with_a_message(
        self, join: ClusterUnderTest, tmp_path: Path
    ) -> None:
        # given a node whose broker does not run yet
        server = ValkeyServer(tmp_path, free_port())
        node = join(broker=server.url)
        seen = node.waits_for(lambda s: s.broker_health is Health.DOWN, "the outage of the broker")
        assert seen.phase is Phase.STARTING
        assert any("cannot be reached" in reason and "next attempt in" in reason for reason in seen.degraded)

        # when it is started
        server.start()
        try:
            # then the node works
            seen = node.waits_for(lambda s: s.ledger.stored >= 3, "stored rows")
            assert (seen.phase, seen.broker_health, seen.broker_message) == (Phase.RUNNING, Health.OK, "")
            node.stops()
        finally:
            server.kill()

    def test_a_node_that_still_waits_can_be_stopped(self, join: ClusterUnderTest) -> None:
        node = join(broker=f"redis://127.0.0.1:{free_port()}/0")
        node.waits_for(lambda s: s.broker_health is Health.DOWN, "the outage of the broker")
        node.node.stop(ShutdownLevel.DRAIN)
        assert node.node.join(60)
        assert node.snapshot().failure == ""

    def test_a_wrong_password_is_refused_without_showing_it(
        self, join: ClusterUnderTest, tmp_path: Path
    ) -> None:
        server = new_server(password="right")
        try:
            file = tmp_path / "password"
            file.write_text("geheim\n")
            bare = f"redis://127.0.0.1:{server.port}/0"
            for wrong in (file, None):
                node = join(broker=bare, broker_password_file=wrong)
                assert node.node.join(60)
                seen = node.snapshot()
                assert seen.phase is Phase.FAILED
                assert "password" in seen.failure
                assert "geheim" not in seen.failure
            file.write_text("right\n")
            node = join(broker=bare, broker_password_file=file)
            node.waits_for(lambda s: s.phase is Phase.RUNNING, "the start with the right one")
            node.stops()
        finally:
            server.close()

    def test_nodes_of_another_version_are_not_joined(
        self, join: ClusterUnderTest, valkey: ValkeyServer
    ) -> None:
        broker = Broker(valkey.url, join.cluster_name)
        broker.open()
        Membership(broker, BEAT.name, "DKK").heartbeat(replace(BEAT, version="0.0.9"), ())
        node = join()
        assert node.node.join(60)
        broker.close()
        report = node.node.outcome()
        assert f"runs sp500tui 0.0.9, this is {__version__}" in report.failure
        assert exit_code(report) is ExitCode.USAGE


class TestLater:
    @pytest.mark.thorough
    def test_a_broker_that_is_killed_and_restarted_loses_nothing(
        self, join: ClusterUnderTest, own_valkey: ValkeyServer
    ) -> None:
        # given two nodes at work
        one = join("scraper,price=2,writer=1", broker=own_valkey.url)
        two = join("price=1,converter=1,writer=1", broker=own_valkey.url)
        two.waits_for(lambda s: s.ledger.stored >= 3 and len(s.nodes) == 2, "stored rows")

        # when the broker is killed, and started again
        seen = continues_after_outage((one, two), own_valkey.kill, own_valkey.start)

        # then no node counts as lost
        assert all(node.health is not Health.DOWN for node in seen.nodes)
        assert not [event for event in two.events if "lost" in event.kind]
        one.stops()
        two.stops()

    @pytest.mark.thorough
    def test_a_stopped_broker_makes_no_node_count_as_lost(
        self, join: ClusterUnderTest, own_valkey: ValkeyServer
    ) -> None:
        # given two nodes at work for a while
        one, two = join(broker=own_valkey.url), join(broker=own_valkey.url)
        for node in (one, two):
            node.waits_for(lambda s: s.ledger.stored >= 3 and len(s.nodes) == 2, "stored rows")

        # when the broker gets no heartbeat for longer than a node may be silent
        assert own_valkey.process is not None
        own_valkey.process.send_signal(signal.SIGSTOP)
        for node in (one, two):
            node.waits_for(lambda s: s.broker_health is Health.DOWN, "the outage of the broker")
        own_valkey.process.send_signal(signal.SIGCONT)

        # then both continue, and neither has evicted the other
        number = one.snapshot().cycle.number
        for node in (one, two):
            node.waits_for(lambda s: s.cycle.number > number + 2, "further cycles")
            node.waits_for(lambda s: all(seen.health is Health.OK for seen in s.nodes), "heartbeats")
            assert node.reported(EventKind.NODE_LOST) == []
            node.stops()

    @pytest.mark.thorough
    def test_a_node_without_its_broker_ends_on_a_signal(
        self, join: ClusterUnderTest, own_valkey: ValkeyServer
    ) -> None:
        node = join(broker=own_valkey.url)
        node.waits_for(lambda s: s.ledger.stored >= 3, "stored rows")
        own_valkey.kill()
        node.waits_for(lambda s: s.broker_health is Health.DOWN, "the outage of the broker")
        node.node.stop(ShutdownLevel.DRAIN)
        node.node.stop(ShutdownLevel.SPOOL)
        assert node.node.join(25), "it waits for a broker that does not come"

    @pytest.mark.thorough
    def test_rows_wait_on_the_broker_while_the_database_is_down(self, join: ClusterUnderTest) -> None:
        # given a writer that cannot reach its database, and one that can
        cut_off = join("writer=1", database=f"postgresql://user@127.0.0.1:{free_port()}/none")
        node = join("scraper,price=1,converter=1,writer=1")

        # when rows arrive
        node.waits_for(lambda s: s.cycle.number >= 4, "cycles")

        # then the latter stores them all, and the former reports its problem
        seen = node.waits_for(lambda s: s.ledger.stored >= 3 and not s.cycle.running, "all stored")
        assert seen.ledger.is_balanced
        troubled = node.sees(cut_off)
        assert troubled is not None
        assert troubled.health is Health.DEGRADED
        assert "127.0.0.1" in troubled.message
        assert seen.stage(StageName.WRITER).alive == 2


class TestPoison:
    @pytest.mark.thorough
    def test_an_invalid_ticker_is_removed_and_work_continues(self, join: ClusterUnderTest) -> None:
        node = join()
        node.waits_for(lambda s: s.ledger.stored >= 3, "stored rows")
        key = f"sp500tui:{{{join.cluster_name}}}:queue:quotes"
        client = join.broker.client()
        client.xadd(key, {"d": b"no quote of ours"})
        client.close()
        number = node.snapshot().cycle.number
        seen = node.waits_for(
            lambda s: s.ledger.dead == 1 and s.cycle.number > number + 1 and not s.cycle.running, "its burial"
        )
        assert seen.stage(StageName.CONVERTER).restarts == 0


@pytest.mark.thorough
def test_an_outage_of_the_broker_at_the_start_of_a_cycle_loses_no_price(
    join: ClusterUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a broker that is killed between the decision to begin a cycle and its publication
    server = new_server()
    publish = SharedSchedule.publish
    killed = threading.Event()

    def publish_to_a_dead_broker(self: SharedSchedule) -> None:
        if self.running and not killed.is_set():
            killed.set()
            server.kill()
            threading.Timer(3.0, server.start).start()
        publish(self)

    monkeypatch.setattr(SharedSchedule, "publish", publish_to_a_dead_broker)
    try:
        # when the only cycle of a node begins
        node = join(broker=server.url, once=True)
        assert node.node.join(60)

        # then all its symbols are still stored
        report = node.node.outcome()
        assert exit_code(report) is ExitCode.OK
        assert (report.ledger.fetched, report.ledger.stored) == (3, 3)
    finally:
        server.close()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["once", "duration"])
def test_a_bounded_node_ends_though_another_one_schedules(join: ClusterUnderTest, kind: str) -> None:
    scheduler = join()
    scheduler.waits_for(lambda s: s.ledger.stored >= 3, "stored rows")
    bounded = join("price=1", **({"once": True} if kind == "once" else {"duration": 1.0}))
    assert bounded.node.join(40)
    assert bounded.snapshot().phase is Phase.STOPPED
    assert bounded.node.outcome().failure == ""
