"""The command palette, safe in a window without room for its list."""

from __future__ import annotations

from textual.command import CommandList, CommandPalette


class Palette(CommandPalette):
    """Textual's palette, whose list fails when it is told to turn a page before it was ever laid out."""

    def _action_command_list(self, action: str) -> None:
        """Hand `action` on to the list where the list is on the screen."""
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)
