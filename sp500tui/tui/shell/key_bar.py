"""The key bar at the foot of a screen, drawn as one line; Textual's Footer is a widget for each key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from textual import events
from textual.binding import Binding
from textual.keys import REPLACED_KEYS, key_to_character
from textual.screen import Screen

from sp500tui.tui.context import DashboardContext
from sp500tui.tui.render.lines import Line, Role, Span, cut, spread, width_of
from sp500tui.tui.widgets.lines_widget import LinesWidget

ALWAYS = ("help", "quit", "palette")
"""Ids of the bindings that are shown at any width."""
_SCREENS = "screen."
"""Prefix of the ids of the number keys, which are placed before those that are always shown."""

_READ_ONLY = "read-only"
_RANK = (
    _READ_ONLY,
    "screen.back",
    "search.keep",
    "search.discard",
    "timeline.freeze",
    "timeline.zoom_in",
    "timeline.back",
    "timeline.up",
    "timeline.follow",
    "timeline.trace",
    "coverage.heal",
    "coverage.mark",
    "coverage.earlier",
    "coverage.check",
    "lessons.answer_a",
    "lessons.stop",
    "lessons.down",
    "nodes.more",
    "nodes.previous_stage",
    "faults.switch",
    "faults.weaker",
    "faults.strength_0",
    "symbol.next",
    "chart.span",
    "symbol.fetch",
    "faults.clear",
    "database.copy",
    "replay.play",
    "time.back",
    "time.next_event",
    "time.next_error",
    "replay.slower",
    "stage.more",
    "pipeline.pause",
    "screen.database",
    "screen.demo",
    "tour.start",
    "pipeline.stop",
    "log.level",
    "log.search",
    "log.open",
    "log.copy",
    "workers.copy",
    "workers.export_csv",
    "prices.filter",
    "prices.select",
    "view.freeze",
    "cycle.run",
    "view.zoom",
    "stage.previous",
    "interval.shorter",
)
"""Ids of the bindings that have priority if not all fit."""


_APART = 3
"""Minimum blanks between the keys of the current context and those at the end."""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """One key, or several of a group, with their action."""

    id: str
    keys: tuple[tuple[str, str], ...]
    """Each key as printed, and its name."""
    words: str


@dataclass(frozen=True, slots=True)
class Spot:
    """The cells in which a click presses a key."""

    left: int
    right: int
    """First cell after it."""
    key: str
    """The name of the key: `left_square_bracket`."""


def key_line(entries: Iterable[ShownKey], width: int) -> tuple[Line, Sequence[Spot]]:
    """The bar in exactly `width` cells, and the cells in which its keys can be clicked.

    Keys that do not fit are left out, the least important first, but never those in `ALWAYS`.
    """
    ordered = list(entries)
    fixed = [entry for name in ALWAYS for entry in ordered if entry.id == name]
    numbered = [entry for entry in ordered if entry.id.startswith(_SCREENS) and entry.id != "screen.back"]
    chosen: list[ShownKey] = []
    shown: list[ShownKey] = []
    for candidate in sorted(ordered, key=_rank):
        side = shown if candidate in numbered else chosen
        taken = (
            width_of(_line([*chosen, candidate]))
            + width_of(_line([*shown, *fixed]))
            + 2 * bool(side is shown)
        )
        if candidate not in fixed and taken <= width - 2 - _APART:
            side.append(candidate)
    chosen.sort(key=ordered.index)
    ends = [*sorted(shown, key=ordered.index), *fixed]
    right = _line(ends)
    line = spread((Span(" "), *_line(chosen)), (*right, Span(" ")), width)
    return line, [*_spots(chosen, 1), *_spots(ends, width - width_of(right) - 1)]


def _rank(entry: ShownKey) -> int:
    return _RANK.index(entry.id) if entry.id in _RANK else len(_RANK)


def _line(entries: Sequence[ShownKey]) -> Line:
    spans: list[Span] = []
    for position, entry in enumerate(entries):
        if position:
            spans.append(Span("  "))
        keys = " ".join(key for key, _ in entry.keys)
        spans += [Span(keys, Role.ACCENT), Span(f" {entry.words}" if keys else entry.words, Role.LABEL)]
    return tuple(spans)


def _spots(entries: Sequence[ShownKey], left: int) -> list[Spot]:
    """The cells of every key; those of the last key of a group include the words after it."""
    spots: list[Spot] = []
    for entry in entries:
        if not entry.keys:
            left += len(entry.words) + 2
        for position, (sign, name) in enumerate(entry.keys):
            last = position == len(entry.keys) - 1
            right = left + len(sign) + (1 + len(entry.words) if last else 0)
            spots.append(Spot(left, right, name))
            left = right + (2 if last else 1)
    return spots


_PALETTE = ("command_palette", "app.command_palette")


class KeyBar(LinesWidget):
    """Shows the bindings of the focused widget, its screen and the app; a click does what the key does."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._spots: Sequence[Spot] = ()
        self.message = ""
        """Shown in place of the keys of the current context."""

    def on_mount(self) -> None:
        """Follow the bindings."""
        self.screen.bindings_updated_signal.subscribe(self, self._follow)

    def _follow(self, screen: Screen[object]) -> None:
        if screen is self.screen and self.is_attached:
            self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Choose the keys that fit."""
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Press the key under the pointer."""
        for spot in self._spots:
            if spot.left <= event.x < spot.right:
                self.app.simulate_key(spot.key)

    def show_message(self, text: str) -> None:
        """Show a message in place of the keys of the current context; an empty text removes it."""
        self.message = text
        self._draw()

    def _draw(self) -> None:
        width = self.size.width
        if not width:
            return
        if self.message:
            self._spots = ()
            self.show_lines([cut((Span(f" {self.message}", Role.ACCENT),), width)])
            return
        line, self._spots = key_line(self._entries(), width)
        self.show_lines([line])

    def _entries(self) -> Iterator[ShownKey]:
        """The active bindings to show, one entry per group; preceded by a note if nothing can be controlled."""
        grouped: dict[object, dict[str, Binding]] = {}
        dashboard = cast("DashboardContext", self.app)
        if dashboard.refusal:
            yield ShownKey(_READ_ONLY, (), _READ_ONLY)
        screens = dashboard.offered_screens()
        for _, binding, enabled, _ in self.screen.active_bindings.values():
            if not (enabled and dashboard.offers(binding.id)) or self._is_typed(binding.key):
                continue
            if binding.show or binding.action in _PALETTE or binding.action in screens:
                members = grouped.setdefault(binding.group or binding.action, {})
                members.setdefault(binding.action, binding)
        for members in grouped.values():
            yield self._entry(list(members.values()), screens)

    def _is_typed(self, key: str) -> bool:
        """Whether the focused widget takes the key as text. Textual omits keys that it renames."""
        focused = self.screen.focused
        character = key_to_character(REPLACED_KEYS.get(key, key))
        return focused is not None and focused.check_consume_key(key, character)

    def _entry(self, members: Sequence[Binding], screens: Mapping[str, str]) -> ShownKey:
        first = members[0]
        name = "palette" if first.action in _PALETTE else first.id or ""
        grouped = first.group is not None and len(members) > 1
        words = first.group.description if first.group is not None and grouped else first.description
        words = screens.get(first.action, words)
        keys = tuple((self.app.get_key_display(binding), binding.key) for binding in members)
        return ShownKey(name, keys, words.lower())
