"""The bindings of the app and of the main screen, and the validation of configured keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode

from sp500tui.config.suggestions import suggestion
from sp500tui.errors import ConfigurationError

_SCALE = Binding.Group("Scale", compact=True)
_STAGE = Binding.Group("Stage", compact=True)
_INTERVAL = Binding.Group("Interval", compact=True)
_EXPORT = Binding.Group("Export prices", compact=True)

PIPELINE_BINDINGS: list[Binding] = [
    Binding(
        "plus",
        "scale(1)",
        "More workers",
        key_display="+",
        group=_SCALE,
        id="stage.more",
        tooltip="Add a worker to the selected stage",
    ),
    Binding(
        "minus,underscore",
        "scale(-1)",
        "Fewer workers",
        key_display="-",
        group=_SCALE,
        id="stage.fewer",
        tooltip="Remove a worker from the selected stage (after its current batch)",
    ),
    Binding(
        "equals_sign",
        "ask_workers",
        "Set workers",
        show=False,
        key_display="=",
        id="stage.set",
        tooltip="Type the number of workers of the selected stage",
    ),
    Binding(
        "left,h",
        "select_stage(-1)",
        "Previous stage",
        key_display="←",
        group=_STAGE,
        id="stage.previous",
        priority=True,
        tooltip="Select the previous stage as the target of the scaling keys",
    ),
    Binding(
        "right,l",
        "select_stage(1)",
        "Next stage",
        key_display="→",
        group=_STAGE,
        id="stage.next",
        priority=True,
        tooltip="Select the next stage as the target of the scaling keys",
    ),
    Binding(
        "p",
        "toggle_pause",
        "Pause",
        id="pipeline.pause",
        tooltip="Pause or resume the intake of the pipeline",
    ),
    Binding(
        "P",
        "toggle_stage_pause",
        "Pause stage",
        show=False,
        id="stage.pause",
        tooltip="Pause (after a question) or resume the selected stage only",
    ),
    Binding(
        "ctrl+t",
        "start_tour",
        "Tour",
        id="tour.start",
        tooltip="Demo: watch two minutes of real faults on a schedule; any key stops them and sets everything back",
    ),
    Binding("r", "run_cycle", "Run cycle", id="cycle.run", tooltip="Start the next cycle now"),
    Binding(
        "left_square_bracket",
        "change_interval(-1)",
        "Shorter interval",
        key_display="[",
        group=_INTERVAL,
        id="interval.shorter",
        tooltip="Shorten the interval between cycles",
    ),
    Binding(
        "right_square_bracket",
        "change_interval(1)",
        "Longer interval",
        key_display="]",
        group=_INTERVAL,
        id="interval.longer",
        tooltip="Lengthen the interval between cycles",
    ),
    Binding(
        "less_than_sign",
        "change_refresh(-1)",
        "Slower refresh",
        show=False,
        key_display="<",
        id="refresh.slower",
        tooltip="Refresh the screen less often",
    ),
    Binding(
        "greater_than_sign",
        "change_refresh(1)",
        "Faster refresh",
        show=False,
        key_display=">",
        id="refresh.faster",
        tooltip="Refresh the screen more often",
    ),
    Binding(
        "question_mark,f1",
        "show_help",
        "Help",
        key_display="?",
        id="help",
        tooltip="Show all keys and symbols",
    ),
    Binding(
        "q,ctrl+c",
        "request_stop",
        "Quit",
        id="quit",
        tooltip="Drain and quit; again: spool to disk; a third time: kill the workers",
    ),
]
"""Bindings of the app itself."""

VIEW_BINDINGS: list[Binding] = [
    Binding(
        "space",
        "toggle_freeze",
        "Pause view",
        id="view.freeze",
        tooltip="Pause or resume the panels; the pipeline keeps running",
    ),
    Binding(
        "c",
        "switch_currency",
        "Currency",
        show=False,
        id="view.currency",
        tooltip="Change which currency is shown first",
    ),
    Binding(
        "y",
        "copy_row",
        "Copy price",
        id="view.copy",
        tooltip="Copy the selected row of the prices to the clipboard",
    ),
    Binding(
        "e",
        "export('csv')",
        "Export prices CSV",
        group=_EXPORT,
        id="view.export_csv",
        tooltip="Export the prices shown to a CSV file",
    ),
    Binding(
        "E",
        "export('json')",
        "Export prices JSON",
        group=_EXPORT,
        id="view.export_json",
        tooltip="Export the prices shown to a JSON file",
    ),
    Binding(
        "z",
        "zoom",
        "Zoom",
        id="view.zoom",
        tooltip="Maximize the focused panel, or restore it",
    ),
    Binding(
        "tab",
        "app.focus_next",
        "Next panel",
        show=False,
        id="view.next_panel",
        tooltip="Focus the next panel",
    ),
    Binding(
        "shift+tab",
        "app.focus_previous",
        "Previous panel",
        show=False,
        id="view.previous_panel",
        tooltip="Focus the previous panel",
    ),
]
"""Bindings of the main screen."""


@dataclass(frozen=True, slots=True)
class KeyCommand:
    """A key's action as the help screen and the command palette show it."""

    group: str
    """Title of the panel or screen it belongs to."""
    binding: Binding
    owner: type[DOMNode]
    """The class whose action it is."""

    @property
    def title(self) -> str:
        """Short name."""
        return self.binding.description

    @property
    def explanation(self) -> str:
        """What it does, in a sentence; the short name without one."""
        return self.binding.tooltip or self.binding.description


def commands_of(owners: Iterable[type[DOMNode]]) -> Iterator[KeyCommand]:
    """The bindings of these classes that have an id, each once, in the order of their declaration."""
    seen: set[str] = set()
    for owner in owners:
        group = str(getattr(owner, "BINDING_GROUP_TITLE", None) or "Everywhere")
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id and binding.id not in seen:
                seen.add(binding.id)
                yield KeyCommand(group, binding, owner)


def check_keymap(keymap: Mapping[str, str], commands: Iterable[KeyCommand]) -> None:
    """Validate the configured keys.

    Raises:
        ConfigurationError: An unknown id, or an id without a key.
    """
    known = {command.binding.id or "" for command in commands}
    for binding_id, keys in keymap.items():
        if binding_id not in known:
            hint = suggestion(binding_id, known) or f"known are {', '.join(sorted(known))}"
            raise ConfigurationError(f"keymap: no binding is called {binding_id!r}; {hint}")
        if not all(key.strip() for key in keys.split(",")):
            raise ConfigurationError(
                f"keymap: {binding_id!r} has the empty key {keys!r}; name one, such as 'f5' or 'ctrl+r,r'"
            )
