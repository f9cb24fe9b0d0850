"""The log panel on the screen: scrolling, keys, and the appearance of a line."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.tui.log.buffer import (
    LogBuffer,
)
from sp500tui.tui.log.line_screen import LineScreen
from sp500tui.tui.log.lines import LogLines, highlighted, level_name
from tests.tui.conftest import CannedLog, Drive, Driven, notes


class TestLook:
    @given(st.text(max_size=40), st.text(max_size=5))
    def test_highlighting_keeps_the_message(self, message: str, wanted: str) -> None:
        assert "".join(text for text, _ in highlighted(message, wanted)) == message

    def test_matches_are_highlighted(self) -> None:
        assert highlighted("a Fox, a fox", "fox") == [
            ("a ", "message"),
            ("Fox", "match"),
            (", a ", "message"),
            ("fox", "match"),
        ]

    @pytest.mark.parametrize(
        ("level", "word"), [(10, "debug"), (20, "info"), (30, "warning"), (40, "error"), (50, "critical")]
    )
    def test_every_level_has_a_label(self, level: int, word: str) -> None:
        assert level_name(level) == word


def lines_of(driven: Driven) -> LogLines:
    return driven.main.query_one(LogLines)


def seen(driven: Driven) -> list[str]:
    widget = lines_of(driven)
    return [widget.render_line(y).text for y in range(widget.line_count)]


async def said(driven: Driven, log: CannedLog, *messages: str, level: int = logging.INFO) -> None:
    for message in messages:
        log.say(message, level)
    driven.app.refresh_data()
    await driven.pilot.pause()
    await driven.pilot.pause()


class TestOnScreen:
    async def test_it_follows_the_newest_line(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await said(driven, log, *(f"line {number}" for number in range(60)))
            assert "line 59" in seen(driven)[-1]
            assert "following" in str(driven.main.log_view.border_title)
            assert lines_of(driven).vertical_scrollbar.position == lines_of(driven).max_scroll_y

    @pytest.mark.parametrize(("size", "named"), [((80, 24), True), ((60, 24), False)])
    async def test_the_name_of_a_worker_is_shown_whole_or_not_at_all(
        self, drive: Drive, log: CannedLog, size: tuple[int, int], named: bool
    ) -> None:
        worker = "database-monitor"
        async with drive(size=size) as driven:
            log.say("is up", worker=worker)
            driven.app.refresh_data()
            await driven.until(lambda: "is up" in "".join(seen(driven)), "the line")
            assert (worker in "".join(seen(driven))) is named

    async def test_scrolling_up_holds_the_lines_where_they_are(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await said(driven, log, *(f"line {number}" for number in range(60)))
            lines_of(driven).focus()
            await driven.press("pageup", "k")
            before = seen(driven)

            await said(driven, log, "one more", "and more")

            assert seen(driven) == before
            assert "2 new below" in str(driven.main.log_view.border_title)

            await driven.press("G")
            assert "and more" in seen(driven)[-1]
            assert "following" in str(driven.main.log_view.border_title)

    async def test_the_view_keeps_its_position_while_old_lines_are_dropped(
        self, drive: Drive, log: CannedLog
    ) -> None:
        async with drive() as driven:
            lines_of(driven).buffer = LogBuffer(50)
            await said(driven, log, *(f"line {number}" for number in range(50)))
            lines_of(driven).focus()
            await driven.press("k", "k", "k")
            before = seen(driven)

            await said(driven, log, *(f"late {number}" for number in range(10)))

            assert seen(driven) == before

    async def test_a_line_off_the_screen_costs_no_repaint(
        self, drive: Drive, log: CannedLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with drive() as driven:
            await said(driven, log, *(f"line {number}" for number in range(60)))
            widget = lines_of(driven)
            widget.focus()
            await driven.press("g")
            painted: list[int] = []
            cells = widget.line_cells

            def watched(y: int) -> tuple[str, Sequence[tuple[str, str]]]:
                painted.append(y)
                return cells(y)

            monkeypatch.setattr(widget, "line_cells", watched)

            await said(driven, log, "below the screen")

            assert painted == []

    async def test_levels_and_workers_are_chosen_with_keys(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            log.say("a warning", logging.WARNING, "price-1")
            log.say("an error", logging.ERROR, "writer-1")
            await said(driven, log, "an information")
            lines_of(driven).focus()

            await driven.press("v")
            assert [text.split()[-1] for text in seen(driven) if text.strip()] == ["warning", "error"]
            await driven.press("w")
            await driven.until(lambda: "price only" in str(driven.main.log_view.border_title), "the title")
            assert [text.split()[-1] for text in seen(driven) if text.strip()] == ["warning"]
            await driven.press("W", "V")
            assert len([text for text in seen(driven) if text.strip()]) == 3

    async def test_a_search_is_typed_and_walked_through(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await said(driven, log, "fox one", *(f"line {number}" for number in range(40)), "fox two")
            lines_of(driven).focus()
            await driven.press("slash")
            await driven.press("f", "o", "x", "enter")
            await driven.until(
                lambda: "“fox” in 2 lines" in str(driven.main.log_view.border_title), "the title"
            )
            assert any(text.startswith("▌") and "fox two" in text for text in seen(driven))
            await driven.press("N")
            assert any(text.startswith("▌") and "fox one" in text for text in seen(driven))
            await driven.press("n")
            assert any(text.startswith("▌") and "fox two" in text for text in seen(driven))
            await driven.press("escape")
            await driven.until(lambda: "fox" not in str(driven.main.log_view.border_title), "the title")

    async def test_a_discarded_search_is_cleared(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await said(driven, log, "fox")
            lines_of(driven).focus()
            await driven.press("slash")
            await driven.press("f", "escape")
            assert lines_of(driven).search_text == ""
            assert lines_of(driven).has_focus

    async def test_a_key_goes_to_the_next_error(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            lines_of(driven).focus()
            await said(driven, log, "broken", level=logging.ERROR)
            await said(driven, log, *(f"line {number}" for number in range(40)))
            await driven.press("x")
            assert any(text.startswith("▌") and "broken" in text for text in seen(driven))
            await driven.press("f")
            assert "line 39" in seen(driven)[-1]

    async def test_a_log_without_errors_shows_a_message(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await said(driven, log, "fine")
            lines_of(driven).focus()
            await driven.press("x")
            assert "No errors" in notes(driven.app)

    async def test_y_copies_the_newest_line_shown_or_the_marked_one(
        self, drive: Drive, log: CannedLog
    ) -> None:
        async with drive() as driven:
            await said(driven, log, "fox", *(f"line {number}" for number in range(60)))
            lines_of(driven).focus()
            # if nothing is marked, the newest line in view is copied
            await driven.press("y")
            assert driven.app.clipboard == "2026-05-14 17:46:00 info main line 59"
            await driven.press("k", "y")
            assert driven.app.clipboard == "2026-05-14 17:46:00 info main line 58"
            # if a line is marked by a search or a click, that line is copied
            await driven.press("slash", *"fox", "enter", "y")
            assert driven.app.clipboard == "2026-05-14 17:46:00 info main fox"
            await driven.pilot.click(LogLines, offset=(20, 1))
            await driven.press("y")
            assert driven.app.clipboard == "2026-05-14 17:46:00 info main line 0"
            # but not if it was scrolled out of view
            await driven.press("G", "y")
            assert driven.app.clipboard == "2026-05-14 17:46:00 info main line 59"

    async def test_an_empty_log_has_no_line_to_copy(self, drive: Drive) -> None:
        async with drive() as driven:
            lines_of(driven).focus()
            await driven.press("y")
            assert "Nothing to copy" in notes(driven.app)

    @pytest.mark.thorough
    @pytest.mark.parametrize("size", [(80, 24), (120, 40)])
    async def test_left_and_right_show_the_rest_of_a_long_line(
        self, drive: Drive, log: CannedLog, size: tuple[int, int]
    ) -> None:
        async with drive(size=size) as driven:
            # given a line far longer than the window
            stage = driven.app.selected_stage
            words = " ".join(f"word{number:02}" for number in range(30))
            await said(driven, log, words)
            lines_of(driven).focus()
            assert "word29" not in seen(driven)[0]
            # when it is scrolled sideways, then its end can be read, and the title shows the position
            await driven.press(*["right"] * 12, "l")
            await driven.until(lambda: "word29" in seen(driven)[0], "the end of the line")
            assert "from character" in str(driven.main.log_view.border_title)
            assert "17:46:00 info" in seen(driven)[0]
            # and it scrolls neither beyond that nor before the beginning
            end = seen(driven)[0]
            await driven.press("right", "right")
            assert seen(driven)[0] == end
            await driven.press(*["left"] * 20, "h")
            assert "word00" in seen(driven)[0]
            assert "from character" not in str(driven.main.log_view.border_title)
            assert driven.app.selected_stage is stage

    async def test_hostile_text_stays_text(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await said(driven, log, "[red]danger[/red] \x1b[2J \u202e", "y" * 100_000)
            text = "\n".join(seen(driven))
            assert "[red]danger[/red] ·[2J ·" in text
            assert "\x1b" not in text
            assert text.rstrip().endswith("…")

    async def test_repeated_lines_are_shown_once_with_their_number(
        self, drive: Drive, log: CannedLog
    ) -> None:
        async with drive() as driven:
            await said(driven, log, *["a start was skipped"] * 26, "and more")
            assert "a start was skipped" in seen(driven)[0]
            assert seen(driven)[0].rstrip().endswith("(×26)")
            await said(driven, log, "and more")
            assert seen(driven)[1].rstrip().endswith("(×2)")
            assert not seen(driven)[2].strip()

    async def test_the_key_bar_names_the_key_that_opens_a_line(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            lines_of(driven).focus()
            await driven.until(lambda: "whole line" in driven.text().splitlines()[-1], "the key")

    async def test_enter_opens_the_whole_line(self, drive: Drive, log: CannedLog) -> None:
        async with drive(size=(80, 24)) as driven:
            words = " ".join(f"word{number:02}" for number in range(30))
            await said(driven, log, words)
            lines_of(driven).focus()
            assert "word29" not in driven.text()
            await driven.press("enter")
            await driven.until(lambda: "word29" in driven.text(), "the end of the line")
            await driven.press("y")
            assert driven.app.clipboard.endswith(words)
            await driven.press("escape")
            await driven.until(lambda: "word29" not in driven.text(), "the log again")

    async def test_enter_opens_all_lines_of_an_entry(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await said(driven, log, *(f"cycle {number} finished in 0.1 s" for number in range(1, 5)))
            lines_of(driven).focus()
            await driven.press("enter")
            await driven.until(lambda: "cycle 1 finished" in driven.text(), "the oldest line")
            assert "log · 4 lines" in driven.text()

    async def test_an_entry_of_many_lines_names_how_many_are_shown(self, drive: Drive) -> None:
        async with drive(keymap={"line.copy": "ctrl+k"}) as driven:
            driven.app.push_screen(LineScreen([f"line {number}" for number in range(1_234)]))
            await driven.until(lambda: "log · the newest 500 of 1,234 lines" in driven.text(), "the title")
            assert "line 1233" in driven.text()
            assert "esc close · ^k copy" in driven.text()

    async def test_enter_in_an_empty_log_opens_nothing(self, drive: Drive) -> None:
        async with drive() as driven:
            lines_of(driven).focus()
            await driven.press("enter")
            assert driven.app.screen is driven.main

    async def test_an_empty_filter_shows_what_it_hides(self, drive: Drive, log: CannedLog) -> None:
        async with drive() as driven:
            await said(driven, log, "fine")
            lines_of(driven).focus()
            await driven.press("v", "v")
            await driven.until(lambda: "no errors; 1 info hidden" in seen(driven)[0], "the notice")
            await said(driven, log, "fine too")
            await driven.until(lambda: "no errors; 2 info hidden" in seen(driven)[0], "the new number")

    async def test_an_empty_log_shows_a_message(self, drive: Drive) -> None:
        async with drive() as driven:
            assert "No lines yet" in seen(driven)[0]
