"""Aggregation over nodes: sums, the worst health, and the status messages of nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.cluster.membership.view import ClusterView, LostNode
from sp500tui.cluster.node.snapshot import (
    completed_only,
    lost_label,
    max_latency,
    merge_stages,
    merge_upstream,
    node_snapshots,
    subtract_baseline,
)
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, Latency, Phase, SourceSnapshot
from tests.unit.cluster.test_view import a_beat, a_stage


def no_target(_node: str, _stage: StageName) -> int | None:
    return None


class TestStages:
    def test_pools_add_up_over_the_nodes(self) -> None:
        one = replace(
            a_stage(StageName.PRICE, 3), busy=1, items=10, rate=2.0, latency=Latency(1.0, 9.0, None)
        )
        two = replace(a_stage(StageName.PRICE, 2), busy=2, items=5, rate=0.5, latency=Latency(4.0, 5.0, None))
        heartbeats = [Heartbeat("a", "vm", "1", stages=(one,)), Heartbeat("b", "vm", "1", stages=(two,))]

        scraper, price, converter, writer, history = merge_stages(heartbeats, no_target)

        assert (price.size, price.alive, price.busy, price.items, price.rate) == (5, 5, 3, 15, 2.5)
        assert price.latency == Latency(4.0, 9.0, None)
        assert [stage.size for stage in (scraper, converter, writer, history)] == [0, 0, 0, 0]

    def test_a_requested_size_is_shown_before_it_is_reached(self) -> None:
        heartbeats = [a_beat("a", StageName.PRICE)]
        price = merge_stages(heartbeats, lambda node, stage: 9)[1]
        assert (price.size, price.alive) == (9, 2)


def test_the_worst_of_no_latencies_is_none() -> None:
    assert max_latency([]) == Latency()
    assert max_latency([Latency(), Latency(3.0, None, 5.0)]) == Latency(3.0, None, 5.0)


class TestUpstream:
    OWN_SOURCE = SourceSnapshot(Health.OK, rate_limit=5.0, fx_pair="USD/DKK", fx_rate="6.9")

    def beat(self, **sources: object) -> Heartbeat:
        return replace(a_beat("a"), sources=replace(SourceSnapshot(Health.OK), **sources))  # type: ignore[arg-type]

    def test_requests_add_up_and_the_worst_health_is_shown(self) -> None:
        seen = merge_upstream(
            self.OWN_SOURCE,
            [
                self.beat(requests=10, failed=1, rate_limit=2.5, last_success=7.0),
                self.beat(
                    requests=5, throttled=2, rate_limit=2.5, health=Health.DOWN, message="429", retry_in=3.0
                ),
            ],
        )
        assert (seen.requests, seen.failed, seen.throttled, seen.rate_limit) == (15, 1, 2, 5.0)
        assert (seen.health, seen.message, seen.retry_in, seen.last_success) == (Health.DOWN, "429", 3.0, 7.0)
        assert (seen.fx_pair, seen.fx_rate) == ("USD/DKK", "6.9")

    def test_without_price_workers_the_source_is_unknown(self) -> None:
        assert merge_upstream(self.OWN_SOURCE, [a_beat("a")]).health is Health.STARTING

    def test_a_node_that_has_just_started_does_not_affect_the_health_of_the_source(self) -> None:
        seen = merge_upstream(self.OWN_SOURCE, [self.beat(health=Health.STARTING), self.beat()])
        assert seen.health is Health.OK


class TestNodes:
    def test_this_node_comes_first_and_every_state_has_a_message(self) -> None:
        heartbeats = {
            "vm:1:a": a_beat("vm:1:a", StageName.PRICE),
            "vm:2:b": replace(a_beat("vm:2:b"), phase=Phase.DRAINING),
            "vm:3:c": replace(a_beat("vm:3:c"), trouble="database: away"),
            "vm:4:d": a_beat("vm:4:d"),
        }
        heard = {"vm:1:a": 99.0, "vm:2:b": 99.0, "vm:3:c": 99.0, "vm:4:d": 92.0}
        gone = LostNode(a_beat("vm:5:e"), 60.0, {}, {})
        long_gone = LostNode(a_beat("vm:0:f"), -600.0, {}, {})
        view = ClusterView(
            time=100.0, last_seen=heard, heartbeats=heartbeats, lost=(gone, long_gone), scheduler="vm:1:a"
        )

        nodes = node_snapshots(view, a_beat("vm:9:z"), no_target)

        assert [node.name for node in nodes] == ["vm:9:z", "vm:1:a", "vm:2:b", "vm:3:c", "vm:4:d", "vm:5:e"]
        assert [node.health for node in nodes] == [
            Health.OK,
            Health.OK,
            Health.DEGRADED,
            Health.DEGRADED,
            Health.DEGRADED,
            Health.DOWN,
        ]
        assert [node.name for node in nodes if node.scheduler] == ["vm:1:a"]
        assert [node.name for node in nodes if node.here] == ["vm:9:z"]
        assert nodes[2].message.startswith("draining")
        assert nodes[3].message == "database: away"
        assert nodes[4].message == "no heartbeat for 8 s"
        assert nodes[5].heard == 40.0

    @pytest.mark.parametrize(
        ("held", "takers", "words"),
        [
            ({}, {}, "held no items"),
            ({"rows": 500, "quotes": 0}, {}, "held 500 rows, which wait for another node"),
            (
                {"tickers": 50, "rows": 1500},
                {("vm:2:b", "rows"): 1500, ("vm:2:b", "tickers"): 20, ("vm:3:c", "tickers"): 30},
                "held 50 tickers and 1,500 rows; reassigned to vm:2 (1,500 rows and 20 tickers), vm:3 (30 tickers)",
            ),
        ],
    )
    def test_the_message_of_a_lost_node_names_its_items_and_the_nodes_that_have_them(
        self, held: dict[str, int], takers: dict[tuple[str, str], int], words: str
    ) -> None:
        assert lost_label(LostNode(a_beat("vm:1:a"), 0.0, held, takers)) == words


def test_a_run_is_accounted_for_from_where_it_joined() -> None:
    start = Ledger(fetched=1000, stored=600, duplicate=300, queued=60, in_flight=30, dead=10)
    end = Ledger(fetched=1503, stored=1100, duplicate=390, queued=3, dead=10)
    assert start.is_balanced
    assert end.is_balanced

    reported = subtract_baseline(end, start)

    assert reported == Ledger(fetched=593, stored=500, duplicate=90, queued=3)
    assert reported.is_balanced


def test_items_of_the_next_cycle_do_not_count_in_a_finished_run() -> None:
    ledger = Ledger(fetched=600, stored=500, duplicate=3, queued=60, in_flight=37)
    assert completed_only(ledger) == Ledger(fetched=503, stored=500, duplicate=3)
