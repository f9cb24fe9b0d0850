"""Every key's action in the command palette as well, with its key beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode

from sp500tui.tui.screens import SCREENS
from sp500tui.tui.shell.bindings import Command, commands_of

if TYPE_CHECKING:
    from sp500tui.tui.app import DashboardApp


class CommandProvider(Provider):
    """Finds the actions of the app, of the screen and of its panels."""

    async def discover(self) -> Hits:
        """All commands, before anything is typed."""
        for title, explanation, run in self._entries():
            yield DiscoveryHit(title, run, help=explanation)

    async def search(self, query: str) -> Hits:
        """The commands whose title matches what was typed."""
        matcher = self.matcher(query)
        for title, explanation, run in self._entries():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, Content(title), run, text=title, help=explanation)

    def _entries(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        app = cast("DashboardApp", self.app)
        for entry in SCREENS:
            if entry.offered(demo=app.settings.demo, cluster=bool(app.settings.broker)):
                yield f"screen: {entry.title}", entry.purpose, partial(app.action_show_screen, entry.name)
        for node in (app, self.screen, *self.screen.query("*")):
            for command in commands_of(kind for kind in type(node).__mro__ if issubclass(kind, DOMNode)):
                if node is app or node.display:
                    yield self._title(app, command), command.explanation, partial(self._run, command, node)

    def _title(self, app: DashboardApp, command: Command) -> str:
        return f"{command.group.lower()}: {command.title} ({app.keys_of(command)})"

    async def _run(self, command: Command, node: DOMNode) -> None:
        """Do what the key would do."""
        await self.app.run_action(command.binding.action, default_namespace=node)
