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
from tests.support.parameters import sizes
from tests.tui.conftest import Drive


def fits(app: App[Any], kind: type[Screen[Any]]) -> bool:
    """Whether a screen of that kind is on top and laid out, and none of it is below the window."""
    screen = app.screen
    return (
        isinstance(screen, kind)
        and screen.query_one(KeyBar).region.bottom == screen.size.height
        and screen.max_scroll_y == 0
    )


async def test_no_screen_is_higher_than_the_smallest_window(drive: Drive) -> None:
    async with drive(size=(60, 16)) as driven:
        for entry in SCREENS[1:]:
            await driven.press(KEYS_BY_ID[f"screen.{entry.name}"].keys)
            fitting = partial(fits, driven.app, entry.load().screen)
            await driven.until(fitting, f"the layout of the screen {entry.name}")
            await driven.press("escape")


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


async def test_keys_have_names_where_the_terminal_has_no_unicode(drive: Drive) -> None:
    async with drive(size=(200, 60), ascii=True) as driven:
        await driven.until(lambda: "enter details" in driven.text(), "the key bar")
        keys = driven.text().splitlines()[-1]
        assert "left right stage" in keys
        assert keys.isascii()
