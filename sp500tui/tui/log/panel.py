"""The log panel: the lines with the input line of the search."""

from __future__ import annotations

from collections.abc import Sequence

from sp500tui.logs.setup import LogLine
from sp500tui.tui.log.lines import LogLines
from sp500tui.tui.widgets.search_panel import SearchPanel


class LogView(SearchPanel):
    """The log's lines above the search line."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        self.lines = LogLines()
        super().__init__(self.lines, "text or worker", id=id, classes=classes)

    def extend(self, lines: Sequence[LogLine]) -> None:
        """Append lines."""
        self.lines.extend(lines)

    @property
    def search_text(self) -> str:
        """The text searched for."""
        return self.lines.search_text

    @search_text.setter
    def search_text(self, text: str) -> None:
        self.lines.search_text = text
