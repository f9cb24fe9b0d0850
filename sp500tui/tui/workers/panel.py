"""The workers panel: every thread and process of the pipeline in one line each."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.reactive import reactive

from sp500tui.pipeline.core.snapshot import StageName, WorkerSnapshot
from sp500tui.tui.messages import CopyRequested, ExportRequested
from sp500tui.tui.render.cached_lines import CachedLineView
from sp500tui.tui.render.cluster_labels import short_name
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.render.lines import Line, Role
from sp500tui.tui.render.titles import set_titles
from sp500tui.tui.render.worker_lines import (
    detail_lines,
    empty_line,
    header_line,
    home_width,
    name_width,
    title,
    worker_line,
)
from sp500tui.tui.shell.export import Table
from sp500tui.tui.workers.export import WorkerRecord, worker_record

_HEADING_FROM = 4
"""Lines of the panel from which on one is spent on the names of the columns."""
_DETAIL_FROM = ((20, 3), (9, 2), (3, 1))
"""Lines of the panel, and how many of them tell more about the marked worker."""
_EXPORT = Binding.Group("Export workers", compact=True)


class WorkersPanel(CachedLineView):
    """Line-API list of workers under a fixed heading; repaints the visible lines that changed."""

    BINDING_GROUP_TITLE = "Workers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="workers.up", tooltip="The worker above"),
        Binding("down,j", "move(1)", "Down", show=False, id="workers.down", tooltip="The worker below"),
        Binding("pageup,ctrl+u", "move(-10)", "Page up", show=False, id="workers.page_up", tooltip="Ten up"),
        Binding(
            "pagedown,ctrl+d", "move(10)", "Page down", show=False, id="workers.page_down", tooltip="Ten down"
        ),
        Binding("home,g", "move(-9999)", "First", show=False, id="workers.first", tooltip="The first worker"),
        Binding("end,G", "move(9999)", "Last", show=False, id="workers.last", tooltip="The last worker"),
        Binding(
            "w",
            "toggle_scope",
            "All or one stage",
            id="workers.scope",
            tooltip="All workers or the selected stage's",
        ),
        Binding("y", "copy", "Copy worker", id="workers.copy", tooltip="Copy the marked worker's line"),
        Binding(
            "e",
            "export('csv')",
            "Export workers CSV",
            group=_EXPORT,
            id="workers.export_csv",
            tooltip="Write the workers shown to a CSV file",
        ),
        Binding(
            "E",
            "export('json')",
            "Export workers JSON",
            group=_EXPORT,
            id="workers.export_json",
            tooltip="Write the workers shown to a JSON file",
        ),
    ]
    PREFIX = "line"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"line--row", *(f"line--{role}" for role in Role)}
    ALLOW_SELECT = False

    only_stage: reactive[bool] = reactive(False)
    """Show only the workers of the selected stage."""
    stage: reactive[StageName] = reactive(StageName.PRICE)
    """The selected stage."""
    cursor: reactive[int] = reactive(0)
    """Index of the marked worker."""

    def __init__(self) -> None:
        super().__init__(id="workers", classes="panel")
        self._workers: Sequence[WorkerSnapshot] = ()
        self._before = True
        self._rows: list[Line] = []
        self._heading: Line | None = None
        self._detail: list[Line] = []

    def show(self, workers: Sequence[WorkerSnapshot]) -> None:
        """Bring the list up to date."""
        self._workers = workers
        self._before = self._before and not workers
        self._draw()

    def shown(self) -> list[WorkerSnapshot]:
        """The workers of the list, in its order."""
        return [worker for worker in self._workers if not self.only_stage or worker.stage is self.stage]

    def row_text(self) -> str:
        """The marked worker as one line of text, to copy."""
        shown = self.shown()
        if not shown:
            return ""
        worker = shown[min(self.cursor, len(shown) - 1)]
        error = f", last error: {clean(worker.last_error)}" if worker.last_error else ""
        home = f" on {short_name(worker.node)}" if worker.node else ""
        return f"{clean(worker.name)}{home} {worker.state} {clean(worker.doing)}{error}"

    def action_move(self, steps: int) -> None:
        """Move the mark."""
        self.cursor = max(0, min(len(self.shown()) - 1, self.cursor + steps))

    def action_copy(self) -> None:
        """Copy the marked worker's line."""
        self.post_message(CopyRequested(self.row_text()))

    def action_export(self, form: str) -> None:
        """Have the workers shown written to a file."""
        records = [worker_record(worker) for worker in self.shown()]
        self.post_message(ExportRequested(Table("workers", WorkerRecord, records), form))

    def action_toggle_scope(self) -> None:
        """Change between all workers and those of the selected stage."""
        self.only_stage = not self.only_stage

    def watch_only_stage(self) -> None:
        """Draw the other set of workers from its top."""
        self.cursor = 0
        self._draw()

    def watch_stage(self) -> None:
        """Draw the other stage's workers."""
        if self.only_stage:
            self.cursor = 0
        self._draw()

    def watch_cursor(self) -> None:
        """Keep the marked line in view."""
        self._draw()
        self._keep_in_view()

    def _keep_in_view(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1 + self._fixed), animate=False, force=True)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the lines out for the new size."""
        self._draw()

    def on_focus(self) -> None:
        """Show the mark, and below the workers more about the marked one."""
        self._draw()
        self._keep_in_view()

    def on_blur(self) -> None:
        """Hide the mark."""
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Mark the worker under the pointer."""
        offset = event.get_content_offset(self)
        if offset is not None and self._top <= offset.y < self.line_count - len(self._detail):
            self.cursor = max(0, min(len(self.shown()) - 1, offset.y - self._top + self.scroll_offset.y))

    def _draw(self) -> None:
        if self.line_width <= 0:
            return
        shown = self.shown()
        width, names = self.line_width, name_width(shown)
        homes = home_width(shown, width)
        self._rows = [
            worker_line(worker, width, names, homes=homes, chosen=self.has_focus and index == self.cursor)
            for index, worker in enumerate(shown)
        ] or [empty_line(width, before=self._before)]
        self._heading = header_line(width, names, homes) if self.line_count >= _HEADING_FROM else None
        self._detail = self._more(shown) if self.has_focus and shown else []
        set_titles(self, title(STAGE_TITLES[self.stage] if self.only_stage else None))
        self.set_line_total(len(self._rows) + self._fixed)
        self.repaint_changed()

    @property
    def _top(self) -> int:
        """Lines at the top that do not scroll."""
        return 0 if self._heading is None else 1

    @property
    def _fixed(self) -> int:
        """Lines that do not scroll, at the top and at the foot."""
        return self._top + len(self._detail)

    def _more(self, shown: Sequence[WorkerSnapshot]) -> list[Line]:
        """What the marked worker's line may have no room for."""
        lines = next((lines for least, lines in _DETAIL_FROM if self.line_count >= least), 0)
        worker = shown[min(self.cursor, len(shown) - 1)]
        return detail_lines(worker, self.line_width, lines) if lines else []

    def _line_shown(self, y: int) -> Line:
        """The heading on the first line, the marked worker's details on the last, the workers between them."""
        if self._heading is not None and y == 0:
            return self._heading
        foot = y - self.line_count + len(self._detail)
        if foot >= 0:
            return self._detail[foot] if foot < len(self._detail) else ()
        index = y - self._top + self.scrolled
        return self._rows[index] if index < len(self._rows) else ()

    def line_key(self, y: int) -> Hashable:
        """A line is known by its text and roles."""
        return self._line_shown(y)

    def line_cells(self, y: int) -> tuple[str, Sequence[tuple[str, str]]]:
        """The spans of a line, styled by their roles."""
        return "row", [(span.text, str(span.role)) for span in self._line_shown(y)]

    def cell_style(self, line: str, cell: str) -> Style:
        """A span looks like its role, whatever line it is in."""
        del line
        return self.get_component_rich_style(f"line--{cell}")
