"""What is to be fetched on the coverage screen, and the command that fetches it."""

from __future__ import annotations

from datetime import UTC, datetime

from sp500tui.storage.history.coverage import StoredCoverage
from sp500tui.tui.coverage.grid import CoverageGrid
from sp500tui.tui.coverage.windows import FetchWindow, backfill_command, describe, marked_windows, window_of
from tests.support.tui.canned_coverage import CHECKED, DAYS, LOST, cells


def test_the_command_is_for_the_session_under_the_cursor_or_for_all() -> None:
    grid = CoverageGrid(StoredCoverage("1m", ("1m",), CHECKED, tuple(cells())))
    window = window_of(grid, "BRK.B", grid.cells["BRK.B", LOST])
    assert backfill_command("1m", window) == (
        f"sp500tui backfill --resolution 1m --from {LOST} --to {LOST} --symbols BRK.B"
    )
    whole = f"sp500tui backfill --resolution 1m --from {DAYS[0]} --to {DAYS[-1]}"
    assert backfill_command("1m", window_of(grid, "AAPL", grid.cells["AAPL", DAYS[-2]])) == whole
    assert backfill_command("1m", window_of(grid, "AAPL", None)) == whole


def test_marks_of_adjacent_dates_with_the_same_symbols_are_one_window() -> None:
    marks = {
        (symbol, DAYS[day]) for symbol, day in (("A", 3), ("B", 3), ("A", 4), ("B", 4), ("A", 5), ("A", 7))
    }
    windows = marked_windows(marks, DAYS)
    assert windows == [
        FetchWindow(DAYS[3], DAYS[4], ("A", "B")),
        FetchWindow(DAYS[5], DAYS[5], ("A",)),
        FetchWindow(DAYS[7], DAYS[7], ("A",)),
    ]
    assert describe(windows, 6) == f"6 marked sessions, 2 symbols, {DAYS[3]} to {DAYS[7]}"
    assert describe([FetchWindow(DAYS[3], DAYS[3], ("A",))], 0) == f"A, {DAYS[3]}"
    assert describe([FetchWindow(DAYS[3], DAYS[4])], 0) == f"all symbols, {DAYS[3]} to {DAYS[4]}"


def test_a_window_ends_with_a_session_that_passes_midnight_in_utc() -> None:
    day = DAYS[0]
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    start, end = FetchWindow(day, day).times
    assert start == begin
    assert (end - begin).total_seconds() == 36 * 3600
