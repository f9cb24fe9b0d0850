"""Dialogs over a screen: a question before a destructive key, and the input of a number."""

from __future__ import annotations

from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from sp500tui.config.whole_numbers import whole_number
from sp500tui.tui.context import DashboardContext
from sp500tui.tui.render.formats import clean
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.titles import set_titles


class QuestionScreen(ModalScreen[bool], ClosableScreen[bool]):
    """A question that only `y` confirms, so that a symbol typed by mistake confirms nothing."""

    CSS_PATH: ClassVar = [style_sheet("dialogs.tcss")]
    BINDING_GROUP_TITLE = "Question"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("question.yes", "answer(True)", "Yes"),
        bind("question.no", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        """The question in a frame."""
        text = Static(clean(self.question), id="dialog", markup=False)
        key = cast("DashboardContext", self.app).key_of
        set_titles(text, "question", f"{key('question.yes')} yes · {key('question.no')} no")
        yield text

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)


class NumberScreen(ModalScreen[int | None], ClosableScreen[int | None]):
    """An input line for a whole number within limits; the result is None if it was cancelled.

    Args:
        title: What is counted: `price workers`.
        limits: Smallest and largest number.
        present: The current number.
    """

    CSS_PATH: ClassVar = [style_sheet("dialogs.tcss")]
    BINDING_GROUP_TITLE = "Number"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("number.close", "dismiss", "Close"),
    ]

    def __init__(self, title: str, limits: tuple[int, int], present: int) -> None:
        super().__init__()
        self._title = title
        self._limits = limits
        self._present = present

    def compose(self) -> ComposeResult:
        """The input line, and below it the reason why a number is rejected."""
        least, most = self._limits
        app = cast("DashboardContext", self.app)
        keys = f"{app.key_label('enter')} set · {app.key_of('number.close')} close"
        with Vertical(id="dialog") as dialog:
            set_titles(dialog, f"{self._title} · {least} to {most}", keys)
            yield Input(str(self._present), compact=True, max_length=9, select_on_focus=True)
            yield Static("", id="refusal", markup=False)

    @on(Input.Submitted)
    def submit(self, event: Input.Submitted) -> None:
        """Close with the number, or show why it is rejected."""
        event.stop()
        number = whole_number(event.value.strip(), *self._limits)
        if number is None:
            least, most = self._limits
            refusal = f"{clean(event.value.strip()) or 'nothing'} is not a number from {least} to {most}"
            self.query_one("#refusal", Static).update(refusal)
        else:
            self.dismiss(number)
