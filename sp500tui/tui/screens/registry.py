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

    def available(self, *, demo: bool) -> bool:
        """Whether it can be opened in this run."""
        return demo or not self.demo_only


def _main() -> Screen[None]:
    from sp500tui.tui.screens.main import MainScreen

    return MainScreen()


MAIN = "pipeline"
SCREENS: tuple[ScreenEntry, ...] = (
    ScreenEntry(MAIN, "Pipeline", "The pipeline, its workers, the prices and the log", _main),
)
"""In the order of the number keys, the first one behind `1`."""


def symbol_screen(symbol: str) -> Screen[None]:
    """The details of a symbol as listed (`BRK.B`)."""
    from sp500tui.tui.screens.symbol import SymbolScreen

    return SymbolScreen(symbol)


def entry_of(name: str) -> ScreenEntry:
    """The screen of that name."""
    return next(entry for entry in SCREENS if entry.name == name)
