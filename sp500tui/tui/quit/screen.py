"""The quit dialog: progress of the shutdown, and what the next `q` does."""

from __future__ import annotations

from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen

from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.quit.shutdown import ShutdownStatus, leaving_lines, stopping_lines
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles


class StopScreen(ModalScreen[None], ClosableScreen[None]):
    """A small dialog over the dashboard; `q` takes the next step of the shutdown."""

    CSS_PATH: ClassVar = [style_sheet("quit.tcss")]
    BINDING_GROUP_TITLE = "Stopping"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("quit", "app.request_stop", "Next step", explanation="Take the next step of the shutdown"),
        bind("stopping.hide", "dismiss", "Hide"),
    ]

    def compose(self) -> ComposeResult:
        """Lines in a frame."""
        lines_widget = LinesWidget(id="stopping")
        hide = self._key_of("stopping.hide")
        set_titles(lines_widget, "stopping", f"{self._key_of('quit')} next step · {hide} hide")
        yield lines_widget

    def _key_of(self, key_id: str) -> str:
        return cast("DashboardContext", self.app).key_of(key_id)

    def show(self, stopping: ShutdownStatus, snapshot: Snapshot) -> None:
        """Show the progress."""
        for lines_widget in self.query(LinesWidget):
            key, width = self._key_of("quit"), lines_widget.size.width or 60
            lines = (
                leaving_lines(stopping, snapshot, key)
                if snapshot.broker
                else stopping_lines(stopping, snapshot, width, key)
            )
            lines_widget.show_lines(lines)
