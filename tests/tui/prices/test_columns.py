"""The columns that fit, and their positions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sp500tui.tui.prices.cells import STYLES, render_header, render_message, render_row, render_sector_heading
from sp500tui.tui.prices.columns import GAP, SPECS, PriceColumn, price_layout
from sp500tui.tui.prices.model import ChangeStats, PriceModel, weight_of
from sp500tui.tui.prices.view import SectorLine, ViewOptions
from tests.support.tui.price_rows import NOW, constituent, live

C = PriceColumn
widths = st.integers(40, 260)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (24, (C.SYMBOL, C.PERCENT)),
        (40, (C.SYMBOL, C.LAST, C.PERCENT)),
        (45, (C.SYMBOL, C.LAST, C.PERCENT, C.CONVERTED)),
        (61, (C.SYMBOL, C.NAME, C.LAST, C.PERCENT, C.CONVERTED)),
        (80, (C.SYMBOL, C.NAME, C.LAST, C.CHANGE, C.PERCENT, C.CONVERTED, C.AGE)),
        (100, (C.SYMBOL, C.NAME, C.LAST, C.CHANGE, C.PERCENT, C.CONVERTED, C.VOLUME, C.AGE, C.TREND)),
        (200, tuple(PriceColumn)),
    ],
)
def test_more_width_brings_more_columns(width: int, columns: tuple[PriceColumn, ...]) -> None:
    assert price_layout(width).columns == columns


@pytest.mark.parametrize(("converted_first", "kept"), [(False, C.LAST), (True, C.CONVERTED)])
def test_where_one_price_fits_it_is_the_chosen_one(converted_first: bool, kept: PriceColumn) -> None:
    columns = price_layout(40, converted_first=converted_first).columns

    assert {C.LAST, C.CONVERTED} & set(columns) == {kept}


@pytest.mark.parametrize("width", [61, 70, 120, 200])
def test_the_chosen_price_is_first_and_the_other_one_next_to_its_change(width: int) -> None:
    quoted, converted = (price_layout(width, converted_first=first) for first in (False, True))

    assert sorted(quoted.columns) == sorted(converted.columns)
    assert quoted.columns.index(C.LAST) < quoted.columns.index(C.CONVERTED)
    assert converted.columns.index(C.LAST) == converted.columns.index(C.CONVERTED) + 1
    assert converted.text_columns == quoted.text_columns


@given(st.integers(61, 260), st.booleans(), st.booleans(), st.booleans())
def test_both_prices_and_the_name_fit_half_of_120_columns(
    width: int, converted_first: bool, grouped: bool, units: bool
) -> None:
    assert {C.SYMBOL, C.NAME, C.LAST, C.CONVERTED} <= set(
        price_layout(width, converted_first=converted_first, grouped=grouped, units=units).columns
    )


@given(st.integers(61, 260), st.sampled_from(list(C)), st.booleans(), st.booleans(), st.booleans())
def test_both_prices_are_shown_with_every_sorted_column(
    width: int, sort: PriceColumn, converted_first: bool, grouped: bool, units: bool
) -> None:
    layout = price_layout(width, sort, converted_first=converted_first, grouped=grouped, units=units)

    assert {C.SYMBOL, C.LAST, C.CONVERTED, sort} <= set(layout.columns)
    assert layout.placed[-1].start + layout.placed[-1].width <= width


def test_grouped_rows_need_no_sector() -> None:
    assert C.SECTOR not in price_layout(200, grouped=True).columns


@given(widths, st.booleans(), st.booleans())
def test_columns_neither_overlap_nor_leave_the_line(width: int, converted: bool, grouped: bool) -> None:
    placed = price_layout(width, converted_first=converted, grouped=grouped).placed

    for left, right in pairwise(placed):
        assert left.start + left.width + GAP == right.start
    assert placed[-1].start + placed[-1].width <= width
    assert all(p.spec.min_width <= p.width <= p.spec.max_width for p in placed)


@given(widths)
def test_a_click_means_the_column_it_hits(width: int) -> None:
    layout = price_layout(width)

    for place in layout.placed:
        assert layout.column_at(place.start) is place.spec.column
        assert layout.column_at(place.start + place.width - 1) is place.spec.column
    assert layout.column_at(0) is None
    assert layout.column_at(width + 50) is None


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(widths, names, names, st.sampled_from([-1, 0, 1]), st.booleans(), st.booleans())
def test_every_row_is_as_wide_as_the_table(
    width: int, symbol: str, name: str, moved: int, marked: bool, priced: bool
) -> None:
    # GIVEN a row of any name
    model = PriceModel()
    model.set_constituents([replace(constituent("X"), symbol=symbol, name=name)])
    if priced:
        model.update([live(symbol, "1234.50", "-12.00")], NOW)

    # WHEN it is rendered
    cells = render_row(model.rows[symbol], price_layout(width), NOW, moved, marked)

    # THEN it fills the line, in known styles, without control characters
    text = "".join(text for text, _ in cells)
    assert cell_len(text) == width
    assert not {category(character) for character in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert {style for _, style in cells} <= set(STYLES)


@given(widths, st.sampled_from(list(PriceColumn)), st.booleans())
def test_the_header_fills_the_line_and_marks_the_sort_column(
    width: int, sort: PriceColumn, descending: bool
) -> None:
    layout = price_layout(width, sort)

    cells = render_header(layout, ViewOptions(sort, descending), "USD", "DKK")

    text = "".join(text for text, _ in cells)
    assert cell_len(text) == width
    assert ("▼" if descending else "▲") in text
    assert sort in layout.columns


@pytest.mark.parametrize("column", list(PriceColumn))
def test_a_title_and_its_arrow_fit_their_column(column: PriceColumn) -> None:
    assert len(SPECS[column].title) + 2 <= SPECS[column].max_width


@given(widths, st.text(max_size=30), st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_sector_heading_fills_the_line(width: int, sector: str, shown: int, members: int) -> None:
    stats = ChangeStats()
    stats.members = members
    stats.advancers = shown
    stats.add(weight_of(live("A").row.quote))

    cells = render_sector_heading(SectorLine(sector, shown), stats, price_layout(width, grouped=True))

    assert cell_len("".join(text for text, _ in cells)) == width


def test_a_sector_heading_shows_members_advancers_decliners_and_change() -> None:
    stats = ChangeStats()
    for price in (live("A", "110.00", "10.00"), live("B", "99.00", "-1.00")):
        stats.members += 1
        stats.add(weight_of(price.row.quote))

    cells = render_sector_heading(SectorLine("Energy", 1), stats, price_layout(100, grouped=True))

    words = "".join(text for text, _ in cells).split()
    assert words == ["Energy", "1", "of", "2", "▲1", "▼1", "weighted", "▲", "+4.50", "%"]


def test_a_message_is_centred() -> None:
    lines = ["".join(text for text, _ in render_message("one\nthree", y, 11, 6)) for y in range(6)]

    assert lines[2:4] == ["    one", "   three"]
    assert not "".join(lines[:2] + lines[4:]).strip()


def test_a_message_wider_than_the_table_is_wrapped() -> None:
    message = "No list of constituents: Wikipedia cannot be reached\n\nsp500tui --demo needs none"
    lines = ["".join(text for text, _ in render_message(message, y, 30, 8)).strip() for y in range(8)]

    assert " ".join(" ".join(lines).split()) == " ".join(message.split())
    assert "" in lines[lines.index("Wikipedia cannot be reached") :]


def test_a_low_table_leaves_out_the_blank_lines_of_a_message_first() -> None:
    lines = ["".join(text for text, _ in render_message("what\n\nhint", y, 11, 2)) for y in range(2)]

    assert [line.strip() for line in lines] == ["what", "hint"]


def test_of_a_message_too_long_the_beginning_is_shown() -> None:
    lines = [
        "".join(text for text, _ in render_message("what\nsince when\nwhat next", y, 11, 2)) for y in range(2)
    ]

    assert [line.strip() for line in lines] == ["what", "since when"]
