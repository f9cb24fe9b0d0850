"""`sp500tui top` in a real terminal, with another node that does the work."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sp500tui.pipeline.core.names import StageName
from tests.support.cluster.nodes import ClusterUnderTest
from tests.support.tui.real_terminal import Terminal


@pytest.fixture
def home() -> Iterator[Path]:
    """A separate folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="sp500tui-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.thorough
def test_top_shows_and_steers_the_cluster_without_stopping_it(join: ClusterUnderTest, home: Path) -> None:
    # given a node at work
    node = join()
    node.waits_for(lambda s: s.ledger.stored >= 3, "stored rows")

    # when the cluster is watched from another terminal
    arguments = [
        "--broker",
        join.broker.url,
        "--cluster-name",
        join.cluster_name,
        "--database",
        join.database,
    ]
    terminal = Terminal(["top", *arguments, "--data-dir", str(home / "data")], home)
    try:
        # then everything of the node is shown, including its prices
        terminal.wait_for("running", "2 nodes", "price-1", "BRK.B")
        # and the keys act on it
        terminal.child.send("+")
        terminal.wait_for("→ 13")
        node.waits_for(lambda s: s.stage(StageName.PRICE).alive == 13, "a price worker more")
        # and it continues when the viewer quits
        terminal.child.send("q")
        assert terminal.end() == 0
        node.waits_for(lambda s: len(s.nodes) == 1, "the other node has left")
        number = node.snapshot().cycle.number
        node.waits_for(lambda s: s.cycle.number > number + 1, "further cycles")
    finally:
        terminal.child.close(force=True)
