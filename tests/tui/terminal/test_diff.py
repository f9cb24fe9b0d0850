"""The output of a frame: few bytes, and the same screen as after a complete repaint."""

from __future__ import annotations

import asyncio
import random

import pyte
import pytest
from rich.color import ColorSystem
from rich.console import RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Static

from sp500tui.tui.prices.columns import PriceColumn
from sp500tui.tui.prices.panel import PricePanel
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.shell.themes import DARK
from sp500tui.tui.terminal.diff import DiffingApp, DiffingScreen, DiffUpdate, between, change
from tests.support.parameters import rest_thorough
from tests.support.tui.price_rows import Clock, constituent, live

WIDTH, HEIGHT = 120, 14
SYMBOLS = [f"S{number:02}" for number in range(30)]


@pytest.fixture(autouse=True)
def _codes_of_this_colour_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich keeps a style's codes for the first colour system that it is drawn in, which can be that of another test."""
    make = Style._make_ansi_codes

    def make_again(style: Style, color_system: ColorSystem) -> str:
        style._ansi = None
        return make(style, color_system)

    monkeypatch.setattr(Style, "_make_ansi_codes", make_again)
    Strip.render_ansi.cache_clear()


class Watched(DiffingApp[None]):
    """Prices below a line of text, drawn on a simulated terminal."""

    CSS_PATH = style_sheet("prices.tcss")

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.console._color_system = ColorSystem.TRUECOLOR  # whatever the environment of the tests has
        self.panel = PricePanel(clock=clock)
        self.terminal = pyte.Screen(WIDTH, HEIGHT)
        self.stream = pyte.Stream(self.terminal)
        self.sent = 0
        """Bytes of partial frames."""
        self.plain = 0
        """Bytes Textual would have sent for them."""

    def get_default_screen(self) -> Screen[None]:
        return DiffingScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield Static("[link='https://example.org']prices[/] from 猫 to 犬", id="title")
        yield self.panel

    def on_mount(self) -> None:
        self.register_theme(DARK)
        self.theme = DARK.name

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if isinstance(renderable, LayoutUpdate):
            self.stream.feed(renderable.render_segments(self.console))
        elif isinstance(renderable, ChopsUpdate):
            update = DiffUpdate(renderable.chops, renderable.spans, renderable.chop_ends)
            words = update.render_segments(self.console)
            self.sent += len(words.encode())
            self.plain += len(renderable.render_segments(self.console).encode())
            self.stream.feed(words)

    def whole(self) -> pyte.Screen:
        """A terminal that received the current picture in one frame."""
        terminal = pyte.Screen(WIDTH, HEIGHT)
        update = self.screen._compositor.render_full_update()
        pyte.Stream(terminal).feed(update.render_segments(self.console))
        return terminal


async def drawn(app: Watched, pilot: Pilot[None]) -> None:
    """Wait until everything is drawn."""
    calm = 0
    async with asyncio.timeout(20):
        # Twice, because drawing one widget can cause a message to another, such as the line of the index.
        while calm < 2:
            await pilot.pause(0.01)
            screen = app.screen
            waiting = (
                screen._dirty_widgets
                or screen._layout_required
                or screen._repaint_required
                or app.panel.table._repaint_required
                or app.panel.index_line._repaint_required
            )
            calm = 0 if waiting else calm + 1


def cells(terminal: pyte.Screen) -> list[list[pyte.screens.Char]]:
    """All cells as they appear: a blank has no foreground colour."""
    return [[looks(terminal.buffer[y][x]) for x in range(WIDTH)] for y in range(HEIGHT)]


def looks(cell: pyte.screens.Char) -> pyte.screens.Char:
    drawn = cell.data != " " or cell.reverse or cell.underscore or cell.strikethrough
    return cell if drawn else cell._replace(fg="default", bold=False, italics=False, blink=False)


@pytest.mark.parametrize("theme", rest_thorough([DARK.name, "ansi-dark"]))
async def test_after_partial_frames_the_terminal_shows_the_same_as_after_a_complete_one(theme: str) -> None:
    # GIVEN a table in a terminal
    rng, clock = random.Random(7), Clock()
    app = Watched(clock)
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        app.theme = theme
        table = app.panel.table
        table.set_constituents([constituent(symbol, f"Company {symbol} 株式会社") for symbol in SYMBOLS])
        await pilot.pause()

        # WHEN prices, order, cursor, flashes, grouping and the line above change
        for version in range(1, 25):
            prices = [
                live(symbol, f"{rng.uniform(1, 2000):.2f}", f"{rng.gauss(0, 20):.2f}", version=version)
                for symbol in rng.sample(SYMBOLS, 8)
            ]
            table.update_prices(prices, clock.pass_by(0.3))
            if version % 3 == 0:
                await pilot.press(rng.choice(["down", "G", "b", "g", "pagedown"]))
            if version % 4 == 0:
                table.sort_by(rng.choice(list(PriceColumn)))
            if version % 5 == 0:
                app.query_one("#title", Static).update(f"[b]猫{version}[/b]")
            await drawn(app, pilot)

            # THEN every frame results in the same picture
            assert cells(app.terminal) == cells(app.whole())

    # AND they took fewer bytes
    assert 0 < app.sent < app.plain / 2


class Counted(Static):
    """Counts how often it is rendered for the terminal."""

    renders = 0

    def render_lines(self, crop: Region) -> list[Strip]:
        self.renders += 1
        return super().render_lines(crop)


