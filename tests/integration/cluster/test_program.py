"""`sp500tui worker` as a command: one cycle in a script, and a service that is stopped."""

from __future__ import annotations

from typing import Any

import pytest

from sp500tui.pipeline.core.verdict import VerdictKind
from tests.faults.rig.program import Launcher, Program
from tests.support.cluster.nodes import ClusterUnderTest


def worker(launch: Launcher, join: ClusterUnderTest, *options: str, **settings: Any) -> Program:
    return launch(
        *options,
        command=("-m", "sp500tui", "worker"),
        database=join.database,
        symbols="AAPL,MSFT,BRK.B",
        broker=join.broker.url,
        cluster_name=join.cluster_name,
        **settings,
    )


@pytest.mark.thorough
def test_one_cycle_for_a_script(launch: Launcher, join: ClusterUnderTest) -> None:
    # given a worker for one cycle, with all stages chosen by hand
    program = worker(launch, join, "--once", "--stages=scraper,price=2,converter=1,writer=1")

    # when it has ended
    assert program.ends() == 0, program.said()

    # then its report is the same as that of any other run
    report = program.report()
    assert (report["outcome"], report["cycles"]) == ("completed", 1)
    assert (report["quotes"]["fetched"], report["quotes"]["stored"]) == (3, 3)
    assert report["workers"]["price"] == {"size": 2, "restarts": 0}
    assert "this node starts the cycles" in program.said()


@pytest.mark.thorough
def test_a_service_ends_on_a_signal(launch: Launcher, join: ClusterUnderTest) -> None:
    # given a node that converts and writes for another
    storer = worker(launch, join, stages="converter=1,writer=1")
    other = join("scraper,price=1")
    other.waits_for(lambda s: s.ledger.stored >= 3 and len(s.nodes) == 2, "stored rows")

    # when it gets a SIGTERM
    assert storer.stops() == 143

    # then it reports this, does not count as lost, and new items wait on the broker
    assert "leaving the cluster" in storer.said()
    assert storer.report()["outcome"] == "interrupted"
    seen = other.waits_for(lambda s: len(s.nodes) == 1 and s.ledger.queued > 0, "quotes that wait")
    assert seen.ledger.is_balanced
    other.waits_for(lambda s: s.verdict.kind is VerdictKind.NO_WORKERS, "the word for it")
