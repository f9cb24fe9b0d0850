"""The symbol screen: queries, keys and errors."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sp500tui.errors import DatabaseError, Sp500tuiError
from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.pipeline.core.snapshot import MissingSymbol
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.symbol.chart_series import ChartRange
from sp500tui.tui.symbol.screen import Answer, SymbolScreen
from tests.support.parameters import rest_thorough, sizes
from tests.support.tui.canned_reader import CannedReader, candles
from tests.support.tui.fake_pipeline import NOON, FakePipeline, running
from tests.tui.conftest import Drive, Driven


@asynccontextmanager
async def opened(
    drive: Drive, reader: CannedReader | None = None, symbol: str = "NVDA", **more: Any
) -> AsyncIterator[tuple[Driven, SymbolScreen, CannedReader]]:
    """The details of a symbol, read once."""
    reader = reader or CannedReader()
    async with drive(**more) as driven:
        screen = SymbolScreen(symbol, reader)
        await driven.app.push_screen(screen)
        if reader.failure is None:
            await driven.until(lambda: screen.stored is not None, "the reading")
        await driven.pilot.pause()
        yield driven, screen, reader


def asks_again(screen: SymbolScreen) -> bool:
    """Whether the timer of two seconds is running."""
    return screen._timer is not None and screen._timer._active.is_set()


def marked(screen: SymbolScreen) -> int | None:
    """Index of the candle or price under the mark."""
    return screen.chart.mark


class TestOpening:
    async def test_enter_on_a_row_opens_it_and_escape_goes_back(self, drive: Drive) -> None:
        async with drive() as driven:
            # given a database that is not open yet, and the cursor on a row
            await driven.press("down", "enter")
            await driven.until(lambda: isinstance(driven.app.screen, SymbolScreen))
            symbol = driven.main.panel.table.cursor_symbol
            # then the symbol and the problem are shown
            assert symbol is not None
            await driven.until(lambda: f"─ {symbol} · " in driven.text())
            await driven.until(lambda: "the database is not open yet" in driven.text())
            # when escape is pressed
            await driven.press("escape")
            assert isinstance(driven.app.screen, MainScreen)

    async def test_enter_without_a_cursor_opens_the_first_row_shown(self, drive: Drive) -> None:
        async with drive() as driven:
            # given no cursor, and a filter that matches one company
            table = driven.main.panel.table
            await driven.press("slash", *"nvidia", "enter")
            assert table.cursor_symbol is None
            # when enter is pressed on the rows
            await driven.press("enter")
            # then the details are those of that company
            await driven.until(lambda: isinstance(driven.app.screen, SymbolScreen))
            await driven.until(lambda: "─ NVDA · " in driven.text())

    async def test_everything_of_the_symbol_is_shown(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, reader):
            await driven.until(lambda: "Semiconductors" in driven.text())
            words = driven.text()
            for part in ("NVDA · Nvidia", "214.72 USD", "0001045810", "by writer-1", "1d in USD", "┬"):
                assert part in words
            assert reader.asked[:2] == [("of_symbol", "NVDA", NOON), ("candles_of", "NVDA", 1)]

    @pytest.mark.parametrize("size", sizes((62, 17), (200, 60), (80, 24), (120, 40)))
    async def test_every_size_shows_price_and_chart(self, drive: Drive, size: tuple[int, int]) -> None:
        async with opened(drive, size=size) as (driven, _, _):
            await driven.until(lambda: "214.72" in driven.text() and " 6m " in driven.text())

    async def test_a_window_that_is_too_small_shows_a_message(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, _):
            await driven.pilot.resize_terminal(30, 10)
            await driven.until(lambda: driven.app.screen.query_one("#too-small").region.height == 10)
            await driven.pilot.resize_terminal(10, 5)
            await driven.pilot.resize_terminal(120, 40)
            await driven.until(lambda: driven.app.screen.query_one("#bottom").region.width == 120)


class TestReading:
    async def test_it_reads_again_and_shows_what_is_new(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, reader):
            await driven.press("T")
            await driven.until(lambda: "over 54 min" in driven.text())
            reader.minutes = 10
            screen.run_query_if_idle()
            await driven.until(lambda: "over 9 min" in driven.text())
            assert reader.asked[-2:] == [("of_symbol", "NVDA", NOON - timedelta(hours=1))] * 2

    async def test_a_hidden_screen_sends_no_queries(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, reader):
            await driven.press("question_mark")
            await driven.until(lambda: driven.app.screen is not screen)
            await driven.until(lambda: not asks_again(screen))
            await driven.press("escape")
            await driven.until(lambda: len(reader.asked) >= 2, "asking again")
            assert asks_again(screen)

    async def test_the_screen_responds_while_the_database_is_slow(self, drive: Drive) -> None:
        # given a database that does not answer
        reader, gate = CannedReader(), threading.Event()
        reader.gate = lambda: gate.wait(10)
        async with drive() as driven:
            screen = SymbolScreen("NVDA", reader)
            await driven.app.push_screen(screen)
            # then the screen shows it and sends no further query
            await driven.until(lambda: "Reading the stored prices" in driven.text())
            screen.run_query_if_idle()
            assert {question[0] for question in reader.asked} == {"of_symbol"}
            # when it answers
            gate.set()
            await driven.until(lambda: "latest rows" in driven.text() and "┬" in driven.text())

    async def test_an_unavailable_database_is_shown_as_a_state(self, drive: Drive) -> None:
        reader = CannedReader()
        reader.failure = DatabaseError("the database does not answer: start it")
        async with opened(drive, reader) as (driven, _, _):
            await driven.until(lambda: driven.text().count("the database does not answer: start it") >= 2)
            assert "214.72 USD" in driven.text()

    async def test_figures_stay_when_the_database_becomes_unavailable(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, reader):
            reader.failure = DatabaseError("gone")
            screen.run_query()
            await driven.until(lambda: "not read: gone" in driven.text())
            assert "┬" in driven.text()

    async def test_an_unexpected_error_is_shown(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, reader):
            reader.failure = RuntimeError("[red]boom")
            screen.run_query()
            await driven.until(lambda: "unexpected error: [red]boom" in driven.text())
            assert driven.app.is_running

    async def test_a_symbol_without_rows_shows_a_message(self, drive: Drive) -> None:
        reader = CannedReader()
        reader.empty = True
        async with opened(drive, reader) as (driven, screen, _):
            await driven.until(lambda: "Nothing of NVDA is stored for the last trading day." in driven.text())
            assert "B fetches its 1m bars" in " ".join(" ".join(screen.chart.lines_shown()).split())
            assert "No rows of NVDA stored yet" in driven.text()
            await driven.press("T")
            await driven.until(lambda: "No prices of NVDA collected in the last hour" in driven.text())

    async def test_the_connection_is_given_back(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, reader):
            await driven.press("escape")
            await driven.until(lambda: reader.closed, "closing")


class TestKeys:
    async def test_up_and_down_follow_the_order_of_the_table_and_take_its_cursor_along(
        self, drive: Drive
    ) -> None:
        async with opened(drive) as (driven, screen, reader):
            order = [line for line in driven.main.panel.table.lines if isinstance(line, str)]
            place = order.index("NVDA")
            await driven.press("down")
            assert screen.symbol == order[place + 1]
            assert driven.main.panel.table.cursor_symbol == screen.symbol
            await driven.until(lambda: reader.asked[-1][1] == screen.symbol)
            await driven.press("up", "k")
            assert screen.symbol == order[place - 1]
            await driven.until(lambda: f"{place} of {len(order)}" in driven.text())

    async def test_an_answer_about_the_symbol_before_is_not_shown(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            old = screen.stored
            assert old is not None
            await driven.press("down")
            late = Answer(old, ChartRange.DAY, candles("NVDA", 5), 31, NOON, 1, HistorySnapshot())
            screen.post_message(screen.QuerySucceeded(late, 0))
            await driven.until(lambda: screen.stored is not None and screen.stored.symbol == screen.symbol)
            await driven.until(
                lambda: screen.candles is not None and screen.candles.stored.symbol == screen.symbol
            )

    async def test_t_changes_the_range_and_queries_it(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, reader):
            for chosen in (
                ChartRange.DAYS,
                ChartRange.MONTH,
                ChartRange.HALF_YEAR,
                ChartRange.YEAR,
                ChartRange.ALL,
            ):
                await driven.press("t")
                await driven.until(lambda chosen=chosen: ("candles_of", "NVDA", chosen.days) in reader.asked)  # type: ignore[misc]
                await driven.until(lambda chosen=chosen: f"{chosen.tab} in USD · " in driven.text())  # type: ignore[misc]
            await driven.press("t")
            await driven.until(lambda: screen.time_range is ChartRange.HOUR)
            await driven.until(lambda: "1h in USD · 330 collected prices" in driven.text())
            await driven.press("T", "T")
            assert screen.time_range is ChartRange.YEAR

    async def test_a_click_on_a_tab_does_the_same(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            await driven.pilot.click("#chart", offset=(2 + 32, 1))
            await driven.pilot.pause()
            assert screen.time_range is ChartRange.ALL

    async def test_c_changes_the_currency_of_the_chart(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            await driven.until(lambda: "1d in USD" in driven.text())
            await driven.press("c")
            await driven.until(lambda: "1d in DKK at 6.8721" in driven.text())
            assert "1,475.58 DKK" in "".join(screen.chart.lines_shown())
            # and for the line, with the rates of its prices
            await driven.press("T")
            await driven.until(lambda: "1h in DKK · " in driven.text())
            assert "1,300" in driven.text()

    async def test_the_mark_moves_along_the_candles_and_off_their_end(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            await driven.until(lambda: screen.chart.length)
            await driven.press("right")
            assert marked(screen) is None
            await driven.press("left")
            assert marked(screen) == screen.chart.length - 1
            await driven.press("h")
            assert marked(screen) == screen.chart.length - 2
            await driven.until(lambda: all(f"{name} " in screen.chart.lines_shown()[1] for name in "OHLC"))
            await driven.press("right", "l", "l")
            assert marked(screen) is None

    async def test_the_mark_moves_along_the_line(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            await driven.press("T")
            await driven.until(lambda: screen.chart.length == 330)
            await driven.press("left", "left")
            assert 0 < (screen.chart.mark or 0) < 329
            await driven.until(lambda: "since start of chart" in driven.text())

    async def test_the_mark_keeps_its_time_where_other_candles_are_drawn(self, drive: Drive) -> None:
        async with opened(drive, size=(80, 24)) as (driven, screen, _):
            await driven.until(lambda: "36 5-minute candles" in str(screen.chart.border_title))
            await driven.press(*["left"] * 5)
            head = screen.chart.lines_shown()[0][:12]
            assert head.startswith("May 14 1")
            # when another number of candles fits
            await driven.pilot.resize_terminal(200, 60)
            await driven.until(lambda: "36 5-minute candles" not in str(screen.chart.border_title))
            await driven.until(lambda: head in screen.chart.lines_shown()[1])

    async def test_the_pointer_marks_too(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            for tab in ("1d", "1h"):
                await driven.until(lambda tab=tab: f"{tab} in USD" in driven.text() and screen.chart.length)  # type: ignore[misc]
                await driven.pilot.hover("#chart", offset=(40, 8))
                await driven.until(lambda: screen.chart.mark is not None)
                await driven.pilot.hover("#facts", offset=(5, 5))
                await driven.until(lambda: screen.chart.mark is None)
                await driven.press("T")

    async def test_the_newest_price_continues_the_candles(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, _):
            await driven.until(lambda: screen.candles is not None)
            prices = driven.pipeline.prices
            place = next(i for i, each in enumerate(prices) if each.row.quote.symbol == "NVDA")
            row = prices[place].row
            prices[place] = replace(
                prices[place],
                row=replace(row, quote=replace(row.quote, price=Decimal("333.25"))),
                version=9_999,
            )
            driven.show(replace(driven.pipeline.now_shows, uptime=632.0))
            await driven.until(
                lambda: screen.candles is not None and screen.candles.candles[-1].close == Decimal("333.25")
            )
            await driven.until(lambda: "C 333.25 USD" in screen.chart.lines_shown()[1])

    async def test_y_copies_the_quote(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, _):
            await driven.press("y")
            assert driven.app.clipboard.startswith("NVDA 214.72 USD")


class TestFetching:
    async def test_what_is_not_stored_is_fetched_by_the_pipeline(self, drive: Drive) -> None:
        reader = CannedReader()
        reader.empty = True
        async with opened(drive, reader) as (driven, screen, _):
            # when the bars of a year are requested
            await driven.press("t", "t", "t", "t")
            driven.pipeline.history_progress = HistorySnapshot(requests=4, requests_done=3)
            await driven.press("B")
            await driven.until(lambda: driven.pipeline.calls[-1][0] == "heal")
            assert driven.pipeline.calls[-1] == ("heal", "1d", ChartRange.YEAR.since(NOON), NOON, ("NVDA",))
            # then the progress is shown, and finally the candles
            await driven.until(lambda: "3 of 4 requests done" in str(screen.chart.border_subtitle))
            reader.empty = False
            driven.pipeline.history_progress = HistorySnapshot(
                requests=4, requests_done=4, sessions_completed=250, sessions_incomplete=2
            )
            screen.run_query()
            await driven.until(
                lambda: "250 sessions complete, 2 still incomplete" in str(screen.chart.border_subtitle)
            )
            assert "1y in USD" in driven.text()

    async def test_a_narrow_window_has_the_progress_in_the_title(self, drive: Drive) -> None:
        async with opened(drive, CannedReader(), size=(80, 24)) as (driven, screen, _):
            await driven.until(lambda: "candles" in driven.text())
            driven.pipeline.history_progress = HistorySnapshot(requests=4, requests_done=3)
            await driven.press("B")
            await driven.until(lambda: "1d in USD · fetching: 3 of 4 requests done" in driven.text())
            driven.pipeline.history_progress = HistorySnapshot(
                requests=4, requests_done=4, sessions_completed=2
            )
            screen.run_query()
            await driven.until(lambda: "1d in USD · fetched: 2 sessions complete" in driven.text())

    @pytest.mark.parametrize(
        ("after", "words"),
        rest_thorough(
            [
                (HistorySnapshot(), "all bars that Yahoo Finance has are stored"),
                (
                    HistorySnapshot(requests=1, requests_done=1, failed=1, problem="no data found"),
                    "no data found",
                ),
                (
                    HistorySnapshot(requests=1, requests_done=1, sessions_completed=1),
                    "fetched: 1 session complete",
                ),
            ]
        ),
    )
    async def test_the_outcome_is_shown(
        self, drive: Drive, after: HistorySnapshot, words: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened(drive) as (driven, screen, _):

            def heal(*_: object) -> bool:
                driven.pipeline.history_progress = after
                return True

            monkeypatch.setattr(driven.pipeline, "heal", heal)
            await driven.press("B")
            await driven.until(lambda: words in str(screen.chart.border_subtitle))

    async def test_a_refusal_of_the_pipeline_is_shown_with_its_reason(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened(drive) as (driven, screen, _):
            driven.pipeline.heals = False
            await driven.press("B")
            await driven.until(lambda: "fetches no history now" in str(screen.chart.border_subtitle))

            # and a viewer without control, or a recording
            def refuse(*_: object) -> bool:
                raise Sp500tuiError("this viewer is read-only")

            monkeypatch.setattr(driven.pipeline, "heal", refuse)
            await driven.press("B")
            await driven.until(lambda: "this viewer is read-only" in str(screen.chart.border_subtitle))

    async def test_collected_prices_cannot_be_fetched(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, _):
            await driven.press("T", "B")
            await driven.until(lambda: "Collected prices cannot be fetched later" in driven.text())
            assert "heal" not in {call[0] for call in driven.pipeline.calls}


class TestTitles:
    @pytest.mark.parametrize(
        ("size", "title"),
        [
            ((60, 16), "5-minute candles · adjusted: split 4:1"),
            ((80, 24), "5-minute candles · 175 1m bars · adjusted: split 4:1"),
        ],
    )
    async def test_a_narrow_window_has_what_is_drawn_in_fewer_words(
        self, drive: Drive, size: tuple[int, int], title: str
    ) -> None:
        async with opened(drive, size=size) as (driven, screen, _):
            await driven.until(lambda: title in str(screen.chart.border_title))
            assert f"{title}──" in driven.text()
            await driven.press("c")
            await driven.until(lambda: "1d in DKK at 6.8721 · " in str(screen.chart.border_title))
            assert "adjusted" in str(screen.chart.border_title)
            assert f"{screen.chart.border_title}─" in driven.text()

    async def test_a_read_only_viewer_is_not_shown_a_key_that_fetches(self, drive: Drive) -> None:
        reader = CannedReader()
        reader.empty = True
        async with opened(drive, reader) as (driven, screen, _):

            def text() -> str:
                return " ".join(" ".join(screen.chart.lines_shown()).split())

            await driven.until(lambda: "B fetches its 1m bars" in text())
            assert screen.chart.border_subtitle == "B fetches 1m bars"
            driven.app.refusal = "read-only"
            screen.draw_panels()
            await driven.until(lambda: "B fetches" not in text())
            assert text().endswith("Nothing of NVDA is stored for the last trading day.")
            assert screen.chart.border_subtitle == ""


class TestOutside:
    async def test_hostile_names_are_shown_as_text(self, drive: Drive) -> None:
        fake = FakePipeline()
        fake.names = [
            replace(each, name="[red]Evil\x1b[31m\u202e", sector="[/]") if each.symbol == "NVDA" else each
            for each in fake.names
        ]
        async with opened(drive, pipeline=fake) as (driven, _, _):
            await driven.until(lambda: "[red]Evil·[31m·" in driven.text())

    async def test_a_missing_symbol_shows_the_reason(self, drive: Drive) -> None:
        fake = FakePipeline(replace(running(), missing=(MissingSymbol("NVDA", "unknown to Yahoo Finance"),)))
        fake.prices = [price for price in fake.prices if price.row.quote.symbol != "NVDA"]
        async with opened(drive, pipeline=fake) as (driven, _, _):
            await driven.until(lambda: "no price: unknown to Yahoo Finance" in driven.text())
