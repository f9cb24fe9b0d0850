"""Keys, mouse, order, filter and cursor of the price table."""

from __future__ import annotations

import pytest

from sp500tui.tui.prices.columns import PriceColumn
from sp500tui.tui.prices.table import PriceTable
from tests.support.tui.price_bench import SYMBOLS, bench, listed
from tests.support.tui.price_rows import live


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
            (["s", "down", "enter"], PriceColumn.CONVERTED, True),
            (["s", "up", "enter"], PriceColumn.CHANGE, True),
            (["s", "home", "enter"], PriceColumn.SYMBOL, False),
            (["s", "end", "up", "enter"], PriceColumn.AGE, False),
            (["s", "enter"], PriceColumn.PERCENT, False),
            (["R"], PriceColumn.PERCENT, False),
            (["s", "down", "escape"], PriceColumn.PERCENT, True),
            (["s", "down", "s"], PriceColumn.PERCENT, True),
        ],
    )
    async def test_keys_choose_the_order(self, keys: list[str], sort: PriceColumn, descending: bool) -> None:
        async with bench() as b:
            await b.press(*keys)

            assert (b.table.sort, b.table.descending) == (sort, descending)
            assert b.title.startswith(f"by {sort} {'▼' if descending else '▲'}")

    async def test_a_click_in_the_list_of_columns_sorts(self) -> None:
        async with bench(height=20) as b:
            await b.press("s")
            await b.pilot.click("#sort-columns", offset=(6, 1))
            await b.pilot.pause()

            assert b.table.sort is PriceColumn.SYMBOL
            assert b.table.has_focus

    @pytest.mark.parametrize("keys", [["R"], ["s", "home", "enter"], ["b"], ["slash", "s", "enter"]])
    async def test_another_order_or_filter_is_shown_from_the_top(self, keys: list[str]) -> None:
        async with bench() as b:
            await b.press("G", *keys)

            assert b.table.scroll_offset.y == 0

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

    async def test_a_filter_without_matches_shows_a_message(self) -> None:
        async with bench() as b:
            await b.press("slash", *"zz")

            text = "".join(b.line(y) for y in range(b.table.line_count))
            assert "No symbol, name or sector contains “zz”" in text
            assert "Press escape to show all" in text
            await b.press("enter", "down", "up", "G", "g", "pagedown", "enter")
            assert b.selected == []


class TestCursor:
    async def test_the_first_move_puts_it_on_the_first_row_shown(self) -> None:
        async with bench() as b:
            before, chosen = b.table.cursor_symbol, b.selected

            await b.press("j")

            assert (before, chosen) == (None, [])
            assert b.table.cursor_symbol == "S39"
            assert b.table.visible_record() == b.table.rows()[0]

    async def test_the_visible_row_is_used_when_the_cursor_is_not_on_the_screen(self) -> None:
        async with bench() as b:
            await b.press("down", "R")
            assert b.table.cursor_symbol == "S39"

            record = b.table.visible_record()

            assert record is not None
            assert (record.symbol, b.table.cursor_symbol) == ("S00", "S00")

    async def test_a_table_without_rows_has_no_visible_row(self) -> None:
        async with bench() as b:
            await b.press("down", "slash", "z", "z", "enter", "enter")

            assert b.table.visible_record() is None
            assert b.selected == []

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

    async def test_left_and_right_are_handled_by_the_screen(self) -> None:
        async with bench() as b:
            keys = set(b.table._bindings.key_to_bindings)

            assert not keys & {"left", "right", "h", "l", "space", "tab"}
