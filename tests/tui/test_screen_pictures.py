"""Pictures of the screens above the main one, compared with approved ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from sp500tui.tui.app import DashboardApp
from sp500tui.tui.coverage.screen import CoverageScreen
from sp500tui.tui.database.screen import DatabaseScreen
from sp500tui.tui.demo.screen import DemoScreen
from sp500tui.tui.help.screen import HelpScreen
from sp500tui.tui.lessons.screen import LessonsScreen
from sp500tui.tui.symbol.candle_plot import candles_that_fit
from sp500tui.tui.symbol.screen import SymbolScreen
from tests.support.tui.canned_coverage import CannedCoverage
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.canned_reader import CannedReader
from tests.support.tui.fake_pipeline import FakePipeline, degraded
from tests.tui.conftest import until, until_shown

Compare = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])


def reaching(
    open_screen: Callable[[DashboardApp], Screen[Any]],
    ready: Callable[[Any], bool] = lambda _screen: True,
    seconds: float = 30.0,
) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Opens a screen once the fake pipeline is there, and waits until it shows what it read.

    AssertionError where that takes longer than `seconds`.
    """

    async def run(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, DashboardApp)
        await until_shown(pilot)
        screen = open_screen(app)
        await app.push_screen(screen)
        await until(pilot, lambda: ready(screen), "what the screen reads", seconds)
        app.refresh_data()
        for _ in range(3):
            await pilot.pause()

    return run


async def test_a_state_that_is_never_reached_is_a_failure(build: Callable[..., DashboardApp]) -> None:
    opened = reaching(lambda _app: DemoScreen(), lambda _screen: False, seconds=0.2)
    async with build(FakePipeline()).run_test() as pilot:
        with pytest.raises(AssertionError, match="waiting for what the screen reads"):
            await opened(pilot)


def filled(screen: SymbolScreen) -> bool:
    """Whether the chart has the candles that it has room for, once the layout for the window's size is chosen."""
    shown, width = screen.candles, screen.chart.size.width
    is_narrow = screen.size.width < 100
    # In a narrow window panels have no frame at their sides.
    if screen.has_class("-narrow") != is_narrow or (is_narrow and width != screen.size.width):
        return False
    return shown is not None and len(shown.stored.candles) == candles_that_fit(width)


@pytest.mark.parametrize(
    "size", [(60, 16), (80, 24), (120, 40), (200, 60)], ids=["60x16", "80x24", "120x40", "200x60"]
)
def test_the_symbol(snap_compare: Compare, build: Callable[..., DashboardApp], size: tuple[int, int]) -> None:
    opened = reaching(lambda _app: SymbolScreen("NVDA", CannedReader()), filled)
    assert snap_compare(build(FakePipeline(), refresh_rate=0.5), terminal_size=size, run_before=opened)


def test_the_symbol_with_a_marked_candle_in_the_second_currency(
    snap_compare: Compare, build: Callable[..., DashboardApp]
) -> None:
    opened = reaching(lambda _app: SymbolScreen("NVDA", CannedReader()), filled)
    app = build(FakePipeline(), refresh_rate=0.5)
    assert snap_compare(app, press=["c", *["left"] * 9], terminal_size=(120, 40), run_before=opened)


def test_the_symbol_as_a_line(snap_compare: Compare, build: Callable[..., DashboardApp]) -> None:
    async def hour(pilot: Pilot[Any]) -> None:
        await reaching(lambda _app: SymbolScreen("NVDA", CannedReader()), filled)(pilot)
        await pilot.press("T")
        screen = pilot.app.screen
        assert isinstance(screen, SymbolScreen)
        await until(pilot, lambda: screen.chart.length == 330, "the line")

    assert snap_compare(build(FakePipeline(), refresh_rate=0.5), terminal_size=(120, 40), run_before=hour)


@SIZES
def test_the_database(
    snap_compare: Compare, build: Callable[..., DashboardApp], size: tuple[int, int]
) -> None:
    opened = reaching(lambda _app: DatabaseScreen(CannedReader()), lambda screen: screen.stored is not None)
    assert snap_compare(build(FakePipeline(), refresh_rate=0.5), terminal_size=size, run_before=opened)


@SIZES
def test_the_coverage(
    snap_compare: Compare, build: Callable[..., DashboardApp], size: tuple[int, int]
) -> None:
    opened = reaching(lambda _app: CoverageScreen(CannedCoverage()), lambda screen: screen.grid is not None)
    assert snap_compare(build(FakePipeline(), refresh_rate=0.5), terminal_size=size, run_before=opened)


@SIZES
def test_the_demo_controls(
    snap_compare: Compare, build: Callable[..., DashboardApp], size: tuple[int, int]
) -> None:
    fake = FakePipeline(degraded())
    fake.demo_market = CannedMarket(throttle=0.5)
    opened = reaching(lambda _app: DemoScreen(), lambda screen: screen._market is not None)
    assert snap_compare(build(fake, refresh_rate=0.5), terminal_size=size, run_before=opened)


def test_the_help_sheet(snap_compare: Compare, build: Callable[..., DashboardApp]) -> None:
    opened = reaching(
        lambda app: HelpScreen([(command, app.keys_of(command.binding)) for command in app.commands()])
    )
    assert snap_compare(build(FakePipeline(), refresh_rate=0.5), terminal_size=(80, 24), run_before=opened)


def test_the_symbol_in_the_light(snap_compare: Compare, build: Callable[..., DashboardApp]) -> None:
    opened = reaching(lambda _app: SymbolScreen("NVDA", CannedReader()), filled)
    app = build(FakePipeline(), theme="sp500tui-light", refresh_rate=0.5)
    assert snap_compare(app, terminal_size=(120, 40), run_before=opened)


@SIZES
def test_the_lessons(
    snap_compare: Compare, build: Callable[..., DashboardApp], size: tuple[int, int]
) -> None:
    fake = FakePipeline()
    fake.demo_market = CannedMarket()
    opened = reaching(lambda _app: LessonsScreen())
    assert snap_compare(build(fake, refresh_rate=0.5), terminal_size=size, run_before=opened)
