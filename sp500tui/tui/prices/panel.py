"""The prices panel: the table with the input line of its filter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sp500tui.tui.prices.table import PriceTable, utc_now
from sp500tui.tui.render.search_panel import SearchPanel


class PricePanel(SearchPanel):
    """The price table above its filter line."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        self.table = PriceTable(clock=clock)
        super().__init__(self.table, "symbol, name or sector", id=id, classes=classes)

    @property
    def search_text(self) -> str:
        """The table's filter."""
        return self.table.filter_text

    @search_text.setter
    def search_text(self, text: str) -> None:
        self.table.filter_text = text
