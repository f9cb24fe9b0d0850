"""The status bar: state, progress, the equation and what is wrong, in two or three lines."""

from __future__ import annotations

from textual import events

from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.shell.status_lines import View, status_lines


class StatusBar(LinesWidget):
    """Draws the newest snapshot; redrawn lines are those whose text changed."""

    def __init__(self) -> None:
        super().__init__(id="status")
        self._seen: tuple[Snapshot, View] | None = None

    def show(self, snapshot: Snapshot, view: View) -> None:
        """Bring the bar up to date."""
        self._seen = (snapshot, view)
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the same contents out for the new width."""
        self._draw()

    def _draw(self) -> None:
        if self._seen is not None and self.size.width > 2:
            self.show_lines(status_lines(*self._seen, self.size.width, self.size.height))
