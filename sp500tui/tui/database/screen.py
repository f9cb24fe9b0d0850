"""The database screen: its figures, the SQL behind the marked one, and the newest rows of the table `prices`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from sp500tui.config.paths import Paths
from sp500tui.errors import JournalError
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.storage.queries import QUERIES
from sp500tui.tui.database.metrics import Metric, figures, sql_in
from sp500tui.tui.render.cursor_list import CursorList
from sp500tui.tui.render.lines import Role, Span, cut
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.render.stored_rows import stored_lines
from sp500tui.tui.render.titles import set_titles
from sp500tui.tui.shell.background import start_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.price_reader import PostgresReader, PriceReader, StoredAll
from sp500tui.tui.shell.styles import style_sheet

if TYPE_CHECKING:
    from sp500tui.pipeline.journal.dead_letters import DeadLetters

_ROWS = 60
_RATES = 120
"""Readings kept for the growth."""
_LOADING = "asking the database …"
_EMPTY = "the table is empty: no price has been stored yet"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found at one moment."""

    stored: StoredAll
    letters: int | str
    """Dead letters kept in their file, or why they cannot be counted."""


class DatabaseScreen(BaseScreen):
    """What is stored, how it grows, and how each figure can be asked for by hand.

    Args:
        archive: Where it is read; the pipeline's database by default.
    """

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("database.tcss")]
    BINDING_GROUP_TITLE = "Database"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "y", "copy_sql", "Copy SQL", id="database.copy", tooltip="Copy the SQL behind the marked figure"
        ),
    ]
    AUTO_FOCUS = "CursorList"

    figure_list = getters.query_one("#figures", CursorList)
    sql = getters.query_one("#sql", LinesWidget)
    newest = getters.query_one("#newest", LinesWidget)

    def __init__(self, reader: PriceReader | None = None) -> None:
        super().__init__()
        self._archive: PriceReader = reader or PostgresReader(self.database_url)
        self._stored: StoredAll | None = None
        self._letters: int | str | None = None
        self._rates: deque[float] = deque(maxlen=_RATES)
        self._trouble = ""
        self._figures: Sequence[Metric] = ()

    def compose_panels(self) -> ComposeResult:
        """The figures beside their SQL, the newest rows below."""
        with Horizontal(id="middle"):
            yield CursorList(id="figures", classes="panel")
            yield LinesWidget(id="sql", classes="panel")
        yield LinesWidget(id="newest", classes="panel")

    def on_unmount(self) -> None:
        """Close the connection on a background thread: a query may still be using it."""
        start_in_background("reader-closing", self._archive.close)

    def question(self) -> Callable[[], object]:
        """All figures, the newest rows and the number of dead letters."""
        return partial(_read, self._archive, Paths.of(self.dashboard.settings).dead_letters)

    @on(BaseScreen.QuerySucceeded)
    def show_stored(self, message: BaseScreen.QuerySucceeded) -> None:
        """Draw what the database answered."""
        answer = message.answer
        if isinstance(answer, Reading):
            self._follow_growth(answer.stored)
            self._stored, self._letters, self._trouble = answer.stored, answer.letters, ""
            self._draw()

    def _follow_growth(self, later: StoredAll) -> None:
        from sp500tui.storage.reads import insert_rate  # needs the PostgreSQL client, loaded by the reading

        if self._stored is not None:
            grown = insert_rate(self._stored.statistics, later.statistics)
            if grown is not None:
                self._rates.append(grown)

    @on(BaseScreen.QueryFailed)
    def show_refusal(self, message: BaseScreen.QueryFailed) -> None:
        """Keep what is there and say why nothing newer comes."""
        self._trouble = message.reason
        self._draw()

    @on(CursorList.Moved)
    def show_sql(self) -> None:
        """Show where the marked figure comes from."""
        figure = self._marked
        if figure is not None:
            self.sql.show_lines(sql_in(figure, QUERIES, *self.sql.size))
            set_titles(self.sql, f"behind: {figure.name}")

    @property
    def _marked(self) -> Metric | None:
        return self._figures[self.figure_list.cursor] if self._figures else None

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring the figures up to date that the pipeline knows itself."""
        now = self.dashboard.clock()
        self._figures = figures(snapshot, self._stored, list(self._rates), now, self._letters)
        width = self.figure_list.line_width
        self.figure_list.show_rows([figure.line(width) for figure in self._figures])
        source = ", read from its replica" if self.dashboard.settings.read_database else ""
        set_titles(self.figure_list, f"database{source}{self._stale}")
        self.show_sql()

    def _draw(self) -> None:
        self.show_snapshot(self.dashboard.snapshot)
        stored, canvas = self._stored, self.newest
        if stored is not None and stored.rows:
            now = self.dashboard.clock()
            canvas.show_lines(stored_lines(stored.rows, now, *canvas.size, with_symbol=True))
        else:
            words = self._trouble or (_LOADING if stored is None else _EMPTY)
            canvas.show_lines([cut((Span(words, Role.LABEL),), canvas.size.width)])
        set_titles(canvas, "newest rows of prices" + self._stale)

    @property
    def _stale(self) -> str:
        """Why what is shown is not of now; empty when it is."""
        return f" · not read: {self._trouble}" if self._trouble and self._stored is not None else ""

    def on_resize(self) -> None:
        """Lay everything out for the new size."""
        self.call_after_refresh(self._draw)

    def action_copy_sql(self) -> None:
        """Copy the SQL behind the marked figure."""
        figure = self._marked
        if figure is None or not figure.queries:
            self.notify("there is no SQL behind this figure", severity="warning")
            return
        self.app.copy_to_clipboard("\n".join(QUERIES[name].rstrip() + ";" for name in figure.queries))
        self.notify(f"copied: the SQL behind {figure.name}", markup=False)


def _read(reader: PriceReader, dead_letters: Path) -> Reading:
    """Ask the database and count the letters; runs on a background thread."""
    stored = reader.read_overview(_ROWS)
    try:
        return Reading(stored, _letters(dead_letters).count())
    except JournalError as error:
        return Reading(stored, str(error))


@cache
def _letters(path: Path) -> DeadLetters:
    """The file of dead letters, which remembers how far it has been counted."""
    from sp500tui.pipeline.journal.dead_letters import DeadLetters

    return DeadLetters(path)
