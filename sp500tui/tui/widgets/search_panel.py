"""A panel whose content is filtered or searched by the text of an input line below it."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input


class SearchInput(Input):
    """An input line that is hidden until it is opened; posts `Closed` at the end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close(False)", "Discard", id="search.discard"),
        Binding("enter", "close(True)", "Keep", id="search.keep"),
        Binding("down", "close(True)", "To the rows", id="search.leave", show=False),
    ]

    class Closed(Message):
        """The input line was closed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text
            """The text to search for from now on; empty if the search was cancelled."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, max_length=200)
        self.display = False

    def open(self, text: str = "") -> None:
        """Show the line with `text` in it and focus it."""
        self.display = True
        self.value = text
        self.focus()

    def action_close(self, kept: bool) -> None:
        """Hide the line."""
        self.display = False
        self.post_message(self.Closed(self.value if kept else ""))


class SearchPanel(Container):
    """A widget above its search line.

    Args:
        content: The widget that is searched; it opens the line by posting `SearchPanel.Requested`.
        placeholder: Shown in the empty line.
    """

    class Requested(Message):
        """The content requests its search line."""

    def __init__(
        self,
        content: Widget,
        placeholder: str,
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._content = content
        self._input = SearchInput(placeholder)

    @property
    @abstractmethod
    def search_text(self) -> str:
        """The text searched for in the content."""

    @search_text.setter
    def search_text(self, text: str) -> None: ...

    def compose(self) -> ComposeResult:
        """The content above the search line."""
        yield self._content
        yield self._input

    @on(Requested)
    def open_search(self) -> None:
        """Open the search line."""
        self._input.open(self.search_text)

    def leave(self, focused: Widget) -> None:
        """Hide the search line and keep its text if another widget, `focused`, has taken the focus from it."""
        if self._input.display and focused is not self._input:
            self._input.display = False
            self.search_text = self._input.value

    @on(Input.Changed)
    def search(self, event: Input.Changed) -> None:
        """Search with every keystroke."""
        event.stop()
        if self._input.display:
            self.search_text = event.value

    @on(SearchInput.Closed)
    def close_search(self, event: SearchInput.Closed) -> None:
        """Return to the content; the search ends if it was cancelled."""
        event.stop()
        # The message of the last keystroke may still be queued when the line closes.
        self.search_text = event.text
        self._content.focus()
