"""The screens opened by number keys, and the classes whose keys can be remapped; each is loaded when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from textual.dom import DOMNode
from textual.screen import Screen

from sp500tui.config.keys import KEYS_BY_ID


class ScreenClasses(NamedTuple):
    """A screen's class and those of its panels that have bindings."""

    screen: type[Screen[None]]
    panels: tuple[type[DOMNode], ...] = ()


@dataclass(frozen=True, slots=True)
class ScreenEntry:
    """A screen opened by a number key."""

    name: str
    title: str
    load: Callable[[], ScreenClasses]
    short: str = ""
    """Its name in the key bar, if that differs from `name`."""
    demo_only: bool = False
    cluster_only: bool = False
    """Offered only in a cluster; elsewhere its key opens it too, and it explains how to join a cluster."""

    @property
    def purpose(self) -> str:
        """Its content in a sentence."""
        return KEYS_BY_ID[f"screen.{self.name}"].explanation

    def available(self, *, demo: bool) -> bool:
        """Whether it can be opened in this run."""
        return demo or not self.demo_only

    def offered(self, *, demo: bool, cluster: bool) -> bool:
        """Whether the command palette lists it."""
        return self.available(demo=demo) and (cluster or not self.cluster_only)


def _main() -> ScreenClasses:
    from sp500tui.tui.dashboard.screen import MainScreen
    from sp500tui.tui.log.lines import LogLines
    from sp500tui.tui.prices.sort_picker import SortPicker
    from sp500tui.tui.prices.table import PriceTable
    from sp500tui.tui.workers.panel import WorkersPanel

    return ScreenClasses(MainScreen, (PriceTable, SortPicker, WorkersPanel, LogLines))


def _database() -> ScreenClasses:
    from sp500tui.tui.database.screen import DatabaseScreen

    return ScreenClasses(DatabaseScreen)


def _demo() -> ScreenClasses:
    from sp500tui.tui.demo.screen import DemoScreen, FaultList

    return ScreenClasses(DemoScreen, (FaultList,))


def _nodes() -> ScreenClasses:
    from sp500tui.tui.nodes.screen import NodesScreen

    return ScreenClasses(NodesScreen)


def _timeline() -> ScreenClasses:
    from sp500tui.tui.timeline.screen import TimelineScreen

    return ScreenClasses(TimelineScreen)


def _journeys() -> ScreenClasses:
    from sp500tui.tui.journeys.screen import JourneysScreen

    return ScreenClasses(JourneysScreen)


def _coverage() -> ScreenClasses:
    from sp500tui.tui.coverage.screen import CoverageScreen

    return ScreenClasses(CoverageScreen)


def _lessons() -> ScreenClasses:
    from sp500tui.tui.lessons.screen import LessonsScreen

    return ScreenClasses(LessonsScreen)


MAIN = "pipeline"
SCREENS: tuple[ScreenEntry, ...] = (
    ScreenEntry(MAIN, "Pipeline", _main),
    ScreenEntry("database", "Database", _database),
    ScreenEntry("demo", "Demo controls", _demo, short="faults", demo_only=True),
    ScreenEntry("nodes", "Nodes", _nodes, cluster_only=True),
    ScreenEntry("timeline", "Timeline", _timeline),
    ScreenEntry("coverage", "Coverage", _coverage),
    ScreenEntry("lessons", "Lessons", _lessons),
    ScreenEntry("journeys", "Journeys", _journeys),
)
"""In the order of the number keys."""


def symbol_screen(symbol: str) -> Screen[None]:
    """The details of a symbol as listed (`BRK.B`)."""
    from sp500tui.tui.symbol.screen import SymbolScreen

    return SymbolScreen(symbol)


def entry_of(name: str) -> ScreenEntry:
    """The screen with a name."""
    return next(entry for entry in SCREENS if entry.name == name)


def binding_classes() -> Iterator[type[DOMNode]]:
    """The classes whose keys can be remapped, except the app, in the order of the help screen. Loads every screen."""
    from sp500tui.tui.help.screen import HelpScreen
    from sp500tui.tui.log.line_screen import LineScreen
    from sp500tui.tui.quit.screen import StopScreen
    from sp500tui.tui.shell.dialogs import NumberScreen, QuestionScreen
    from sp500tui.tui.symbol.chart import PriceChart
    from sp500tui.tui.symbol.screen import SymbolScreen

    loaded = (entry.load() for entry in SCREENS)
    main, *others = ([screen, *panels] for screen, panels in loaded)
    kinds: list[type[DOMNode]] = [*main, SymbolScreen, PriceChart, *chain(*others)]
    kinds += [LineScreen, StopScreen, HelpScreen, QuestionScreen, NumberScreen]
    for kind in kinds:
        yield from (base for base in reversed(kind.__mro__) if _is_own(base))


def _is_own(kind: type[object]) -> bool:
    """Whether a class of the dashboard itself declares bindings."""
    return "BINDINGS" in kind.__dict__ and kind.__module__.startswith("sp500tui.")
