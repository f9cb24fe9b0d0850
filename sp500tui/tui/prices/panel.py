"""The prices panel: the line of the index, the table and the input line of its filter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from textual import on
from textual.app import ComposeResult

from sp500tui.tui.prices.index_line import index_line
from sp500tui.tui.prices.table import PriceTable, utc_now
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.search_panel import SearchPanel


class PricePanel(SearchPanel):
    """The price table between the line of the index and its filter line.

    Args:
        demo: Whether the prices are simulated.
    """

    def __init__(
        self,
        *,
        demo: bool = False,
        clock: Callable[[], datetime] = utc_now,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        self.table = PriceTable(clock=clock)
        self.index_line = LinesWidget(id="index-line")
        self._demo = demo
        super().__init__(self.table, "symbol, name or sector", id=id, classes=classes)

    def compose(self) -> ComposeResult:
        """The line of the index above the table."""
        yield self.index_line
        yield from super().compose()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.show_index)

    @on(PriceTable.StatisticsChanged)
    def show_index(self) -> None:
        """Draw the line of the index."""
        width = self.index_line.size.width
        self.index_line.show_lines([index_line(*self.table.statistics, width, demo=self._demo)])

    @property
    def search_text(self) -> str:
        """The table's filter."""
        return self.table.filter_text

    @search_text.setter
    def search_text(self, text: str) -> None:
        self.table.filter_text = text
