"""The log with the line in which a search is typed."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from sp500tui.logs.setup import LogLine
from sp500tui.tui.log.lines import LogLines
from sp500tui.tui.render.search_input import SearchInput


class LogView(Container):
    """What a screen composes to show the log; `lines` are the lines themselves."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.lines = LogLines()
        self._line = SearchInput("text or worker")

    def compose(self) -> ComposeResult:
        """The lines above the search line."""
        yield self.lines
        yield self._line

    def extend(self, lines: Sequence[LogLine]) -> None:
        """Show new lines."""
        self.lines.extend(lines)

    @on(LogLines.SearchRequested)
    def open_search(self) -> None:
        """Let the person type."""
        self._line.open(self.lines.wanted)

    @on(Input.Changed)
    def search(self, event: Input.Changed) -> None:
        """Search with every keystroke."""
        event.stop()
        if self._line.display:
            self.lines.wanted = event.value

    @on(SearchInput.Closed)
    def close_search(self, event: SearchInput.Closed) -> None:
        """Back to the lines, without the search when it was discarded."""
        event.stop()
        # The last keystroke may not have been announced yet when the line was closed.
        self.lines.wanted = event.text
        self.lines.focus()
