"""Cluster nodes in one process: stages on different nodes, prices seen by all, scaling applied by all."""

from __future__ import annotations

import psycopg
import pytest

from sp500tui.errors import ExitCode
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, Phase, Snapshot
from sp500tui.pipeline.report import exit_code
from tests.support.cluster.nodes import ClusterUnderTest

SYMBOLS = ["AAPL", "BRK.B", "MSFT"]


def test_a_node_with_all_stages_stores_one_cycle_and_ends(join: ClusterUnderTest) -> None:
    # given a cluster of one
    node = join(once=True)

    # when its only cycle is over
    assert node.node.join(40)

    # then everything is stored and counted, and the node has left the cluster
    report = node.node.outcome()
    assert exit_code(report) is ExitCode.OK
    assert (report.outcome, report.cycles, report.ledger.fetched, report.ledger.stored) == (
        "completed",
        1,
        3,
        3,
    )
    with psycopg.connect(join.database) as connection:
        rows = connection.execute(
            "SELECT symbol, price * fx_rate = converted_price FROM prices ORDER BY symbol"
        ).fetchall()
    assert rows == [(symbol, True) for symbol in SYMBOLS]


@pytest.mark.thorough
def test_the_table_has_at_least_the_rows_that_are_stored(join: ClusterUnderTest) -> None:
    node, fewer = join(interval=0.2), []

    def compare(snapshot: Snapshot) -> bool:
        rows, stored = snapshot.database.rows_total, snapshot.ledger.stored
        if rows is not None and rows < stored:
            fewer.append((rows, stored))
        return snapshot.cycle.number >= 12

    node.waits_for(compare, "some cycles")
    assert fewer == []


@pytest.mark.thorough
def test_a_run_counts_from_where_it_joined(join: ClusterUnderTest) -> None:
    # given the ledger of an earlier run
    first = join(once=True)
    assert first.node.join(40)

    # when another run joins the same cluster
    second = join(once=True)
    assert second.node.join(40)

    # then its report covers only itself, and the front ends show the whole cluster
    report = second.node.outcome()
    assert (report.cycles, report.ledger.fetched) == (1, 3)
    assert report.ledger.is_balanced
    assert second.snapshot().ledger.fetched == 6


@pytest.mark.thorough
def test_a_node_without_a_screen_shows_the_whole_cluster_to_viewers(join: ClusterUnderTest) -> None:
    # given a node that fetches, and one that only writes, both without a screen
    fetching = join("scraper,price=1,converter=1")
    writing = join("writer=1")
    writing.waits_for(lambda s: s.ledger.stored >= 3, "stored rows")
    assert writing.node.prices_since(0)[1] == []
    # when a viewer attaches to the second one
    writing.node.watch()
    writing.node.watch()
    # then it shows the prices and the workers of the first one
    seen = writing.waits_for(
        lambda s: (
            writing.node.prices_since(0)[1] and {worker.node for worker in s.workers} >= {fetching.name}
        ),
        "prices and workers of the other node",
    )
    assert {worker.stage for worker in seen.workers} >= {StageName.PRICE, StageName.WRITER}


@pytest.mark.slow
def test_stages_on_different_nodes_work_as_one_pipeline(join: ClusterUnderTest) -> None:
    # given a node for each stage, and one that only observes
    scheduler = join("scraper")
    join("price=2")
    join("converter=1")
    join("writer=1")
    observer = join(no_ui=False, stages="converter=1")

    # when cycles run
    seen = observer.waits_for(
        lambda s: (
            s.cycle.number >= 3
            and s.ledger.stored >= 3
            and len(s.nodes) == 5
            and [stage.alive for stage in s.stages] == [1, 2, 2, 1, 0]
        ),
        "stored rows, and every node with its workers",
    )

    # then the observer has every node, every worker, the list and the prices
    assert seen.ledger.is_balanced
    assert seen.nodes[0].here
    assert [stage.size for stage in seen.stages] == [1, 2, 2, 1, 0]
    assert [node.name for node in seen.nodes if node.scheduler] == [scheduler.name]
    assert {worker.stage for worker in seen.workers} == set(StageName) - {StageName.HISTORY}
    assert all(worker.node for worker in seen.workers)
    observer.waits_for(
        lambda s: sorted(p.row.quote.symbol for p in observer.node.prices_since(0)[1]) == SYMBOLS, "prices"
    )
    assert sorted(one.symbol for one in observer.node.constituents()) == SYMBOLS
    with psycopg.connect(join.database) as connection:
        bare = connection.execute("SELECT count(*) FROM prices WHERE converted_price IS NULL").fetchone()
    assert bare == (0,)


