"""Pictures of the main screen at its sizes, compared with approved ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.app import DashboardApp
from tests.support.tui.fake_pipeline import FakePipeline, degraded, empty, running, with_history
from tests.support.tui.past_seconds import past_seconds
from tests.tui.conftest import CannedLog, until_shown

Compare = Callable[..., bool]


async def whole(pilot: Pilot[Any]) -> None:
    """Wait until the fake pipeline is on the screen and nothing is left to draw."""
    await until_shown(pilot)
    for _ in range(3):
        await pilot.pause()


@pytest.fixture
def spoken(log: CannedLog) -> CannedLog:
    """A log with a line of each level."""
    for level, words in (
        (20, "committed 50 rows in 6 ms"),
        (30, "answered 429; next attempt in 12 s"),
        (40, "refused"),
    ):
        log.say(words, level, "writer-1")
    return log


def after_minutes(snapshot: Snapshot | None = None) -> FakePipeline:
    """A pipeline that has run for two minutes."""
    pipeline = FakePipeline(snapshot)
    pipeline.seconds = past_seconds(workers=pipeline.now_shows.workers)
    return pipeline


SIZES = [(60, 16), (80, 24), (100, 30), (120, 40), (140, 45), (200, 60)]


@pytest.mark.parametrize("size", SIZES, ids=[f"{width}x{height}" for width, height in SIZES])
def test_a_calm_run(
    snap_compare: Compare, build: Callable[..., DashboardApp], spoken: CannedLog, size: tuple[int, int]
) -> None:
    assert snap_compare(build(after_minutes(), refresh_rate=0.5), terminal_size=size, run_before=whole)


def test_light_and_in_trouble(
    snap_compare: Compare, build: Callable[..., DashboardApp], spoken: CannedLog
) -> None:
    app = build(after_minutes(degraded()), theme="sp500tui-light", refresh_rate=0.5)
    assert snap_compare(app, terminal_size=(120, 40), run_before=whole)


def test_missing_bars_are_requested(
    snap_compare: Compare, build: Callable[..., DashboardApp], spoken: CannedLog
) -> None:
    app = build(after_minutes(with_history(running())), refresh_rate=0.5)
    assert snap_compare(app, terminal_size=(120, 40), run_before=whole)


def test_nothing_to_be_had(snap_compare: Compare, build: Callable[..., DashboardApp]) -> None:
    app = build(FakePipeline(empty(), []), demo=False, refresh_rate=0.5)
    assert snap_compare(app, terminal_size=(100, 30), run_before=whole)


def test_too_small(snap_compare: Compare, build: Callable[..., DashboardApp]) -> None:
    assert snap_compare(build(FakePipeline(), refresh_rate=0.5), terminal_size=(50, 12), run_before=whole)
