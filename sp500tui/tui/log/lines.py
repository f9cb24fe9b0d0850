"""The log's lines, which can be scrolled, filtered, searched and followed."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from sp500tui.logs.setup import LogLine
from sp500tui.tui.log.buffer import LogBuffer, LogEntry, next_choice, next_level
from sp500tui.tui.log.line_screen import LineScreen
from sp500tui.tui.messages import CopyRequested
from sp500tui.tui.render.formats import ELLIPSIS, fit
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cached_lines import CachedLineView
from sp500tui.tui.widgets.cursor_list import cursor_bindings
from sp500tui.tui.widgets.search_panel import SearchPanel

_LEVELS = {
    logging.DEBUG: ("debug", "debug"),
    logging.INFO: ("info", "info"),
    logging.WARNING: ("warning", "warn"),
    logging.ERROR: ("error", "error"),
    logging.CRITICAL: ("critical", "error"),
}
"""Name and style of each level."""
STYLES = ("line", "marked", "time", "worker", "message", "match", "debug", "info", "warn", "error", "notice")
_TIME, _LEVEL = 8, 8
_WORKER, _WIDE_WORKER = 12, 16
"""Cells of the worker column: for `bar-writer-1`, and for `interpreter-lock` in lines of at least `_WIDE` cells."""
_WORKER_FROM, _WIDE = 60, 76
"""Minimum line width in cells for the worker column, and for its full width."""
_SCROLL_STEP = 16
"""Characters by which one key press scrolls the messages sideways."""
_SIDEWAYS = Binding.Group("Sideways", compact=True)


def level_name(level: int) -> str:
    """The name of a level of the `logging` module."""
    return _LEVELS.get(level, (logging.getLevelName(level).lower(), ""))[0]


def highlighted(message: str, search: str) -> list[tuple[str, str]]:
    """The message in parts of style `message` and, where it matches the search, `match`."""
    if not search:
        return [(message, "message")]
    folded, text = message.casefold(), search.casefold()
    if len(folded) != len(message):  # folding changed the length, so positions do not correspond
        return [(message, "match" if text in folded else "message")]
    parts: list[tuple[str, str]] = []
    at = 0
    while (found := folded.find(text, at)) >= 0:
        parts += [(message[at:found], "message"), (message[found : found + len(text)], "match")]
        at = found + len(text)
    return [part for part in (*parts, (message[at:], "message")) if part[0]]


def shifted(message: str, shift: int) -> str:
    """The message without its first `shift` characters, which an ellipsis replaces."""
    return ELLIPSIS + message[shift + 1 :] if shift and message else message


def as_text(line: LogLine) -> str:
    """A line of the log as plain text, to copy."""
    return f"{line.time.astimezone():%Y-%m-%d %H:%M:%S} {level_name(line.level)} {line.worker} {line.message}"


class LogLines(CachedLineView, can_focus=True, inherit_bindings=False):
    """Shows the lines of a buffer; the view either follows the newest line or keeps its position."""

    BINDING_GROUP_TITLE = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("log.level", "level(1)", "Level"),
        bind("log.level_back", "level(-1)", "Level back", show=False),
        bind("log.worker", "worker(1)", "Worker"),
        bind("log.worker_back", "worker(-1)", "Worker back", show=False),
        bind("log.search", "search", "Search"),
        bind("log.open", "open", "Whole line"),
        bind("log.next_match", "match(1)", "Next match", show=False),
        bind("log.previous_match", "match(-1)", "Previous match", show=False),
        bind("log.next_error", "error", "Next error"),
        bind("log.follow", "follow", "Follow"),
        bind("log.copy", "copy", "Copy line"),
        bind("log.left", "sideways(-1)", "Left", group=_SIDEWAYS),
        bind("log.right", "sideways(1)", "Right", group=_SIDEWAYS),
        bind("log.release", "release", "Clear search", show=False),
        *cursor_bindings("log", ends=("top", "bottom")),
    ]
    PREFIX = "log"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{style}" for style in STYLES}
    ALLOW_SELECT = False

    search_text: var[str] = var("", init=False)
    """The text searched for; empty without a search."""
    shift: var[int] = var(0, init=False)
    """Characters of each message hidden to the left."""

    @dataclass
    class SummaryChanged(Message):
        """The summary of filters, search and following changed."""

        text: str

    def __init__(self) -> None:
        super().__init__()
        self.buffer = LogBuffer()
        self.following = True
        self._marked: int | None = None
        self._new = 0
        self._summary = ""

    def on_mount(self) -> None:
        """Publish the first summary."""
        self._update_summary()

    # Input

    def extend(self, lines: Sequence[LogLine]) -> None:
        """Append lines; the view keeps its position unless it follows."""
        if not lines:
            return
        first = self.buffer.first
        added = self.buffer.extend(lines)
        self._new = 0 if self.following else self._new + added
        self._update_view(dropped=self.buffer.first - first)

    def forget_lines_shown(self) -> None:
        """Forget all lines before another time is shown; the filters stay."""
        kept, self.buffer = self.buffer, LogBuffer()
        self.buffer.set_filter(level=kept.level, worker=kept.worker)
        self._marked, self._new = None, 0
        self.forget_lines()  # other lines may have the same numbers
        self._update_view()

    def _update_view(self, dropped: int = 0) -> None:
        """Update size, position and screen after a change of the buffer that dropped `dropped` old lines."""
        self.set_line_total(self.buffer.end - self.buffer.first)
        self._scroll_to_line(self.max_scroll_y if self.following else self.scroll_offset.y - dropped)
        self.repaint_changed()
        self._update_summary()

    def _scroll_to_line(self, y: float) -> None:
        line = max(0, min(int(y), self.max_scroll_y))
        if line != self.scroll_offset.y:
            self.scroll_target_y = self.scroll_y = line
        # A scroll view sets the position of its scroll bar only once the bar is shown.
        self.vertical_scrollbar.position = line

    def on_resize(self) -> None:
        """Keep the newest line in view while following."""
        self._update_view()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow while the newest line is in view: scrolling up stops it, scrolling to the end starts it."""
        super().watch_scroll_y(old_value, new_value)
        at_end = new_value >= self.max_scroll_y
        if at_end != self.following:
            self.following = at_end
            self._new = 0 if at_end else self._new
            self._update_summary()

    def _update_summary(self) -> None:
        buffer = self.buffer
        parts = [f"{level_name(buffer.level)} and above"]
        if buffer.worker:
            parts.append(f"{buffer.worker.removesuffix('-')} only")
        if self.search_text:
            found = buffer.count(self.search_text)
            parts.append(f"“{self.search_text}” in {found:,} {'line' if found == 1 else 'lines'}")
        if self.shift:
            parts.append(f"from character {self.shift + 1:,}")
        parts.append(
            "following" if self.following else f"{self._new:,} new below" if self._new else "not following"
        )
        summary = " · ".join(parts)
        if summary != self._summary:
            self._summary = summary
            self.post_message(self.SummaryChanged(summary))

    # Rendering

    def line_key(self, y: int) -> Hashable:
        """The line's sequence number, mark, search and shift."""
        number = self.buffer.first + self.scrolled + y
        entry = self.buffer.entry(number)
        if entry is None:
            return (self._empty_text(y),)
        return entry.line.seq, entry.count, number == self._marked, self.search_text, self.shift

    def _empty_text(self, y: int) -> str:
        """The first line of an empty log."""
        return self.buffer.hidden_summary if y == 0 and self.buffer.end == self.buffer.first else ""

    def line_cells(self, y: int) -> tuple[str, Sequence[tuple[str, str]]]:
        """Time, level, worker and message."""
        number = self.buffer.first + self.scrolled + y
        entry = self.buffer.entry(number)
        if entry is None:
            return "line", [(f" {self._empty_text(y)}", "notice")]
        line = entry.line
        name, style = _LEVELS.get(line.level, (level_name(line.level)[:_LEVEL], "info"))
        worker = self._worker_width
        # The style covers the level's name only, because without colours an error is reversed.
        head = [
            ("▌", style) if number == self._marked else (" ", "time"),
            (f"{line.time.astimezone():%H:%M:%S} ", "time"),
            (name, style),
            (" " * (_LEVEL + 1 - len(name)), "time"),
            *([(fit(entry.worker, worker) + " ", "worker")] if worker else []),
        ]
        times = f" (×{entry.count:,})" if entry.count > 1 else ""
        room = self._message_width - len(times)
        message = fit(shifted(line.message, self.shift).ljust(room), room)
        return "marked" if number == self._marked else "line", [
            *head,
            *highlighted(message, self.search_text),
            (times, "worker"),
        ]

    # Actions

    def action_copy(self) -> None:
        """Copy the marked line if it is in view, else the newest line in view."""
        entry = self._chosen_entry
        self.post_message(CopyRequested("" if entry is None else as_text(entry.line)))

    def action_open(self) -> None:
        """Show the whole line, or all lines of a folded entry."""
        entry = self._chosen_entry
        if entry is not None:
            self.app.push_screen(LineScreen([as_text(line) for line in self.buffer.lines_of(entry)]))

    @property
    def _chosen_entry(self) -> LogEntry | None:
        """The marked entry if it is in view, else the newest in view."""
        shown = self._numbers_shown
        marked = self._marked
        return self.buffer.entry(marked if marked is not None and marked in shown else max(shown, default=-1))

    @property
    def _message_width(self) -> int:
        """Cells of a line for its message."""
        worker = self._worker_width
        return self.line_width - (1 + _TIME + 1 + _LEVEL + 1 + (worker + 1 if worker else 0))

    @property
    def _worker_width(self) -> int:
        """Cells of the column of worker names; 0 if it is left out."""
        width = self.line_width
        return 0 if width < _WORKER_FROM else _WORKER if width < _WIDE else _WIDE_WORKER

    @property
    def _numbers_shown(self) -> range:
        """Numbers of the lines on the screen."""
        top = self.buffer.first + self.scroll_offset.y
        return range(top, min(top + self.line_count, self.buffer.end))

    def action_sideways(self, step: int) -> None:
        """Scroll the messages sideways."""
        self.shift += step * _SCROLL_STEP

    def validate_shift(self, shift: int) -> int:
        """Limit the shift to the end of the longest message on the screen."""
        lines = map(self.buffer.line, self._numbers_shown)
        longest = max((len(line.message) for line in lines if line is not None), default=0)
        return max(0, min(shift, longest - self._message_width))

    def watch_shift(self) -> None:
        """Repaint at the new position."""
        self.repaint_changed()
        self._update_summary()

    def on_click(self, event: events.Click) -> None:
        """Mark the line under the pointer."""
        offset = event.get_content_offset(self)
        number = -1 if offset is None else self.buffer.first + self.scroll_offset.y + offset.y
        if self.buffer.line(number) is not None:
            self._mark(number)

    def action_level(self, step: int) -> None:
        """Change the lowest level shown."""
        self._refilter(level=next_level(self.buffer.level, step))

    def action_worker(self, step: int) -> None:
        """Show the lines of another worker, or all lines."""
        self._refilter(worker=next_choice(self.buffer.filter_options(), self.buffer.worker, step))

    def _refilter(self, *, level: int | None = None, worker: str | None = None) -> None:
        self.buffer.set_filter(level=level, worker=worker)
        self._marked, self._new, self.following = None, 0, True
        self._update_view()

    def action_search(self) -> None:
        """Request the input line of the search."""
        self.post_message(SearchPanel.Requested())

    def watch_search_text(self, text: str) -> None:
        """Search backwards from the newest line."""
        self._mark(self.buffer.find(text, self.buffer.end, -1))

    def action_match(self, step: int) -> None:
        """Go to the next newer or older match."""
        start = self.buffer.end if self._marked is None else self._marked + step
        self._mark(self.buffer.find(self.search_text, start, step))

    def action_error(self) -> None:
        """Go to the next error, wrapping around."""
        found = self.buffer.find_error(self.buffer.first if self._marked is None else self._marked + 1)
        if found is None:
            self.notify(f"No errors in {self.buffer.end - self.buffer.first:,} lines")
        self._mark(found)

    def _mark(self, number: int | None) -> None:
        """Mark a line and scroll it into view."""
        self._marked = number
        if number is not None:
            line = number - self.buffer.first
            if not self.scroll_offset.y <= line < self.scroll_offset.y + self.line_count:
                self._scroll_to_line(line - self.line_count // 2)
        self.repaint_changed()
        self._update_summary()

    def action_follow(self) -> None:
        """Follow the newest line, or stop following."""
        self.following = not self.following
        self._new = 0
        self._update_view()

    def action_release(self) -> None:
        """Clear the search and the mark."""
        self.search_text = ""

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self._scroll_to_line(self.scroll_offset.y + lines)

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self._scroll_to_line(self.scroll_offset.y + pages * max(1, self.line_count - 1))

    def action_edge(self, end: int) -> None:
        """Scroll to the oldest (0) or the newest (-1) line."""
        self._scroll_to_line(self.max_scroll_y if end else 0)
