"""Pictures of the timeline in four situations, each of whose causes can be read from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from sp500tui.tui.app import DashboardApp
from sp500tui.tui.timeline.screen import TimelineScreen
from tests.support.tui.timeline_scenes import SCENES
from tests.tui.conftest import until, until_shown

Compare = Callable[..., bool]
CURSORS = {
    "idle": ("price-1", 0.3),
    "slow source": ("price-1", 0.3),
    "slow database": ("writer-1", 0.3),
    "killed writer": ("writer-2", 5.0),
}
"""Row and age in seconds of the cell that shows the cause."""


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
@pytest.mark.parametrize("scene", list(SCENES))
def test_the_timeline(
    snap_compare: Compare, build: Callable[..., DashboardApp], scene: str, size: tuple[int, int]
) -> None:
    async def open_timeline(pilot: Pilot[Any]) -> None:
        await until_shown(pilot)
        await pilot.press("5")
        screen = pilot.app.screen
        assert isinstance(screen, TimelineScreen)
        await until(pilot, lambda: screen.chart.lines_shown(), "the workers")
        screen.move_to(*CURSORS[scene])
        await until(pilot, lambda: screen.is_complete, "all that is kept")
        await pilot.pause()

    app = build(SCENES[scene](), refresh_rate=0.5)
    assert snap_compare(app, terminal_size=size, run_before=open_timeline)
