"""The workers panel: one line for every thread and process of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.reactive import reactive

from sp500tui.export import Table
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot, WorkerSnapshot
from sp500tui.tui.messages import CopyRequested, ExportRequested
from sp500tui.tui.recent_seconds import RecentSeconds
from sp500tui.tui.render.cluster_labels import short_name
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.render.lines import Line, cut
from sp500tui.tui.render.worker_lines import (
    detail_lines,
    empty_line,
    header_line,
    name_width,
    node_width,
    title,
    worker_columns,
    worker_line,
)
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cursor_list import CursorList, cursor_bindings
from sp500tui.tui.widgets.titles import set_titles
from sp500tui.tui.workers.export import WorkerRecord, worker_record
from sp500tui.tui.workers.stage_times import WIDTH, stage_line, titles_line

_HEADING_FROM = 4
"""Minimum height in lines at which the panel has a heading."""
_DETAIL_FROM = ((20, 3), (9, 2), (3, 1))
"""Heights in lines, and the number of lines with details of the marked worker."""
_EXPORT = Binding.Group("Export workers", compact=True)


class WorkersPanel(CursorList, inherit_bindings=False):
    """The workers of all stages or of the selected one, with details of the marked worker below them."""

    BINDING_GROUP_TITLE = "Workers"
    BINDINGS: ClassVar[list[BindingType]] = [
        *cursor_bindings("workers"),
        bind("workers.scope", "toggle_scope", "All or one stage"),
        bind("workers.copy", "copy", "Copy worker"),
        bind("workers.export_csv", "export('csv')", "Export workers CSV", group=_EXPORT),
        bind("workers.export_json", "export('json')", "Export workers JSON", group=_EXPORT),
    ]

    only_stage: reactive[bool] = reactive(False)
    """Whether only the workers of the selected stage are shown."""
    stage: reactive[StageName] = reactive(StageName.PRICE)
    """The selected stage."""

    def __init__(self) -> None:
        super().__init__(always_marked=False, id="workers", classes="panel")
        self._workers: Sequence[WorkerSnapshot] = ()
        self._recent = RecentSeconds()
        self._node = ""
        """This node of a cluster."""
        self._starting = True

    def show(self, snapshot: Snapshot, recent: RecentSeconds) -> None:
        """Show the workers of a snapshot and the seconds before it."""
        workers = self._workers = snapshot.workers
        self._node = next((node.name for node in snapshot.nodes if node.here), "")
        self._recent = recent
        self._starting = self._starting and not workers
        self._draw()

    def shown(self) -> list[WorkerSnapshot]:
        """The workers of the list, in its order."""
        return [worker for worker in self._workers if not self.only_stage or worker.stage is self.stage]

    def row_text(self) -> str:
        """The marked worker as one line of text, to copy; empty without workers."""
        worker = self._marked_worker(self.shown())
        if worker is None:
            return ""
        error = f", last error: {clean(worker.last_error)}" if worker.last_error else ""
        node = f" on {short_name(worker.node)}" if worker.node else ""
        return f"{clean(worker.name)}{node} {worker.state} {clean(worker.doing)}{error}"

    def _marked_worker(self, shown: Sequence[WorkerSnapshot]) -> WorkerSnapshot | None:
        return shown[min(self.cursor, len(shown) - 1)] if shown else None

    def action_copy(self) -> None:
        """Copy the marked worker's line."""
        self.post_message(CopyRequested(self.row_text()))

    def action_export(self, form: str) -> None:
        """Write the workers shown to a file."""
        records = [worker_record(worker) for worker in self.shown()]
        self.post_message(ExportRequested(Table("workers", WorkerRecord, records), form))

    def action_toggle_scope(self) -> None:
        """Switch between all workers and those of the selected stage."""
        self.only_stage = not self.only_stage

    def watch_only_stage(self) -> None:
        """Show the other set of workers from its first row."""
        self.cursor = 0
        self._draw()

    def watch_stage(self) -> None:
        """Show the other stage's workers."""
        if self.only_stage:
            self.cursor = 0
        self._draw()

    def watch_cursor(self, cursor: int) -> None:
        """Show the details of the worker that is marked now."""
        self._draw()
        super().watch_cursor(cursor)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the lines out for the new size."""
        self._draw()

    def on_focus(self) -> None:
        """Show the mark and the details."""
        self._draw()
        self.scroll_to_row(self.cursor)

    def on_blur(self) -> None:
        """Hide the mark and the details."""
        self._draw()

    def _draw(self) -> None:
        width = self.line_width
        if width <= 0:
            return
        shown = self.shown()
        columns = worker_columns(width, name_width(shown), nodes=node_width(shown, width))
        self.show_rows(
            [worker_line(worker, columns, width, self._strip(worker, columns.strip)) for worker in shown],
            header_line(columns, width) if self.line_count >= _HEADING_FROM else None,
            placeholder=[empty_line(width, starting=self._starting, in_cluster=bool(self._node))],
            footer=self._foot(shown),
        )
        set_titles(self, title(STAGE_TITLES[self.stage] if self.only_stage else None, len(shown)))

    def _strip(self, worker: WorkerSnapshot, width: int) -> Line:
        """The activity of a worker of this program in the last seconds; unknown for workers of other nodes."""
        if worker.node not in ("", self._node):
            return ()
        return self._recent.worker_strip(worker.name, width)

    def _foot(self, shown: Sequence[WorkerSnapshot]) -> list[Line]:
        """The times of the stages, and below them the lines of the details, blank without the focus."""
        times, details = self._times(len(shown)), self._details(shown)
        free = self._detail_height if times and not details else 0
        return [*times, *details, *[cut((), self.line_width)] * free]

    def _times(self, workers: int) -> list[Line]:
        """The times of the stages, if they fit below the workers and the details."""
        past, width = self._recent, self.line_width
        stages = [stage for stage in STAGE_TITLES if past.stage(stage)]
        needed = 1 + workers + 2 + len(stages) + self._detail_height
        if not stages or width < WIDTH or self.line_count < needed:
            return []
        window = f"{past.window} s, this node" if self._node else f"last {past.window} s"
        lines = [
            past.line(("time", stage, width), partial(self._time_line, stage, width)) for stage in stages
        ]
        return [cut((), width), titles_line(window, width), *lines]

    def _time_line(self, stage: StageName, width: int) -> Line:
        return stage_line(stage, self._recent.time_of(stage), width)

    @property
    def _detail_height(self) -> int:
        return next((lines for height, lines in _DETAIL_FROM if self.line_count >= height), 0)

    def _details(self, shown: Sequence[WorkerSnapshot]) -> list[Line]:
        """The details of the marked worker that may not fit its line; empty without the focus."""
        worker, lines = self._marked_worker(shown), self._detail_height
        if worker is None or not self.has_focus:
            return []
        return detail_lines(worker, self.line_width, lines) if lines else []
