"""The command palette, safe in a window without room for its list and against keys faster than it closes."""

from __future__ import annotations

import logging
from typing import Any

from textual.command import CommandList, CommandPalette
from textual.worker import Worker, WorkerState

from sp500tui.tui.shell.closing import ClosableScreen

LOG = logging.getLogger(__name__)


class Palette(CommandPalette, ClosableScreen[None]):
    """Textual's palette, whose list fails when it is told to turn a page before it was ever laid out.

    Its search goes on in a worker while the palette closes, and misses the list then; that must not end the program.
    """

    def _action_command_list(self, action: str) -> None:
        """Hand `action` on to the list where the list is on the screen."""
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)

    def run_worker(self, *work: Any, **options: Any) -> Worker[Any]:
        """Run the search without ending the program when it fails."""
        return super().run_worker(*work, **{**options, "exit_on_error": False})

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Log a search that failed while the palette was open."""
        if event.state is WorkerState.ERROR and self.is_current:
            LOG.error("the search of the command palette failed", exc_info=event.worker.error)
