"""Cluster nodes inside the test: a real broker, a real database and the demo market, without screens."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sp500tui.cluster.node.node import ClusterNode
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Snapshot
from sp500tui.simulator.process import DemoMarket
from tests.faults.rig.program import Launcher
from tests.support.cluster.valkey import ValkeyServer
from tests.support.postgres.server import public_folder

TIMEOUT = 40.0
"""Time-out in seconds, sufficient on a busy machine."""


class NodeUnderTest:
    """A started node, and its events."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self.node = ClusterNode(settings, paths)
        self.events: list[PipelineEvent] = []
        self.node.subscribe(self.events.append)
        self.node.start()

    @property
    def name(self) -> str:
        return self.node.name

    def snapshot(self) -> Snapshot:
        return self.node.snapshot()

    def reported(self, kind: EventKind) -> list[str]:
        return [event.message for event in self.events if event.kind is kind]

    def waits_for(self, condition: Callable[[Snapshot], object], what: str) -> Snapshot:
        """Wait until a snapshot meets a condition; returns it."""
        deadline = time.monotonic() + TIMEOUT
        while not condition(seen := self.snapshot()):
            assert time.monotonic() < deadline, f"{what} never came: {seen.ledger}, {seen.failure}"
            self.node.join(0.02)
        return seen

    def sees(self, other: NodeUnderTest) -> NodeSnapshot | None:
        """Another node as seen by this one."""
        return next((node for node in self.snapshot().nodes if node.name == other.name), None)

    def stops(self) -> None:
        """Leave the cluster by the drain."""
        self.node.stop(ShutdownLevel.DRAIN)
        assert self.node.join(TIMEOUT), "the node did not leave"

    def close(self) -> None:
        """End it in any state."""
        for step in (ShutdownLevel.DRAIN, ShutdownLevel.SPOOL, ShutdownLevel.KILL):
            if not self.node.join(0):
                self.node.stop(step)
                self.node.join(10)


@dataclass
class ClusterUnderTest:
    """Starts nodes with the same broker, database and market."""

    broker: ValkeyServer
    database: str
    market: DemoMarket
    folder: Path
    cluster_name: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")
    nodes: list[NodeUnderTest] = field(default_factory=list)

    def __call__(self, stages: str | None = None, **settings: Any) -> NodeUnderTest:
        """Start a node; the test or `close` stops it."""
        given: dict[str, Any] = {
            "no_ui": True,
            "broker": self.broker.url,
            "cluster_name": self.cluster_name,
            "stages": stages,
            "database": self.database,
            "symbols": "AAPL,MSFT,BRK.B",
            "interval": 0.5,
            "proxy": self.market.proxy_url,
            "ca_file": self.market.ca_file,
            "data_dir": self.folder / f"data-{len(self.nodes)}",
            "requests_per_second": 100.0,
        }
        chosen = Settings(**(given | settings))
        paths = replace(Paths.of(chosen), cache=self.folder / "cache")
        paths.prepare()
        node = NodeUnderTest(chosen, paths)
        self.nodes.append(node)
        return node

    def close(self) -> None:
        """End all nodes that still run."""
        for node in self.nodes:
            node.close()


def continues_after_outage(
    nodes: Sequence[NodeUnderTest], stop_broker: Callable[[], object], start_broker: Callable[[], object]
) -> Snapshot:
    """Interrupt the broker, and wait until the nodes run further cycles without having restarted a worker."""
    stop_broker()
    for node in nodes:
        node.waits_for(lambda s: s.broker_health is Health.DOWN, "the outage of the broker")
    last = nodes[-1]
    number = last.snapshot().cycle.number
    start_broker()
    seen = last.waits_for(lambda s: s.cycle.number > number + 2 and s.broker_health is Health.OK, "cycles")
    assert seen.ledger.is_balanced
    assert sum(stage.restarts for stage in seen.stages if stage.name is not StageName.SCRAPER) == 0
    return seen


@pytest.fixture
def join(valkey: ValkeyServer, database_url: str, demo_market: DemoMarket) -> Iterator[ClusterUnderTest]:
    """Starts nodes of a separate cluster."""
    cluster = ClusterUnderTest(valkey, database_url, demo_market, public_folder())
    yield cluster
    cluster.close()
    shutil.rmtree(cluster.folder)


@pytest.fixture
def launch(demo_market: DemoMarket) -> Iterator[Launcher]:
    """Starts real programs on the demo market."""
    launcher = Launcher(demo_market, public_folder())
    yield launcher
    launcher.close()
    shutil.rmtree(launcher.folder)
