"""The screens behind the number keys and the one behind `enter`; each is loaded when it is first shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual.screen import Screen


@dataclass(frozen=True, slots=True)
class ScreenEntry:
    """One screen that a number key opens."""

    name: str
    title: str
    purpose: str
    """What it shows, in a sentence."""
    make: Callable[[], Screen[None]]
    demo_only: bool = False
    cluster_only: bool = False
    """Offered in a cluster; elsewhere its key opens it all the same, and it says how to get there."""

    def available(self, *, demo: bool) -> bool:
        """Whether it can be opened in this run."""
        return demo or not self.demo_only

    def offered(self, *, demo: bool, cluster: bool) -> bool:
        """Whether the palette lists it."""
        return self.available(demo=demo) and (cluster or not self.cluster_only)


def _main() -> Screen[None]:
    from sp500tui.tui.dashboard.screen import MainScreen

    return MainScreen()


def _database() -> Screen[None]:
    from sp500tui.tui.database.screen import DatabaseScreen

    return DatabaseScreen()


def _demo() -> Screen[None]:
    from sp500tui.tui.demo.screen import DemoScreen

    return DemoScreen()


def _nodes() -> Screen[None]:
    from sp500tui.tui.nodes.screen import NodesScreen

    return NodesScreen()


MAIN = "pipeline"
SCREENS: tuple[ScreenEntry, ...] = (
    ScreenEntry(MAIN, "Pipeline", "The pipeline, its workers, the prices and the log", _main),
    ScreenEntry(
        "database", "Database", "What is stored, how it grows, and the SQL behind each figure", _database
    ),
    ScreenEntry(
        "demo", "Demo controls", "Let things go wrong and watch the pipeline cope", _demo, demo_only=True
    ),
    ScreenEntry(
        "nodes",
        "Nodes",
        "The machines of a cluster, their workers, and what became of lost ones",
        _nodes,
        cluster_only=True,
    ),
)
"""In the order of the number keys, the first one behind `1`."""


def symbol_screen(symbol: str) -> Screen[None]:
    """The details of a symbol as listed (`BRK.B`)."""
    from sp500tui.tui.symbol.screen import SymbolScreen

    return SymbolScreen(symbol)


def entry_of(name: str) -> ScreenEntry:
    """The screen of that name."""
    return next(entry for entry in SCREENS if entry.name == name)
