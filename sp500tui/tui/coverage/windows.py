"""The sessions to be fetched from the coverage screen, as windows of dates and symbols."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from sp500tui.storage.history.coverage import CoverageCell
from sp500tui.tui.coverage.grid import CoverageGrid
from sp500tui.tui.render.formats import plural


class FetchWindow(NamedTuple):
    """The sessions of some symbols on consecutive dates."""

    first: date
    last: date
    symbols: tuple[str, ...] = ()
    """Empty for all symbols."""

    @property
    def times(self) -> tuple[datetime, datetime]:
        """Start and end of the sessions; the last one may end on the next day in UTC."""
        start, end = (datetime.combine(day, time(), UTC) for day in (self.first, self.last))
        return start, end + timedelta(days=1, hours=12)


def is_lacking(cell: CoverageCell) -> bool:
    """Whether fetching could complete the session."""
    return bool(cell.missing) and cell.state in ("partial", "missing", "unanswered", "not yet")


def refusal_of(cell: CoverageCell) -> str:
    """Why a session cannot be fetched; empty if it can."""
    if is_lacking(cell):
        return ""
    if cell.state == "replaced":
        return "Longer bars have replaced those of this session"
    return "The source does not keep bars for so long" if cell.missing else "This session lacks nothing"


def marked_windows(marks: Collection[tuple[str, date]], dates: Sequence[date]) -> list[FetchWindow]:
    """The marked sessions as windows; adjacent dates with the same symbols share one."""
    by_date: dict[date, set[str]] = {}
    for symbol, day in marks:
        by_date.setdefault(day, set()).add(symbol)
    found: list[FetchWindow] = []
    for number, day in enumerate(dates):
        symbols = tuple(sorted(by_date.get(day, ())))
        if not symbols:
            continue
        if found and found[-1][1:] == (dates[number - 1], symbols):
            found[-1] = found[-1]._replace(last=day)
        else:
            found.append(FetchWindow(day, day, symbols))
    return found


def window_of(grid: CoverageGrid, symbol: str, cell: CoverageCell | None) -> FetchWindow:
    """The session under the cursor if it lacks bars; otherwise all dates of all symbols."""
    if cell is not None and cell.state in ("partial", "missing", "unanswered"):
        return FetchWindow(cell.session_date, cell.session_date, (symbol,))
    return FetchWindow(grid.dates[0], grid.dates[-1])


def describe(windows: Sequence[FetchWindow], marks: int) -> str:
    """The windows in words; `marks` is the number of marked sessions."""
    symbols = sorted({symbol for window in windows for symbol in window.symbols})
    first, last = min(window.first for window in windows), max(window.last for window in windows)
    dates = str(first) if first == last else f"{first} to {last}"
    if not symbols:
        return f"all symbols, {dates}"
    names = symbols[0] if len(symbols) == 1 else plural(len(symbols), "symbol")
    return f"{plural(marks, 'marked session')}, {names}, {dates}" if marks else f"{names}, {dates}"


def backfill_command(resolution: str, window: FetchWindow) -> str:
    """The command that fetches a window."""
    first, last, symbols = window
    words = ["sp500tui", "backfill", "--resolution", resolution, "--from", str(first), "--to", str(last)]
    return shlex.join([*words, "--symbols", ",".join(symbols)] if symbols else words)
