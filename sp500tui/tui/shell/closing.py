"""Closing a screen that is above another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from textual.await_complete import AwaitComplete

from sp500tui.tui.terminal.diff import DiffingScreen

ResultType = TypeVar("ResultType")


class ClosableScreen(DiffingScreen[ResultType]):
    """A screen that closes itself and no other.

    Textual removes the top screen even if the screen that calls `dismiss` is already closed, as at the second of two
    clicks or keys that arrived together. If there is no other screen, the program ends.
    """

    def dismiss(self, result: ResultType | None = None) -> AwaitComplete:
        """Close the screen; does nothing if it is not the top one."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    def call_after_refresh(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> bool:
        """Call `callback` after the next refresh, unless the screen is being closed then.

        Textual calls it even after removing the widgets of a screen that is closed while it is being opened.
        """
        return super().call_after_refresh(self._call_while_open, callback, *args, **kwargs)

    def _call_while_open(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        # False as soon as the removal of the screen begins. Textual awaits an awaitable result.
        return callback(*args, **kwargs) if self.display else None
