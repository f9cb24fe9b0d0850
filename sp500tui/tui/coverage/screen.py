"""The coverage screen: a map of symbols and sessions, the marked session, and the holes in it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from sp500tui.model import Resolution
from sp500tui.pipeline.api import HistorySnapshot, PipelineControl
from sp500tui.storage.history.coverage import CoverageCell, StoredCoverage
from sp500tui.tui.coverage.grid import CoverageGrid, cell_text, hole_lines, legend
from sp500tui.tui.coverage.reader import CoverageReader, Holes, PostgresCoverageReader
from sp500tui.tui.render.bindings import bind
from sp500tui.tui.render.cursor_list import CursorList
from sp500tui.tui.render.formats import plural
from sp500tui.tui.render.history_progress import progress_text
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.render.titles import set_titles
from sp500tui.tui.shell.background import start_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.styles import style_sheet

_DAYS = 130
"""Dates read; half a year."""
_LOADING = "Reading the coverage …"
_EMPTY = "Nothing was checked yet. `sp500tui gaps` checks what is stored, `sp500tui backfill` fetches what is missing."
_NO_HOLES = "no holes"
_UNKNOWN_TIMES = "the times of this session are not known; `sp500tui gaps` finds them"
_HOW = "enter lists the holes of the marked session"
_SESSION = Binding.Group("Session", compact=True)


@dataclass(frozen=True, slots=True)
class Found:
    """The answers of one round of queries."""

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
        bind("coverage.heal", "heal", "Fetch"),
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
        self._progress = HistorySnapshot()
        self._error = ""

    def compose_panels(self) -> ComposeResult:
        """The map, and the marked session below."""
        yield CursorList(id="coverage", classes="panel")
        yield LinesWidget(id="session", classes="panel")

    def on_unmount(self) -> None:
        """Close the connection on a background thread: a query may still be using it."""
        start_in_background("reader-closing", self._reader.close)

    def current_query(self) -> Callable[[], object]:
        """Read the coverage, and the holes of the session that was chosen."""
        return partial(_read, self._reader, self._resolution, self._wanted, self.dashboard.feed.pipeline)

    @on(BaseScreen.QuerySucceeded)
    def show_found(self, message: BaseScreen.QuerySucceeded) -> None:
        """Show the result of the queries; the cursor stays on its symbol and date."""
        if not isinstance(message.answer, Found):
            return
        symbol, chosen = self.marked_symbol, self.marked_date
        grid = CoverageGrid(message.answer.stored)
        self.grid, self._error, self._progress = grid, "", message.answer.progress
        self._resolution = grid.stored.resolution
        self._chosen = grid.dates.index(chosen) if chosen in grid.dates else None
        if message.answer.cell is not None:
            self._holes = (message.answer.cell, message.answer.holes)
        self._draw()
        if symbol in grid.symbols:
            self.grid_list.move_to(grid.symbols.index(symbol))

    @on(BaseScreen.QueryFailed)
    def show_refusal(self, message: BaseScreen.QueryFailed) -> None:
        """Keep the last result and show the error."""
        self._error = message.reason
        self._draw()

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

    def _draw(self) -> None:
        grid, widget = self.grid, self.grid_list
        width = widget.line_width
        if grid is None or not grid.symbols:
            text = self._error or (_LOADING if grid is None else _EMPTY)
            widget.show_rows([], placeholder=cut((Span(text, Role.LABEL),), width))
            set_titles(widget, "coverage")
            self.session.show_lines([])
            return
        position = self._position(grid)
        shown = grid.shown_dates(width, position)
        widget.show_rows(
            [grid.line(symbol, shown, width) for symbol in grid.symbols],
            grid.heading(shown, position, width),
            footer=(legend(width),),
        )
        missing = sum(grid.missing(symbol) for symbol in grid.symbols)
        checked = grid.stored.checked_at
        stale = f" · not read: {self._error}" if self._error else ""
        set_titles(
            widget,
            f"coverage of {grid.stored.resolution} · {plural(len(grid.symbols), 'symbol')}, "
            f"{plural(len(grid.dates), 'session')}{stale}",
            f"{missing:,} bars missing · checked {checked.astimezone():%Y-%m-%d %H:%M}" if checked else "",
        )
        self._draw_session()

    @on(CursorList.Moved)
    def _draw_session(self) -> None:
        marked = self._marked_cell()
        if marked is None:
            return
        grid, symbol, cell = marked
        width, height = self.session.size
        text = cell_text(cell, symbol, grid.dates[self._position(grid)], grid.stored.resolution)
        lines: list[Line] = [cut((Span(text),), width)]
        if self._holes is not None and cell is not None and _same_session(self._holes[0], cell):
            ranges = self._holes[1]
            lines += hole_lines(ranges, width, height - 1) or [
                cut((Span(_UNKNOWN_TIMES if cell.missing else _NO_HOLES, Role.LABEL),), width)
            ]
        elif cell is not None and cell.missing:
            lines.append(cut((Span(_HOW, Role.LABEL),), width))
        self.session.show_lines(lines)
        set_titles(self.session, "session", progress_text(self._progress))

    @on(CursorList.Selected)
    def list_holes(self) -> None:
        """Read the holes of the marked session."""
        marked = self._marked_cell()
        if marked is not None and marked[2] is not None:
            self._wanted = marked[2]
            self.run_query()

    def action_choose(self, step: int) -> None:
        """Mark the session before (-1) or after (+1)."""
        if self.grid is not None and self.grid.dates:
            self._chosen = max(0, min(self._position(self.grid) + step, len(self.grid.dates) - 1))
            self._draw()

    def action_next_resolution(self) -> None:
        """Show the next of the resolutions that were checked."""
        if self.grid is None or len(self.grid.stored.resolutions) < 2:
            self.notify("Only one resolution was checked", severity="warning")
            return
        known = sorted(self.grid.stored.resolutions)
        self._resolution = known[(known.index(self._resolution) + 1) % len(known)]
        self._holes = self._wanted = None
        self.run_query()

    def action_heal(self) -> None:
        """Have the pipeline fetch what the marked session lacks, or everything that is shown."""
        marked, pipeline = self._marked_cell(), self.dashboard.feed.pipeline
        if marked is None or self._resolution == "quotes" or pipeline is None:
            self.notify("There is nothing to fetch", severity="warning")
            return
        first, last, symbols = heal_window(*marked)
        start = datetime.combine(first, time(), UTC)
        # The last session may end on the next day in UTC.
        end = datetime.combine(last, time(), UTC) + timedelta(days=1, hours=12)
        what = f"{symbols[0]} {first}" if symbols else f"all symbols, {first} to {last}"
        self.request_bars(Resolution(self._resolution), start, end, symbols, what)

    def action_copy_backfill(self) -> None:
        """Copy the command for the marked session if it lacks bars, for everything that is shown otherwise."""
        marked = self._marked_cell()
        if marked is None or self._resolution == "quotes":
            self.notify("There is nothing to fetch", severity="warning")
            return
        command = backfill_command(*marked)
        self.app.copy_to_clipboard(command)
        self.notify(f"Copied: {command}", markup=False)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._draw)


def heal_window(
    grid: CoverageGrid, symbol: str, cell: CoverageCell | None
) -> tuple[date, date, tuple[str, ...]]:
    """First and last date and the symbols to fetch: a session that lacks bars, or all dates of all symbols (none)."""
    if cell is not None and cell.state in ("partial", "missing", "unanswered"):
        return cell.session_date, cell.session_date, (symbol,)
    return grid.dates[0], grid.dates[-1], ()


def backfill_command(grid: CoverageGrid, symbol: str, cell: CoverageCell | None) -> str:
    """The command that fetches the same."""
    first, last, symbols = heal_window(grid, symbol, cell)
    words = [
        "sp500tui",
        "backfill",
        "--resolution",
        grid.stored.resolution,
        "--from",
        str(first),
        "--to",
        str(last),
    ]
    return shlex.join([*words, "--symbols", *symbols] if symbols else words)


def _same_session(one: CoverageCell, other: CoverageCell) -> bool:
    return (one.symbol, one.session_date) == (other.symbol, other.session_date)


def _read(
    reader: CoverageReader, resolution: str, cell: CoverageCell | None, pipeline: PipelineControl | None
) -> Found:
    """Read the coverage, the holes and the progress; runs on a background thread."""
    stored = reader.read(resolution, _DAYS)
    holes = [] if cell is None else reader.holes(resolution, cell)
    return Found(stored, cell, holes, HistorySnapshot() if pipeline is None else pipeline.history())
