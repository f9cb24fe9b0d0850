"""The pipeline strip: stages and queues from left to right, one stage selected for the scaling keys."""

from __future__ import annotations

from textual import events
from textual.reactive import reactive

from sp500tui.pipeline.core.snapshot import Snapshot, StageName
from sp500tui.tui.messages import StageSelected
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.render.titles import set_titles
from sp500tui.tui.shell.strip_lines import stage_at, strip_lines


class PipelineStrip(LinesWidget):
    """Draws the newest snapshot; a click on a stage asks for it to be selected."""

    selected: reactive[StageName] = reactive(StageName.PRICE)
    """The stage that the scaling keys act on."""

    def __init__(self) -> None:
        super().__init__(id="strip", classes="panel")
        self._snapshot: Snapshot | None = None
        self._show_trouble = False
        self.said = ""
        """What the last key did."""

    def show(self, snapshot: Snapshot, *, tell_trouble: bool) -> None:
        """Bring the strip up to date; `tell_trouble` where nothing else has room for what is wrong."""
        self._snapshot, self._show_trouble = snapshot, tell_trouble
        self._draw()

    def say(self, words: str) -> None:
        """Tell what a key did in the border; an empty text takes it away."""
        self.said = words
        self._entitle()

    def watch_selected(self, selected: StageName) -> None:
        """Name the selected stage in the title, so that it is told by more than its colour."""
        del selected
        self._entitle()
        self._draw()

    def _entitle(self) -> None:
        """Name the stage above; what a key did stands below, or above too where there is no lower border."""
        title = f"pipeline · {STAGE_TITLES[self.selected]} selected"
        if self.styles.border_bottom[0] in ("", "none"):
            set_titles(self, f"pipeline · {self.said}" if self.said else title)
        else:
            set_titles(self, title, self.said)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the same contents out for the new size."""
        self._entitle()
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Ask for the stage under the pointer."""
        offset = event.get_content_offset(self)
        stage = stage_at(offset.x, self.size.width) if offset is not None else None
        if stage is not None:
            self.post_message(StageSelected(stage))

    def _draw(self) -> None:
        if self._snapshot is not None and self.size.width and self.size.height:
            lines = strip_lines(self._snapshot, self.selected, *self.size, tell_trouble=self._show_trouble)
            self.show_lines(lines)
