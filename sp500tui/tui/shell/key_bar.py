"""The key bar at the foot of a screen: one drawn line instead of a widget a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual import events
from textual.binding import Binding
from textual.screen import Screen

from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.shell.key_lines import ShownKey, Spot, key_line

_PALETTE = ("command_palette", "app.command_palette")


class KeyBar(LinesWidget):
    """Shows the bindings of the focused widget, its screen and the app; a click does what the key does."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._spots: Sequence[Spot] = ()

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

    def _draw(self) -> None:
        if self.size.width:
            line, self._spots = key_line(self._entries(), self.size.width)
            self.show_lines([line])

    def _entries(self) -> Iterator[ShownKey]:
        """The active bindings to show, those of one group as one entry."""
        grouped: dict[object, dict[str, Binding]] = {}
        for _, binding, enabled, _ in self.screen.active_bindings.values():
            if enabled and (binding.show or binding.action in _PALETTE):
                members = grouped.setdefault(binding.group or binding.action, {})
                members.setdefault(binding.action, binding)
        for members in grouped.values():
            yield self._entry(list(members.values()))

    def _entry(self, members: Sequence[Binding]) -> ShownKey:
        first = members[0]
        name = "palette" if first.action in _PALETTE else first.id or ""
        words = first.group.description if first.group is not None and len(members) > 1 else first.description
        keys = tuple((self.app.get_key_display(binding), binding.key) for binding in members)
        return ShownKey(name, keys, words.lower())
