"""The help screen: keys and signs, generated from the key bindings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby
from textwrap import wrap
from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.render.formats import fit
from sp500tui.tui.render.labels import HEALTH_SIGNS, PHASE_SIGNS, WORKER_SIGNS, worker_state_label
from sp500tui.tui.render.lines import Line, Role, Span, width_of
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.shell.keymap import KeyCommand
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_KEYS = 14
_TITLE = 19
_INDENT = 2
_BESIDE_FROM = 70
"""Minimum width in cells at which explanations are to the right of the titles."""
_STAGE_SIGNS: tuple[Line, ...] = (
    (Span("░▒▓█ ", Role.ACCENT), Span("share of workers busy   ")),
    (Span("· ", Role.ACCENT), Span("none busy   ")),
    (Span("◔ ", Role.LABEL), Span("waiting   ")),
    (Span("◧ ", Role.WARN), Span("blocked   ")),
    (Span("◇ ", Role.BAD), Span("database down   ")),
    (Span("‖ ", Role.WARN), Span("paused   ")),
    (Span("✗ ", Role.BAD), Span("failed   ")),
)
"""Signs of one second in the strip of a stage."""
_QUEUE_SIGNS: tuple[Line, ...] = (
    (Span("▁▄█ ", Role.ACCENT), Span("depth: 1, 25, 100 % full   ")),
    (Span("· ", Role.ACCENT), Span("empty   ")),
    (Span("▲ "), Span("fills   ")),
    (Span("▼ "), Span("drains   ")),
    (Span("= "), Span("steady   ")),
)


def help_lines(commands: Sequence[tuple[KeyCommand, str]], width: int, panel: str = "") -> list[Line]:
    """The keys of the focused panel, the meaning of the signs, and the other keys; no line is wider than `width`.

    Args:
        commands: The commands with their keys as configured.
        width: Terminal cells.
        panel: Group of the focused panel; without one the signs come first.
    """
    own = [entry for entry in commands if entry[0].group == panel]
    others = [entry for entry in commands if entry[0].group != panel]
    return [*_group_lines(own, width), *_signs(width), (), *_group_lines(others, width)]


def _group_lines(commands: Iterable[tuple[KeyCommand, str]], width: int) -> list[Line]:
    """The groups with their keys, and a blank line after each."""
    lines: list[Line] = []
    for group, members in groupby(commands, key=lambda entry: entry[0].group):
        lines.append((Span(group, Role.ACCENT),))
        for command, keys in members:
            lines += _command_lines(command, keys, width)
        lines.append(())
    return lines


def _signs(width: int) -> list[Line]:
    lines: list[Line] = [(Span("Signs", Role.ACCENT),)]
    for title, signs in (("pipeline", PHASE_SIGNS), ("worker", WORKER_SIGNS), ("health", HEALTH_SIGNS)):
        words = [
            (Span(f"{sign} ", role), Span(f"{_state_label(state)}   "))
            for state, (sign, role) in signs.items()
        ]
        lines += _sign_lines(title, words, width)
    lines += _sign_lines("stage's strip", _STAGE_SIGNS, width)
    return lines + _sign_lines("queue", _QUEUE_SIGNS, width)


def _state_label(state: StrEnum) -> str:
    return worker_state_label(state) if isinstance(state, WorkerState) else str(state)


def _command_lines(command: KeyCommand, keys: str, width: int) -> list[Line]:
    """Keys, title and explanation, wrapped to the right of them, or below where only a few words a line would fit."""
    explanation = command.explanation if command.explanation != command.title else ""
    if width < _BESIDE_FROM:
        head = (Span(" " * _INDENT + fit(keys, _KEYS), Role.TITLE), Span(command.title))
        below = wrap(explanation, max(12, width - _INDENT - _KEYS))
        return [head, *((Span(" " * (_INDENT + _KEYS) + line, Role.LABEL),) for line in below)]
    first, *rest = wrap(explanation, max(12, width - _INDENT - _KEYS - _TITLE - 1)) or [""]
    head = (Span(" " * _INDENT + fit(keys, _KEYS), Role.TITLE), Span(fit(command.title, _TITLE) + " "))
    more = [(Span(" " * (_INDENT + _KEYS + _TITLE + 1) + line, Role.LABEL),) for line in rest]
    return [(*head, Span(first, Role.LABEL)), *more]


def _sign_lines(title: str, words: Sequence[Line], width: int) -> list[Line]:
    """Signs with their meanings, as many on a line as fit."""
    lines: list[Line] = []
    line: Line = (Span(" " * _INDENT + fit(title, _KEYS), Role.TITLE),)
    for entry in words:
        if width_of(line) + width_of(entry) > width:
            lines.append(line)
            line = (Span(" " * (_INDENT + _KEYS)),)
        line = (*line, *entry)
    return [*lines, line]


class HelpScreen(ModalScreen[None], ClosableScreen[None]):
    """A scrollable sheet over the dashboard."""

    CSS_PATH: ClassVar = [style_sheet("help.tcss")]
    BINDING_GROUP_TITLE = "Help"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("help.close", "dismiss", "Close"),
        *(
            bind(f"help.{name}", f"scroll({lines})", name.replace("_", " ").capitalize(), show=False)
            for name, lines in (
                ("down", 1),
                ("up", -1),
                ("page_down", 10),
                ("page_up", -10),
                ("top", -9999),
                ("bottom", 9999),
            )
        ),
    ]

    def __init__(self, commands: Sequence[tuple[KeyCommand, str]], panel: str = "") -> None:
        """`panel` is the group of the focused panel, which comes first."""
        super().__init__()
        self._commands = commands
        self._panel = panel

    def compose(self) -> ComposeResult:
        """The sheet in a frame that scrolls."""
        with VerticalScroll(id="sheet") as sheet:
            sheet.can_focus = False
            key_of = cast("DashboardContext", self.app).key_of
            up, down = key_of("help.up"), key_of("help.down")
            set_titles(sheet, "help", f"{key_of('help.close')} closes · {up} {down} scroll")
            yield LinesWidget(id="help-lines")

    def on_resize(self) -> None:
        """Wrap the sheet to the window."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        canvas = self.query_one(LinesWidget)
        lines = help_lines(self._commands, canvas.size.width, self._panel)
        canvas.styles.height = len(lines)
        canvas.show_lines(lines)

    def action_scroll(self, lines: int) -> None:
        """Move the sheet; does nothing for a key that arrives before it is mounted."""
        for sheet in self.query("#sheet").results(VerticalScroll):
            sheet.scroll_relative(y=lines, animate=False)