class ThreeLines(DiffingApp[None]):
    """A line at the top, one in the middle and one at the bottom."""

    def get_default_screen(self) -> Screen[None]:
        return DiffingScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield from (Counted("first", id="first"), Counted("middle", id="middle"), Counted("last", id="last"))


async def test_what_lies_between_two_changes_is_not_rendered() -> None:
    app = ThreeLines()
    async with app.run_test(size=(20, 5)) as pilot:
        await pilot.pause()
        first, middle, last = (app.query_one(f"#{name}", Counted) for name in ("first", "middle", "last"))
        before, still = last.renders, middle.renders
        first.update("FIRST")
        last.update("LAST")
        async with asyncio.timeout(20):
            while last.renders == before:
                await pilot.pause(0.01)
        assert first.renders == last.renders
        assert middle.renders == still


class Cover(DiffingScreen[None]):
    """A screen in front of another one."""

    def compose(self) -> ComposeResult:
        yield from (Counted("still", id="still"), Counted("moving", id="moving"))


async def _rendered(pilot: Pilot[None], widget: Counted, text: str) -> None:
    """Change a widget and wait until it is drawn."""
    before = widget.renders
    widget.update(text)
    async with asyncio.timeout(20):
        while widget.renders == before:
            await pilot.pause(0.01)


async def test_changes_below_an_opaque_screen_do_not_redraw_it() -> None:
    app = ThreeLines()
    async with app.run_test(size=(20, 5)) as pilot:
        first, cover = app.query_one("#first", Counted), Cover()
        # GIVEN an opaque screen in front of another
        await app.push_screen(cover)
        still, moving = (cover.query_one(f"#{name}", Counted) for name in ("still", "moving"))
        before = 0
        while before != still.renders:  # until it is laid out
            before = still.renders
            await _rendered(pilot, moving, f"MOVING {before}")
        # WHEN the hidden screen changes, and then something that is visible
        first.update("FIRST")
        await pilot.pause()
        await _rendered(pilot, moving, "AGAIN")
        # THEN the rest of the visible screen was not drawn
        assert still.renders == before
        # AND a terminal that was resized in the meantime shows the hidden screen in its current state
        await pilot.resize_terminal(30, 6)
        app.pop_screen()
        async with asyncio.timeout(20):
            while len(lines := app.screen._compositor.render_strips()) != 6 or lines[0].cell_length != 30:
                await pilot.pause(0.01)
        assert [line.text.strip() for line in lines[:3]] == ["FIRST", "middle", "last"]


async def test_changes_below_a_translucent_screen_are_drawn() -> None:
    app = ThreeLines()
    async with app.run_test(size=(20, 5)) as pilot:
        cover = Cover()
        cover.styles.background = "black 50%"
        await app.push_screen(cover)
        await _rendered(pilot, app.screen_stack[0].query_one("#last", Counted), "LAST")


async def test_a_price_that_changes_sends_its_cells_only() -> None:
    clock = Clock()
    app = Watched(clock)
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        table = app.panel.table
        table.flashes = False
        table.set_constituents([constituent(symbol) for symbol in SYMBOLS[:8]])  # no scroll bar
        table.update_prices([live("S05", "100.00", version=1)], clock.now)
        await drawn(app, pilot)
        app.sent = 0

        table.update_prices([live("S05", "100.25", version=2)], clock.now)
        await drawn(app, pilot)

    assert 0 < app.sent < 250


RED, BOLD_RED, ON_BLUE = Style(color="red"), Style(color="red", bold=True), Style(color="red", bgcolor="blue")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (RED, RED, ""),
        (RED, Style(color="green"), "\x1b[32m"),
        (RED, ON_BLUE, "\x1b[44m"),
        (ON_BLUE, RED, "\x1b[0;31m"),
        (RED, BOLD_RED, "\x1b[1m"),
        (BOLD_RED, RED, "\x1b[22m"),
        (BOLD_RED, Style(color="red", dim=True), "\x1b[0;2;31m"),
        (Style(underline=True), RED, "\x1b[0;31m"),
        (BOLD_RED, Style.null(), "\x1b[0m"),
        (Style.null(), RED, "\x1b[31m"),
    ],
)
def test_only_the_differences_of_a_style_are_written(old: Style, new: Style, words: str) -> None:
    assert change(old, new, ColorSystem.STANDARD) == (words, new)


@pytest.mark.parametrize(
    ("old", "new", "words", "after"),
    [
        (BOLD_RED, Style(color="green"), "", BOLD_RED),
        (BOLD_RED, ON_BLUE, "\x1b[44m", BOLD_RED + ON_BLUE),
        (ON_BLUE, RED, "\x1b[0m", Style.null()),
        (RED, Style(underline=True, color="red"), "\x1b[4m", Style(underline=True, color="red")),
        (Style(reverse=True), RED, "\x1b[0;31m", RED),
    ],
)
def test_blanks_are_written_without_a_style(old: Style, new: Style, words: str, after: Style) -> None:
    assert change(old, new, ColorSystem.STANDARD, blank=True) == (words, after)


@pytest.mark.parametrize(
    ("left", "right", "text"), [(0, 7, "ab猫犬c"), (1, 4, "b猫"), (4, 6, "犬"), (3, 6, " 犬"), (6, 9, "c")]
)
def test_cells_are_cut_by_columns(left: int, right: int, text: str) -> None:
    strip = Strip([Segment("ab"), Segment("猫犬"), Segment("c")])

    assert "".join(cell.text for cell in between(strip, left, right)) == text
