"""The pipeline panel: shows the last seconds of stages and queues; a click selects a stage."""

from __future__ import annotations

from textual import events
from textual.reactive import reactive

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.messages import StageSelected
from sp500tui.tui.recent_seconds import RecentSeconds
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.shell.pipeline_rows import legend, panel_title, stage_at, strip_lines
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles


def scaling_keys(dashboard: DashboardContext) -> str:
    """The keys that scale the selected stage, for a title: `+ −`; empty if they have no effect."""
    keys = [dashboard.offered_key(key_id) for key_id in ("stage.more", "stage.fewer")]
    # A hyphen is shorter than a minus sign.
    return " ".join("−" if key == "-" else key for key in keys if key)


class PipelineStrip(LinesWidget):
    """Draws the latest snapshot and the seconds before it; a click on a stage selects it."""

    selected: reactive[StageName] = reactive(StageName.PRICE)
    """The stage that the scaling keys act on."""

    def __init__(self) -> None:
        super().__init__(id="strip", classes="panel")
        self._keys = ""
        """The scaling keys as named in the title; empty if they have no effect."""
        self._seen: tuple[Snapshot, RecentSeconds] | None = None
        self.message = ""
        """The effect of the last key."""

    def show(self, snapshot: Snapshot, recent: RecentSeconds, keys: str) -> None:
        """Show a snapshot and the seconds before it; `keys` are the scaling keys."""
        before = self._in_cluster, self._keys
        self._seen, self._keys = (snapshot, recent), keys
        self.set_class(snapshot.has_history, "-history")
        if (self._in_cluster, self._keys) != before:
            self._update_title()
        self._draw()

    @property
    def _in_cluster(self) -> bool:
        """Whether the seconds are those of one of several nodes."""
        return self._seen is not None and bool(self._seen[0].nodes)

    def show_message(self, text: str) -> None:
        """Show a key's effect in the border; an empty text removes it."""
        self.message = text
        self.set_class(bool(text), "-message")
        self._update_title()

    def watch_selected(self, selected: StageName) -> None:
        """Name the selected stage in the title, so that it is not shown by colour alone."""
        del selected
        self._update_title()
        self._draw()

    def _update_title(self) -> None:
        """Name the stage in the upper border, and show the message in the lower border, if there is one, or above."""
        title = panel_title(
            *self.size,
            f"{self._keys} {STAGE_TITLES[self.selected]}".lstrip(),
            history=self.has_class("-history"),
            in_cluster=self._in_cluster,
        )
        if self.styles.border_bottom[0] in ("", "none"):
            set_titles(self, f"pipeline · {self.message}" if self.message else title)
        else:
            set_titles(self, title, self.message or legend(self.size.width))

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the contents out for the new size."""
        self._update_title()
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Select the stage under the pointer."""
        offset = event.get_content_offset(self)
        history = self._seen is not None and self._seen[0].has_history
        stage = stage_at(offset.y, self.size.height, history=history) if offset is not None else None
        if stage is not None:
            self.post_message(StageSelected(stage))

    def _draw(self) -> None:
        if self._seen is not None and self.size.width and self.size.height:
            self.show_lines(strip_lines(*self._seen, self.selected, *self.size))
