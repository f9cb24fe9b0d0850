"""Contrast in the dashboard's own themes, as WCAG 2.2 requires it: text 4.5, signs 3."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from rich.color import Color
from textual.screen import ModalScreen
from textual.theme import Theme

from sp500tui.tui.app import DashboardApp
from sp500tui.tui.shell.themes import BLUE_ORANGE, BLUE_ORANGE_LIGHT, OWN_THEMES
from tests.support.parameters import rest_thorough
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.contrast import contrast, difference, is_line, is_text, pieces, seen_with, triplet
from tests.support.tui.fake_pipeline import FakePipeline, degraded, live_price
from tests.support.tui.timeline_scenes import killed_writer
from tests.tui.conftest import Drive, Driven

TEXT, SIGNS = 4.5, 3.0
LOOKS: tuple[tuple[str, ...], ...] = (
    ("plus",),
    ("down", "down"),
    ("tab",),
    ("shift+tab", "b"),
    ("s",),
    ("escape", "slash", "a"),
    ("escape", "G", "enter"),
    ("escape", "2"),
    ("3", "down", "space"),
    ("question_mark",),
    ("escape", "1", "4"),
    ("1", "q"),
)
"""Keys to every screen, and to the rows with different styles."""


def weak(driven: Driven) -> set[tuple[str, float]]:
    """Text and signs on the screen below their limit; the content below a dialog is deliberately dimmed."""
    screen = driven.app.screen
    strips = screen._compositor.render_strips()
    if isinstance(screen, ModalScreen):
        dialog = screen.children[0].region
        strips = [strip.crop(dialog.x, dialog.right) for strip in strips[dialog.y : dialog.bottom]]
    return {
        (text, round(found, 2))
        for text, found in pieces(strips)
        if found < (TEXT if is_text(text) else SIGNS) and not is_line(text)
    }


@pytest.mark.slow
@pytest.mark.parametrize("theme", rest_thorough(theme.name for theme in OWN_THEMES))
async def test_everything_on_every_screen_stands_out(drive: Drive, theme: str) -> None:
    fake = FakePipeline(degraded())
    fake.demo_market = CannedMarket(throttle=0.5)
    # A stale row, and one that changes while it is checked.
    fake.prices[0] = live_price(
        fake.prices[0].row.quote.symbol, fake.prices[0].row.quote.price, 9.0, 900, 4000.0
    )
    async with drive(fake, size=(160, 50), theme=theme) as driven:
        assert weak(driven) == set()
        for keys in LOOKS:
            await driven.press(*keys)
            assert weak(driven) == set(), keys


@pytest.mark.parametrize("theme", rest_thorough(theme.name for theme in OWN_THEMES))
async def test_the_bars_of_the_timeline_stand_out(drive: Drive, theme: str) -> None:
    async with drive(killed_writer(), size=(160, 50), theme=theme) as driven:
        await driven.press("5")
        await driven.until(lambda: "! error" in driven.text())
        assert weak(driven) == set()


@pytest.mark.parametrize("theme", rest_thorough(theme.name for theme in OWN_THEMES))
async def test_a_price_that_changed_stands_out(drive: Drive, theme: str) -> None:
    fake = FakePipeline()
    async with drive(fake, size=(160, 50), theme=theme) as driven:
        for factor, price in enumerate(list(fake.prices[:40]), start=1):
            quote = price.row.quote
            moved = quote.price + (-1) ** factor
            fake.prices.append(live_price(quote.symbol, moved, 9.0, 1000 + factor))
        driven.app.refresh_data()
        await driven.pilot.pause()

        assert weak(driven) == set()


@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
def test_the_frame_of_the_focused_panel_stands_out(theme: Theme) -> None:
    frame, ground = theme.variables["border"], theme.background or ""

    assert contrast(triplet(Color.parse(frame)), triplet(Color.parse(ground))) >= SIGNS


@pytest.mark.parametrize("deficiency", ["protanopia", "deuteranopia"])
@pytest.mark.parametrize("theme", [BLUE_ORANGE, BLUE_ORANGE_LIGHT], ids=lambda theme: theme.name)
def test_good_and_bad_differ_for_the_colour_blind(theme: Theme, deficiency: str) -> None:
    colours = [
        seen_with(deficiency, triplet(Color.parse(name or ""))) for name in (theme.success, theme.error)
    ]

    assert all(difference(one, other) > 40 for one, other in combinations(colours, 2))


async def test_the_themes_are_offered_by_name(build: Callable[..., DashboardApp]) -> None:
    app = build(FakePipeline(), theme=BLUE_ORANGE.name)

    assert app.theme == BLUE_ORANGE.name
