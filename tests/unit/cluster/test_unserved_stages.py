"""Stages that no node runs are named with the remedy."""

from __future__ import annotations

from sp500tui.cluster.membership.view import ClusterView, unserved_stages
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.queue import Depth
from tests.unit.cluster.test_view import a_beat

EMPTY = {name: Depth(0, 0, 100, None) for name in QueueName}


def cluster(*stages: StageName) -> ClusterView:
    return ClusterView(time=10.0, last_seen={"a": 9.5}, heartbeats={"a": a_beat("a", *stages)})


def test_a_cluster_with_all_stages_lacks_nothing() -> None:
    full = {name: Depth(9, 0, 100, 60.0) for name in QueueName}
    assert unserved_stages(cluster(*StageName), full) == {}


def test_without_a_scheduler_no_cycle_starts() -> None:
    assert unserved_stages(cluster(StageName.PRICE), EMPTY) == {
        StageName.SCRAPER: "no node starts cycles: start one with sp500tui worker --stages scraper"
    }


def test_items_without_a_stage_are_named_with_the_remedy() -> None:
    waiting = EMPTY | {QueueName.ROWS: Depth(1500, 0, 100, 6.0), QueueName.QUOTES: Depth(3, 0, 100, 0.5)}
    assert unserved_stages(cluster(StageName.SCRAPER), waiting) == {
        StageName.WRITER: (
            "no node runs the writer stage, 1,500 rows are waiting on the broker: "
            "start one with sp500tui worker --stages writer"
        )
    }


def test_a_lost_node_runs_nothing() -> None:
    lost = ClusterView(time=100.0, last_seen={"a": 9.5}, heartbeats={"a": a_beat("a", *StageName)})
    assert list(unserved_stages(lost, EMPTY)) == [StageName.SCRAPER]
