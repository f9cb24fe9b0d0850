"""Only the cells of a line that differ are repainted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.lines_widget import LinesWidget, changed_columns

SPANS = st.builds(Span, st.text("ab ░●…", max_size=6), st.sampled_from([Role.VALUE, Role.WARN]))
LINES = st.lists(SPANS, max_size=6).map(lambda spans: cut(spans, 30))


def cells(line: Line) -> list[tuple[str, Role]]:
    return [(character, span.role) for span in line for character in span.text]


@given(LINES, LINES)
def test_every_cell_that_differs_is_in_a_range_and_each_range_begins_and_ends_with_one(
    old: Line, new: Line
) -> None:
    ranges = changed_columns(old, new, 30)
    inside = {at for left, right in ranges for at in range(left, right)}
    for at, (was, now) in enumerate(zip(cells(old), cells(new), strict=True)):
        assert was == now or at in inside
    assert all(0 <= left < right <= 30 for left, right in ranges)


@pytest.mark.parametrize(
    ("old", "new", "ranges"),
    [
        ("rate 41.2/s", "rate 41.2/s", []),
        ("rate 41.2/s", "rate 40.2/s", [(6, 7)]),
        ("░▒▓ 1 x" + " " * 30 + "2", "▒▒▓ 2 x" + " " * 30 + "3", [(0, 5), (37, 38)]),
        ("日本 1", "日本 2", [(0, 20)]),
        ("short", "longer one", [(0, 20)]),
    ],
)
def test_near_changes_are_one_range_and_wide_characters_repaint_the_line(
    old: str, new: str, ranges: list[tuple[int, int]]
) -> None:
    assert changed_columns((Span(old),), (Span(new),), 20) == ranges


def test_another_role_repaints_its_span() -> None:
    old, new = (Span("a"), Span("bcd")), (Span("a"), Span("bcd", Role.WARN))
    assert changed_columns(old, new, 4) == [(1, 4)]


class OneLine(App[None]):
    """A widget of the app's whole width."""

    CSS_PATH = style_sheet("app.tcss")

    def compose(self) -> ComposeResult:
        yield LinesWidget()


async def test_a_line_wider_than_the_widget_ends_with_a_mark_and_one_that_fits_does_not() -> None:
    async with OneLine().run_test(size=(10, 3)) as pilot:
        widget = pilot.app.query_one(LinesWidget)
        for text, shown in (("ten cells.", "ten cells."), ("eleven cells", "eleven ce…"), ("", " " * 10)):
            widget.show_lines([(Span(text),)])
            await pilot.pause()
            assert widget.render_line(0).text == shown
