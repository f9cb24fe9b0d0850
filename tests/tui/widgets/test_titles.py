"""Titles of panels are plain text, even if they look like markup."""

from __future__ import annotations

from unittest.mock import PropertyMock, patch

import pytest
from textual.geometry import Size
from textual.widget import Widget

from sp500tui.tui.widgets.titles import set_titles


@pytest.mark.parametrize(
    "typed", ["", "plain", "[red]", "[/]", "“Wx>j1[Dk8=”", "\\[b]", "[@click=app.quit]x[/]"]
)
def test_a_title_is_shown_as_it_was_typed(typed: str) -> None:
    panel = Widget()
    set_titles(panel, f"prices · {typed}", typed)
    assert panel._border_title is not None
    assert panel._border_title.plain == f"prices · {typed}"
    assert (panel._border_subtitle.plain if panel._border_subtitle else "") == typed


def test_without_a_lower_border_both_titles_are_in_the_upper_one() -> None:
    panel = Widget()
    panel.styles.border_top = ("round", "red")
    set_titles(panel, "coverage", "3 bars missing")
    assert panel._border_title is not None
    assert panel._border_title.plain == "coverage · 3 bars missing"
    assert not panel.border_subtitle


@pytest.mark.parametrize("typed", ["", "plain", "“Wx>j1[Dk8=”"])
def test_an_unchanged_title_repaints_nothing(typed: str) -> None:
    panel = Widget()
    set_titles(panel, f"prices · {typed}", typed)
    kept = panel.border_title, panel.border_subtitle
    with (
        patch.object(Widget, "border_title", new_callable=PropertyMock, return_value=kept[0]) as title,
        patch.object(Widget, "border_subtitle", new_callable=PropertyMock, return_value=kept[1]) as subtitle,
    ):
        set_titles(panel, f"prices · {typed}", typed)
    assert [call.args for call in (*title.mock_calls, *subtitle.mock_calls) if call.args] == []


@pytest.mark.parametrize(
    ("width", "framed", "shown"),
    [
        (40, True, "timeline (10 s, by the second)"),
        (36, True, "timeline (10 s, by the second)"),
        (35, True, "timeline (10 s)"),
        (32, False, "timeline (10 s, by the second)"),
        (31, False, "timeline (10 s)"),
        (9, True, "timeline (10 s)"),
    ],
)
def test_a_border_without_room_has_the_title_in_fewer_words(width: int, framed: bool, shown: str) -> None:
    panel = Widget()
    panel.styles.border_top = ("round", "red")
    if framed:
        panel.styles.border = ("round", "red")
    with patch.object(Widget, "outer_size", new_callable=PropertyMock, return_value=Size(width, 5)):
        set_titles(panel, "timeline (10 s, by the second)", shorter=["timeline (10 s)"])
    assert panel._border_title is not None
    assert panel._border_title.plain == shown


def test_the_upper_title_makes_room_for_the_lower_one_where_they_share_a_border() -> None:
    panel = Widget()
    panel.styles.border_top = ("round", "red")
    with patch.object(Widget, "outer_size", new_callable=PropertyMock, return_value=Size(30, 5)):
        set_titles(panel, "coverage of 1m bars", "checked 15:00", shorter=["1m bars"])
    assert panel._border_title is not None
    assert panel._border_title.plain == "1m bars · checked 15:00"
