"""The database screen: metrics, the SQL of the marked one, and the latest rows of the table `prices`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal

from sp500tui.config.paths import Paths
from sp500tui.errors import JournalError
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.storage.queries import QUERIES
from sp500tui.tui.database.metrics import Metric, fitted_sql_lines, metrics
from sp500tui.tui.render.lines import Role, wrapped
from sp500tui.tui.render.stored_rows import stored_lines
from sp500tui.tui.shell.background import start_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.price_reader import PostgresReader, PriceReader, StoredOverview
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cursor_list import CursorList
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

if TYPE_CHECKING:
    from sp500tui.pipeline.journal.dead_letters import DeadLetters

_ROWS = 60
_RATES = 120
"""Number of insert rates kept."""
_LOADING = "Querying the database …"
_EMPTY = "No prices stored yet"


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of one round of queries."""

    stored: StoredOverview
    dead_letters: int | str
    """Dead letters in their file, or why they cannot be counted."""


class DatabaseScreen(BaseScreen):
    """The metrics with their SQL, and the latest rows.

    Args:
        reader: Reads the database; the pipeline's own by default.
    """

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("database.tcss")]
    BINDING_GROUP_TITLE = "Database"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("database.copy", "copy_sql", "Copy SQL"),
    ]
    AUTO_FOCUS = "CursorList"

    metric_list = getters.query_one("#metrics", CursorList)
    sql = getters.query_one("#sql", LinesWidget)
    latest_rows = getters.query_one("#latest-rows", LinesWidget)

    def __init__(self, reader: PriceReader | None = None) -> None:
        super().__init__()
        self._reader: PriceReader = reader or PostgresReader(self.database_url)
        self.stored: StoredOverview | None = None
        """The last result of the queries; None before the first one."""
        self._dead_letters: int | str | None = None
        self._rates: deque[float] = deque(maxlen=_RATES)
        self._metrics: Sequence[Metric] = ()

    def compose_panels(self) -> ComposeResult:
        """The metrics, their SQL to the right, and the latest rows below."""
        with Horizontal(id="middle"):
            yield CursorList(id="metrics", classes="panel")
            yield LinesWidget(id="sql", classes="panel")
        yield LinesWidget(id="latest-rows", classes="panel")

    def on_unmount(self) -> None:
        """Close the connection on a background thread: a query may still be using it."""
        start_in_background("reader-closing", self._reader.close)

    def current_query(self) -> Callable[[], object]:
        """Read the metrics, the latest rows and the number of dead letters."""
        return partial(_read, self._reader, Paths.of(self.dashboard.settings).dead_letters)

    def show_answer(self, answer: object) -> None:
        """Show the result of the queries."""
        if isinstance(answer, Reading):
            self._update_rates(answer.stored)
            self.stored, self._dead_letters, self.failure = answer.stored, answer.dead_letters, ""
            self.draw_panels()

    def forget_answers(self) -> None:
        """Drop the metrics and rows of the previous time."""
        self.stored = self._dead_letters = None
        self._rates.clear()

    def _update_rates(self, later: StoredOverview) -> None:
        from sp500tui.storage.reads import (
            insert_rate,  # imports the PostgreSQL client, which the first query has loaded
        )

        if self.stored is not None:
            grown = insert_rate(self.stored.statistics, later.statistics)
            if grown is not None:
                self._rates.append(grown)

    @on(CursorList.Moved)
    def show_sql(self) -> None:
        """Show the origin of the marked metric."""
        metric = self._marked
        if metric is not None:
            copy = self.dashboard.key_of("database.copy")
            self.sql.show_lines(fitted_sql_lines(metric, QUERIES, *self.sql.size, copy))
            set_titles(self.sql, f"SQL: {metric.name}")

    @property
    def _marked(self) -> Metric | None:
        return self._metrics[self.metric_list.cursor] if self._metrics else None

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Update the metrics that the pipeline measures."""
        now = self.dashboard.clock()
        self._metrics = metrics(snapshot, self.stored, list(self._rates), now, self._dead_letters)
        width = self.metric_list.line_width
        self.metric_list.show_rows([metric.line(width) for metric in self._metrics])
        source = " (read replica)" if self.dashboard.settings.read_database else ""
        set_titles(self.metric_list, f"database{source}{self._stale}")
        self.show_sql()

    def draw_panels(self) -> None:
        """Draw what was read, or the error."""
        self.show_snapshot(self.dashboard.snapshot)
        stored, widget = self.stored, self.latest_rows
        if stored is not None and stored.rows:
            now = self.dashboard.clock()
            widget.show_lines(stored_lines(stored.rows, now, *widget.size, with_symbol=True))
        else:
            text = self.failure or (_LOADING if stored is None else _EMPTY)
            widget.show_lines(wrapped(text, widget.size.width, Role.LABEL))
        set_titles(widget, "latest rows of prices" + self._stale)

    @property
    def _stale(self) -> str:
        """The error that makes the shown result outdated; empty without one."""
        return f" · not read: {self.failure}" if self.failure and self.stored is not None else ""

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.draw_panels)

    def action_copy_sql(self) -> None:
        """Copy the SQL of the marked metric."""
        metric = self._marked
        if metric is None or not metric.queries:
            self.notify("This metric has no SQL", severity="warning")
            return
        self.app.copy_to_clipboard("\n".join(QUERIES[name].rstrip() + ";" for name in metric.queries))
        self.notify(f"Copied: SQL of {metric.name}", markup=False)


def _read(reader: PriceReader, dead_letters: Path) -> Reading:
    """Query the database and count the dead letters; runs on a background thread."""
    stored = reader.read_overview(_ROWS)
    try:
        return Reading(stored, _dead_letters_of(dead_letters).count())
    except JournalError as error:
        return Reading(stored, str(error))


@cache
def _dead_letters_of(path: Path) -> DeadLetters:
    """The file of dead letters, cached because it counts incrementally."""
    from sp500tui.pipeline.journal.dead_letters import DeadLetters

    return DeadLetters(path)
