"""The log panel: the lines with the input line of the search."""

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
    """The log's lines above the search line."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.lines = LogLines()
        self._input = SearchInput("text or worker")

    def compose(self) -> ComposeResult:
        """The lines above the search line."""
        yield self.lines
        yield self._input

    def extend(self, lines: Sequence[LogLine]) -> None:
        """Append lines."""
        self.lines.extend(lines)

    @on(LogLines.SearchRequested)
    def open_search(self) -> None:
        """Open the search line."""
        self._input.open(self.lines.search_text)

    @on(Input.Changed)
    def search(self, event: Input.Changed) -> None:
        """Search with every keystroke."""
        event.stop()
        if self._input.display:
            self.lines.search_text = event.value

    @on(SearchInput.Closed)
    def close_search(self, event: SearchInput.Closed) -> None:
        """Return to the lines, without the search if it was discarded."""
        event.stop()
        # The message of the last keystroke may still be queued when the line closes.
        self.lines.search_text = event.text
        self.lines.focus()
