"""The lines of the log: scrolled, searched, and followed at their new end."""

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
from sp500tui.tui.log.buffer import LogBuffer, next_choice, next_level
from sp500tui.tui.messages import CopyRequested
from sp500tui.tui.render.cached_lines import CachedLineView
from sp500tui.tui.render.cursor_list import cursor_bindings
from sp500tui.tui.render.formats import ELLIPSIS, fit

_WORDS = {
    logging.DEBUG: ("debug", "debug"),
    logging.INFO: ("info", "info"),
    logging.WARNING: ("warning", "warn"),
    logging.ERROR: ("error", "error"),
    logging.CRITICAL: ("critical", "error"),
}
"""Of each level its word and its style."""
STYLES = ("line", "marked", "time", "worker", "message", "match", "debug", "info", "warn", "error", "notice")
_TIME, _LEVEL, _WORKER = 8, 8, 11
_EMPTY = "No lines yet"
_SIDESTEP = 16
"""Characters that one key moves the messages to the side."""
_SIDEWAYS = Binding.Group("Sideways", compact=True)


def level_word(level: int) -> str:
    """The word for a level of the `logging` module."""
    return _WORDS.get(level, (logging.getLevelName(level).lower(), ""))[0]


def pieces(message: str, wanted: str) -> list[tuple[str, str]]:
    """The message in parts of style `message` and, where it holds the wanted text, `match`."""
    if not wanted:
        return [(message, "message")]
    folded, text = message.casefold(), wanted.casefold()
    if len(folded) != len(message):  # folding changed the length, so places do not correspond
        return [(message, "match" if text in folded else "message")]
    parts: list[tuple[str, str]] = []
    at = 0
    while (found := folded.find(text, at)) >= 0:
        parts += [(message[at:found], "message"), (message[found : found + len(text)], "match")]
        at = found + len(text)
    return [part for part in (*parts, (message[at:], "message")) if part[0]]


def shifted(message: str, shift: int) -> str:
    """The message without its first `shift` characters, with a sign in place of what is hidden."""
    return ELLIPSIS + message[shift + 1 :] if shift and message else message


def as_text(line: LogLine) -> str:
    """A line of the log as text, to copy."""
    return f"{line.time.astimezone():%Y-%m-%d %H:%M:%S} {level_word(line.level)} {line.worker} {line.message}"


