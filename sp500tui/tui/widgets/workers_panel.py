"""The workers panel: every thread and process of the pipeline in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sp500tui.pipeline.snapshot import StageName, WorkerSnapshot
from sp500tui.tui.formats import clean, fit
from sp500tui.tui.lines import Line, Role
from sp500tui.tui.panel_title import set_titles
from sp500tui.tui.words import STAGE_TITLES
from sp500tui.tui.worker_lines import header_line, name_width, title, worker_line


class WorkersPanel(ScrollView, can_focus=True, inherit_bindings=False):
    """Line-API list of workers with a fixed header; repaints the visible lines that changed."""

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
            "All/stage",
            id="workers.scope",
            tooltip="All workers or the selected stage's",
        ),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{role}" for role in Role}
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
        self._lines: list[Line] = []
        self._styles: dict[Role, Style] = {}

    def show(self, workers: Sequence[WorkerSnapshot]) -> None:
        """Bring the list up to date."""
        self._workers = workers
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
        return f"{clean(worker.name)} {worker.state} {clean(worker.doing)}{error}"

    def action_move(self, steps: int) -> None:
        """Move the mark."""
        self.cursor = max(0, min(len(self.shown()) - 1, self.cursor + steps))

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
        self.scroll_to_region(Region(0, self.cursor, 1, 2), animate=False, force=True)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the lines out for the new width."""
        self._draw()

    def on_focus(self) -> None:
        """Show the mark."""
        self._draw()

    def on_blur(self) -> None:
        """Hide the mark."""
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Mark the worker under the pointer."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y > 0:
            self.cursor = max(0, min(len(self.shown()) - 1, offset.y - 1 + self.scroll_offset.y))

    def _draw(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        shown = self.shown()
        names = name_width(shown)
        lines = [header_line(width, names)]
        for index, worker in enumerate(shown):
            lines.append(worker_line(worker, width, names, chosen=self.has_focus and index == self.cursor))
        set_titles(
            self, title(STAGE_TITLES[self.stage] if self.only_stage else None), self._mark_words(shown)
        )
        self._show(lines)

    def _mark_words(self, shown: Sequence[WorkerSnapshot]) -> str:
        """The whole last error of the marked worker, which its line may have no room for."""
        if not self.has_focus or not shown:
            return ""
        error = clean(shown[min(self.cursor, len(shown) - 1)].last_error)
        return fit(error, min(len(error), max(0, self.size.width - 6)))

    def _show(self, lines: list[Line]) -> None:
        old, self._lines = self._lines, lines
        if len(old) != len(lines):
            self.virtual_size = Size(self.scrollable_content_region.width, len(lines))
            self.refresh()
            return
        top = self.scroll_offset.y
        changed = [y for y, line in enumerate(lines) if line != old[y]]
        places = [y if y == 0 else y - top for y in changed if y == 0 or y > top]
        if places:
            width = self.size.width
            self.refresh(*(Region(0, y, width, 1) for y in places))

    def render_line(self, y: int) -> Strip:
        """The header on the first line, below it the workers from the scroll position on."""
        index = y if y == 0 else y + self.scroll_offset.y
        base = self.rich_style
        if index >= len(self._lines):
            return Strip.blank(self.size.width, base)
        segments = [Segment(span.text, self._style(span.role)) for span in self._lines[index]]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def notify_style_update(self) -> None:
        """Forget the styles of the old theme."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, role: Role) -> Style:
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = self.get_component_rich_style(f"line--{role}")
        return style
