"""A list of lines with a cursor, under an optional heading; keys and mouse move it, enter chooses."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive

from sp500tui.tui.render.cached_lines import CachedLineView
from sp500tui.tui.render.lines import Line, Role


class CursorList(CachedLineView):
    """Repaints the lines that changed; the line under the cursor is marked as a whole.

    Args:
        always_marked: Whether the mark stays where the list has no focus; not beside another list that keeps it.
    """

    BINDING_GROUP_TITLE = "List"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="list.up", tooltip="The line above"),
        Binding("down,j", "move(1)", "Down", show=False, id="list.down", tooltip="The line below"),
        Binding("pageup,ctrl+u", "move(-10)", "Page up", show=False, id="list.page_up", tooltip="Ten up"),
        Binding(
            "pagedown,ctrl+d", "move(10)", "Page down", show=False, id="list.page_down", tooltip="Ten down"
        ),
        Binding("home,g", "move(-9999)", "First", show=False, id="list.first", tooltip="The first line"),
        Binding("end,G", "move(9999)", "Last", show=False, id="list.last", tooltip="The last line"),
        Binding("enter", "choose", "Choose", show=False, id="list.choose", tooltip="Choose the marked line"),
    ]
    PREFIX = "line"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"line--row", *(f"line--{role}" for role in Role)}
    ALLOW_SELECT = False

    cursor: reactive[int] = reactive(0)
    """Index of the marked line."""

    @dataclass
    class Moved(Message):
        """The cursor is on another line."""

        index: int

    @dataclass
    class Chosen(Message):
        """Enter was pressed or a line double-clicked."""

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

    def show_rows(self, rows: Sequence[Line], heading: Line | None = None) -> None:
        """Replace the contents; the cursor stays at its index."""
        self._heading, self._rows = heading, rows
        self.set_line_total(len(rows) + self._top)
        self.repaint_changed()

    def rows_shown(self) -> list[str]:
        """The contents as plain text."""
        return ["".join(span.text for span in row) for row in self._rows]

    def validate_cursor(self, cursor: int) -> int:
        """Stay on a line."""
        return max(0, min(len(self._rows) - 1, cursor)) if self._rows else 0

    def watch_cursor(self, cursor: int) -> None:
        """Keep the marked line in view and tell."""
        self.repaint_changed()
        self.scroll_to_region(Region(0, cursor, 1, 1 + self._top), animate=False, force=True)
        self.post_message(self.Moved(cursor))

    def on_focus(self) -> None:
        """Show the mark."""
        self.repaint_changed()

    def on_blur(self) -> None:
        """Hide the mark where it is only shown with the focus."""
        self.repaint_changed()

    def action_move(self, steps: int) -> None:
        """Move the cursor."""
        self.cursor += steps

    def action_choose(self) -> None:
        """Choose the marked line."""
        if self._rows:
            self.post_message(self.Chosen(self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Mark the line under the pointer; a double click chooses it."""
        offset = event.get_content_offset(self)
        index = -1 if offset is None else offset.y - self._top + self.scroll_offset.y
        if offset is not None and offset.y >= self._top and index < len(self._rows):
            self.cursor = index
            if event.chain == 2:
                self.action_choose()

    def cell_style(self, line: str, cell: str) -> Style:
        """A span looks like its role; under the cursor all look alike."""
        del line
        style = self._styles.get(("", cell))
        if style is None:
            style = self._styles["", cell] = self.get_component_rich_style(f"line--{cell}")
        return style

    @property
    def _top(self) -> int:
        return 0 if self._heading is None else 1

    def _place(self, y: int) -> int | None:
        """Index of the line at screen line `y`; None for the heading and below the end."""
        index = y - self._top + self.scrolled
        return index if y >= self._top and index < len(self._rows) else None

    def _is_marked(self, place: int) -> bool:
        return place == self.cursor and (self._always_marked or self.has_focus)

    def line_key(self, y: int) -> Hashable:
        """A line is known by its text, its roles and the cursor."""
        place = self._place(y)
        if place is None:
            return self._heading if self._heading is not None and y == 0 else ()
        return self._rows[place], self._is_marked(place)

    def line_cells(self, y: int) -> tuple[str, Sequence[tuple[str, str]]]:
        """The spans of a line, styled by their roles; those under the cursor all alike."""
        place = self._place(y)
        if place is None:
            line = self._heading if self._heading is not None and y == 0 else ()
            return "row", [(span.text, str(span.role)) for span in line]
        marked = self._is_marked(place)
        return "row", [(span.text, str(Role.SELECTED if marked else span.role)) for span in self._rows[place]]
