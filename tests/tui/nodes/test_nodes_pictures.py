"""Snapshots of the nodes screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.app import DashboardApp
from sp500tui.tui.nodes.screen import NodesScreen
from tests.support.tui.fake_cluster import GAMMA, one_lost, three_nodes
from tests.support.tui.fake_pipeline import FakePipeline, running
from tests.tui.test_main_pictures import Compare, whole
from tests.tui.test_screen_pictures import SIZES


def nodes(marked: str) -> Callable[[Pilot[Any]], Any]:
    """Opens the screen and marks a node."""

    async def run(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, DashboardApp)
        await whole(pilot)
        screen = NodesScreen()
        await app.push_screen(screen)
        await pilot.pause()
        if marked:
            screen.node_list.cursor = [node.name for node in app.snapshot.nodes].index(marked)
        await whole(pilot)

    return run


@SIZES
@pytest.mark.parametrize(
    ("shown", "marked"), [(three_nodes(), ""), (one_lost(), GAMMA)], ids=["three nodes", "one lost"]
)
def test_the_nodes(
    snap_compare: Compare,
    build: Callable[..., DashboardApp],
    shown: Snapshot,
    marked: str,
    size: tuple[int, int],
) -> None:
    app = build(FakePipeline(shown), broker="redis://valkey.example", refresh_rate=0.5)
    assert snap_compare(app, terminal_size=size, run_before=nodes(marked))


def test_no_cluster(snap_compare: Compare, build: Callable[..., DashboardApp]) -> None:
    app = build(FakePipeline(running()), refresh_rate=0.5)
    assert snap_compare(app, terminal_size=(80, 24), run_before=nodes(""))


@SIZES
def test_the_main_screen_in_a_cluster(
    snap_compare: Compare, build: Callable[..., DashboardApp], size: tuple[int, int]
) -> None:
    app = build(FakePipeline(three_nodes()), broker="redis://valkey.example", refresh_rate=0.5)
    assert snap_compare(app, terminal_size=size, run_before=whole)


def test_in_the_light(snap_compare: Compare, build: Callable[..., DashboardApp]) -> None:
    app = build(
        FakePipeline(one_lost()), broker="redis://valkey.example", theme="sp500tui-light", refresh_rate=0.5
    )
    assert snap_compare(app, terminal_size=(120, 40), run_before=nodes(GAMMA))
