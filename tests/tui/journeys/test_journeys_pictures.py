"""Pictures of the journeys: requests that wait for the limit, and a batch whose writer was killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from sp500tui.tui.app import DashboardApp
from sp500tui.tui.journeys.screen import JourneysScreen
from tests.tui.conftest import until, until_shown
from tests.tui.journeys.test_journeys import scene


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
def test_the_journeys(
    snap_compare: Callable[..., bool], build: Callable[..., DashboardApp], size: tuple[int, int]
) -> None:
    async def open_journeys(pilot: Pilot[Any]) -> None:
        await until_shown(pilot)
        await pilot.press("9")
        screen = pilot.app.screen
        assert isinstance(screen, JourneysScreen)
        await until(pilot, lambda: screen.slow.lines_shown(), "the slowest quotes")
        await pilot.pause()

    assert snap_compare(build(scene(), refresh_rate=0.5), terminal_size=size, run_before=open_journeys)
