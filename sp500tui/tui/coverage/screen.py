"""The coverage screen: a map of symbols and sessions, the marked session, and the holes in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from sp500tui.model import Resolution
from sp500tui.pipeline.api import HistorySnapshot, PipelineControl
from sp500tui.storage.history.coverage import CoverageCell, StoredCoverage
from sp500tui.storage.history.sessions import QUOTES
from sp500tui.tui.coverage.grid import CoverageGrid, cell_text, hole_lines, legend, unit
from sp500tui.tui.coverage.reader import CoverageReader, Holes, PostgresCoverageReader
from sp500tui.tui.coverage.windows import (
    FetchWindow,
    backfill_command,
    describe,
    is_lacking,
    marked_windows,
    refusal_of,
    window_of,
)
from sp500tui.tui.render.formats import clean, plural
from sp500tui.tui.render.history_progress import TimeLeft, progress_text
from sp500tui.tui.render.lines import Line, Role, wrapped
from sp500tui.tui.shell.background import start_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cursor_list import CursorList
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_DAYS = 130
"""Dates read; half a year."""
_CHECKED_DAYS = 7
"""Days that a check covers: it makes one to three requests."""
_LOADING = "Reading the coverage …"
_UNCHECKED = "Nothing was checked yet"
_CHECKING = "What is stored of the last week is being determined …"
_NO_HOLES = "no holes"
_UNKNOWN_TIMES = "the times of this session are not known; `sp500tui gaps` finds them"
_NO_MINUTES = "The single minutes of collected prices are not listed"
_FETCH = "coverage.heal"
_HOW = (
    ("list.choose", "lists holes"),
    ("coverage.mark", "marks a session"),
    ("coverage.mark_symbol", "the symbol"),
    (_FETCH, "fetches"),
)
"""Keys, and what they do with a session."""
_SESSION = Binding.Group("Session", compact=True)


@dataclass(frozen=True, slots=True)
class Found:
    """The results of one round of queries."""

    stored: StoredCoverage
    cell: CoverageCell | None
    """The session whose holes were requested."""
    holes: Holes
    progress: HistorySnapshot


class CoverageScreen(BaseScreen):
    """The sessions of all symbols, those with the largest gaps first.

    Args:
        reader: Reads the database; the pipeline's own by default.
    """

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("coverage.tcss")]
    BINDING_GROUP_TITLE = "Coverage"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("coverage.earlier", "choose(-1)", "Earlier", group=_SESSION),
        bind("coverage.later", "choose(1)", "Later", group=_SESSION),
        bind("coverage.resolution", "next_resolution", "Resolution"),
        bind("coverage.mark", "toggle_mark", "Mark"),
        bind("coverage.mark_symbol", "mark_symbol", "Mark symbol", show=False),
        bind("coverage.unmark", "unmark", "Remove marks", show=False),
        bind("coverage.heal", "heal", "Fetch"),
        bind("coverage.check", "check", "Check"),
        bind("coverage.copy", "copy_backfill", "Copy command"),
    ]  # fmt: skip
    AUTO_FOCUS = "CursorList"

    grid_list = getters.query_one("#coverage", CursorList)
    session = getters.query_one("#session", LinesWidget)

    def __init__(self, reader: CoverageReader | None = None) -> None:
        super().__init__()
        self._reader: CoverageReader = reader or PostgresCoverageReader(self.database_url)
        self.grid: CoverageGrid | None = None
        """The last result of the queries; None before the first one."""
        self._resolution = ""
        self._chosen: int | None = None
        """Position of the marked date; None for the newest one."""
        self._wanted: CoverageCell | None = None
        """The session whose holes are shown."""
        self._holes: tuple[CoverageCell, Holes] | None = None
        self.marks: set[tuple[str, date]] = set()
        """Symbols and dates that are marked to be fetched."""
        self._checked = False
        """Whether an empty coverage has been determined already."""
        self._time_left = TimeLeft()
        self._seconds_left: float | None = None
        self._progress = HistorySnapshot()

    def compose_panels(self) -> ComposeResult:
        """The map, and the marked session below."""
        yield CursorList(id="coverage", classes="panel")
        yield LinesWidget(id="session", classes="panel")

    def on_mount(self) -> None:
        """Draw to the width left by the scroll bar."""
        self.watch(self.grid_list, "show_vertical_scrollbar", self.draw_panels, init=False)

    def on_unmount(self) -> None:
        """Close the connection on a background thread: a query may still be using it."""
        start_in_background("reader-closing", self._reader.close)

    def current_query(self) -> Callable[[], object]:
        """Read the coverage, and the holes of the session that was chosen."""
        return partial(_read, self._reader, self._resolution, self._wanted, self.dashboard.feed.pipeline)

    def forget_answers(self) -> None:
        """Drop the coverage, the holes and the progress of the previous time; the marks stay."""
        self.grid = self._holes = self._seconds_left = None
        self._progress = HistorySnapshot()

    def show_answer(self, answer: object) -> None:
        """Show the result of the queries; the cursor stays on its symbol and date."""
        if not isinstance(answer, Found):
            return
        symbol, chosen = self.marked_symbol, self.marked_date
        grid = CoverageGrid(answer.stored)
        self.grid, self.failure, self._progress = grid, "", answer.progress
        self._resolution = grid.stored.resolution
        self._chosen = grid.dates.index(chosen) if chosen in grid.dates else None
        if answer.cell is not None:
            self._holes = (answer.cell, answer.holes)
        seconds = self.dashboard.clock().timestamp()
        self._seconds_left = self._time_left.seconds(self._progress, seconds)
        # Sessions fetched in the meantime need no mark.
        self.marks = {key for key in self.marks if key in grid.cells and is_lacking(grid.cells[key])}
        self.draw_panels()
        if symbol in grid.symbols:
            self.grid_list.move_to(grid.symbols.index(symbol))
        if not grid.symbols and not self._checked and self.dashboard.offers("coverage.check"):
            self.action_check()

    @property
    def marked_symbol(self) -> str | None:
        """The symbol under the cursor."""
        grid = self.grid
        if grid is None or not grid.symbols:
            return None
        return grid.symbols[min(self.grid_list.cursor, len(grid.symbols) - 1)]

    @property
    def marked_date(self) -> object:
        """The marked date; None without any."""
        grid = self.grid
        return None if grid is None or not grid.dates else grid.dates[self._position(grid)]

    def _position(self, grid: CoverageGrid) -> int:
        last = len(grid.dates) - 1
        return last if self._chosen is None else max(0, min(self._chosen, last))

    def _marked_cell(self) -> tuple[CoverageGrid, str, CoverageCell | None] | None:
        grid, symbol = self.grid, self.marked_symbol
        if grid is None or symbol is None:
            return None
        return grid, symbol, grid.cells.get((symbol, grid.dates[self._position(grid)]))

    def draw_panels(self) -> None:
        """Draw what was read, or the error."""
        grid, widget = self.grid, self.grid_list
        width = widget.line_width
        if grid is None or not grid.symbols:
            text = self._empty_text() if grid is not None else _LOADING
            if self._progress.surveys:
                text = _CHECKING
            widget.show_rows([], placeholder=wrapped(self.failure or text, width, Role.LABEL))
            set_titles(widget, "coverage")
            self.session.show_lines([])
            set_titles(self.session, "session", progress_text(self._progress, self._seconds_left))
            return
        position = self._position(grid)
        shown = grid.shown_dates(width, position)
        widget.show_rows(
            [grid.line(symbol, shown, width, self.marks) for symbol in grid.symbols],
            grid.heading(shown, position, width),
            footer=legend(width),
        )
        missing = sum(grid.missing(symbol) for symbol in grid.symbols)
        checked = grid.stored.checked_at
        stale = f" · not read: {self.failure}" if self.failure else ""
        short = f"{unit(grid.stored.resolution)}{stale} · {missing:,} missing"
        number = f"{plural(len(grid.symbols), 'symbol')}, {plural(len(grid.dates), 'session')}"
        set_titles(
            widget,
            f"coverage of {short} · {number}",
            f"checked {checked.astimezone():%Y-%m-%d %H:%M}" if checked else "",
            shorter=(f"coverage of {short}", short),
        )
        self._draw_session()

    def _empty_text(self) -> str:
        """What to do while no coverage has been checked."""
        check = self.dashboard.offered_key("coverage.check")
        how = f". {check} checks what is stored of the last week; so does `sp500tui gaps`." if check else ""
        return f"{_UNCHECKED}{how}"

    @on(CursorList.Moved)
    def _draw_session(self) -> None:
        marked = self._marked_cell()
        if marked is None:
            return
        grid, symbol, cell = marked
        width, height = self.session.size
        text = cell_text(cell, symbol, grid.dates[self._position(grid)], grid.stored.resolution)
        lines = wrapped(text, width)
        if self._holes is not None and cell is not None and _same_session(self._holes[0], cell):
            ranges = self._holes[1]
            lines += hole_lines(ranges, width, height - len(lines)) or wrapped(
                _UNKNOWN_TIMES if cell.missing else _NO_HOLES, width, Role.LABEL
            )
        elif cell is not None and cell.missing:
            lines += self._keys_of_a_session(width, height - len(lines))
        self.session.show_lines(lines)
        marks = f" · {plural(len(self.marks), 'session')} marked" if self.marks else ""
        set_titles(self.session, f"session{marks}", progress_text(self._progress, self._seconds_left))

    def _keys_of_a_session(self, width: int, height: int) -> Sequence[Line]:
        """The keys that act on a session that lacks bars, as many as fit."""
        if self._resolution == QUOTES:
            return ()
        keys = _HOW if self.dashboard.offers(_FETCH) else _HOW[:1]
        texts = [f"{self.dashboard.key_of(key_id)} {words}" for key_id, words in keys]
        numbers = range(len(texts), 0, -1)
        variants = (wrapped(" · ".join(texts[:number]), width, Role.LABEL) for number in numbers)
        return next((lines for lines in variants if len(lines) <= height), ())

    @on(CursorList.Selected)
    def list_holes(self) -> None:
        """Read the holes of the marked session."""
        marked = self._marked_cell()
        if self._resolution == QUOTES:
            self.show_message(_NO_MINUTES)
        elif marked is not None and marked[2] is not None:
            self._wanted = marked[2]
            self.run_query()

    def action_choose(self, step: int) -> None:
        """Mark the session before (-1) or after (+1)."""
        if self.grid is not None and self.grid.dates:
            self._chosen = max(0, min(self._position(self.grid) + step, len(self.grid.dates) - 1))
            self.draw_panels()

    def action_next_resolution(self) -> None:
        """Show the next checked resolution."""
        if self.grid is None or len(self.grid.stored.resolutions) < 2:
            self.show_message("Only one resolution was checked")
            return
        known = sorted(self.grid.stored.resolutions)
        self._resolution = known[(known.index(self._resolution) + 1) % len(known)]
        self._holes = self._wanted = None
        self.run_query()

    def action_toggle_mark(self) -> None:
        """Mark the session under the cursor, or remove its mark."""
        marked = self._marked_cell()
        if marked is None or (cell := marked[2]) is None:
            self.show_message("This session was not checked" if marked else _UNCHECKED)
            return
        if refusal := self._unfetchable() or refusal_of(cell):
            self.show_message(refusal)
            return
        self.marks ^= {(marked[1], cell.session_date)}
        self.draw_panels()

    def action_mark_symbol(self) -> None:
        """Mark all sessions of the symbol that lack bars, or remove the marks if all are marked."""
        marked, refusal = self._marked_cell(), self._unfetchable()
        if marked is None or refusal:
            self.show_message(refusal)
            return
        grid, symbol, _ = marked
        lacking = {
            (symbol, day)
            for day in grid.dates
            if (symbol, day) in grid.cells and is_lacking(grid.cells[symbol, day])
        }
        if not lacking:
            self.show_message(f"{symbol} lacks nothing that can be fetched")
            return
        self.marks = self.marks - lacking if lacking <= self.marks else self.marks | lacking
        self.draw_panels()

    def action_unmark(self) -> None:
        """Remove all marks."""
        self.marks = set()
        self.draw_panels()

    def action_heal(self) -> None:
        """After confirmation, fetch the missing bars of the marked sessions, or of everything shown."""
        marked, resolution, refusal = self._marked_cell(), self._resolution, self._unfetchable()
        if marked is None or refusal:
            self.show_message(refusal)
            return
        windows = self._windows(*marked)
        what = describe(windows, len(self.marks))

        def request() -> None:
            for window in windows:
                self.request_bars(Resolution(resolution), *window.times, window.symbols, what)
            self.marks = set()
            self.draw_panels()

        self.dashboard.ask(f"Fetch the missing {resolution} bars of {what}?", request)

    def _unfetchable(self) -> str:
        """Why none of the sessions shown can be fetched; empty if one can."""
        if self.marked_symbol is None:
            return _UNCHECKED
        if self._resolution != QUOTES:
            return ""
        key = self.dashboard.key_of("coverage.resolution")
        return f"Collected prices cannot be fetched later; {key} shows the next resolution"

    def _windows(self, grid: CoverageGrid, symbol: str, cell: CoverageCell | None) -> list[FetchWindow]:
        """The sessions to be fetched."""
        return marked_windows(self.marks, grid.dates) if self.marks else [window_of(grid, symbol, cell)]

    def action_check(self) -> None:
        """Determine the coverage of the last week; nothing is fetched."""
        self._checked = True
        pipeline = self.dashboard.feed.pipeline
        if pipeline is None:
            return
        resolution = (
            Resolution(self._resolution) if self._resolution not in ("", QUOTES) else Resolution.MINUTE
        )
        now = self.dashboard.clock()
        request = partial(pipeline.check_coverage, resolution, now - timedelta(days=_CHECKED_DAYS), now, ())
        self.send_history_request(request, "Checking in the background: all symbols, the last week")

    def action_copy_backfill(self) -> None:
        """Copy the command for the marked session if it lacks bars, otherwise for everything shown."""
        marked, refusal = self._marked_cell(), self._unfetchable()
        if marked is None or refusal:
            self.show_message(refusal)
            return
        commands = [
            backfill_command(marked[0].stored.resolution, window) for window in self._windows(*marked)
        ]
        command = " && ".join(commands)
        self.app.copy_to_clipboard(command)
        self.show_message(f"Copied: {clean(command)}")

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.draw_panels)


def _same_session(one: CoverageCell, other: CoverageCell) -> bool:
    return (one.symbol, one.session_date) == (other.symbol, other.session_date)


def _read(
    reader: CoverageReader, resolution: str, cell: CoverageCell | None, pipeline: PipelineControl | None
) -> Found:
    """Read the coverage, the holes and the progress; runs on a background thread."""
    stored = reader.read(resolution, _DAYS)
    holes = [] if cell is None else reader.holes(resolution, cell)
    return Found(stored, cell, holes, HistorySnapshot() if pipeline is None else pipeline.history())
