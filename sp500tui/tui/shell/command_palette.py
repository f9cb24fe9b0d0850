"""The command palette: the action of every key, with its keys."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider, SearchIcon
from textual.content import Content
from textual.dom import DOMNode
from textual.worker import Worker, WorkerState

from sp500tui.tui.context import DashboardContext, PaletteEntry
from sp500tui.tui.shell.closing import ClosableScreen
from sp500tui.tui.shell.keymap import KeyCommand, commands_of

LOG = logging.getLogger(__name__)
_NAMED = 2.0
"""Score of an entry named by the query; matches of titles score at most about one."""


class CommandProvider(Provider):
    """Finds the actions of the app, of the screen and of its panels, and the entries that the app adds."""

    @property
    def _dashboard(self) -> DashboardContext:
        return cast("DashboardContext", self.app)

    async def discover(self) -> Hits:
        """All commands, before anything is typed."""
        for title, explanation, run in self._entries():
            yield DiscoveryHit(title, run, help=explanation)

    async def search(self, query: str) -> Hits:
        """The entries named by the query, then the commands whose titles match it."""
        for title, explanation, run in self._dashboard.palette_matches(query):
            yield Hit(_NAMED, Content(title), run, text=title, help=explanation)
        matcher = self.matcher(query)
        for title, explanation, run in self._entries():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, Content(title), run, text=title, help=explanation)

    def _entries(self) -> Iterator[PaletteEntry]:
        yield from self._dashboard.palette_entries()
        keys_of = self._dashboard.keys_of
        for node in (self.app, self.screen, *self.screen.query("*")):
            for command in commands_of(kind for kind in type(node).__mro__ if issubclass(kind, DOMNode)):
                if (node is self.app or node.display) and self._dashboard.offers(command.binding.id):
                    title = f"{command.group.lower()}: {command.title} ({keys_of(command.binding)})"
                    yield PaletteEntry(title, command.explanation, partial(self._run, command, node))

    async def _run(self, command: KeyCommand, node: DOMNode) -> None:
        """Run the key's action."""
        await self.app.run_action(command.binding.action, default_namespace=node)


class Palette(CommandPalette, ClosableScreen[None]):
    """Textual's palette without its failures on keys in a window too small for its list, and while it closes."""

    def on_mount(self) -> None:
        """Mark the input line with a sign that every terminal can display."""
        self.query_one(SearchIcon).icon = "/"

    def _action_command_list(self, action: str) -> None:
        """Pass `action` to the list, which fails before its first layout."""
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)

    def run_worker(self, *work: Any, **options: Any) -> Worker[Any]:
        """Run the search. It may still run while the palette closes; its failure without the list is ignored."""
        return super().run_worker(*work, **{**options, "exit_on_error": False})

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Log a search that failed while the palette was open."""
        if event.state is WorkerState.ERROR and self.is_current:
            LOG.error("the search of the command palette failed", exc_info=event.worker.error)
