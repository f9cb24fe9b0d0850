"""The bindings of the app and of the main screen, and the commands of the help screen and the palette."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode

from sp500tui.tui.widgets.bindings import bind

_SCALE = Binding.Group("Scale", compact=True)
_STAGE = Binding.Group("Stage", compact=True)
_INTERVAL = Binding.Group("Interval", compact=True)
_EXPORT = Binding.Group("Export prices", compact=True)

PIPELINE_BINDINGS: list[Binding] = [
    bind("stage.more", "scale(1)", "More workers", group=_SCALE),
    bind("stage.fewer", "scale(-1)", "Fewer workers", group=_SCALE),
    bind("stage.set", "ask_workers", "Set workers", show=False),
    bind("stage.previous", "select_stage(-1)", "Previous stage", group=_STAGE, priority=True),
    bind("stage.next", "select_stage(1)", "Next stage", group=_STAGE, priority=True),
    bind("pipeline.pause", "toggle_pause", "Pause"),
    bind("stage.pause", "toggle_stage_pause", "Pause stage", show=False),
    bind("tour.start", "start_tour", "Tour"),
    bind("cycle.run", "run_cycle", "Run cycle"),
    bind("interval.shorter", "change_interval(-1)", "Shorter interval", group=_INTERVAL),
    bind("interval.longer", "change_interval(1)", "Longer interval", group=_INTERVAL),
    bind("refresh.slower", "change_refresh(-1)", "Slower refresh", show=False),
    bind("refresh.faster", "change_refresh(1)", "Faster refresh", show=False),
    bind("help", "show_help", "Help"),
    bind("quit", "request_stop", "Quit"),
]
"""Bindings of the app itself."""

VIEW_BINDINGS: list[Binding] = [
    bind("view.freeze", "toggle_freeze", "Pause view"),
    bind("view.currency", "switch_currency", "Currency", show=False),
    bind("view.copy", "copy_row", "Copy price"),
    bind("view.export_csv", "export('csv')", "Export prices CSV", group=_EXPORT),
    bind("view.export_json", "export('json')", "Export prices JSON", group=_EXPORT),
    bind("view.zoom", "zoom", "Zoom"),
    bind("view.next_panel", "app.focus_next", "Next panel", show=False),
    bind("view.previous_panel", "app.focus_previous", "Previous panel", show=False),
]
"""Bindings of the main screen."""


@dataclass(frozen=True, slots=True)
class KeyCommand:
    """A key's action as shown by the help screen and the command palette."""

    group: str
    """Title of its panel or screen."""
    binding: Binding
    owner: type[DOMNode]
    """The class that defines the action."""

    @property
    def title(self) -> str:
        """Short name."""
        return self.binding.description

    @property
    def explanation(self) -> str:
        """Its effect in a sentence; the short name without one."""
        return self.binding.tooltip or self.binding.description


def commands_of(owners: Iterable[type[DOMNode]]) -> Iterator[KeyCommand]:
    """The bindings of these classes that have an id, each once, in the order of declaration."""
    seen: set[str] = set()
    for owner in owners:
        group = str(getattr(owner, "BINDING_GROUP_TITLE", None) or "Everywhere")
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id and binding.id not in seen:
                seen.add(binding.id)
                yield KeyCommand(group, binding, owner)
