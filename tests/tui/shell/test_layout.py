"""The layout of every screen at the smallest size."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from textual.app import App
from textual.screen import Screen

from sp500tui.config.keys import KEYS_BY_ID
from sp500tui.tui.screens import SCREENS
from sp500tui.tui.shell.key_bar import KeyBar
from sp500tui.tui.widgets.search_panel import SearchInput
from tests.support.parameters import sizes
from tests.tui.conftest import CannedLog, Drive


def fits(app: App[Any], kind: type[Screen[Any]]) -> bool:
    """Whether a screen of a kind is on top, laid out, and entirely within the window."""
    screen = app.screen
    return (
        isinstance(screen, kind)
        and screen.query_one(KeyBar).region.bottom == screen.size.height
        and screen.max_scroll_y == 0
    )


@pytest.mark.slow
async def test_no_screen_is_higher_than_the_smallest_window(drive: Drive) -> None:
    async with drive(size=(60, 16)) as driven:
        for entry in SCREENS[1:]:
            await driven.press(KEYS_BY_ID[f"screen.{entry.name}"].keys)
            fitting = partial(fits, driven.app, entry.load().screen)
            await driven.until(fitting, f"the layout of the screen {entry.name}")
            await driven.press("escape")


async def test_a_low_window_shows_the_panel_with_the_focus(drive: Drive, log: CannedLog) -> None:
    log.say("the first line of the log")
    async with drive(size=(60, 16)) as driven:
        main, text = driven.main, driven.text
        # given the prices, and the key to the other panels
        await driven.until(lambda: "Symbol" in text() and "next panel" in text(), "the prices")
        assert "workers ·" not in text()
        # for which a long title has no room
        await driven.press("b")
        await driven.until(lambda: "grouped by sector · all 503" in text(), "the longer title")
        assert "…" not in next(line for line in text().splitlines() if "grouped by sector" in line)
        await driven.press("b")
        # then each panel in turn fills the area below the pipeline
        await driven.press("tab")
        await driven.until(
            lambda: "the first line of the log" in text() and "Symbol" not in text(), "the log"
        )
        await driven.press("slash")
        await driven.until(lambda: "text or worker" in text(), "the input line of the search")
        await driven.press("escape", "tab")
        await driven.until(lambda: "price-1 " in text(), "the workers")
        assert "Symbol" not in text()
        assert "the first line" not in text()
        assert "prices ·" not in text()
        await driven.press("shift+tab")
        await driven.until(lambda: "the first line of the log" in text(), "the log again")
        assert main.max_scroll_y == 0
        await driven.press("shift+tab")
        await driven.until(lambda: "Symbol" in text(), "the prices again")


async def test_a_window_that_becomes_higher_shows_all_panels_again(drive: Drive, log: CannedLog) -> None:
    log.say("the first line of the log")
    async with drive(size=(60, 16)) as driven:
        await driven.press("tab")
        await driven.until(lambda: "Symbol" not in driven.text(), "the log alone")
        await driven.pilot.resize_terminal(80, 24)
        await driven.until(
            lambda: all(part in driven.text() for part in ("Symbol", "price-1", "the first line of the log")),
            "all panels",
        )
        await driven.until(lambda: "next panel" not in driven.text(), "titles without the key")


@pytest.mark.parametrize("size", sizes((60, 16), (80, 24), keep=1))
async def test_without_colour_a_line_shows_the_focus_and_no_frame_takes_room_from_a_narrow_panel(
    drive: Drive, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with drive(size=size) as driven:
        panel = driven.main.panel
        await driven.until(
            lambda: (
                panel.has_focus_within
                and [edge for edge, _ in panel.styles.border] == ["heavy", "", "", ""]
                and panel.content_size.width == size[0]
            ),
            "the line above the panel",
        )


@pytest.mark.slow
@pytest.mark.parametrize("size", [(60, 16), (120, 40)])
async def test_keys_that_are_typed_into_a_filter_are_not_listed(drive: Drive, size: tuple[int, int]) -> None:
    async with drive(size=size) as driven:
        await driven.press("slash")
        await driven.until(
            lambda: "keep  esc discard" in driven.text().splitlines()[-1], "the keys of the filter"
        )
        assert "scale" not in driven.text().splitlines()[-1]
        # and they are typed
        await driven.press("plus", "minus", "at")
        assert driven.main.panel.table.filter_text == "+-@"
        assert not [call for call in driven.pipeline.calls if call[0] == "scale"]


@pytest.mark.parametrize("way", ["tab", "click"])
async def test_a_filter_that_is_left_for_another_panel_is_closed_and_kept(drive: Drive, way: str) -> None:
    async with drive() as driven:
        await driven.press("slash", *"apple")
        if way == "tab":
            await driven.press("tab")
        else:
            await driven.pilot.click("#workers", offset=(5, 3))
        table = driven.main.panel.table
        await driven.until(
            lambda: not table.has_focus and not driven.main.panel.query_one(SearchInput).display,
            "the closed line",
        )
        assert table.filter_text == "apple"
        # and the focus stays where it was put
        assert driven.main.panel not in (driven.app.focused.ancestors_with_self if driven.app.focused else ())


async def test_the_effect_of_a_key_is_shown_with_a_maximized_panel(drive: Drive) -> None:
    async with drive() as driven:
        await driven.press("z")
        await driven.until(lambda: "pipeline ·" not in driven.text(), "the prices alone")
        await driven.press("plus")
        await driven.until(lambda: "price workers 8 → 9" in driven.text().splitlines()[-1], "the effect")


async def test_keys_have_names_where_the_terminal_has_no_unicode(drive: Drive) -> None:
    async with drive(size=(200, 60), ascii=True) as driven:
        await driven.until(lambda: "enter details" in driven.text(), "the key bar")
        keys = driven.text().splitlines()[-1]
        assert "left right stage" in keys
        assert keys.isascii()
