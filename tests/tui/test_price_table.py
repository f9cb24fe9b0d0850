"""The table as a person uses it: keys, mouse, filter, cursor, and what is repainted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from rich.color import Color
from textual import on
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.strip import Strip

from sp500tui.domain import Constituent
from sp500tui.pipeline.snapshot import MissingSymbol
from sp500tui.tui.price_columns import PriceColumn, price_layout
from sp500tui.tui.styles import style_sheet
from sp500tui.tui.themes import DARK, LIGHT
from sp500tui.tui.widgets.price_panel import PricePanel
from sp500tui.tui.widgets.price_table import WAITING, PriceTable
from tests.tui.price_rows import Clock, constituent, live

SYMBOLS = [f"S{number:02}" for number in range(40)]
SECTORS = ("Energy", "Health Care")


class TableApp(App[None]):
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

    @on(PriceTable.Selected)
    @on(PriceTable.Described)
    def hear(self, message: Message) -> None:
        self.heard.append(message)


class Bench:
    """A table of forty symbols, priced 100, 101, … with changes 0, 1, …, and the keys to it."""

    def __init__(self, app: TableApp, pilot: Pilot[None], clock: Clock) -> None:
        self.app = app
        self.pilot = pilot
        self.clock = clock
        self.version = 0
        self.drawn: list[int] = []

    @property
    def table(self) -> PriceTable:
        return self.app.panel.table

    @property
    def title(self) -> str:
        return [m.text for m in self.app.heard if isinstance(m, PriceTable.Described)][-1]

    @property
    def selected(self) -> list[str]:
        return [m.symbol for m in self.app.heard if isinstance(m, PriceTable.Selected)]

    def price(self, symbol: str, price: float, change: float | None = None) -> None:
        """A newer quote, seen now."""
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
        """Note from now on which lines the compositor has drawn."""
        draw = self.table.render_line

        def noted(y: int) -> Strip:
            self.drawn.append(y)
            return draw(y)

        self.table.render_line = noted  # type: ignore[method-assign]

    async def drawn_since(self) -> list[int]:
        await self.pilot.pause()
        drawn, self.drawn = sorted(self.drawn), []
        return drawn


def listed() -> list[Constituent]:
    return [constituent(s, f"Company {s}", SECTORS[n % 2]) for n, s in enumerate(SYMBOLS)]


@asynccontextmanager
async def bench(width: int = 100, height: int = 12, *, priced: bool = True) -> AsyncIterator[Bench]:
    clock = Clock()
    app = TableApp(clock)
    async with app.run_test(size=(width, height)) as pilot:
        made = Bench(app, pilot, clock)
        await pilot.pause()
        if priced:
            made.table.set_constituents(listed())
            made.price_all()
            made.table.focus()
        await pilot.pause()
        yield made


class TestPicture:
    async def test_the_greatest_gain_comes_first(self) -> None:
        async with bench() as b:
            assert b.shown() == SYMBOLS[:28:-1]
            assert b.line(1).split()[:5] == ["S39", "Company", "S39", "139.00", "+39.00"]
            assert b.title == "by change % ▼ · all 40"

    async def test_without_a_list_it_says_what_is_waited_for(self) -> None:
        async with bench(priced=False) as b:
            assert WAITING in "".join(b.line(y) for y in range(12))

            b.table.notice = "No list: Wikipedia cannot be reached\n--demo needs no network"
            await b.pilot.pause()

            text = "".join(b.line(y) for y in range(12))
            assert "Wikipedia cannot be reached" in text
            assert "--demo" in text

    async def test_rows_without_prices_are_there_at_once_and_missing_ones_marked(self) -> None:
        async with bench(160, priced=False) as b:
            b.table.set_constituents(listed())
            b.table.set_missing([MissingSymbol("S00", "not in the answer")])
            await b.pilot.pause()

            assert "missing" in b.line(1)
            assert "missing" not in b.line(2)
            assert b.line(2).split()[:3] == ["S01", "Company", "S01"]

    async def test_stale_rows_are_dimmed_and_show_their_age(self) -> None:
        async with bench() as b:
            fresh = b.table.render_line(1)
            b.table.advance(b.clock.pass_by(20 * 60))
            await b.pilot.pause()

            stale = b.table.render_line(1)
            assert "20 min" in stale.text
            assert {s.style for s in stale} != {s.style for s in fresh}

    async def test_a_change_lights_up_for_a_moment_unless_turned_off(self) -> None:
        async with bench() as b:
            calm = b.backgrounds(1)
            b.price("S39", 140, 40)
            lit = b.backgrounds(1)
            await b.press("F")
            off = b.backgrounds(1)
            await b.press("F")
            b.table.advance(b.clock.pass_by(1))

            assert len(lit) > len(calm) == 1
            assert off == calm
            assert b.backgrounds(1) == calm

    async def test_the_second_currency_can_come_first(self) -> None:
        async with bench(60) as b:
            assert "Last USD" in b.line(0)

            b.table.show_converted = True
            await b.pilot.pause()

            assert "DKK" in b.line(0)
            assert "956.32" in b.line(1)

    async def test_another_theme_is_followed(self) -> None:
        async with bench() as b:
            dark = [s.style for s in b.table.render_line(1)]
            b.app.theme = LIGHT.name
            await b.pilot.pause()

            assert [s.style for s in b.table.render_line(1)] != dark

    @pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light"])
    async def test_the_cursor_shows_in_a_theme_without_colours_of_its_own(self, theme: str) -> None:
        async with bench() as b:
            b.app.theme = theme
            await b.press("down")

            row = b.table.render_line(1)
            assert all(segment.style and segment.style.reverse for segment in row)
            assert row.text.startswith("▸")

    async def test_it_survives_any_size(self) -> None:
        async with bench() as b:
            for width, height in ((10, 5), (1, 1), (200, 60), (60, 16)):
                await b.pilot.resize_terminal(width, height)
                await b.press("down", "G", "b", "g")
                assert all(b.table.render_line(y).cell_length == b.table.line_width for y in range(height))

            assert b.table.columns == price_layout(b.table.line_width, grouped=b.table.grouped).columns

    async def test_hostile_names_are_shown_and_change_nothing(self) -> None:
        names = [
            "[red]Red[/]",
            "\x1b[31mEscape\x1b]0;title\x07",
            "👩‍👩‍👧 Family",
            "שלום חברה",
            "a\u202eb",
            "line\nbreak\ttab",
        ]
        async with bench(priced=False) as b:
            b.table.set_constituents([constituent(f"H{n}", name) for n, name in enumerate(names)])
            await b.pilot.pause()

            lines = [b.table.render_line(y) for y in range(1, 7)]

        assert "[red]Red[/]" in lines[0].text
        assert all("\x1b" not in line.text and "\u202e" not in line.text for line in lines)
        assert {line.cell_length for line in lines} == {99}


class TestRepainting:
    async def test_an_update_off_the_screen_draws_nothing(self) -> None:
        async with bench() as b:
            b.table.advance(b.clock.now)
            await b.drawn_since()
            b.watch()

            b.price("S05", 105, 5)

            assert await b.drawn_since() == []

    async def test_an_update_on_the_screen_draws_its_line_only(self) -> None:
        async with bench() as b:
            b.watch()

            b.price("S37", 137.5, 37.5)

            assert await b.drawn_since() == [3]

    async def test_no_news_draws_nothing_and_a_second_only_the_ages(self) -> None:
        async with bench() as b:
            b.watch()
            b.table.advance(b.clock.now)
            nothing = await b.drawn_since()
            b.table.advance(b.clock.pass_by(1))

            assert nothing == []
            assert await b.drawn_since() == list(range(1, b.table.line_count))

    async def test_the_cursor_redraws_the_two_rows_it_touches(self) -> None:
        async with bench() as b:
            await b.press("down", "down")
            b.watch()

            await b.press("down")

            assert await b.drawn_since() == [2, 3]

    async def test_the_mouse_lights_the_row_it_is_over(self) -> None:
        async with bench() as b:
            b.watch()
            await b.pilot.hover(PriceTable, offset=(5, 4))
            over = await b.drawn_since()
            await b.pilot.hover(PriceTable, offset=(5, 0))

            assert over == [4]
            assert await b.drawn_since() == [4]


class TestOrder:
    async def test_the_first_prices_are_in_order_at_once(self) -> None:
        async with bench(priced=False) as b:
            b.table.set_constituents(listed())
            prices = [live(s, f"{100 + n}.00", f"{n}.00") for n, s in enumerate(SYMBOLS)]

            b.table.update_prices(prices, b.clock.now)

            assert b.shown()[:3] == ["S39", "S38", "S37"]

    async def test_the_order_follows_at_most_once_a_second(self) -> None:
        async with bench() as b:
            b.price("S00", 300, 200)
            at_once = b.shown()[0]
            b.table.advance(b.clock.pass_by(2))

            assert at_once == "S39"
            assert b.shown()[0] == "S00"

    async def test_the_cursor_stays_on_its_symbol_and_its_place_on_the_screen(self) -> None:
        async with bench() as b:
            await b.press("down", "down", "down")
            assert b.table.cursor_symbol == "S37"

            for symbol in ("S00", "S01", "S02", "S03", "S04"):
                b.price(symbol, 300, 200)
            b.table.advance(b.clock.pass_by(2))
            await b.pilot.pause()

            assert b.table.cursor_symbol == "S37"
            assert b.line(3).startswith("▸S37")

    @pytest.mark.parametrize(
        ("keys", "sort", "descending"),
        [
            (["s"], PriceColumn.CONVERTED, True),
            (["S"], PriceColumn.CHANGE, True),
            (["R"], PriceColumn.PERCENT, False),
            (["s", "s", "s"], PriceColumn.MARKET, False),
            (["s", "S", "R", "R"], PriceColumn.PERCENT, True),
        ],
    )
    async def test_keys_choose_the_order(self, keys: list[str], sort: PriceColumn, descending: bool) -> None:
        async with bench() as b:
            await b.press(*keys)

            assert (b.table.sort, b.table.descending) == (sort, descending)
            assert b.title.startswith(f"by {sort} {'▼' if descending else '▲'}")

    async def test_a_click_on_a_title_sorts_and_another_reverses(self) -> None:
        async with bench() as b:
            await b.pilot.click(PriceTable, offset=(2, 0))
            first = (b.table.sort, b.table.descending, b.shown()[0])
            await b.pilot.click(PriceTable, offset=(2, 0))

            assert first == (PriceColumn.SYMBOL, False, "S00")
            assert (b.table.descending, b.shown()[0]) == (True, "S39")

    async def test_grouping_puts_headings_above_the_rows(self) -> None:
        async with bench(height=50) as b:
            await b.press("b")
            assert b.line(1).split()[:6] == ["Health", "Care", "20", "▲20", "▼0", "weighted"]
            assert b.shown()[21] == "Energy"
            assert "grouped by sector" in b.title

            await b.press("b")
            assert "Energy" not in b.shown()


class TestFilter:
    async def test_it_narrows_with_every_key_and_enter_keeps_it(self) -> None:
        async with bench() as b:
            await b.press("slash", "s", "1")
            assert b.shown() == [f"S{n}" for n in range(19, 9, -1)][: len(b.shown())]
            assert b.title.endswith("10 of 40 match “s1”")

            await b.press("7")
            assert b.shown() == ["S17"]

            await b.press("enter")
            assert b.table.has_focus
            assert b.table.filter_text == "s17"

    @pytest.mark.parametrize("keys", [["escape"], ["enter", "escape"]])
    async def test_escape_shows_all_again(self, keys: list[str]) -> None:
        async with bench() as b:
            await b.press("slash", "s", "1", *keys)

            assert b.table.filter_text == ""
            assert b.title == "by change % ▼ · all 40"
            assert b.table.has_focus

    async def test_nothing_that_matches_is_said(self) -> None:
        async with bench() as b:
            await b.press("slash", *"zz")

            text = "".join(b.line(y) for y in range(b.table.line_count))
            assert "No symbol, name or sector contains “zz”" in text
            assert "escape shows all" in text
            await b.press("enter", "down", "up", "G", "g", "pagedown", "enter")
            assert b.selected == []


class TestCursor:
    async def test_the_first_move_puts_it_on_the_first_row_shown(self) -> None:
        async with bench() as b:
            assert b.table.cursor_record is None
            assert b.selected == []

            await b.press("j")
            assert b.table.cursor_symbol == "S39"
            assert b.table.cursor_record == b.table.rows()[0]

    @pytest.mark.parametrize(
        ("keys", "symbol"),
        [
            (["G"], "S00"),
            (["end", "up"], "S01"),
            (["G", "g"], "S39"),
            (["home", "pagedown"], "S28"),
            (["G", "pageup"], "S11"),
            (["down", "down", "k"], "S39"),
            (["down", "up", "up"], "S39"),
        ],
    )
    async def test_keys_move_it_and_it_stays_on_the_screen(self, keys: list[str], symbol: str) -> None:
        async with bench() as b:
            await b.press(*keys)

            assert b.table.cursor_symbol == symbol
            assert any(b.line(y).startswith(f"▸{symbol}") for y in range(b.table.line_count))

    async def test_it_passes_headings_both_ways(self) -> None:
        async with bench() as b:
            await b.press("b", "g")
            assert b.table.cursor_symbol == "S39"
            await b.press("up")
            assert b.table.cursor_symbol == "S39"
            assert b.shown()[0] == "Health"

            await b.press(*["down"] * 20)
            assert b.table.cursor_symbol == "S38"
            await b.press("up")
            assert b.table.cursor_symbol == "S01"

    async def test_enter_and_a_double_click_choose_the_row(self) -> None:
        async with bench() as b:
            await b.pilot.click(PriceTable, offset=(5, 3))
            assert b.table.cursor_symbol == "S37"
            assert b.selected == []

            await b.press("enter")
            await b.pilot.click(PriceTable, offset=(5, 2), times=2)
            await b.pilot.pause()

            assert b.selected == ["S37", "S38"]

    async def test_escape_lets_go_of_it(self) -> None:
        async with bench() as b:
            await b.press("G", "escape")

            assert b.table.cursor_symbol is None
            assert b.shown()[0] == "S39"

    async def test_it_survives_a_filter_that_hides_it(self) -> None:
        async with bench() as b:
            await b.press("down", "slash", "s", "0", "5", "enter")
            assert b.table.cursor_symbol == "S39"
            await b.press("down")
            assert b.table.cursor_symbol == "S05"

    async def test_arrows_left_and_right_are_left_to_the_screen(self) -> None:
        async with bench() as b:
            keys = set(b.table._bindings.key_to_bindings)

            assert not keys & {"left", "right", "h", "l", "space", "tab"}


class TestFreezing:
    async def test_the_picture_stands_still_and_then_catches_up(self) -> None:
        async with bench() as b:
            b.table.frozen = True
            b.watch()
            b.price("S39", 1, -99)
            b.price("S39", 2, -98)
            b.table.advance(b.clock.pass_by(60))
            still = (await b.drawn_since(), b.line(1).split()[3])

            b.table.frozen = False
            b.table.advance(b.clock.pass_by(2))
            await b.pilot.pause()

            assert still == ([], "139.00")
            assert b.shown()[0] == "S38"
            row = b.table.row("S39")
            assert row is not None
            assert row.quote is not None
            assert row.quote.price == 2

    async def test_time_passes_without_news(self) -> None:
        async with bench() as b:
            b.clock.now += timedelta(seconds=40)

            await b.pilot.pause(0.6)

            assert "43 s" in b.line(1)
