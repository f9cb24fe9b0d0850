"""The prices panel: the table with the input line of its filter."""

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
    """The price table above its filter line."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.table = PriceTable(clock=clock)
        self._input = SearchInput("symbol, name or sector")

    def compose(self) -> ComposeResult:
        """The table above its filter line."""
        yield self.table
        yield self._input

    @on(PriceTable.FilterRequested)
    def open_filter(self) -> None:
        """Open the filter line."""
        self._input.open(self.table.filter_text)

    @on(Input.Changed)
    def filter_rows(self, event: Input.Changed) -> None:
        """Filter with every keystroke."""
        event.stop()
        if self._input.display:
            self.table.filter_text = event.value

    @on(SearchInput.Closed)
    def close_filter(self, event: SearchInput.Closed) -> None:
        """Return to the rows; all of them if the filter was discarded."""
        event.stop()
        # The message of the last keystroke may still be queued when the line closes.
        self.table.filter_text = event.text
        self.table.focus()
