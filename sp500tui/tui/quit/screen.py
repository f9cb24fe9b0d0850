"""The note shown while the pipeline stops: how far it is, how long it may take, what the next `q` does."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.quit.cluster_text import quit_lines
from sp500tui.tui.quit.shutdown import ShutdownStatus, stopping_lines
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.shell.styles import style_sheet


class StopScreen(ModalScreen[None], ClosableScreen[None]):
    """A small note over the dashboard; `q` still climbs the ladder."""

    CSS_PATH: ClassVar = [style_sheet("quit.tcss")]
    BINDING_GROUP_TITLE = "Stopping"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,ctrl+c",
            "app.request_stop",
            "Next step",
            id="quit",
            tooltip="Take the next step of the stop ladder",
        ),
        Binding("escape", "dismiss", "Hide", id="stopping.hide", tooltip="Hide the note; stopping goes on"),
    ]

    def compose(self) -> ComposeResult:
        """One canvas in a frame."""
        canvas = LinesWidget(id="stopping")
        canvas.border_title = "stopping"
        yield canvas

    def show(self, stopping: ShutdownStatus, snapshot: Snapshot) -> None:
        """Bring the note up to date."""
        for canvas in self.query(LinesWidget):
            lines = (
                quit_lines(stopping, snapshot)
                if snapshot.broker
                else stopping_lines(stopping, snapshot, canvas.size.width or 60)
            )
            canvas.show_lines(lines)
