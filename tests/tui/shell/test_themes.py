"""Every theme is readable with and without colours."""

from __future__ import annotations

from itertools import product

import pytest
from textual.theme import BUILTIN_THEMES

from sp500tui.config.themes import THEMES
from sp500tui.tui.shell.themes import OWN_THEMES
from tests.support.parameters import rest_thorough
from tests.support.tui.fake_pipeline import FakePipeline, degraded
from tests.tui.conftest import Drive, Driven

MINE = [theme.name for theme in OWN_THEMES]
ANSI = ["ansi-dark", "ansi-light"]
OTHERS = [name for name in THEMES if name not in MINE + ANSI]
USUAL = (MINE[0], False)
"""The theme, and whether it is without colours, that every run checks."""
COLOURS = pytest.mark.parametrize("no_color", [False, True], ids=["coloured", "NO_COLOR"])


def test_the_settings_accept_every_theme_that_there_is() -> None:
    assert list(THEMES) == [*MINE, *sorted(BUILTIN_THEMES)]


def unreadable(driven: Driven) -> list[str]:
    """Pieces of text whose foreground and background have the same colour, in the output."""
    found = []
    for strip in driven.app.screen._compositor.render_strips():
        for text, style, _ in strip:
            if style is None or not text.strip():
                continue
            colour, ground = style.color, style.bgcolor
            # The terminal's two default colours differ, although they have the same name.
            if colour is not None and colour == ground and not colour.is_default:
                found.append(text)
    return found


@pytest.mark.parametrize(
    ("theme", "no_color"),
    rest_thorough([USUAL, *(case for case in product(MINE + ANSI, (False, True)) if case != USUAL)]),
)
async def test_every_screen_can_be_read(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, theme: str, no_color: bool
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    async with drive(FakePipeline(degraded()), theme=theme) as driven:
        for keys in (
            ("plus",),
            ("down",),
            ("b",),
            ("slash", "a"),
            ("escape", "2"),
            ("3",),
            ("question_mark",),
        ):
            await driven.press(*keys)
            assert unreadable(driven) == [], keys
        await driven.press("escape", "1", "ctrl+p")
        assert unreadable(driven) == []


@pytest.mark.thorough
@COLOURS
async def test_every_theme_of_textual_can_be_read(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, no_color: bool
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    async with drive() as driven:
        await driven.press("down")
        for theme in OTHERS:
            driven.app.theme = theme
            await driven.pilot.pause()
            assert unreadable(driven) == [], theme


@pytest.mark.thorough
async def test_a_theme_chosen_later_can_be_read_too(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with drive() as driven:
        for theme in (*ANSI, *MINE):
            driven.app.theme = theme
            await driven.pilot.pause()
            assert unreadable(driven) == [], theme


@pytest.mark.parametrize("theme", rest_thorough([*MINE, *ANSI]))
async def test_focus_and_cursor_are_seen_without_colour(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with drive(theme=theme) as driven:
        await driven.press("down")

        lines = driven.text().splitlines()
        frames = [line for line in lines if "┏" in line]
        assert len(frames) == 1
        assert "┏━ prices" in frames[0]
        assert any("▸YUM" in line for line in lines)
        await driven.press("tab")
        assert "┏━ prices" not in driven.text()
