"""Order, filter and groups."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.tui.prices.columns import PriceColumn
from sp500tui.tui.prices.model import PriceModel
from sp500tui.tui.prices.view import (
    SORT_KEYS,
    PriceListView,
    SectorLine,
    ViewOptions,
    starts_descending,
)
from tests.support.tui.price_rows import NOW, constituent, live, unconverted

SECTORS = {"A": "Energy", "B": "Energy", "C": "Health Care", "D": "Health Care", "E": ""}


def view_of(symbols: str = "ABCDE") -> tuple[PriceModel, PriceListView]:
    model = PriceModel()
    model.set_constituents([constituent(s, f"Name of {s}", SECTORS[s]) for s in symbols])
    view = PriceListView(model)
    view.rebuild()
    return model, view


def symbols_of(view: PriceListView) -> list[str]:
    return [line for line in view.lines if isinstance(line, str)]


def test_missing_values_are_last_in_both_directions() -> None:
    model, view = view_of()
    model.update([live("B", "200", "9"), live("D", "100", "1"), live("A", "50", None)], NOW)

    view.set_options(ViewOptions(PriceColumn.CHANGE, descending=True))
    descending_first = symbols_of(view)
    view.set_options(ViewOptions(PriceColumn.CHANGE, descending=False))

    assert descending_first == ["B", "D", "A", "C", "E"]
    assert symbols_of(view) == ["D", "B", "A", "C", "E"]


@pytest.mark.parametrize("column", list(PriceColumn))
@pytest.mark.parametrize("descending", [True, False])
def test_a_column_of_missing_values_sorts_by_symbol(column: PriceColumn, descending: bool) -> None:
    _, view = view_of()

    view.set_options(ViewOptions(column, descending))

    texts = (PriceColumn.SYMBOL, PriceColumn.NAME, PriceColumn.SECTOR, PriceColumn.INDUSTRY)
    assert sorted(symbols_of(view)) == list("ABCDE")
    if column not in texts:
        assert symbols_of(view) == list("ABCDE")


def test_unknown_sessions_sort_after_the_known_ones() -> None:
    model, view = view_of()
    states = {"A": "LATE_NIGHT", "B": "OVERNIGHT", "C": "UNKNOWN", "D": "PRE", "E": "Z" * 24}
    model.update([live(symbol, state=state) for symbol, state in states.items()], NOW)

    view.set_options(ViewOptions(PriceColumn.MARKET, descending=False))

    assert symbols_of(view) == ["D", "B", "C", "A", "E"]


@pytest.mark.parametrize("column", list(PriceColumn))
def test_every_column_sorts_by_one_type(column: PriceColumn) -> None:
    model, _ = view_of()
    model.update(
        [live("A"), live("A", "101", version=2), unconverted(live("B")), live("C", change=None)], NOW
    )

    kinds = {type(key) for row in model.rows.values() if (key := SORT_KEYS[column](row)) is not None}

    assert len(kinds) == 1


changes = st.one_of(st.none(), st.integers(-90, 90).map(str))
steps = st.lists(
    st.lists(st.tuples(st.sampled_from("ABCDE"), st.integers(100, 900), changes), max_size=6), max_size=8
)


@given(
    steps,
    st.sampled_from(list(PriceColumn)),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "name of", "energy"]),
)
def test_incremental_sorting_equals_sorting_from_scratch(
    ticks: list[list[tuple[str, int, str | None]]],
    column: PriceColumn,
    descending: bool,
    grouped: bool,
    filter_text: str,
) -> None:
    # GIVEN any options
    model, view = view_of()
    options = ViewOptions(column, descending, filter_text, grouped)
    view.set_options(options)

    # WHEN prices change tick by tick
    version = 0
    for tick in ticks:
        for symbol, price, change in tick:
            version += 1
            view.mark_changed(model.update([live(symbol, str(price), change, version=version)], NOW))
        view.apply_changes()

    # THEN the lines are the same as in a new view, with each symbol once
    fresh = PriceListView(model)
    fresh.set_options(options)
    assert list(view.lines) == list(fresh.lines)
    assert view.shown == len(symbols_of(view)) == len(set(symbols_of(view)))


def test_unchanged_rows_do_not_change_the_order() -> None:
    model, view = view_of()
    view.mark_changed(model.update([live("A", change="5")], NOW))
    assert view.apply_changes()

    view.mark_changed(model.update([live("A", change="5", version=2)], NOW))

    assert not view.apply_changes()


def test_changes_of_hidden_rows_do_not_sort() -> None:
    model, view = view_of()
    view.set_options(ViewOptions(filter_text="health"))

    view.mark_changed(model.update([live("A"), live("B", "101")], NOW))

    assert not view.apply_changes()
    assert symbols_of(view) == ["C", "D"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "ABCDE"),
        ("  ", "ABCDE"),
        ("energy", "AB"),
        ("HEALTH of", "CD"),
        ("of e", "ABCDE"),
        ("b energy", "B"),
        ("nothing like it", ""),
        ("[red]", ""),
        ("(", ""),
    ],
)
def test_a_filter_matches_each_word_in_symbol_name_and_sector(text: str, found: str) -> None:
    _, view = view_of()

    view.set_options(ViewOptions(PriceColumn.SYMBOL, descending=False, filter_text=text))

    assert symbols_of(view) == list(found)


def test_an_unlisted_symbol_appears_with_its_price() -> None:
    model, view = view_of()

    view.mark_changed(model.update([live("^GSPC")], NOW))
    view.apply_changes()

    assert "^GSPC" in view.lines


def test_groups_count_their_rows_and_go_by_weighted_change() -> None:
    model, view = view_of()
    model.update([live("A", "110", "10"), live("B", "100", "-1"), live("C", "101", "-1")], NOW)

    view.set_options(ViewOptions(PriceColumn.PERCENT, descending=True, grouped=True))

    assert list(view.lines) == [
        SectorLine("Energy", 2), "A", "B", SectorLine("Health Care", 2), "C", "D", SectorLine("", 1), "E",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sort", "descending", "sectors"),
    [
        (PriceColumn.SYMBOL, True, ["Energy", "Health Care", ""]),
        (PriceColumn.SECTOR, False, ["Energy", "Health Care", ""]),
        (PriceColumn.SECTOR, True, ["", "Health Care", "Energy"]),
        (PriceColumn.CHANGE, False, ["Health Care", "Energy", ""]),
    ],
)
def test_groups_follow_the_sort_column(sort: PriceColumn, descending: bool, sectors: list[str]) -> None:
    model, view = view_of()
    model.update([live("A", "110", "10"), live("C", "101", "-1")], NOW)

    view.set_options(ViewOptions(sort, descending, grouped=True))

    assert [line.sector for line in view.lines if isinstance(line, SectorLine)] == sectors


def test_the_summary_for_the_title() -> None:
    assert ViewOptions().summary(503, 503) == "by change % ▼ · all 503"
    chosen = ViewOptions(PriceColumn.NAME, descending=False, filter_text=" bank ", grouped=True)
    assert chosen.summary(12, 1503) == "by name ▲ · grouped by sector · 12 of 1,503 match “bank”"
    assert ViewOptions().summary(0, 0) == "by change % ▼"


def test_numbers_start_descending_and_text_ascending() -> None:
    assert starts_descending(PriceColumn.VOLUME)
    assert not starts_descending(PriceColumn.NAME)


def test_many_rows_keep_their_order() -> None:
    # GIVEN more rows than the small cases above
    model = PriceModel()
    names = [f"S{number:04}" for number in range(2000)]
    model.set_constituents([constituent(name) for name in names])
    view = PriceListView(model)
    view.set_options(ViewOptions(PriceColumn.LAST, descending=True))
    source = random.Random(7)  # a random generator for the test

    # WHEN some of them change
    for version in range(1, 4):
        moved = source.sample(names, 300)
        prices = [live(name, str(source.randrange(1, 500)), None, version=version) for name in moved]
        view.mark_changed(model.update(prices, NOW))
        view.apply_changes()

    # THEN the priced rows are in descending order, followed by the others by symbol
    shown = symbols_of(view)
    priced = [row.quote.price for name in shown if (row := model.rows[name]).quote]
    assert priced == sorted(priced, reverse=True)
    assert shown[len(priced) :] == sorted(shown[len(priced) :])
    assert sorted(shown) == names
