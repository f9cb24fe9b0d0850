"""The price table with the line in which its filter is typed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from sp500tui.tui.prices.table import PriceTable, utc_now
from sp500tui.tui.render.search_input import SearchInput


class PricePanel(Container):
    """What a screen composes to show prices; `table` is the table itself."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.table = PriceTable(clock=clock)
        self._line = SearchInput("symbol, name or sector")

    def compose(self) -> ComposeResult:
        """The table above its filter line."""
        yield self.table
        yield self._line

    @on(PriceTable.FilterRequested)
    def open_filter(self) -> None:
        """Let the person type."""
        self._line.open(self.table.filter_text)

    @on(Input.Changed)
    def filter_rows(self, event: Input.Changed) -> None:
        """Filter with every keystroke."""
        event.stop()
        if self._line.display:
            self.table.filter_text = event.value

    @on(SearchInput.Closed)
    def close_filter(self, event: SearchInput.Closed) -> None:
        """Back to the rows, all of them when the filter was discarded."""
        event.stop()
        # The last keystroke may not have been announced yet when the line was closed.
        self.table.filter_text = event.text
        self.table.focus()
