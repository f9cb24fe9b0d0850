"""The help screen: every key and every sign, from the same bindings that the keys come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from sp500tui.tui.bindings import Command
from sp500tui.tui.formats import fit
from sp500tui.tui.lines import Line, Role, Span
from sp500tui.tui.styles import style_sheet
from sp500tui.tui.widgets.line_canvas import LineCanvas
from sp500tui.tui.words import HEALTH_SIGNS, PHASE_SIGNS, WORKER_SIGNS

_KEYS = 14
_TITLE = 18


def help_lines(commands: Iterable[tuple[Command, str]]) -> list[Line]:
    """Keys by group, then the signs and what they mean.

    Args:
        commands: Each with its keys as the person has them.
    """
    lines: list[Line] = []
    for group, members in groupby(commands, key=lambda entry: entry[0].group):
        lines += [(Span(group, Role.ACCENT),)]
        for command, keys in members:
            lines.append(
                (
                    Span("  " + fit(keys, _KEYS), Role.TITLE),
                    Span(fit(command.title, _TITLE) + " "),
                    Span(command.explanation if command.explanation != command.title else "", Role.LABEL),
                )
            )
        lines.append(())
    lines.append((Span("Signs", Role.ACCENT),))
    for title, signs in (("pipeline", PHASE_SIGNS), ("worker", WORKER_SIGNS), ("health", HEALTH_SIGNS)):
        spans = [Span("  " + fit(title, _KEYS), Role.TITLE)]
        for state, (sign, role) in signs.items():
            spans += [Span(f"{sign} ", role), Span(f"{state}   ")]
        lines.append(tuple(spans))
    lines.append(
        (
            Span("  " + fit("queue", _KEYS), Role.TITLE),
            Span("━━╸", Role.ACCENT),
            Span(" filled   "),
            Span("┼ highest so far   ▲ fills   ▼ drains   = steady"),
        )
    )
    return lines


class HelpScreen(ModalScreen[None]):
    """A scrollable sheet over the dashboard."""

    CSS_PATH: ClassVar = [style_sheet("help.tcss")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q", "dismiss", "Close", id="help.close"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="help.down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="help.up"),
        Binding("pagedown,space", "scroll(10)", "Page down", show=False, id="help.page_down"),
        Binding("pageup", "scroll(-10)", "Page up", show=False, id="help.page_up"),
        Binding("home,g", "scroll(-9999)", "Top", show=False, id="help.top"),
        Binding("end,G", "scroll(9999)", "Bottom", show=False, id="help.bottom"),
    ]

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The sheet in a frame that scrolls."""
        with VerticalScroll(id="sheet") as sheet:
            sheet.can_focus = False
            sheet.border_title = "help"
            sheet.border_subtitle = "esc closes · ↑ ↓ scroll"
            canvas = LineCanvas(id="help-lines")
            canvas.styles.height = len(self._lines)
            yield canvas

    def on_mount(self) -> None:
        """Draw the sheet."""
        self.query_one(LineCanvas).show_lines(self._lines)

    def action_scroll(self, lines: int) -> None:
        """Move the sheet."""
        self.query_one("#sheet", VerticalScroll).scroll_relative(y=lines, animate=False)
