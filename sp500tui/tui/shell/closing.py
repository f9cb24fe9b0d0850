"""Closing a screen that lies above another one."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete

from sp500tui.tui.terminal.diff import DiffingScreen

ResultType = TypeVar("ResultType")


class ClosableScreen(DiffingScreen[ResultType]):
    """A screen that closes itself and no other.

    Textual removes the top screen even when the one that asks is closed already, as it is at the second of two
    clicks or keys that arrived together; without another screen that ends the program.
    """

    def dismiss(self, result: ResultType | None = None) -> AwaitComplete:
        """Close the screen; nothing happens when it is not the top one."""
        return super().dismiss(result) if self.is_current else AwaitComplete()
