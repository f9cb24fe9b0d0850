"""Rendering of one symbol: quote, company, provenance and stored rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from sp500tui.model import MarketState
from sp500tui.pipeline.core.snapshot import LivePrice, MissingSymbol
from sp500tui.tui.render.formats import format_time
from sp500tui.tui.render.lines import Line, Role, width_of
from sp500tui.tui.render.stored_rows import stored_lines
from sp500tui.tui.symbol.details import company_lines, provenance_lines, quote_lines
from tests.support.tui.canned_reader import stored_row
from tests.support.tui.fake_pipeline import NOON, listed, live_price

HOSTILE = "[red]\x1b[31mEvil\u202e\n🔥[/]"


def text(lines: Sequence[Line]) -> str:
    return "\n".join("".join(span.text for span in line) for line in lines)


def price(**changes: object) -> LivePrice:
    made = live_price("NVDA", Decimal("187.22"), 1.86, 7)
    quote = replace(made.row.quote, **changes)  # type: ignore[arg-type]
    return replace(made, row=replace(made.row, quote=quote))


class TestQuote:
    def test_every_number_has_its_unit(self) -> None:
        words = text(quote_lines(price(), None, NOON, 140))
        for part in (
            "187.22 USD",
            "▲ +1.86 %",
            "+3.48 USD",
            "1,286.59 DKK",
            "shares",
            "regular session",
            "traded 17:45:58, 2 s ago",
            "1 USD = 6.8721 DKK, rate 12 s old",
            "prev close 183.74 USD",
        ):
            assert part in words

    def test_what_does_not_fit_is_left_out_and_never_overflows(self) -> None:
        for width in range(10, 140):
            lines = quote_lines(price(), None, NOON, width)
            assert [width_of(line) for line in lines] == [width, width]
        assert "187.22 USD" in text(quote_lines(price(), None, NOON, 46))

    def test_a_falling_price_has_a_sign_and_an_arrow(self) -> None:
        lines = quote_lines(price(change=Decimal("-1.5"), percent_change=Decimal("-0.8")), None, NOON, 140)
        assert "▼ −0.80 %" in text(lines)
        assert Role.BAD in {span.role for span in lines[0]}

    def test_unknown_values_are_labelled(self) -> None:
        unknown = price(change=None, percent_change=None, volume=None, market_state=MarketState.CLOSED)
        unknown = replace(unknown, row=replace(unknown.row, converted_price=None, fx_rate=None, fx_time=None))
        words = text(quote_lines(unknown, None, NOON, 140))
        assert "volume n/a" in words
        assert "no rate USD to DKK" in words
        assert "closed" in words
        assert "prev close" not in words

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            ("OVERNIGHT", "overnight session"),
            ("UNKNOWN", "session unknown"),
            ("LATE_NIGHT", "late_night session"),
            ("X" * 24, f"{'x' * 24} session"),
        ],
    )
    def test_every_session_has_a_label(self, state: str, words: str) -> None:
        assert words in text(quote_lines(price(market_state=state), None, NOON, 160))

    def test_without_a_price_the_reason_is_shown(self) -> None:
        assert "Waiting for the first price" in text(quote_lines(None, None, NOON, 80))
        missing = MissingSymbol("NOPE", f"unknown to Yahoo Finance {HOSTILE}")
        words = text(quote_lines(None, missing, NOON, 80))
        assert "no price: unknown to Yahoo Finance" in words
        assert words.isprintable() or "\x1b" not in words


class TestFacts:
    def test_every_field_of_the_list_is_shown(self) -> None:
        apple = next(each for each in listed() if each.symbol == "AAPL")
        words = text(company_lines(apple, 60))
        for part in (
            apple.name,
            apple.sector,
            apple.sub_industry,
            apple.headquarters,
            apple.cik,
            apple.founded,
        ):
            assert part in words
        assert "since 1982-11-30" in words

    def test_what_the_list_lacks_is_a_dash(self) -> None:
        apple = next(each for each in listed() if each.symbol == "AAPL")
        assert "in the index  –" in text(company_lines(replace(apple, date_added=None), 60))

    def test_a_symbol_that_is_not_in_the_list_shows_a_message(self) -> None:
        assert "not in the current list" in text(company_lines(None, 60))

    def test_hostile_names_are_shown_as_text(self) -> None:
        company = replace(listed()[0], name=HOSTILE, sector=HOSTILE, headquarters=HOSTILE)
        lines = company_lines(company, 60)
        words = text(lines)
        assert "[red]" in words
        assert not any(sign in words for sign in "\x1b\u202e")
        assert all("\n" not in span.text for line in lines for span in line)
        assert {width_of(line) for line in lines} == {60}


class TestWay:
    def test_workers_and_times_are_named(self) -> None:
        quote = price()
        stored = replace(stored_row("NVDA", 2.0), quote_time=quote.row.quote.quote_time)
        words = text(provenance_lines(quote, stored, NOON, 60))
        assert "fetched       17:45:59 by price-1" in words
        assert "written       by writer-1" in words
        assert "stored        17:45:58, after 200 ms" in words

    def test_an_unstored_quote_and_an_older_row_are_distinguished(self) -> None:
        quote = replace(price(), written_by="")
        words = text(provenance_lines(quote, stored_row("NVDA", 90.0), NOON, 60))
        assert "not yet" in words
        assert "last stored" in words

    def test_a_replayed_quote_names_no_worker(self) -> None:
        quote = price()
        assert "an earlier run" in text(
            provenance_lines(replace(quote, row=replace(quote.row, fetched_by="")), None, NOON, 60)
        )

    def test_without_data_there_is_a_placeholder(self) -> None:
        assert text(provenance_lines(None, None, NOON, 40)).count("–") == 3


class TestStoredRows:
    def test_more_columns_where_there_is_room(self) -> None:
        rows = [stored_row("NVDA", 2.0)]
        narrow = text(stored_lines(rows, NOON, 60, 5, with_symbol=False))
        assert "change %" in narrow
        assert "took" not in narrow
        wide = text(stored_lines(rows, NOON, 200, 5, with_symbol=True))
        for part in ("NVDA", "187.22 USD", "+1.86 %", "6.8721", "12,345,678", "regular", "200 ms"):
            assert part in wide

    @pytest.mark.parametrize(
        ("price", "change", "shown"),
        [
            ("0.00012", "0.00002", ("0.00012 USD", "▲ +0.00002")),
            ("0.000012", "0.0000001234", ("0.000012 USD", "+1.23E-7")),
            ("0.00000012", "-0.00000002", ("0.00000012 USD", "−2.0E-8")),
        ],
    )
    def test_a_price_below_a_cent_keeps_its_digits(
        self, price: str, change: str, shown: tuple[str, ...]
    ) -> None:
        lines = text(stored_lines([stored_row("DOGE", 2.0, price, change)], NOON, 80, 2, with_symbol=True))
        assert all(part in lines for part in shown)

    @pytest.mark.parametrize("width", [10, 33, 60, 80, 120, 200])
    def test_lines_fit(self, width: int) -> None:
        rows = [stored_row("NVDA", 2.0), stored_row(HOSTILE, 2.0, change=None)]
        lines = stored_lines(rows, NOON, width, 2, with_symbol=True)
        assert len(lines) == 2
        assert {width_of(line) for line in lines} == {width}

    def test_missing_values_are_dashes(self) -> None:
        bare = replace(
            stored_row("NVDA", 2.0, change=None),
            converted_price=None,
            fx_rate=None,
            volume=None,
            market_state=HOSTILE,
        )
        words = text(stored_lines([bare], NOON, 200, 5, with_symbol=False))
        assert words.count("–") >= 4
        assert "\x1b" not in words


class TestMoments:
    def test_the_date_is_shown_for_another_day(self) -> None:
        assert format_time(NOON, NOON) == "17:46:00"
        assert format_time(NOON - timedelta(days=1), NOON) == "May 13 17:46"
        assert format_time(NOON - timedelta(days=400), NOON) == "2025-04-09"
        assert format_time(None, NOON) == "–"