@pytest.mark.thorough
def test_requests_reach_the_node_they_are_for(join: ClusterUnderTest) -> None:
    # given two nodes with price workers, and a third that only writes
    one, two = join("scraper,price=2", interval=60), join("price=2,converter=1")
    observer = join("writer=1")
    observer.waits_for(lambda s: s.stage(StageName.PRICE).alive == 4, "four price workers")

    # when seven are requested of them, and then for one more on the second node
    assert observer.node.scale(StageName.PRICE, 7).new == 7
    observer.waits_for(lambda s: s.stage(StageName.PRICE).alive == 7, "seven price workers")
    asking = [
        stage for node in observer.snapshot().nodes for stage in node.stages if stage.name is StageName.PRICE
    ]
    assert sorted(stage.size for stage in asking) == [3, 4]
    assert observer.node.scale_node(two.name, StageName.PRICE, 6).new == 6
    two.waits_for(lambda s: any(n.here and n.stages[0].alive == 6 for n in s.nodes), "six on the second node")

    # then a pause, an immediate cycle and another interval reach the scheduler as well
    observer.waits_for(lambda s: s.cycle.number == 1 and not s.cycle.running, "the first cycle")
    assert observer.node.run_cycle_now()
    observer.waits_for(lambda s: s.cycle.number == 2 and not s.cycle.running, "the second cycle")
    observer.node.pause()
    one.waits_for(lambda s: s.phase is Phase.PAUSED and s.stage(StageName.PRICE).paused, "the pause")
    observer.node.resume()
    assert observer.node.set_interval(0.3) == 0.3
    observer.waits_for(lambda s: s.cycle.number > 4, "the quicker rhythm")


@pytest.mark.thorough
def test_a_node_that_leaves_is_not_lost(join: ClusterUnderTest) -> None:
    # given two nodes
    one, two = join(), join("price=1,converter=1,writer=1")
    one.waits_for(lambda s: len(s.nodes) == 2 and s.ledger.stored >= 3, "both")

    # when one leaves by the first shutdown step, and later the other by the second
    two.stops()
    seen = one.waits_for(lambda s: len(s.nodes) == 1, "the other node has left")

    # then nothing is lost and no node counts as lost
    assert seen.nodes[0].health is Health.OK
    one.node.stop(ShutdownLevel.SPOOL)
    assert one.node.join(60)
    ledger = one.snapshot().ledger
    assert ledger.is_balanced
    assert one.node.outcome().outcome == "interrupted"


def test_nodes_behind_one_address_share_the_rate_limit(join: ClusterUnderTest) -> None:
    # given two nodes that send from one address, and one that sends from another
    one, two = join("scraper,price=1", fetch_group="office"), join("price=1", fetch_group="office")
    elsewhere = join("price=1", fetch_group="home")

    def limits() -> list[float]:
        return [node.node.components.throttle.state().limit for node in (one, two, elsewhere)]

    # when they see each other, each of the two has half of the rate, and all of it once the other has left
    one.waits_for(lambda _: limits() == [50.0, 50.0, 100.0], "two shares and a whole limit")
    two.stops()
    one.waits_for(lambda _: limits()[0] == 100.0, "the whole limit")
