"""A list of symbols and sector headings whose cursor stays on its symbol when the order changes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import var

from sp500tui.tui.prices.view import Line
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cursor_list import CursorView, cursor_bindings


class SymbolList(CursorView, inherit_bindings=False):
    """The cursor and the mouse of the price table."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("prices.select", "select", "Details"),
        *cursor_bindings("prices", ends=("top", "bottom")),
    ]

    cursor_symbol: var[str | None] = var[str | None](None, init=False)
    """The symbol under the cursor; None until the cursor is moved."""

    @dataclass
    class Selected(Message):
        """A row was chosen with enter or a double click."""

        symbol: str

    _hover: str | None = None
    """The symbol under the mouse pointer."""

    @property
    @abstractmethod
    def lines(self) -> Sequence[Line]:
        """Everything below the header."""

    @property
    def row_count(self) -> int:
        """Symbols and headings."""
        return len(self.lines)

    @property
    def cursor_row(self) -> int | None:
        """Index of the line under the cursor; None where its symbol is not shown."""
        return self.row_of(self.cursor_symbol)

    def line_at(self, y: int) -> Line | None:
        """The line at screen line `y`; None on the header and below the end."""
        row = self.row_at(y)
        return None if row is None else self.lines[row]

    def row_of(self, symbol: str | None) -> int | None:
        """Index of a symbol's line; None where it is not shown."""
        try:
            return self.lines.index(symbol) if symbol is not None else None
        except ValueError:
            return None

    def row_style(self, symbol: str) -> str:
        """The style of a whole row."""
        if symbol == self.cursor_symbol:
            return "cursor" if self.has_focus else "cursor-blurred"
        return "hover" if symbol == self._hover else "row"

    def watch_cursor_symbol(self) -> None:
        """Repaint the rows the cursor left and reached."""
        self.repaint_changed()

    def cursor_offset(self) -> int | None:
        """Rows from the first on the screen to the cursor; None where the cursor is not on the screen."""
        row = self.cursor_row
        offset = None if row is None else row - self.scroll_offset.y
        return offset if offset is not None and 0 <= offset < self.page_height else None

    def keep_cursor_at(self, offset: int | None) -> None:
        """Scroll so that the cursor is `offset` rows below the first on the screen, after the lines changed."""
        row = None if offset is None else self.cursor_row
        if row is not None and offset is not None:
            self.scroll_to(y=row - offset, animate=False)

    def move_to(self, row: int, step: int = 1) -> None:
        """Place the cursor on a row, or on the next one if it is a heading, and scroll it into view."""
        lines = self.lines
        row = max(0, min(len(lines) - 1, row))
        if step < 0 and not any(isinstance(above, str) for above in lines[: row + 1]):
            step = 1
        direction = -1 if step < 0 else 1
        while row < len(lines) and not isinstance(lines[row], str):
            row += direction
        if row >= len(lines):
            return
        symbol = lines[row]
        self.cursor_symbol = symbol if isinstance(symbol, str) else None
        below_heading = row > 0 and not isinstance(lines[row - 1], str)
        self.scroll_to_row(row - 1 if below_heading and row - 1 < self.scroll_offset.y else row)

    def row_clicked(self, row: int) -> bool:
        """Place the cursor on a row that was clicked; a heading cannot have it."""
        line = self.lines[row]
        if isinstance(line, str):
            self.cursor_symbol = line
        return isinstance(line, str)

    def visible_symbol(self) -> str | None:
        """The symbol under the cursor; if it is not on the screen, the cursor moves to the first row that is."""
        if self.cursor_offset() is None:
            self.move_to(self.scroll_offset.y)
        return None if self.cursor_offset() is None else self.cursor_symbol

    def action_select(self) -> None:
        """Choose the row under the cursor, or the first row on the screen."""
        symbol = self.visible_symbol()
        if symbol is not None:
            self.post_message(self.Selected(symbol))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Highlight the row under the pointer."""
        offset = event.get_content_offset(self)
        self._set_hover(None if offset is None else self.line_at(offset.y))

    def on_leave(self) -> None:
        """Remove the highlight."""
        self._set_hover(None)

    def _set_hover(self, line: Line | None) -> None:
        hover = line if isinstance(line, str) else None
        if hover != self._hover:
            self._hover = hover
            self.repaint_changed()
