"""Requests for bars in a cluster: one queue for all nodes, no request made twice, those of a lost node taken over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sp500tui.cluster.membership.view import HEARTBEAT_TIMEOUT
from sp500tui.model import Resolution
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.storage.schema.migrations import apply_schema
from tests.support.cluster.nodes import ClusterUnderTest, NodeUnderTest

SYMBOLS = ("AAPL", "MSFT", "BRK.B")
LIVE = "scraper,price=1,converter=1,writer=1"
CALM = {"interval": 3600.0}


def chart_requests(join: ClusterUnderTest) -> int:
    requests = join.market.statistics()["requests"]
    assert isinstance(requests, dict)
    return int(requests.get("chart", 0))


def all_requests(join: ClusterUnderTest) -> int:
    """Those for cookies and crumbs too."""
    total = join.market.statistics()["requests_total"]
    assert isinstance(total, int)
    return total


def asks_for_bars(node: NodeUnderTest, days: int = 25) -> None:
    now = datetime.now(UTC)
    assert node.node.heal(Resolution.MINUTE, now - timedelta(days=days), now, SYMBOLS)


def incomplete_days(url: str) -> list[tuple[str, int]]:
    """States of the days that are over and not complete, with their number."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT state, count(*) FROM coverage WHERE state NOT IN ('complete', 'not yet') GROUP BY state"
        ).fetchall()


def bars(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM bars").fetchone()
    assert row is not None
    return int(row[0])


def no_request_left(node: NodeUnderTest) -> bool:
    queue = node.snapshot().queue(QueueName.HISTORY)
    return bool(queue.high_water and not queue.ready and not queue.in_flight)


@pytest.mark.slow
def test_all_nodes_with_the_stage_request_bars_and_none_twice(join: ClusterUnderTest) -> None:
    # given two nodes, of which one only requests bars
    one = join(f"{LIVE},history=1", **CALM)
    other = join("history=2", **CALM)
    one.waits_for(lambda s: len(s.nodes) == 2 and s.cycle.number >= 1 and not s.cycle.running, "two nodes")
    one.waits_for(lambda _: other.node.database_url is not None, "the database of the other")
    assert one.snapshot().stage(StageName.HISTORY).size == 3
    join.market.set_faults(latency=0.3)
    before = chart_requests(join)

    # when bars are requested of one of them
    asks_for_bars(one)
    one.waits_for(lambda _: no_request_left(one), "all requests")
    join.market.clear_faults()

    # then both made some, every bar is there, and no request was made twice
    made = [node.node.history().requests_done for node in (one, other)]
    assert all(made)
    assert sum(made) == one.snapshot().queue(QueueName.HISTORY).high_water
    surveyed = chart_requests(join) - before - sum(made)
    assert surveyed in (1, 2, 3)
    assert bars(join.database) > 3 * 10 * 390
    assert incomplete_days(join.database) == []
    assert not one.node.history().busy


@pytest.mark.thorough
def test_the_requests_of_a_lost_node_are_taken_over(join: ClusterUnderTest) -> None:
    # given a node whose requests are not answered; it would release those that time out
    lost = join(f"{LIVE},history=2", request_timeout=60.0, **CALM)
    lost.waits_for(lambda s: s.cycle.number >= 1 and not s.cycle.running, "a cycle")
    lost.node.pause(StageName.HISTORY)
    asks_for_bars(lost)
    lost.waits_for(
        lambda s: s.queue(QueueName.HISTORY).ready and s.stage(StageName.HISTORY).paused, "requests"
    )
    join.market.set_faults(latency=60)
    before = all_requests(join)
    lost.node.resume(StageName.HISTORY)
    # A request that is not sent yet is cancelled when the node ends, and its lease released.
    lost.waits_for(
        lambda s: s.queue(QueueName.HISTORY).in_flight >= 2 and all_requests(join) > before,
        "requests in flight, one of them at the source",
    )

    # when it dies, and another joins
    lost.node.stop(ShutdownLevel.KILL)
    assert lost.node.join(60)
    join.market.clear_faults()
    heir = join("history=1", **CALM)

    # then that one makes all requests, those of the lost node too
    heir.waits_for(lambda _: heir.reported(EventKind.NODE_LOST), f"a lost node after {HEARTBEAT_TIMEOUT:g} s")
    assert "requests for bars" in heir.reported(EventKind.NODE_LOST)[0]
    heir.waits_for(lambda _: no_request_left(heir), "all requests")
    assert bars(join.database) > 3 * 10 * 390
    assert incomplete_days(join.database) == []


@pytest.mark.thorough
def test_one_node_heals_for_all(join: ClusterUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a database of a week ago, a scheduler without the stage, and two nodes that heal and join together
    apply_schema(join.database)
    with psycopg.connect(join.database, autocommit=True) as connection:
        connection.execute("UPDATE schema_version SET applied_at = applied_at - interval '7 days'")
    # On a loaded machine the second one may need longer than two seconds.
    monkeypatch.setattr("sp500tui.cluster.node.control_loop.ACQUAINTED_AFTER", 6.0)
    join(LIVE, **CALM)
    nodes = [join("history=1", heal=True, **CALM) for _ in range(2)]
    # then all bars since are fetched, by both, after one survey
    first = min(nodes, key=lambda node: node.name)
    first.waits_for(lambda _: bars(join.database) >= 3 * 3 * 390 and no_request_left(first), "all requests")
    assert incomplete_days(join.database) == []
    assert first.snapshot().queue(QueueName.HISTORY).high_water <= 2 * len(SYMBOLS)


def test_a_node_without_the_stage_refuses(join: ClusterUnderTest) -> None:
    node = join(LIVE, **CALM)
    node.waits_for(lambda s: s.cycle.number >= 1, "a cycle")
    now = datetime.now(UTC)
    assert not node.node.heal(Resolution.DAY, now - timedelta(days=9), now, SYMBOLS)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 5])
def test_the_stage_is_scaled_and_paused_for_all_nodes(join: ClusterUnderTest, size: int) -> None:
    node = join(f"{LIVE},history=2", **CALM)
    node.waits_for(lambda s: s.cycle.number >= 1, "a cycle")
    assert node.node.scale(StageName.HISTORY, size).new == size
    node.node.pause(StageName.HISTORY)
    node.waits_for(
        lambda s: s.stage(StageName.HISTORY).paused and s.stage(StageName.HISTORY).size == size,
        "its new size",
    )
