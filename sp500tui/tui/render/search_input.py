"""The line at the foot of a panel in which a person types what to look for."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class SearchInput(Input):
    """Hidden until opened; every keystroke is announced by `Changed`, the end by `Closed`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close(False)", "Discard", id="search.discard"),
        Binding("enter", "close(True)", "Keep", id="search.keep"),
        Binding("down", "close(True)", "To the rows", id="search.leave", show=False),
    ]

    class Closed(Message):
        """The person is done."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text
            """What to look for from now on; empty when what was typed is to be discarded."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, max_length=200)
        self.display = False

    def open(self, text: str = "") -> None:
        """Show the line with `text` in it and take the keyboard."""
        self.display = True
        self.value = text
        self.focus()

    def action_close(self, kept: bool) -> None:
        """Hide the line."""
        self.display = False
        self.post_message(self.Closed(self.value if kept else ""))
