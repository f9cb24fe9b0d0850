"""What the line widgets avoid: a layout of the whole screen, and repainting unchanged lines."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence

import pytest
from rich.segment import Segment
from textual import messages
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from sp500tui.tui.widgets.cached_lines import CachedLineView, WholeStrip
from tests.tui.conftest import nothing_ready

WIDTH, HEIGHT = 20, 5


class Numbers(CachedLineView):
    """Lines with their number."""

    DEFAULT_CSS = "Numbers { overflow-x: hidden; overflow-y: auto; height: 100%; scrollbar-size: 1 1; }"
    PREFIX = "numbers"
    COMPONENT_CLASSES = {"numbers--line"}  # noqa: RUF012

    def line_key(self, y: int) -> Hashable:
        return y + self.scroll_offset.y

    def line_cells(self, y: int) -> tuple[str, Sequence[tuple[str, str]]]:
        return "line", [(str(y + self.scroll_offset.y), "line")]


class OneList(App[None]):
    def compose(self) -> ComposeResult:
        yield Numbers()


async def calm(pilot: Pilot[None], seen: list[Message]) -> bool:
    """Wait until nothing is placed any more; whether anything was."""
    placed = False
    while True:
        seen.clear()
        await pilot.pause()
        await nothing_ready()
        if not any(isinstance(message, messages.Layout) for message in seen):
            return placed
        placed = True


@pytest.mark.parametrize(
    ("before", "after", "placed"),
    [(8, 9, False), (2, 3, False), (9, 8, False), (8, 8, False), (4, 6, True), (6, 4, True)],
    ids=["more", "few", "fewer", "equal", "bar-comes", "bar-goes"],
)
async def test_only_a_scroll_bar_that_appears_or_disappears_changes_the_layout(
    before: int, after: int, placed: bool
) -> None:
    seen: list[Message] = []
    app = OneList()
    async with app.run_test(size=(WIDTH, HEIGHT), message_hook=seen.append) as pilot:
        numbers = app.query_one(Numbers)
        numbers.set_line_total(before)
        await calm(pilot, seen)
        numbers.set_line_total(after)
        assert await calm(pilot, seen) is placed
        assert numbers.virtual_size.height == after
        assert numbers.max_scroll_y == max(0, after - HEIGHT)
        assert numbers.show_vertical_scrollbar is (after > HEIGHT)
        if after > HEIGHT:
            assert numbers.vertical_scrollbar.window_virtual_size == after
            assert numbers.line_width == WIDTH - 1


def test_an_undivided_strip_has_no_reference_to_itself() -> None:
    line = WholeStrip([Segment("abcdef")], 6)
    holders = sys.getrefcount(line)
    assert line.divide([6]) == [line]
    assert line.divide([6, 9]) == [line]
    assert sys.getrefcount(line) == holders


def test_a_line_is_cut_as_any_other() -> None:
    line = WholeStrip([Segment("abcdef")], 6)
    assert [part.text for part in line.divide([2, 6])] == ["ab", "cdef"]
    assert [part.text for part in line.divide([2])] == ["ab"]
