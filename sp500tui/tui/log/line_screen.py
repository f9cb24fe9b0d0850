"""The whole text of a log line, or of all lines folded into one entry of the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from sp500tui.tui.context import DashboardContext
from sp500tui.tui.messages import CopyRequested
from sp500tui.tui.render.formats import plural
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.titles import set_titles

_LONGEST = 500
"""Maximum number of lines shown; the log file has all of them."""


class LineScreen(ModalScreen[None], ClosableScreen[None]):
    """Shows lines in full, newest first; `y` copies the newest."""

    BINDING_GROUP_TITLE = "Log line"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("line.close", "close", "Close"),
        bind("line.copy", "copy", "Copy"),
    ]

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self._lines = list(lines)[::-1]

    def compose(self) -> ComposeResult:
        """The text in a panel that scrolls."""
        with VerticalScroll(id="line", classes="panel"):
            yield Static(id="line-text", markup=False)

    def on_mount(self) -> None:
        """Write the lines."""
        panel = self.query_one("#line")
        key = cast("DashboardContext", self.app).key_of
        keys = f"{key('line.close')} close · {key('line.copy')} copy"
        lines = plural(len(self._lines), "line")
        if len(self._lines) > _LONGEST:
            lines = f"the newest {_LONGEST:,} of {lines}"
        set_titles(panel, f"log · {lines}", keys)
        self.query_one("#line-text", Static).update("\n\n".join(self._lines[:_LONGEST]))
        panel.focus()

    def action_close(self) -> None:
        """Close the screen."""
        self.dismiss()

    def action_copy(self) -> None:
        """Copy the newest line."""
        self.app.screen_stack[0].post_message(CopyRequested(self._lines[0] if self._lines else ""))
