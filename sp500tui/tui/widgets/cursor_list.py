"""Scrolling lists with a cursor: the keys, the mouse and the fixed lines above and below the rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from sp500tui.tui.render.lines import Line, Role, Span
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cached_lines import CachedLineView


def cursor_bindings(prefix: str, ends: tuple[str, str] = ("first", "last")) -> list[Binding]:
    """The keys that move a cursor, with binding ids such as `workers.page_up`.

    Args:
        prefix: First part of each binding id.
        ends: Second part of the ids for the first and the last line.
    """
    first, last = ends
    actions = (
        ("up", "move(-1)"),
        ("down", "move(1)"),
        ("page_up", "page(-1)"),
        ("page_down", "page(1)"),
        (first, "edge(0)"),
        (last, "edge(-1)"),
    )
    return [
        bind(f"{prefix}.{name}", action, name.replace("_", " ").capitalize(), show=False)
        for name, action in actions
    ]


class CursorView(CachedLineView, can_focus=True, inherit_bindings=False):
    """Base of the lists with a cursor: rows that scroll between fixed lines at the top and at the foot."""

    ALLOW_SELECT = False

    @property
    @abstractmethod
    def row_count(self) -> int:
        """Total number of rows, including those scrolled out of view."""

    @property
    @abstractmethod
    def cursor_row(self) -> int | None:
        """Index of the row under the cursor; None before the cursor is placed."""

    @abstractmethod
    def move_to(self, row: int, step: int = 1) -> None:
        """Place the cursor on the nearest row that can have it, searching from `row` in the direction of `step`."""

    @abstractmethod
    def action_select(self) -> None:
        """Choose the row under the cursor."""

    @property
    def heading_height(self) -> int:
        """Fixed lines above the rows."""
        return 1

    @property
    def footer_height(self) -> int:
        """Fixed lines below the rows."""
        return 0

    @property
    def page_height(self) -> int:
        """Number of rows on the screen, at least one."""
        return max(1, self.line_count - self.heading_height - self.footer_height)

    def row_at(self, y: int) -> int | None:
        """Index of the row at screen line `y`; None on the fixed lines and below the last row."""
        if y < self.heading_height or (self.footer_height and y >= self.line_count - self.footer_height):
            return None
        row = y - self.heading_height + self.scrolled
        return row if row < self.row_count else None

    def scroll_to_row(self, row: int) -> None:
        """Scroll as little as necessary to show a row between the fixed lines."""
        top = self.scroll_offset.y
        if row < top:
            self.scroll_to(y=row, animate=False, force=True)
        elif row >= top + self.page_height:
            self.scroll_to(y=row - self.page_height + 1, animate=False, force=True)

    def action_move(self, steps: int) -> None:
        """Move the cursor by rows; the first move places it on the first row on the screen."""
        row = self.cursor_row
        if row is None:
            self.move_to(self.scroll_offset.y)
        else:
            self.move_to(row + steps, steps)

    def action_page(self, direction: int) -> None:
        """Move the cursor by a page."""
        row = self.cursor_row
        start = self.scroll_offset.y if row is None else row
        self.move_to(start + direction * self.page_height, direction)

    def action_edge(self, end: int) -> None:
        """Move the cursor to the first (0) or last (-1) row."""
        if end:
            self.move_to(self.row_count - 1, -1)
        else:
            self.move_to(0)
            self.scroll_to(y=0, animate=False, force=True)

    def heading_clicked(self, x: int) -> None:
        """Handle a click on the heading at cell `x`."""

    def on_click(self, event: events.Click) -> None:
        """Place the cursor on the row under the pointer; a double click chooses it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self.heading_height:
            self.heading_clicked(offset.x)
            return
        row = self.row_at(offset.y)
        if row is not None and self.row_clicked(row) and event.chain == 2:
            self.action_select()

    def row_clicked(self, row: int) -> bool:
        """Place the cursor on a clicked row; returns whether the row can have it."""
        self.move_to(row)
        return True


