"""One scheduler at a time: its lease, its fencing token, and how the next one continues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.errors import BrokerAwayError, FencedError
from sp500tui.cluster.membership.membership import Membership
from sp500tui.cluster.scheduling.leader_election import LEASE_TTL, LeaseResult, SchedulerLease
from sp500tui.cluster.scheduling.schedule import SharedSchedule
from sp500tui.cluster.scheduling.schedule_fields import from_fields, resumed_state, to_fields
from sp500tui.pipeline.stages.schedule import Plan, ScheduleAction, ScheduleState
from tests.support.cluster.valkey import CutBroker, MakeQueue
from tests.unit.cluster.test_view import a_beat

RECORD = ScheduleState(
    number=7, total=503, running=True, started_at=10.0, due=25.0, seconds=2.5, skipped=1, interval=15.0
)


def cycles_of(broker: Broker, lease: SchedulerLease, plan: Plan | None = None) -> SharedSchedule:
    return SharedSchedule(plan or Plan(), 15.0, broker=broker, lease=lease)


def fields_of(broker: Broker) -> dict[str, str]:
    return dict(Membership(broker, "any", "DKK").view(details=False).cycle)


def scheduler(broker: Broker, name: str) -> tuple[SchedulerLease, SharedSchedule]:
    """A node that has just become the scheduler."""
    lease = SchedulerLease(broker, name)
    cycles = cycles_of(broker, lease)
    assert lease.renew() is LeaseResult.NEW
    cycles.take_over(fields_of(broker), reset=False)
    lease.activate()
    return lease, cycles


class TestLease:
    def test_one_node_has_it_and_keeps_it(self, broker: Broker) -> None:
        one, other = SchedulerLease(broker, "one"), SchedulerLease(broker, "other")
        assert (one.renew(), one.held) == (LeaseResult.NEW, False), (
            "not before the schedule has been taken over"
        )
        one.activate()
        assert one.held
        assert other.renew() is LeaseResult.REFUSED
        assert one.renew() is LeaseResult.HELD
        assert not other.held

    def test_it_expires_by_the_clock_of_this_node(self, broker: Broker) -> None:
        now = [100.0]
        lease = SchedulerLease(broker, "one", clock=lambda: now[0])
        lease.renew()
        lease.activate()
        now[0] += LEASE_TTL - 0.6
        assert lease.held
        now[0] += 0.2
        assert not lease.held

    def test_stepping_down_frees_the_role_and_the_next_token_is_higher(self, broker: Broker) -> None:
        one, other = SchedulerLease(broker, "one"), SchedulerLease(broker, "other")
        one.renew()
        one.activate()
        other.resign()
        assert one.renew() is LeaseResult.HELD, "only the holder can give it back"
        one.resign()
        assert not one.held
        assert other.renew() is LeaseResult.NEW
        assert other.token > one.token


class TestFence:
    def test_a_deposed_scheduler_writes_nothing(self, broker: Broker) -> None:
        # given a scheduler that was suspended while another took over
        _, old = scheduler(broker, "old")
        old.begin(503)
        broker.run("resign", [broker.key("scheduler")], ["old"])
        _, new = scheduler(broker, "new")

        # when both try to write
        number = new.begin(10)
        with pytest.raises(FencedError, match="another node has become the scheduler"):
            old.begin(503)

        # then only the new one's values are accepted
        assert fields_of(broker)["number"] == str(number)
        assert fields_of(broker)["total"] == "10"

    def test_tickers_of_a_deposed_scheduler_are_refused(self, broker: Broker, make_stream: MakeQueue) -> None:
        old, _ = scheduler(broker, "old")
        key = broker.key("scheduler:token")
        queue = make_stream(name="tickers", fencing_token=lambda: (key, str(old.token)))
        assert queue.put([1])
        broker.run("resign", [broker.key("scheduler")], ["old"])
        SchedulerLease(broker, "new").renew()
        with pytest.raises(FencedError):
            queue.put([2])
        assert queue.depth().ready == 1


def raise_away(*_: object, **__: object) -> None:
    raise BrokerAwayError("the broker cannot be reached")


class TestTakingOver:
    def test_the_schedule_means_the_same_on_every_clock(self) -> None:
        fields = to_fields(RECORD, offset=1_700_000_000.0)
        assert from_fields(fields, offset=1_700_000_000.0) == RECORD
        shifted = from_fields(fields, offset=1_700_000_000.0 + 500)
        assert shifted.due == pytest.approx(RECORD.due - 500)

    def test_a_running_cycle_continues(self) -> None:
        fields = to_fields(RECORD, offset=0.0)
        assert resumed_state(fields, 0.0, now=12.0) == RECORD

    def test_a_cycle_with_missing_tickers_starts_again(self) -> None:
        fields = to_fields(replace(RECORD, complete=False), offset=0.0)
        found = resumed_state(fields, 0.0, now=12.0)
        assert (found.number, found.running, found.due) == (6, False, 12.0)

    def test_the_next_scheduler_continues_number_and_interval(self, broker: Broker) -> None:
        # given a scheduler in its second cycle
        lease, first = scheduler(broker, "first")
        for _ in range(2):
            assert first.next_action() is ScheduleAction.START or first.request()
            first.begin(3)
            first.mark_complete()
            first.finish()
        first.set_interval(0.7)
        first.publish()

        # when another takes over
        lease.resign()
        _, second = scheduler(broker, "second")

        # then its next cycle is the third, at the same interval
        assert (second.number, second.interval, second.running) == (2, 0.7, False)
        assert second.begin(3) == 3

    def test_a_cycle_that_could_not_be_published_has_not_begun(
        self, broker: Broker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a broker that is unavailable when a cycle begins
        _, cycles = scheduler(broker, "first")
        with monkeypatch.context() as patched:
            patched.setattr(broker, "run", raise_away)
            with pytest.raises(BrokerAwayError):
                cycles.begin(3)

        # then the cycle is neither running nor over, and starts when the broker is available again
        assert (cycles.number, cycles.running, cycles.complete) == (0, False, False)
        assert cycles.next_action() is ScheduleAction.START
        assert cycles.begin(3) == 1

    def test_the_first_node_starts_at_once_with_its_own_interval(self, broker: Broker) -> None:
        lease, first = scheduler(broker, "first")
        first.begin(3)
        first.mark_complete()
        first.finish()
        first.publish()
        lease.resign()
        fresh = SchedulerLease(broker, "fresh")
        cycles = SharedSchedule(Plan(), 60.0, broker=broker, lease=fresh)
        fresh.renew()
        cycles.take_over(fields_of(broker), reset=True)
        fresh.activate()
        assert cycles.interval == 60.0
        assert cycles.next_action() is ScheduleAction.START


class TestFollowing:
    def test_other_nodes_start_no_cycle_and_show_the_same(self, broker: Broker) -> None:
        _, leading = scheduler(broker, "leading")
        other = SchedulerLease(broker, "other")
        following = cycles_of(broker, other)
        leading.begin(503)
        assert other.renew() is LeaseResult.REFUSED
        following.follow(fields_of(broker))
        assert following.next_action() is ScheduleAction.WAIT
        seen = following.snapshot(100, stopping=False)
        assert (seen.number, seen.total, seen.done, seen.running) == (1, 503, 403, True)
        leading.finish()
        leading.publish()
        following.follow(fields_of(broker))
        assert not following.running

    def test_planned_cycles_count_from_the_one_found(self, broker: Broker) -> None:
        cycles = cycles_of(broker, SchedulerLease(broker, "one"), Plan(cycles=2))
        cycles.load(RECORD)
        cycles.count_from(7)
        assert not cycles.fulfilled
        for number, running, fulfilled in ((9, True, False), (9, False, True), (10, True, True)):
            cycles.load(ScheduleState(number=number, total=503, running=running, due=0, interval=15))
            assert cycles.fulfilled is fulfilled


class TestGivingUp:
    def test_only_silent_nodes_are_evicted_and_by_one_caller_only(
        self,
        broker: Broker,
        make_stream: MakeQueue,
        monkeypatch: pytest.MonkeyPatch,
        eventually: Callable[[Callable[[], object]], None],
    ) -> None:
        monkeypatch.setattr("sp500tui.cluster.membership.membership.HEARTBEAT_TIMEOUT", 0.3)
        here, gone = Membership(broker, "here", "DKK"), Membership(broker, "gone", "DKK")
        rows = make_stream(name="rows", consumer="gone")
        rows.put([1, 2, 3])
        lease = rows.take(2)
        assert lease is not None
        assert not gone.heartbeat(a_beat("gone"), ())
        here.set_desired({"gone|price": "3", "here|price": "2"})
        assert not here.evict("gone", [rows.key])
        assert rows.depth().in_flight == 2, "who is heard keeps what it holds"
        eventually(lambda: here.evict("gone", [rows.key]))
        assert not here.evict("gone", [rows.key])

        assert (rows.depth().ready, rows.depth().in_flight) == (3, 0)
        assert not lease.ack()
        view = here.view(details=False)
        assert "gone" not in view.heartbeats
        assert view.desired == {"here|price": "2"}
        (lost,) = view.lost
        assert lost.heartbeat.name == "gone"
        assert lost.held == {"rows": 2}
        assert gone.heartbeat(a_beat("gone"), ()), "it learns that it was evicted"
        assert not gone.heartbeat(a_beat("gone"), ()), "and only once"
        assert here.view(details=False).lost == ()
        eventually(lambda: here.evict("gone", [rows.key]))
        assert gone.heartbeat(a_beat("gone"), ()), "and of every time"

    def test_a_node_learns_of_its_eviction_although_the_first_answer_was_lost(
        self, broker: Broker, cut: CutBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sp500tui.cluster.membership.membership.HEARTBEAT_TIMEOUT", 0.0)
        gone = Membership(cut, "gone", "DKK")
        gone.heartbeat(a_beat("gone"), ())
        assert Membership(broker, "here", "DKK").evict("gone", [])

        cut.cuts = 2
        assert gone.heartbeat(a_beat("gone"), ())
        assert not gone.heartbeat(a_beat("gone"), ())