class LogLines(CachedLineView, can_focus=True, inherit_bindings=False):
    """A window onto the buffer that stays where it is while lines come and go, or follows the newest."""

    HELP = """\
    ## Log
    `v` shows from another level up, `w` only one stage or worker. `/` searches, `n` and `N` go from match to match,
    `x` to the next error. Scrolling up stops following; `f` or `G` follows again. Left and right show the rest of long
    lines, `y` copies the marked line, or the newest one shown. Every line is in the log file.
    """
    BINDING_GROUP_TITLE = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "level(1)", "Level", id="log.level", tooltip="Show lines from the next level up"),
        Binding("V", "level(-1)", "Level back", id="log.level_back", show=False),
        Binding("w", "worker(1)", "Worker", id="log.worker", tooltip="Show one stage's or worker's lines"),
        Binding("W", "worker(-1)", "Worker back", id="log.worker_back", show=False),
        Binding("slash", "search", "Search", id="log.search", key_display="/"),
        Binding("n", "match(1)", "Next match", id="log.next_match", show=False),
        Binding("N", "match(-1)", "Previous match", id="log.previous_match", show=False),
        Binding("x", "error", "Next error", id="log.next_error"),
        Binding(
            "f", "follow", "Follow", id="log.follow", tooltip="Stay at the newest line, or stop doing so"
        ),
        Binding(
            "y", "copy", "Copy line", id="log.copy", tooltip="Copy the marked line, or the newest one shown"
        ),
        Binding(
            "left,h",
            "sideways(-1)",
            "Left",
            key_display="←",
            group=_SIDEWAYS,
            id="log.left",
            tooltip="Show what is to the left in long lines",
        ),
        Binding(
            "right,l",
            "sideways(1)",
            "Right",
            key_display="→",
            group=_SIDEWAYS,
            id="log.right",
            tooltip="Show what is to the right in long lines",
        ),
        Binding("escape", "release", "Clear search", id="log.release", show=False),
        *cursor_bindings("log", ends=("top", "bottom")),
    ]
    PREFIX = "log"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{style}" for style in STYLES}
    ALLOW_SELECT = False

    wanted: var[str] = var("", init=False)
    """What is searched for; empty for nothing."""
    shift: var[int] = var(0, init=False)
    """Characters of every message that are out of view to the left."""

    @dataclass
    class Described(Message):
        """The words for what is shown changed."""

        text: str

    class SearchRequested(Message):
        """The person wants to type what to look for."""

    def __init__(self, buffer: LogBuffer | None = None) -> None:
        super().__init__()
        self.buffer = buffer if buffer is not None else LogBuffer()
        self.following = True
        self._marked: int | None = None
        self._new = 0
        self._words = ""

    def on_mount(self) -> None:
        """Say what is shown."""
        self._describe()

    # What comes in

    def extend(self, lines: Sequence[LogLine]) -> None:
        """Add lines; what is on the screen stays there unless it follows."""
        if not lines:
            return
        first = self.buffer.first
        added = self.buffer.extend(lines)
        self._new = 0 if self.following else self._new + added
        self._settle(fallen=self.buffer.first - first)

    def _settle(self, fallen: int = 0) -> None:
        """Bring size, place and picture to the buffer, of which `fallen` lines have gone at the top."""
        self.set_line_total(self.buffer.end - self.buffer.first)
        self._go(self.max_scroll_y if self.following else self.scroll_offset.y - fallen)
        self.repaint_changed()
        self._describe()

    def _go(self, y: float) -> None:
        place = max(0, min(int(y), self.max_scroll_y))
        if place != self.scroll_offset.y:
            self.scroll_target_y = self.scroll_y = place
        # The bar is told here, as a scroll view tells it only once it is shown.
        self.vertical_scrollbar.position = place

    def on_resize(self) -> None:
        """Keep the newest line in view while following."""
        self._settle()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow exactly while the newest line is in view: scrolling away stops it, scrolling back starts it."""
        super().watch_scroll_y(old_value, new_value)
        at_end = new_value >= self.max_scroll_y
        if at_end != self.following:
            self.following = at_end
            self._new = 0 if at_end else self._new
            self._describe()

    def _describe(self) -> None:
        buffer = self.buffer
        parts = [f"{level_word(buffer.level)} and above"]
        if buffer.worker:
            parts.append(f"{buffer.worker.removesuffix('-')} only")
        if self.wanted:
            found = buffer.count(self.wanted)
            parts.append(f"“{self.wanted}” in {found:,} {'line' if found == 1 else 'lines'}")
        if self.shift:
            parts.append(f"from character {self.shift + 1:,}")
        parts.append("following" if self.following else f"{self._new:,} new below" if self._new else "held")
        words = " · ".join(parts)
        if words != self._words:
            self._words = words
            self.post_message(self.Described(words))

    # How a line looks

    def line_key(self, y: int) -> Hashable:
        """The line's own number, and how it is marked, searched and shifted."""
        number = self.buffer.first + self.scrolled + y
        line = self.buffer.line(number)
        if line is None:
            return (y == 0 and not self.buffer.end,)
        return line.seq, number == self._marked, self.wanted, self.shift

    def line_cells(self, y: int) -> tuple[str, Sequence[tuple[str, str]]]:
        """Time, level, worker and message."""
        number = self.buffer.first + self.scrolled + y
        line = self.buffer.line(number)
        if line is None:
            empty = y == 0 and self.buffer.end == self.buffer.first
            return "line", [(f" {_EMPTY}", "notice")] if empty else []
        word, style = _WORDS.get(line.level, (level_word(line.level)[:_LEVEL], "info"))
        # The level's style ends with its word: without colours an error is reversed.
        head = [
            ("▌", style) if number == self._marked else (" ", "time"),
            (f"{line.time.astimezone():%H:%M:%S} ", "time"),
            (word, style),
            (" " * (_LEVEL + 1 - len(word)), "time"),
            *([] if self._narrow else [(fit(line.worker, _WORKER) + " ", "worker")]),
        ]
        message = fit(shifted(line.message, self.shift).ljust(self._room), self._room)
        return "marked" if number == self._marked else "line", [*head, *pieces(message, self.wanted)]

    # What the keys and the mouse do

    def action_copy(self) -> None:
        """Copy the marked line while it is in view, else the newest one in view."""
        shown = self._numbers_shown
        number = max(shown, default=-1) if self._marked is None or self._marked not in shown else self._marked
        line = self.buffer.line(number)
        self.post_message(CopyRequested("" if line is None else as_text(line)))

    @property
    def _room(self) -> int:
        """Cells of a line that are left for its message."""
        worker = 0 if self._narrow else _WORKER + 1
        return self.line_width - (1 + _TIME + 1 + _LEVEL + 1 + worker)

    @property
    def _narrow(self) -> bool:
        """Whether there is no room for the workers' names."""
        return self.line_width < 60

    @property
    def _numbers_shown(self) -> range:
        """Of the lines on the screen."""
        top = self.buffer.first + self.scroll_offset.y
        return range(top, min(top + self.line_count, self.buffer.end))

    def action_sideways(self, step: int) -> None:
        """Move the messages to the side."""
        self.shift += step * _SIDESTEP

    def validate_shift(self, shift: int) -> int:
        """Not further than the end of the longest message on the screen."""
        lines = map(self.buffer.line, self._numbers_shown)
        longest = max((len(line.message) for line in lines if line is not None), default=0)
        return max(0, min(shift, longest - self._room))

    def watch_shift(self) -> None:
        """Show the other part."""
        self.repaint_changed()
        self._describe()

    def on_click(self, event: events.Click) -> None:
        """Mark the line under the pointer."""
        offset = event.get_content_offset(self)
        number = -1 if offset is None else self.buffer.first + self.scroll_offset.y + offset.y
        if self.buffer.line(number) is not None:
            self._mark(number)

    def action_level(self, step: int) -> None:
        """Show from another level up."""
        self._refilter(level=next_level(self.buffer.level, step))

    def action_worker(self, step: int) -> None:
        """Show another worker's lines, or everybody's."""
        self._refilter(worker=next_choice(self.buffer.choices(), self.buffer.worker, step))

    def _refilter(self, *, level: int | None = None, worker: str | None = None) -> None:
        self.buffer.choose(level=level, worker=worker)
        self._marked, self._new, self.following = None, 0, True
        self._settle()

    def action_search(self) -> None:
        """Ask for the line in which the person types."""
        self.post_message(self.SearchRequested())

    def watch_wanted(self, text: str) -> None:
        """Look for it, from the newest line back."""
        self._mark(self.buffer.find(text, self.buffer.end, -1))

    def action_match(self, step: int) -> None:
        """Go to the next newer or older match."""
        start = self.buffer.end if self._marked is None else self._marked + step
        self._mark(self.buffer.find(self.wanted, start, step))

    def action_error(self) -> None:
        """Go to the next error, round the end."""
        found = self.buffer.find_error(self.buffer.first if self._marked is None else self._marked + 1)
        if found is None:
            self.notify(f"no errors among {self.buffer.end - self.buffer.first:,} lines")
        self._mark(found)

    def _mark(self, number: int | None) -> None:
        """Mark a line and bring it into view."""
        self._marked = number
        if number is not None:
            place = number - self.buffer.first
            if not self.scroll_offset.y <= place < self.scroll_offset.y + self.line_count:
                self._go(place - self.line_count // 2)
        self.repaint_changed()
        self._describe()

    def action_follow(self) -> None:
        """Stay at the newest line, or stop doing so."""
        self.following = not self.following
        self._new = 0
        self._settle()

    def action_release(self) -> None:
        """Forget search and mark."""
        self.wanted = ""

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self._go(self.scroll_offset.y + lines)

    def action_page(self, pages: int) -> None:
        """Scroll by windows."""
        self._go(self.scroll_offset.y + pages * max(1, self.line_count - 1))

    def action_edge(self, end: int) -> None:
        """Scroll to the oldest (0) or the newest (-1) line."""
        self._go(self.max_scroll_y if end else 0)
