"""The list of columns from which the order of the price table is chosen."""

from __future__ import annotations

from typing import ClassVar, cast

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen

from sp500tui.tui.context import DashboardContext
from sp500tui.tui.prices.columns import PriceColumn
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cursor_list import CursorList
from sp500tui.tui.widgets.titles import set_titles

_COLUMNS = tuple(PriceColumn)


def column_lines(sort: PriceColumn, descending: bool, width: int) -> list[Line]:
    """The columns, the sorted one with the arrow of its order."""
    mark = "▼ " if descending else "▲ "
    return [
        cut(
            (Span(mark, Role.ACCENT), Span(str(column), Role.TITLE), Span("  choose to reverse", Role.LABEL))
            if column is sort
            else (Span("  "), Span(str(column))),
            width,
        )
        for column in _COLUMNS
    ]


class ColumnList(CursorList):
    """The columns; a single click chooses."""

    BINDING_GROUP_TITLE = "Sort order"

    def row_clicked(self, row: int) -> bool:
        """Choose the row."""
        self.move_to(row)
        self.action_select()
        return False


class SortPicker(ModalScreen[PriceColumn | None], ClosableScreen[PriceColumn | None]):
    """A list over the dashboard; the result is the chosen column, or None.

    Args:
        sort: The current sort column, on which the cursor starts.
        descending: The current order.
    """

    CSS_PATH: ClassVar = [style_sheet("sort_picker.tcss")]
    BINDING_GROUP_TITLE = "Sort order"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("sort.close", "dismiss", "Close"),
    ]

    columns = getters.query_one(ColumnList)

    def __init__(self, sort: PriceColumn, *, descending: bool) -> None:
        super().__init__()
        self._sort = sort
        self._descending = descending

    def compose(self) -> ComposeResult:
        """The list in a frame."""
        columns = ColumnList(id="sort-columns")
        key = cast("DashboardContext", self.app).key_of
        set_titles(columns, "sort by", f"{key('list.choose')} sort · {key('sort.close')} close")
        yield columns

    def on_mount(self) -> None:
        """Place the cursor on the current column."""
        self.call_after_refresh(self._draw)
        self.call_after_refresh(self.columns.move_to, _COLUMNS.index(self._sort))

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        width = self.columns.line_width
        self.columns.show_rows(column_lines(self._sort, self._descending, width))

    @on(CursorList.Selected)
    def choose(self, message: CursorList.Selected) -> None:
        """Close with the chosen column."""
        message.stop()
        self.dismiss(_COLUMNS[message.index])
