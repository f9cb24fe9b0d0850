"""The content of the price table and the cells it repaints."""

from __future__ import annotations

from datetime import timedelta
from itertools import accumulate

import pytest
from rich.segment import Segment
from rich.style import Style

from sp500tui.pipeline.core.snapshot import MissingSymbol
from sp500tui.tui.prices.columns import price_layout
from sp500tui.tui.prices.table import WAITING_TEXT, PriceTable
from sp500tui.tui.shell.themes import LIGHT
from sp500tui.tui.widgets.cached_lines import changed_spans
from tests.support.tui.price_bench import SYMBOLS, bench, listed
from tests.support.tui.price_rows import constituent, live
from tests.tui.conftest import until

PLAIN = Style()


class TestPicture:
    async def test_the_greatest_gain_comes_first(self) -> None:
        async with bench() as b:
            assert b.shown() == SYMBOLS[:28:-1]
            assert b.line(1).split()[:5] == ["S39", "Company", "S39", "139.00", "+39.00"]
            assert b.title == "by change % ▼ · all 40"

    async def test_without_a_list_it_shows_what_it_waits_for(self) -> None:
        async with bench(priced=False) as b:
            assert WAITING_TEXT in "".join(b.line(y) for y in range(12))

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
            highlighted = b.backgrounds(1)
            await b.press("F")
            off = b.backgrounds(1)
            await b.press("F")
            b.table.advance(b.clock.pass_by(1))

            assert len(highlighted) > len(calm) == 1
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

    async def test_hostile_names_are_shown_as_text(self) -> None:
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


class TestFreezing:
    async def test_a_paused_table_does_not_change_and_then_catches_up(self) -> None:
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

            await until(b.pilot, lambda: "43 s" in b.line(1), "the age on the screen")


class TestRepainting:
    async def test_an_update_off_the_screen_repaints_nothing(self) -> None:
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

    async def test_without_new_prices_only_the_ages_are_repainted(self) -> None:
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

    async def test_an_unchanged_list_repaints_nothing(self) -> None:
        async with bench() as b:
            b.watch()

            b.table.set_constituents(listed())

            assert await b.drawn_since() == []

    async def test_a_change_draws_only_the_cells_it_changed(self) -> None:
        async with bench() as b:
            b.table.flashes = False
            b.watch()

            b.price("S37", 137.5, 37)

            drawn = await b.cells_since()
            figures = price_layout(99).value_columns
            assert {region.y for region in drawn} == {3}
            assert figures[0].start <= drawn[0].x < figures[0].start + figures[0].width
            assert sum(region.width for region in drawn) < 99 - figures[0].start


@pytest.mark.parametrize(
    ("old", "new", "spans"),
    [
        (["same", "same"], ["same", "same"], []),
        (["ab", "old "], ["ab", "new "], [(2, 6)]),
        (["   1.5", "x"], ["   2.5", "x"], [(3, 6)]),
        (["   1.5", "x"], ["  12.5", "x"], [(2, 6)]),
        (["a", "0123456", "b"], ["A", "0123456", "B"], [(0, 9)]),
        (["a", "01234567", "b"], ["A", "01234567", "B"], [(0, 1), (9, 10)]),
        (["ab", "cd"], ["a", "bcd"], [(0, 4)]),
    ],
)
def test_spans_hold_every_cell_that_differs(
    old: list[str], new: list[str], spans: list[tuple[int, int]]
) -> None:
    assert changed_spans(cells(old), cells(new), len("".join(new))) == spans


def cells(texts: list[str]) -> dict[int, Segment]:
    starts = accumulate((len(text) for text in texts), initial=0)
    return {start: Segment(text, PLAIN) for start, text in zip(starts, texts, strict=False)}


class TestCurrencies:
    async def test_one_currency_is_in_the_column_title(self) -> None:
        async with bench() as b:
            assert "Last USD" in b.table.render_line(0).text
            assert " USD" not in b.table.render_line(1).text

    async def test_several_currencies_are_in_the_rows(self) -> None:
        # given prices in dollars
        async with bench() as b:
            # when one of them is in pence and another in rupiah
            b.table.update_prices(
                [
                    live("S39", "12054.00", "39.00", version=99, currency="GBp"),
                    live("S38", "9225.00", "38.00", version=99, currency="IDR"),
                ],
                b.clock.now,
            )
            await b.pilot.pause()
            text = "\n".join(b.table.render_line(y).text for y in range(b.table.size.height))
            # then each row has its unit, and the title none
            assert "12,054.00 GBp" in text
            assert "9,225.00 IDR" in text
            assert "Last USD" not in text
            assert " USD" in text

    async def test_a_price_below_a_cent_is_shown(self) -> None:
        async with bench() as b:
            b.table.update_prices([live("S39", "0.00012", "0.00002", version=99)], b.clock.now)
            await b.pilot.pause()
            text = "\n".join(b.table.render_line(y).text for y in range(b.table.size.height))
            assert "0.00012 " in text
            assert "+0.00002 " in text
