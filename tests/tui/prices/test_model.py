"""What the table knows of every symbol."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.model import MarketState
from sp500tui.pipeline.core.snapshot import MissingSymbol
from sp500tui.tui.prices.model import PriceModel, SectorStats
from tests.support.tui.price_rows import NOW, constituent, live


def book_of(*symbols: str) -> PriceModel:
    book = PriceModel()
    book.set_constituents([constituent(symbol) for symbol in symbols])
    return book


def test_a_price_change_is_noted_with_its_direction() -> None:
    # GIVEN a priced symbol
    book = book_of("A")
    book.update([live("A", "100.00", version=1)], NOW)

    # WHEN it falls
    changed = book.update([live("A", "99.50", version=2)], NOW)

    # THEN row, direction and course say so
    assert changed == ["A"]
    assert book.moved == {"A": (-1, NOW)}
    assert list(book.rows["A"].track) == [100.0, 99.5]


def test_the_first_price_and_the_same_price_again_are_no_move() -> None:
    book = book_of("A")

    book.update([live("A", version=1)], NOW)
    book.update([live("A", version=2, at=NOW + timedelta(seconds=5))], NOW)

    assert not book.moved
    assert len(book.rows["A"].track) == 1


def test_an_older_version_changes_nothing() -> None:
    book = book_of("A")
    book.update([live("A", "100.00", version=5)], NOW)

    assert book.update([live("A", "90.00", version=5), live("A", "80.00", version=4)], NOW) == []
    assert book.rows["A"].quote == live("A", "100.00").row.quote


def test_every_state_of_a_row_has_its_own_revision() -> None:
    book = book_of("A", "B")
    seen = {row.revision for row in book.rows.values()}

    for version in range(1, 5):
        book.update([live("A", version=version), live("B", version=version)], NOW)
        new = {row.revision for row in book.rows.values()}
        assert not seen & new
        seen |= new


def test_old_moves_are_forgotten() -> None:
    book = book_of("A", "B")
    for number, symbol in enumerate("AABB"):
        book.update([live(symbol, f"{100 + number}", version=number + 1)], NOW + timedelta(seconds=number))

    book.forget_moves(NOW + timedelta(seconds=2))

    assert list(book.moved) == ["B"]


def test_another_list_keeps_prices_and_drops_who_left() -> None:
    book = book_of("A", "B")
    book.update([live("A", version=1), live("B", version=2), live("B", "101", version=3)], NOW)

    book.set_constituents([constituent("C"), constituent("A", name="Renamed"), constituent("A")])

    assert list(book.rows) == ["C", "A"]
    assert book.rows["A"].quote is not None
    assert book.rows["A"].constituent.name == "Renamed"
    assert book.moved == {}
    assert book.sectors["Industrials"].members == 2


def test_a_price_of_an_unlisted_symbol_gets_a_row() -> None:
    book = book_of()

    assert book.update([live("^GSPC")], NOW) == ["^GSPC"]
    assert book.rows["^GSPC"].constituent.name == ""


def test_missing_symbols_are_marked_until_they_are_found() -> None:
    book = book_of("A", "B")

    first = book.set_missing([MissingSymbol("A", "not in the answer"), MissingSymbol("ZZZ", "unknown")])
    again = book.set_missing([MissingSymbol("A", "not in the answer")])
    marked = book.rows["A"].missing
    found = book.set_missing([])

    assert (first, again, found) == (["A"], [], ["A"])
    assert marked == "not in the answer"
    assert book.rows["A"].missing == ""


@pytest.mark.parametrize(
    ("state", "minutes", "stale"),
    [
        (MarketState.REGULAR, 4, False),
        (MarketState.REGULAR, 6, True),
        (MarketState.PRE, 59, False),
        (MarketState.POST, 61, True),
        (MarketState.CLOSED, 3 * 24 * 60, False),
        (MarketState.CLOSED, 5 * 24 * 60, True),
    ],
)
def test_a_row_is_stale_when_a_newer_trade_was_to_be_expected(
    state: MarketState, minutes: int, stale: bool
) -> None:
    book = book_of("A")
    book.update([live("A", state=state)], NOW)

    assert book.rows["A"].stale(NOW + timedelta(minutes=minutes)) is stale


def test_a_row_without_a_price_has_no_age_and_is_not_stale() -> None:
    row = book_of("A").rows["A"]

    assert row.age(NOW) is None
    assert not row.stale(NOW)
    assert row.converted is None


def test_a_trade_from_a_clock_ahead_is_no_second_old() -> None:
    book = book_of("A")
    book.update([live("A", at=NOW + timedelta(seconds=30))], NOW)

    assert book.rows["A"].age(NOW) == 0


changes = st.one_of(st.none(), st.decimals(-90, 90, places=2).map(str))
updates = st.lists(st.tuples(st.sampled_from("ABCDE"), st.integers(100, 900), changes), max_size=40)


@given(updates)
def test_the_sums_of_a_sector_are_those_of_its_rows(steps: list[tuple[str, int, str | None]]) -> None:
    # GIVEN two sectors
    book = PriceModel()
    book.set_constituents([constituent(s, sector="One" if s in "AB" else "Two") for s in "ABCDE"])

    # WHEN prices come and go in any order
    for version, (symbol, price, change) in enumerate(steps, start=1):
        book.update([live(symbol, str(price), change, version=version)], NOW)

    # THEN the running sums equal those counted anew
    for sector, tally in book.sectors.items():
        fresh = SectorStats()
        for row in book.rows.values():
            if row.constituent.sector == sector:
                fresh.members += 1
                fresh.add(row.quote)
        assert [getattr(tally, name) for name in SectorStats.__slots__] == [
            getattr(fresh, name) for name in SectorStats.__slots__
        ]


def test_a_sector_weighs_each_member_by_its_previous_price() -> None:
    tally = SectorStats()
    tally.add(live("A", "110.00", "10.00").row.quote)
    tally.add(live("B", "895.00", "-5.00").row.quote)

    assert tally.percent == Decimal(5) / Decimal(1000) * 100
    assert SectorStats().percent is None
