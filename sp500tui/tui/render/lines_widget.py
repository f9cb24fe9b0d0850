"""A widget that shows a list of lines and repaints only changed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from sp500tui.tui.render.lines import Line, Role


class LinesWidget(Widget):
    """Shows rendered lines; each role is a component class that the theme styles."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{role}" for role in Role}
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self._styles: dict[Role, Style] = {}

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Replace the contents and repaint the lines that differ."""
        old = self._lines
        self._lines = list(lines)
        changed = [
            y
            for y in range(max(len(old), len(lines)))
            if y >= len(old) or y >= len(lines) or old[y] != lines[y]
        ]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def lines_shown(self) -> Sequence[str]:
        """Return the contents as plain text."""
        return ["".join(span.text for span in line) for line in self._lines]

    def render_line(self, y: int) -> Strip:
        """Return one line as styled segments of the widget's width."""
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(self.size.width, base)
        segments = [Segment(span.text, self._style(span.role)) for span in self._lines[y]]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def notify_style_update(self) -> None:
        """Discard the styles of the previous theme."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, role: Role) -> Style:
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = self.get_component_rich_style(f"line--{role}")
        return style
