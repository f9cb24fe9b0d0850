"""Prices that leave the program."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.domain import Sp500tuiError
from sp500tui.tui.export import PriceRecord, as_csv, as_json, as_line, price_record, write_prices
from sp500tui.tui.price_book import PriceBook
from tests.tui.price_rows import NOW, constituent, live


def record(symbol: str = "BRK.B", name: str = "Berkshire Hathaway") -> PriceRecord:
    book = PriceBook()
    book.set_constituents([constituent(symbol, name, "Financials")])
    book.update([live(symbol, "478.10", "-2.50")], NOW)
    return price_record(book.rows[symbol])


def without_price() -> PriceRecord:
    book = PriceBook()
    book.set_constituents([constituent("A")])
    return price_record(book.rows["A"])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_every_digit_and_utc_times() -> None:
    row = rows_of(as_csv([record()]))[0]

    assert row["symbol"] == "BRK.B"
    assert (row["price"], row["change"], row["converted_price"]) == ("478.10", "-2.50", "3289.33")
    assert (row["currency"], row["converted_currency"], row["volume"]) == ("USD", "DKK", "1234567")
    assert row["quote_time"] == "2026-05-14T15:00:00+00:00"


def test_what_is_unknown_is_empty_in_csv_and_null_in_json() -> None:
    row = rows_of(as_csv([without_price()]))[0]
    told = json.loads(as_json([without_price()]))[0]

    assert (row["price"], row["volume"], row["quote_time"]) == ("", "", "")
    assert (told["price"], told["volume"], told["quote_time"]) == (None, None, None)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("x")'])
def test_text_that_a_spreadsheet_would_compute_is_disarmed(name: str) -> None:
    assert rows_of(as_csv([record(name=name)]))[0]["name"] == f"'{name}"


def test_a_falling_price_stays_a_number() -> None:
    assert rows_of(as_csv([record()]))[0]["change"] == "-2.50"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_any_name_comes_back(name: str) -> None:
    known = replace(record(), name=name)

    assert json.loads(as_json([known]))[0]["name"] == name
    assert rows_of(as_csv([known]))[0]["name"].removeprefix("'") == name.removeprefix("'")
    assert as_line(known).count("\t") == len(as_csv([record()]).splitlines()[0].split(",")) - 1


def test_a_line_for_the_clipboard_is_one_line() -> None:
    line = as_line(record(name="Two\nlines\tand a tab"))

    assert line.split("\t")[:3] == ["BRK.B", "Two lines and a tab", "Financials"]
    assert "\n" not in line


@pytest.mark.parametrize(("name", "begins"), [("prices.csv", "symbol,name"), ("prices.json", "[\n")])
def test_the_file_name_chooses_the_form(tmp_path: Path, name: str, begins: str) -> None:
    write_prices([record(), without_price()], tmp_path / name)

    text = (tmp_path / name).read_bytes().decode()
    assert text.startswith(begins)
    assert text == (as_json if name.endswith("json") else as_csv)([record(), without_price()])


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Sp500tuiError, match=r"cannot export 1 rows to .*nowhere.*; choose a folder"):
        write_prices([record()], tmp_path / "nowhere" / "prices.csv")


def test_nothing_is_lost_of_a_long_price() -> None:
    long = replace(record(), price=Decimal("0.000000012345678901234567890"))

    assert rows_of(as_csv([long]))[0]["price"] == "0.000000012345678901234567890"
