"""Nodes that are killed, suspended and resumed: their leases go to others, their later acknowledgements fail."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.simulator.process import DemoMarket
from tests.faults.campaigns.cluster import IN_HAND
from tests.faults.checker import Checker, Handed
from tests.faults.rig.program import Launcher, Program, pause
from tests.faults.rig.steps import FIFTY
from tests.support.cluster.nodes import ClusterUnderTest, NodeUnderTest


@pytest.fixture
def busy(join: ClusterUnderTest, market: DemoMarket) -> ClusterUnderTest:
    """A cluster on the market that the checker reads."""
    join.market = market
    return join


def spawn(launch: Launcher, join: ClusterUnderTest, stages: str) -> Program:
    """`sp500tui worker` as a separate process, in the cluster of `join`."""
    return launch(
        command=("-m", "sp500tui", "worker"),
        database=join.database,
        symbols=FIFTY,
        broker=join.broker.url,
        cluster_name=join.cluster_name,
        stages=stages,
    )


def of_process(node: NodeUnderTest, program: Program) -> str:
    """The name of a program's node as seen by `node`; empty until it has joined."""
    wanted = f":{program.process.pid}:"
    return next((seen.name for seen in node.snapshot().nodes if wanted in seen.name), "")


def comes_to_rest(node: NodeUnderTest) -> None:
    """Wait for the end of the last cycle before the node leaves, because it leaves queued items to others."""
    node.node.pause(StageName.SCRAPER)
    node.waits_for(
        lambda s: (
            s.stage(StageName.SCRAPER).paused and not s.stage(StageName.SCRAPER).busy and not s.cycle.running
        ),
        "a rest",
    )
    node.stops()
    ledger = node.snapshot().ledger
    assert (ledger.queued, ledger.in_flight) == (0, 0)
    assert ledger.is_balanced


@pytest.mark.thorough
def test_another_node_schedules_when_the_scheduler_is_killed(
    busy: ClusterUnderTest, launch: Launcher, check: Checker
) -> None:
    # given a scheduler that runs every stage, and a node that could
    scheduler = spawn(launch, busy, "scraper,price=4,converter=1,writer=1")
    scheduler.hears("cycle 2 finished")
    other = busy("scraper,price=2,converter=1,writer=1", symbols=FIFTY)
    other.waits_for(lambda s: len(s.nodes) == 2 and s.cycle.number > 2, "both nodes")
    name = of_process(other, scheduler)

    # when it is killed
    safe = check.handed.now()
    pause(IN_HAND)
    scheduler.kill()
    # The response to its last request may have been in its memory only.
    last = Handed(check.handed.path, safe).quotes(check.handed.now())
    before = other.snapshot().cycle.number

    # then the other one reports it, starts the cycles, and takes over the leases of the first
    other.waits_for(lambda _: other.reported(EventKind.NODE_LOST), "the loss")
    seen = other.waits_for(lambda s: s.cycle.number > before + 2 and not s.cycle.running, "further cycles")
    lost = next(node for node in seen.nodes if node.name == name)
    assert lost.health is Health.DOWN
    assert lost.message.startswith("held ")
    assert any(node.here and node.scheduler for node in seen.nodes)
    assert other.reported(EventKind.SCHEDULER)
    comes_to_rest(other)
    verdict = check.verdict(busy.database)
    excused = {(quote.symbol, quote.quote_time) for quote in last}
    assert replace(verdict, lost=tuple(key for key in verdict.lost if key not in excused)).clean, str(verdict)


@pytest.mark.thorough
def test_a_suspended_node_loses_its_leases_and_continues(
    busy: ClusterUnderTest, launch: Launcher, check: Checker
) -> None:
    # given two nodes, of which only the second schedules
    stopped = spawn(launch, busy, "price=4,converter=1,writer=1")
    other = busy("scraper,price=1,converter=1,writer=1", symbols=FIFTY)
    other.waits_for(lambda s: of_process(other, stopped) and s.cycle.number > 2, "both nodes")
    name = of_process(other, stopped)

    # when the first one is suspended until it is evicted, and then continued
    stopped.send(signal.SIGSTOP)
    other.waits_for(lambda _: other.reported(EventKind.NODE_LOST), "the loss")
    stopped.send(signal.SIGCONT)

    # then it has joined again, and nothing is lost or duplicated
    stopped.hears("was evicted by its peers")
    seen = other.waits_for(
        lambda s: any(node.name == name and node.health is Health.OK for node in s.nodes), "its return"
    )
    number = seen.cycle.number
    other.waits_for(lambda s: s.cycle.number > number + 2, "further cycles")
    assert stopped.stops() == 143
    assert stopped.said().count("was evicted by its peers") == 1
    other.waits_for(lambda s: len(s.nodes) == 1, "it has left")
    comes_to_rest(other)
    verdict = check.verdict(busy.database)
    assert verdict.clean, str(verdict)
