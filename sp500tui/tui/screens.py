"""The screens that number keys open, and the classes whose keys can be remapped; each is loaded when needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from textual.dom import DOMNode
from textual.screen import Screen


class ScreenClasses(NamedTuple):
    """A screen's class and those of its panels that have bindings."""

    screen: type[Screen[None]]
    panels: tuple[type[DOMNode], ...] = ()


@dataclass(frozen=True, slots=True)
class ScreenEntry:
    """A screen that a number key opens."""

    name: str
    title: str
    purpose: str
    """What it shows, in a sentence."""
    load: Callable[[], ScreenClasses]
    key: str
    """Its number key."""
    short: str = ""
    """Its name in the key bar, where that differs from `name`."""
    demo_only: bool = False
    cluster_only: bool = False
    """Offered in a cluster only; elsewhere its key opens it all the same, and it explains how to join one."""

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


def _coverage() -> ScreenClasses:
    from sp500tui.tui.coverage.screen import CoverageScreen

    return ScreenClasses(CoverageScreen)


def _lessons() -> ScreenClasses:
    from sp500tui.tui.lessons.screen import LessonsScreen

    return ScreenClasses(LessonsScreen)


MAIN = "pipeline"
SCREENS: tuple[ScreenEntry, ...] = (
    ScreenEntry(MAIN, "Pipeline", "The pipeline, its workers, the prices and the log", _main, "1"),
    ScreenEntry(
        "database", "Database", "What is stored, how it grows, and the SQL behind each figure", _database, "2"
    ),
    ScreenEntry(
        "demo",
        "Demo controls",
        "Inject faults and watch the pipeline recover",
        _demo,
        "3",
        short="faults",
        demo_only=True,
    ),
    ScreenEntry(
        "nodes",
        "Nodes",
        "The nodes of a cluster, their workers, and where the work of lost ones went",
        _nodes,
        "4",
        cluster_only=True,
    ),
    ScreenEntry("timeline", "Timeline", "What every worker did, on one time axis", _timeline, "5"),
    ScreenEntry(
        "coverage", "Coverage", "Which sessions of which symbols have all their bars", _coverage, "6"
    ),
    ScreenEntry("lessons", "Lessons", "Experiments on concurrency with measured results", _lessons, "8"),
)
"""In the order of the number keys."""


def symbol_screen(symbol: str) -> Screen[None]:
    """The details of a symbol as listed (`BRK.B`)."""
    from sp500tui.tui.symbol.screen import SymbolScreen

    return SymbolScreen(symbol)


def entry_of(name: str) -> ScreenEntry:
    """The screen of that name."""
    return next(entry for entry in SCREENS if entry.name == name)


def binding_classes() -> Iterator[type[DOMNode]]:
    """The classes besides the app whose keys can be remapped, in the order of the help screen. Loads every screen."""
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
