"""A price table of forty symbols for tests, which records what it shows and draws."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.color import Color
from textual import on
from textual.app import ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot

from sp500tui.config.keys import KEYS_BY_ID
from sp500tui.model import Constituent
from sp500tui.tui.prices.panel import PricePanel
from sp500tui.tui.prices.table import PriceTable
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.shell.themes import DARK, LIGHT
from sp500tui.tui.terminal.diff import DiffingApp
from tests.support.tui.price_rows import Clock, constituent, live

SYMBOLS = [f"S{number:02}" for number in range(40)]
SECTORS = ("Energy", "Health Care")


class TableApp(DiffingApp[None]):
    CSS_PATH = style_sheet("prices.tcss")

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.panel = PricePanel(clock=clock)
        self.heard: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.panel

    def on_mount(self) -> None:
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = DARK.name

    def key_of(self, key_id: str) -> str:
        """The first key of a binding, as in the dashboard."""
        return KEYS_BY_ID[key_id].keys.partition(",")[0]

    @on(PriceTable.Selected)
    @on(PriceTable.SummaryChanged)
    def hear(self, message: Message) -> None:
        self.heard.append(message)


class Bench:
    """A table of forty symbols, priced 100, 101, … with changes 0, 1, …, and its keys."""

    def __init__(self, app: TableApp, pilot: Pilot[None], clock: Clock) -> None:
        self.app = app
        self.pilot = pilot
        self.clock = clock
        self.version = 0
        self.drawn: list[Region] = []

    @property
    def table(self) -> PriceTable:
        return self.app.panel.table

    @property
    def title(self) -> str:
        return [m.text for m in self.app.heard if isinstance(m, PriceTable.SummaryChanged)][-1]

    @property
    def selected(self) -> list[str]:
        return [m.symbol for m in self.app.heard if isinstance(m, PriceTable.Selected)]

    def price(self, symbol: str, price: float, change: float | None = None) -> None:
        """Add a newer quote, fetched now."""
        self.version += 1
        moved = None if change is None else f"{change:.2f}"
        quote = live(symbol, f"{price:.2f}", moved, version=self.version, at=self.clock.now)
        self.table.update_prices([quote], self.clock.now)

    def price_all(self) -> None:
        for number, symbol in enumerate(SYMBOLS):
            self.price(symbol, 100 + number, number)
        self.table.advance(self.clock.pass_by(3))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def line(self, y: int) -> str:
        return self.table.render_line(y).text

    def shown(self) -> list[str]:
        """Symbols or headings on the screen below the header."""
        return [words[0] for y in range(1, self.table.line_count) if (words := self.line(y)[1:].split())]

    def backgrounds(self, y: int) -> set[Color | None]:
        return {segment.style.bgcolor for segment in self.table.render_line(y) if segment.style}

    def watch(self) -> None:
        """Record from now on which cells are repainted."""
        refresh = self.table.refresh

        def noted(*regions: Region, **options: bool) -> PriceTable:
            self.drawn += regions
            return refresh(*regions, **options)

        self.table.refresh = noted  # type: ignore[method-assign]

    async def cells_since(self) -> list[Region]:
        """The repainted cells, from the top left to the bottom right."""
        await self.pilot.pause()
        drawn, self.drawn = sorted(self.drawn, key=lambda region: (region.y, region.x)), []
        return drawn

    async def drawn_since(self) -> list[int]:
        """The screen lines of the repainted cells."""
        return sorted({region.y for region in await self.cells_since()})


def listed() -> list[Constituent]:
    return [constituent(s, f"Company {s}", SECTORS[n % 2]) for n, s in enumerate(SYMBOLS)]


@asynccontextmanager
async def bench(width: int = 100, height: int = 12, *, priced: bool = True) -> AsyncIterator[Bench]:
    """A table of a given size below the line of the index."""
    clock = Clock()
    app = TableApp(clock)
    async with app.run_test(size=(width, height + 1)) as pilot:
        made = Bench(app, pilot, clock)
        await pilot.pause()
        if priced:
            made.table.set_constituents(listed())
            made.price_all()
            made.table.focus()
        await pilot.pause()
        yield made