class CursorList(CursorView):
    """Rows of spans under an optional heading; the row under the cursor is marked over its whole width.

    Args:
        always_marked: Whether the mark remains while another widget has the focus.
    """

    BINDING_GROUP_TITLE = "List"
    BINDINGS: ClassVar[list[BindingType]] = [
        *cursor_bindings("list"),
        bind("list.choose", "select", "Choose", show=False),
    ]
    PREFIX = "line"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"line--row", *(f"line--{role}" for role in Role)}

    cursor: reactive[int] = reactive(0)
    """Index of the marked row."""

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        index: int

    @dataclass
    class Selected(Message):
        """A row was chosen with enter or a double click."""

        index: int

    def __init__(
        self,
        *,
        always_marked: bool = True,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._always_marked = always_marked
        self._heading: Line | None = None
        self._rows: Sequence[Line] = ()
        self._placeholder: Sequence[Line] = ()
        self._footer: Sequence[Line] = ()

    def show_rows(
        self,
        rows: Sequence[Line],
        heading: Line | None = None,
        *,
        placeholder: Sequence[Line] = (),
        footer: Sequence[Line] = (),
    ) -> None:
        """Replace the contents; the cursor stays at its index.

        Args:
            rows: One line each.
            heading: Fixed above the rows.
            placeholder: Lines shown if there are no rows.
            footer: Fixed at the foot of the list.
        """
        self._heading, self._rows, self._placeholder, self._footer = heading, rows, placeholder, footer
        total = max(len(rows), 1) + self.heading_height + self.footer_height
        self.set_line_total(total)
        # A shorter list or footer would leave blank lines below the last row.
        bottom = max(0, total - self.line_count)
        if self.scroll_offset.y > bottom:
            self.scroll_to(y=bottom, animate=False, force=True)
        self.repaint_changed()

    def rows_shown(self) -> list[str]:
        """The contents as plain text."""
        return ["".join(span.text for span in row) for row in self._rows or self._placeholder or [()]]

    @property
    def row_count(self) -> int:
        """Number of rows, excluding the placeholder."""
        return len(self._rows)

    @property
    def cursor_row(self) -> int:
        """Index of the marked row."""
        return self.cursor

    @property
    def heading_height(self) -> int:
        """One if there is a heading, otherwise zero."""
        return 0 if self._heading is None else 1

    @property
    def footer_height(self) -> int:
        """Lines of the footer."""
        return len(self._footer)

    def move_to(self, row: int, step: int = 1) -> None:
        """Place the cursor on a row and scroll it into view."""
        del step  # every row can have the cursor
        self.cursor = row
        self.scroll_to_row(self.cursor)

    def validate_cursor(self, cursor: int) -> int:
        """Limit the cursor to the rows."""
        return max(0, min(self.row_count - 1, cursor))

    def watch_cursor(self, cursor: int) -> None:
        """Repaint the mark, keep it in view and report it."""
        self.repaint_changed()
        self.scroll_to_row(cursor)
        self.post_message(self.Moved(cursor))

    def on_focus(self) -> None:
        """Show the mark."""
        self.repaint_changed()

    def on_blur(self) -> None:
        """Hide the mark if it is shown only with the focus."""
        self.repaint_changed()

    def action_select(self) -> None:
        """Choose the marked row."""
        if self._rows:
            self.post_message(self.Selected(self.cursor))

    def cell_style(self, line: str, cell: str) -> Style:
        """The style of a span's role, the same in every line."""
        del line
        style = self._styles.get(("", cell))
        if style is None:
            style = self._styles["", cell] = self.get_component_rich_style(f"line--{cell}")
        return style

    def line_key(self, y: int) -> Hashable:
        """The line's spans, which include the cursor as a role."""
        return self._line_at(y)

    def _line_at(self, y: int) -> Line:
        """The spans at screen line `y`; all spans of the marked row have the cursor's role."""
        row = self.row_at(y)
        if row is not None:
            marked = row == self.cursor and (self._always_marked or self.has_focus)
            line = self._rows[row]
            return tuple(Span(span.text, Role.SELECTED) for span in line) if marked else line
        if self._heading is not None and y == 0:
            return self._heading
        foot = y - self.line_count + self.footer_height
        if 0 <= foot < self.footer_height:
            return self._footer[foot]
        below = y - self.heading_height
        return self._placeholder[below] if not self._rows and 0 <= below < len(self._placeholder) else ()

    def line_cells(self, y: int) -> tuple[str, Sequence[tuple[str, str]]]:
        """The spans of a line, styled by their roles."""
        return "row", [(span.text, str(span.role)) for span in self._line_at(y)]
