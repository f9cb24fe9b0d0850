"""Lines below a fixed header, some of them headings, with a cursor that belongs to a symbol, not to a place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from sp500tui.tui.prices.view import Line
from sp500tui.tui.render.cached_lines import CachedLineView


class SymbolList(CachedLineView, can_focus=True, inherit_bindings=False):
    """The cursor, the mouse and scrolling of the price table."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Details", id="prices.select", tooltip="Everything about this symbol"),
        Binding("up,k", "move(-1)", "Up", id="prices.up", show=False),
        Binding("down,j", "move(1)", "Down", id="prices.down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", id="prices.page_up", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", id="prices.page_down", show=False),
        Binding("home,g", "edge(0)", "Top", id="prices.top", show=False),
        Binding("end,G", "edge(-1)", "Bottom", id="prices.bottom", show=False),
    ]

    cursor_symbol: var[str | None] = var[str | None](None, init=False)
    """The symbol under the cursor; None until the cursor is moved."""

    @dataclass
    class Selected(Message):
        """A row was chosen with enter or a double click."""

        symbol: str

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._hover: str | None = None

    @property
    @abstractmethod
    def lines(self) -> Sequence[Line]:
        """Everything below the header."""

    @abstractmethod
    def title_clicked(self, x: int) -> None:
        """The header was clicked at cell `x`."""

    def line_at(self, y: int) -> Line | None:
        """The line at screen line `y`; None on the header and below the end."""
        index = self.scrolled + y - 1
        return self.lines[index] if y > 0 and index < len(self.lines) else None

    def row_style(self, symbol: str) -> str:
        """The style of a whole row."""
        if symbol == self.cursor_symbol:
            return "cursor" if self.has_focus else "cursor-blurred"
        return "hover" if symbol == self._hover else "row"

    def watch_cursor_symbol(self) -> None:
        """Draw the rows the cursor left and reached."""
        self.repaint_changed()

    @property
    def page(self) -> int:
        """Lines on the screen below the header."""
        return max(1, self.line_count - 1)

    def line_of(self, symbol: str | None) -> int | None:
        """Index of a symbol's line; None where it is not shown."""
        try:
            return self.lines.index(symbol) if symbol is not None else None
        except ValueError:
            return None

    def cursor_place(self) -> int | None:
        """How far below the first line on the screen the cursor is; None when it is not on the screen."""
        line = self.line_of(self.cursor_symbol)
        place = None if line is None else line - self.scroll_offset.y
        return place if place is not None and 0 <= place < self.page else None

    def keep_cursor_at(self, place: int | None) -> None:
        """After the lines changed, scroll so that the cursor is `place` lines below the first again."""
        line = None if place is None else self.line_of(self.cursor_symbol)
        if line is not None and place is not None:
            self.scroll_to(y=line - place, animate=False)

    def move_to(self, line: int, step: int = 1) -> None:
        """Put the cursor on the row at `line`, past a heading on the next one, and scroll it into view."""
        lines = self.lines
        line = max(0, min(len(lines) - 1, line))
        if step < 0 and not any(isinstance(above, str) for above in lines[: line + 1]):
            step = 1
        while line < len(lines) and not isinstance(lines[line], str):
            line += step
        if line >= len(lines):
            return
        symbol = lines[line]
        self.cursor_symbol = symbol if isinstance(symbol, str) else None
        top = self.scroll_offset.y
        first = line - 1 if line and not isinstance(lines[line - 1], str) else line
        if first < top:
            self.scroll_to(y=first, animate=False)
        elif line >= top + self.page:
            self.scroll_to(y=line - self.page + 1, animate=False)

    def action_move(self, step: int) -> None:
        """Move the cursor by rows; the first move puts it on the first row on the screen."""
        line = self.line_of(self.cursor_symbol)
        if line is None:
            self.move_to(self.scroll_offset.y)
        else:
            self.move_to(line + step, step)

    def action_page(self, direction: int) -> None:
        """Move the cursor by a screenful."""
        line = self.line_of(self.cursor_symbol)
        start = self.scroll_offset.y if line is None else line
        self.move_to(start + direction * self.page, direction)

    def action_edge(self, end: int) -> None:
        """Move the cursor to the first (0) or last (-1) row."""
        if end:
            self.move_to(len(self.lines) - 1, -1)
        else:
            self.move_to(0)
            self.scroll_to(y=0, animate=False)

    def action_select(self) -> None:
        """Choose the row under the cursor; without one, the first row on the screen."""
        if self.cursor_symbol is None:
            self.move_to(self.scroll_offset.y)
        if self.cursor_symbol is not None:
            self.post_message(self.Selected(self.cursor_symbol))

    def on_click(self, event: events.Click) -> None:
        """A title is the table's affair; a row takes the cursor, and a double click chooses it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0 and self.lines:
            self.title_clicked(offset.x)
            return
        line = self.line_at(offset.y)
        if isinstance(line, str):
            self.cursor_symbol = line
            if event.chain == 2:
                self.action_select()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Light the row under the mouse."""
        offset = event.get_content_offset(self)
        self._hover_over(None if offset is None else self.line_at(offset.y))

    def on_leave(self) -> None:
        """No row is under the mouse any more."""
        self._hover_over(None)

    def _hover_over(self, line: Line | None) -> None:
        hover = line if isinstance(line, str) else None
        if hover != self._hover:
            self._hover = hover
            self.repaint_changed()
