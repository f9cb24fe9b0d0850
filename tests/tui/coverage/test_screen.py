"""The coverage screen: the map, the marked session, its holes, and the command that fetches them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta

import pytest

from sp500tui.errors import DatabaseError
from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.storage.history.coverage import StoredCoverage
from sp500tui.tui.coverage.grid import SIGNS, CoverageGrid, cell_text, hole_lines, legend
from sp500tui.tui.coverage.screen import CoverageScreen
from sp500tui.tui.render.history_progress import TimeLeft, progress_text
from sp500tui.tui.render.lines import Role, width_of
from sp500tui.tui.shell.dialogs import QuestionScreen
from tests.support.parameters import sizes
from tests.support.tui.canned_coverage import CHECKED, DAYS, LOST, SYMBOLS, CannedCoverage, cell, cells
from tests.support.tui.fake_pipeline import NOON
from tests.tui.conftest import Drive, Driven


def grid(*parts: object) -> CoverageGrid:
    return CoverageGrid(StoredCoverage("1m", ("1m",), CHECKED, tuple(parts) or tuple(cells())))  # type: ignore[arg-type]


class TestGrid:
    def test_the_largest_gaps_come_first_and_what_the_source_lacks_after_them(self) -> None:
        assert grid().symbols[:2] == ("NVDA", "TSLA")
        assert grid().symbols[2:] == tuple(sorted(set(SYMBOLS) - {"NVDA", "TSLA"}))
        assert (grid().missing("NVDA"), grid().missing("TSLA")) == (420, 390)

    def test_a_row_has_a_sign_for_each_state(self) -> None:
        made = grid(*(cell("A", day, 0, state) for day, state in zip(DAYS, SIGNS, strict=False)))
        line = made.line("A", range(len(SIGNS)), 60)
        assert "".join(span.text for span in line)[9 : 9 + len(SIGNS)] == "".join(
            sign for sign, _ in SIGNS.values()
        )
        assert len({sign for sign, _ in SIGNS.values()}) == len(SIGNS), "states must differ without colour"

    @pytest.mark.parametrize("width", [26, 40, 60, 200])
    def test_lines_have_the_width_of_the_list(self, width: int) -> None:
        made = grid()
        for chosen in (0, 20, len(made.dates) - 1):
            shown = made.shown_dates(width, chosen)
            assert chosen in shown
            assert width_of(made.heading(shown, chosen, width)) == width
            assert all(width_of(made.line(symbol, shown, width)) == width for symbol in made.symbols)

    def test_the_newest_dates_are_shown_if_the_marked_one_is_among_them(self) -> None:
        made = grid()
        assert made.shown_dates(45, len(made.dates) - 1).stop == len(made.dates)
        assert made.shown_dates(45, 3).start == 3

    @pytest.mark.parametrize("first", [2, 23, 24, 25, 26, 30])
    def test_months_do_not_overlap_and_are_not_covered_by_the_cursor(self, first: int) -> None:
        days = [date(2026, 1, 1) + timedelta(days=number) for number in range(70)]
        made = grid(*(cell("A", day, 390, "complete") for day in days[first:]))
        for chosen in range(len(made.dates)):
            shown = made.shown_dates(200, chosen)
            line = made.heading(shown, chosen, 200)
            words = "".join(span.text for span in line).replace("▼", " ").split()
            assert words == (["Jan"] if first < 27 else []) + ["Feb", "Mar"]
            at = next(span for span in line if span.role in (Role.ACCENT, Role.SELECTED))
            assert sum(len(span.text) for span in line[: line.index(at)]) == 9 + chosen

    def test_the_text_of_a_session(self) -> None:
        day = DAYS[0]
        assert (
            cell_text(cell("A", day, 360, "partial"), "A", day, "1m")
            == "A 2026-03-02: 360 of 390 1m bars, partial"
        )
        assert cell_text(None, "A", day, "1m") == "A 2026-03-02: not checked"
        running = cell_text(cell("A", day, 0, "not yet"), "A", day, "1m")
        assert running.endswith("0 of 390 1m bars, not yet: the session has not ended")
        old = cell_text(cell("A", day, 0, "too old"), "A", day, "1m")
        assert old.endswith("too old: the source does not keep them for so long")
        asked = cell_text(cell("A", day, 0, "unanswered", 3), "A", day, "quotes")
        assert asked.startswith("A 2026-03-02: 0 of 390 minutes with a price, unanswered; requested 3 times")

    def test_holes_that_do_not_fit_are_counted(self) -> None:
        lines = hole_lines([(CHECKED, CHECKED)] * 30, 42, 3)
        assert len(lines) == 3
        assert "+22 more" in "".join(span.text for span in lines[-1])

    @pytest.mark.parametrize("width", [24, 58, 80, 118])
    def test_the_legend_has_a_label_for_every_state(self, width: int) -> None:
        lines = legend(width)
        words = " ".join("".join(span.text for span in line) for line in lines)
        assert all(f"{sign} {state}" in words for state, (sign, _) in SIGNS.items())
        assert "◆ marked" in words
        assert "blank not checked" in words
        assert {width_of(line) for line in lines} == {width}


@asynccontextmanager
async def opened(
    drive: Drive, reader: CannedCoverage, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[Driven, CoverageScreen]]:
    async with drive(size=size) as driven:
        screen = CoverageScreen(reader)
        await driven.app.push_screen(screen)
        await driven.until(lambda: reader.asked and screen.is_mounted)
        yield driven, screen


async def ready(driven: Driven, screen: CoverageScreen) -> None:
    await driven.until(lambda: screen.grid is not None and screen.grid_list.rows_shown()[0].strip())


async def test_it_opens_with_its_key_and_shows_how_to_begin(drive: Drive) -> None:
    async with drive() as driven:
        await driven.press("6")
        await driven.until(lambda: isinstance(driven.app.screen, CoverageScreen))


async def test_the_worst_symbol_is_first_and_the_newest_session_is_marked(drive: Drive) -> None:
    reader = CannedCoverage()
    async with opened(drive, reader) as (driven, screen):
        await ready(driven, screen)
        assert screen.marked_symbol == "NVDA"
        assert screen.marked_date == DAYS[-1]
        assert "150 of 390 1m bars, not yet" in driven.text()
        assert "3,150 missing" in str(screen.grid_list.border_title)
        assert "checked 2026-05-04" in str(screen.grid_list.border_subtitle)
        # and it is closed with its connection
        await driven.press("escape")
        await driven.until(lambda: reader.closed)


async def test_enter_lists_the_holes_of_the_marked_session(drive: Drive) -> None:
    reader = CannedCoverage()
    async with opened(drive, reader) as (driven, screen):
        await ready(driven, screen)
        await driven.press(*["left"] * 5, "enter")
        await driven.until(lambda: ("holes", "1m", "NVDA", DAYS[-6]) in reader.asked)
        await driven.until(lambda: "–" in screen.session.lines_shown()[-1])
        assert "360 of 390 1m bars, partial" in driven.text()
        # and another session has different ones
        await driven.press("right")
        assert "–" not in screen.session.lines_shown()[-1]
        await driven.press("enter")
        await driven.until(lambda: "no holes" in screen.session.lines_shown()[-1])


async def test_a_new_result_keeps_the_marked_symbol_and_session(drive: Drive) -> None:
    reader = CannedCoverage()
    async with opened(drive, reader) as (driven, screen):
        await ready(driven, screen)
        await driven.press("down", "left", "left", "left")
        assert (screen.marked_symbol, screen.marked_date) == ("TSLA", LOST)
        # when everything of NVDA has been fetched
        reader.cells = [
            one if one.symbol != "NVDA" else cell("NVDA", one.session_date, 390, "complete")
            for one in cells()
        ]
        screen.run_query()
        await driven.until(lambda: screen.grid is not None and screen.grid.symbols[-1] == "NVDA")
        assert (screen.marked_symbol, screen.marked_date) == ("TSLA", LOST)


async def test_the_command_is_copied(drive: Drive) -> None:
    async with opened(drive, CannedCoverage()) as (driven, screen):
        await ready(driven, screen)
        await driven.press("left", "left", "left", "y")
        await driven.until(lambda: driven.app.clipboard.endswith("--symbols NVDA"))
        assert f"--from {LOST}" in driven.app.clipboard


def heals(driven: Driven) -> list[tuple[object, ...]]:
    """The requests for bars so far."""
    return [call[1:] for call in driven.pipeline.calls if call[0] == "heal"]


async def confirmed(driven: Driven, words: str) -> None:
    """Press `B` and confirm the question, which has this text."""
    await driven.press("B")
    await driven.until(lambda: isinstance(driven.app.screen, QuestionScreen))
    question = driven.app.screen
    assert isinstance(question, QuestionScreen)
    assert words in question.question
    await driven.press("y")
    await driven.until(lambda: driven.app.screen is not question)


async def test_a_session_or_everything_is_fetched_by_the_pipeline(drive: Drive) -> None:
    async with opened(drive, CannedCoverage()) as (driven, screen):
        await ready(driven, screen)
        # when the session under the cursor lacks bars
        await driven.press("left", "left", "left")
        await confirmed(driven, f"1m bars of NVDA, {LOST}?")
        start = datetime.combine(LOST, time(), UTC)
        await driven.until(lambda: heals(driven) == [("1m", start, start + timedelta(hours=36), ("NVDA",))])
        # and when it lacks nothing
        await driven.press("right")
        await confirmed(driven, f"all symbols, {DAYS[0]} to {DAYS[-1]}")
        await driven.until(lambda: len(heals(driven)) == 2)
        assert heals(driven)[1][3] == ()
        # and nothing without a confirmation
        await driven.press("B")
        await driven.until(lambda: isinstance(driven.app.screen, QuestionScreen))
        await driven.press("n")
        await driven.until(lambda: driven.app.screen is screen)
        assert len(heals(driven)) == 2


async def test_marked_sessions_are_fetched_together(drive: Drive) -> None:
    async with opened(drive, CannedCoverage()) as (driven, screen):
        await ready(driven, screen)
        # given marks on two sessions of NVDA and one of TSLA; a session that lacks nothing gets none
        await driven.press("left", "space")
        assert not screen.marks
        await driven.press("m", "down", "left", "left", "space")
        assert {key for key in screen.marks if key[1] != DAYS[-1]} == {
            ("NVDA", DAYS[-6]),
            ("NVDA", LOST),
            ("TSLA", LOST),
        }
        await driven.until(lambda: "marked" in str(screen.session.border_title))
        assert any("◆" in row for row in screen.grid_list.rows_shown())
        # when they are fetched
        await confirmed(driven, "marked sessions, 2 symbols")
        await driven.until(lambda: len(heals(driven)) == 3)
        # then each window has its symbols, and the marks are removed
        assert {call[3] for call in heals(driven)} == {("NVDA",), ("NVDA", "TSLA")}
        assert not screen.marks
        # and marks can be removed
        await driven.press("space", "x")
        assert not screen.marks
        await driven.press("m", "m")
        assert not screen.marks


async def test_a_session_that_cannot_be_fetched_is_not_marked_and_the_reason_shown(drive: Drive) -> None:
    reader = CannedCoverage()
    reader.cells = [one for one in cells() if (one.symbol, one.session_date) != ("NVDA", DAYS[-2])]
    at = next(
        number
        for number, one in enumerate(reader.cells)
        if one.session_date == DAYS[-5] and one.symbol == "NVDA"
    )
    reader.cells[at] = cell("NVDA", DAYS[-5], 0, "replaced")
    async with opened(drive, reader) as (driven, screen):
        await ready(driven, screen)
        for keys, words in (
            (["left"], "This session was not checked"),
            (["left"], "This session lacks nothing"),
            (["left"] * 2, "Longer bars have replaced those of this session"),
            (["left"] * len(DAYS), "The source does not keep bars for so long"),
        ):
            await driven.press(*keys, "space")
            assert words in driven.text()
            assert not screen.marks


async def test_a_read_only_viewer_is_shown_no_keys_that_fetch_or_check(drive: Drive) -> None:
    reader = CannedCoverage()
    async with opened(drive, reader) as (driven, screen):
        driven.app.refusal = "read-only"
        await ready(driven, screen)
        screen.draw_panels()
        await driven.until(lambda: "lists holes" in driven.text())
        assert "B fetches" not in driven.text()
        # and nothing is checked on behalf of one that sees an empty database
        reader.cells = []
        screen.run_query()
        await driven.until(lambda: "Nothing was checked yet" in driven.text())
        assert "c checks" not in driven.text()
        assert [call for call in driven.pipeline.calls if call[0] == "check"] == []


async def test_the_keys_are_named_as_configured(drive: Drive) -> None:
    keymap = {"coverage.heal": "f5", "coverage.mark": "ctrl+k"}
    async with drive(size=(120, 40), keymap=keymap) as driven:
        screen = CoverageScreen(CannedCoverage())
        await driven.app.push_screen(screen)
        await driven.until(lambda: "^k marks a session · m the symbol · f5 fetches" in driven.text())


async def test_a_pipeline_without_the_history_stage_shows_a_message(drive: Drive) -> None:
    async with opened(drive, CannedCoverage()) as (driven, screen):
        await ready(driven, screen)
        driven.pipeline.heals = False
        await confirmed(driven, "all symbols")
        await driven.until(lambda: "fetches no history now" in driven.text())


async def test_a_new_database_is_checked_once_by_itself_and_then_by_a_key(drive: Drive) -> None:
    reader = CannedCoverage()
    reader.cells = []
    async with opened(drive, reader) as (driven, screen):
        # given a database without a determined coverage
        await driven.until(lambda: [call[0] for call in driven.pipeline.calls].count("check") == 1)
        (check,) = [call for call in driven.pipeline.calls if call[0] == "check"]
        assert check[1:] == ("1m", NOON - timedelta(days=7), NOON, ())
        driven.pipeline.history_progress = HistorySnapshot(surveys=1)
        screen.run_query()
        await driven.until(lambda: "is being determined" in driven.text())
        # when that finds nothing, it is repeated only by its key
        driven.pipeline.history_progress = HistorySnapshot(problem="no route to host")
        screen.run_query()
        await driven.until(lambda: "no route to host" in str(screen.session.border_subtitle))
        await driven.press("c")
        await driven.until(lambda: [call[0] for call in driven.pipeline.calls].count("check") == 2)


async def test_the_progress_is_shown_in_place(drive: Drive) -> None:
    async with opened(drive, CannedCoverage()) as (driven, screen):
        driven.pipeline.history_progress = HistorySnapshot(
            requests=503, requests_done=12, bars_outstanding=4_680
        )
        await ready(driven, screen)
        screen.run_query()
        await driven.until(
            lambda: "12 of 503 requests done, 491 left, 4,680 bars" in str(screen.session.border_subtitle)
        )


@pytest.mark.parametrize("size", sizes((60, 16), (80, 24), keep=1))
async def test_a_narrow_window_has_the_gaps_the_progress_and_the_keys(
    drive: Drive, size: tuple[int, int]
) -> None:
    async with opened(drive, CannedCoverage(), size) as (driven, _):
        await driven.until(lambda: "1m bars · 3,150 missing · checked 2026-05-04 15:00─" in driven.text())
        assert "B fetch" in driven.text()
        driven.pipeline.history_progress = HistorySnapshot(requests=8, requests_done=2)
        await driven.until(lambda: "session · fetching: 2 of 8 requests done" in driven.text())


async def test_the_text_of_a_session_is_wrapped_in_a_narrow_window(drive: Drive) -> None:
    async with opened(drive, CannedCoverage(), (60, 16)) as (driven, _):
        # when the text and the keys take more lines than there are, then the last keys are left out
        await driven.until(lambda: "space marks a session · m the symbol " in driven.text())
        assert "symbol · B" not in driven.text()
        await driven.press(*["left"] * 3)
        await driven.until(lambda: "last at 2026-05-04 15:00" in " ".join(driven.text().split()))


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (HistorySnapshot(), ""),
        (HistorySnapshot(surveys=1), "what is missing is being determined"),
        (
            HistorySnapshot(requests=2, requests_done=1, message="no route"),
            "fetching: 1 of 2 requests done, 1 left · no route",
        ),
        (
            HistorySnapshot(requests=2, requests_done=2, sessions_completed=5),
            "fetched: 5 completed, 0 still incomplete",
        ),
        (
            HistorySnapshot(requests=1, requests_done=1, failed=1),
            "fetched: 0 completed, 0 still incomplete, 1 failed",
        ),
    ],
)
def test_the_text_of_the_progress(progress: HistorySnapshot, text: str) -> None:
    assert progress_text(progress) == text


def test_the_time_left_follows_from_the_pace() -> None:
    left = TimeLeft()
    # given a rate of two requests per second, after the first poll
    assert left.seconds(HistorySnapshot(), 0) is None
    assert left.seconds(HistorySnapshot(requests=100, requests_done=10), 10) is None
    assert left.seconds(HistorySnapshot(requests=100, requests_done=10), 12) is None
    progress = HistorySnapshot(requests=100, requests_done=20)
    assert left.seconds(progress, 15) == 40
    assert "80 left, about 40 s" in progress_text(progress, 40)
    # then the estimate starts again after the end
    assert left.seconds(HistorySnapshot(requests=100, requests_done=100), 55) is None
    assert left.seconds(HistorySnapshot(requests=200, requests_done=100), 90) is None


async def test_resolutions_follow_each_other(drive: Drive) -> None:
    reader = CannedCoverage()
    async with opened(drive, reader) as (driven, screen):
        await ready(driven, screen)
        await driven.press("r")
        await driven.until(lambda: screen.grid is not None and screen.grid.stored.resolution == "quotes")
        await driven.press("B")
        await driven.until(lambda: "Collected prices cannot be fetched later" in driven.text())
        await driven.press("enter")
        await driven.until(lambda: "single minutes of collected prices are not listed" in driven.text())
        assert "lists holes" not in driven.text()
        reader.resolutions = ("quotes",)
        screen.run_query()
        await driven.until(lambda: screen.grid is not None and len(screen.grid.stored.resolutions) == 1)
        await driven.press("r")
        await driven.until(lambda: "Only one resolution" in driven.text())


async def test_before_the_first_check_it_shows_what_to_do(drive: Drive) -> None:
    reader = CannedCoverage()
    reader.cells = []
    async with opened(drive, reader) as (driven, screen):
        await driven.until(lambda: screen.grid is not None)
        await driven.until(lambda: "c checks what is stored" in driven.text())
        await driven.press("left", "enter", "B", "r")
        assert driven.app.is_running


async def test_an_error_keeps_the_last_result(drive: Drive) -> None:
    reader = CannedCoverage()
    async with opened(drive, reader) as (driven, screen):
        await ready(driven, screen)
        reader.failure = DatabaseError("the database is away")
        screen.run_query()
        await driven.until(lambda: "not read: the database is away" in str(screen.grid_list.border_title))
        assert "NVDA" in driven.text()


async def test_an_error_before_the_first_result_is_shown_completely(drive: Drive) -> None:
    reader = CannedCoverage()
    reader.failure = DatabaseError(
        "the database postgresql://me@db.example:5432/quotes does not answer: start it"
    )
    async with opened(drive, reader, size=(60, 16)) as (driven, _):
        await driven.until(lambda: str(reader.failure) in " ".join(driven.text().split()))


async def test_a_list_longer_than_the_window_leaves_room_for_its_scroll_bar(drive: Drive) -> None:
    # Given more symbols than lines, in a window where the first line of the legend needs every cell
    answers = threading.Semaphore(0)

    class Waits(CannedCoverage):
        def read(self, resolution: str, days: int) -> StoredCoverage:
            found = super().read(resolution, days)
            answers.acquire(timeout=60)
            return found

    reader = Waits()
    reader.cells = [cell(f"S{number:03}", DAYS[0], 390, "complete") for number in range(60)]
    try:
        async with opened(drive, reader, size=(80, 24)) as (driven, screen):
            await driven.until(lambda: "Reading the coverage" in driven.text())
            await driven.pilot.pause()
            # When they are read once, and the scroll bar appears, then no word of the legend is below it
            answers.release()
            await driven.until(lambda: screen.grid_list.show_vertical_scrollbar)
            await driven.until(lambda: "× too old" in driven.text())
            answers.release(100)
    finally:
        answers.release(100)


async def test_a_window_of_any_size_shows_it(drive: Drive) -> None:
    async with opened(drive, CannedCoverage(), size=(60, 16)) as (driven, screen):
        await ready(driven, screen)
        assert "NVDA" in driven.text()
        for size in ((10, 5), (200, 60), (60, 30)):
            await driven.pilot.resize_terminal(*size)
            await driven.pilot.pause()
        assert driven.app.is_running
