"""Rows, recent changes and sector statistics."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.model import MarketState
from sp500tui.pipeline.core.snapshot import MissingSymbol
from sp500tui.tui.prices.model import ChangeStats, PriceModel, Weight, weight_of
from tests.support.tui.price_rows import NOW, constituent, live


def model_of(*symbols: str) -> PriceModel:
    model = PriceModel()
    model.set_constituents([constituent(symbol) for symbol in symbols])
    return model


def test_a_price_change_is_recorded_with_its_direction() -> None:
    # GIVEN a priced symbol
    model = model_of("A")
    model.update([live("A", "100.00", version=1)], NOW)

    # WHEN it falls
    changed = model.update([live("A", "99.50", version=2)], NOW)

    # THEN the row, the direction and the history show it
    assert changed == ["A"]
    assert model.recent_changes == {"A": (-1, NOW)}
    assert list(model.rows["A"].history) == [100.0, 99.5]


def test_the_first_price_and_a_repeated_price_are_no_change() -> None:
    model = model_of("A")

    model.update([live("A", version=1)], NOW)
    model.update([live("A", version=2, at=NOW + timedelta(seconds=5))], NOW)

    assert not model.recent_changes
    assert len(model.rows["A"].history) == 1


def test_an_older_version_is_ignored() -> None:
    model = model_of("A")
    model.update([live("A", "100.00", version=5)], NOW)

    assert model.update([live("A", "90.00", version=5), live("A", "80.00", version=4)], NOW) == []
    assert model.rows["A"].quote == live("A", "100.00").row.quote


def test_every_state_of_a_row_has_its_own_revision() -> None:
    model = model_of("A", "B")
    seen = {row.revision for row in model.rows.values()}

    for version in range(1, 5):
        model.update([live("A", version=version), live("B", version=version)], NOW)
        new = {row.revision for row in model.rows.values()}
        assert not seen & new
        seen |= new


def test_old_changes_expire() -> None:
    model = model_of("A", "B")
    for number, symbol in enumerate("AABB"):
        model.update([live(symbol, f"{100 + number}", version=number + 1)], NOW + timedelta(seconds=number))

    model.expire_changes(NOW + timedelta(seconds=2))

    assert list(model.recent_changes) == ["B"]


def test_another_list_keeps_prices_and_drops_removed_symbols() -> None:
    model = model_of("A", "B")
    model.update([live("A", version=1), live("B", version=2), live("B", "101", version=3)], NOW)

    model.set_constituents([constituent("C"), constituent("A", name="Renamed"), constituent("A")])

    assert list(model.rows) == ["C", "A"]
    assert model.rows["A"].quote is not None
    assert model.rows["A"].constituent.name == "Renamed"
    assert model.recent_changes == {}
    assert model.sectors["Industrials"].members == 2


def test_a_price_of_an_unlisted_symbol_gets_a_row() -> None:
    model = model_of()

    assert model.update([live("^GSPC")], NOW) == ["^GSPC"]
    assert model.rows["^GSPC"].constituent.name == ""


def test_missing_symbols_are_marked_until_they_are_found() -> None:
    model = model_of("A", "B")

    first = model.set_missing([MissingSymbol("A", "not in the answer"), MissingSymbol("ZZZ", "unknown")])
    again = model.set_missing([MissingSymbol("A", "not in the answer")])
    marked = model.rows["A"].missing
    found = model.set_missing([])

    assert (first, again, found) == (["A"], [], ["A"])
    assert marked == "not in the answer"
    assert model.rows["A"].missing == ""


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
def test_a_row_is_stale_when_its_session_does_not_explain_its_age(
    state: MarketState, minutes: int, stale: bool
) -> None:
    model = model_of("A")
    model.update([live("A", state=state)], NOW)

    assert model.rows["A"].stale(NOW + timedelta(minutes=minutes)) is stale


def test_a_row_without_a_price_has_no_age_and_is_not_stale() -> None:
    row = model_of("A").rows["A"]

    assert row.age(NOW) is None
    assert not row.stale(NOW)
    assert row.converted is None


def test_a_trade_time_in_the_future_has_age_zero() -> None:
    model = model_of("A")
    model.update([live("A", at=NOW + timedelta(seconds=30))], NOW)

    assert model.rows["A"].age(NOW) == 0


changes = st.one_of(st.none(), st.decimals(-90, 90, places=2).map(str))
updates = st.lists(st.tuples(st.sampled_from("ABCDE"), st.integers(100, 900), changes), max_size=40)


@given(updates)
def test_the_sums_of_a_sector_are_those_of_its_rows(steps: list[tuple[str, int, str | None]]) -> None:
    # GIVEN two sectors
    model = PriceModel()
    model.set_constituents([constituent(s, sector="One" if s in "AB" else "Two") for s in "ABCDE"])

    # WHEN prices are added and removed in any order
    for version, (symbol, price, change) in enumerate(steps, start=1):
        model.update([live(symbol, str(price), change, version=version)], NOW)

    # THEN the running sums equal those counted from the rows
    for sector, stats in model.sectors.items():
        fresh = ChangeStats()
        for row in model.rows.values():
            if row.constituent.sector == sector:
                fresh.members += 1
                fresh.add(weight_of(row.quote))
        assert stats.key == fresh.key


def negated(weight: Weight | None) -> Weight | None:
    return None if weight is None else weight.negated


def test_a_sector_weighs_each_member_by_its_previous_price() -> None:
    stats = ChangeStats()
    stats.add(weight_of(live("A", "110.00", "10.00").row.quote))
    stats.add(weight_of(live("B", "895.00", "-5.00").row.quote))

    assert stats.percent == Decimal(5) / Decimal(1000) * 100
    assert ChangeStats().percent is None


def test_a_sector_never_adds_prices_of_different_currencies() -> None:
    stats = ChangeStats()
    stats.add(weight_of(live("A", "110.00", "10.00").row.quote))
    stats.add(weight_of(live("B", "101.00", "1.00").row.quote))
    stats.add(weight_of(live("AZN.L", "12600.00", "600.00", currency="GBp").row.quote))
    stats.add(weight_of(live("BBCA.JK", "9000.00", "-1000.00", currency="IDR").row.quote))

    # 5.5 % of the two in dollars, +5 % of the one in pence, -10 % of the one in rupiah
    assert stats.percent == Decimal("1.5")

    # and a currency without members does not count
    stats.add(negated(weight_of(live("BBCA.JK", "9000.00", "-1000.00", currency="IDR").row.quote)))
    stats.add(negated(weight_of(live("AZN.L", "12600.00", "600.00", currency="GBp").row.quote)))
    assert stats.percent == Decimal("5.5")


def test_a_symbol_that_changes_its_currency_moves_to_the_sum_of_the_new_one() -> None:
    stats = ChangeStats()
    stats.add(weight_of(live("A", "110.00", "10.00").row.quote))
    stats.add(negated(weight_of(live("A", "110.00", "10.00").row.quote)))
    stats.add(weight_of(live("A", "110.00", "10.00", currency="GBp").row.quote))

    fresh = ChangeStats()
    fresh.add(weight_of(live("A", "110.00", "10.00", currency="GBp").row.quote))
    assert stats.key == fresh.key


def test_members_are_weighted_by_their_capitalisation_before_the_change() -> None:
    # GIVEN a company of 10 shares that gained 10 and one of 100 shares that lost 1
    stats = ChangeStats()
    stats.add(weight_of(live("A", "110.00", "10.00", market_cap=1_100).row.quote))
    stats.add(weight_of(live("B", "99.00", "-1.00", market_cap=9_900).row.quote))

    # THEN the total of 11,000 is unchanged
    assert stats.by_capitalisation
    assert stats.percent == 0


def test_a_member_without_a_capitalisation_has_no_weight() -> None:
    stats = ChangeStats()
    stats.add(weight_of(live("A", "110.00", "10.00", market_cap=1_100).row.quote))
    stats.add(weight_of(live("B", "102.00", "2.00", market_cap=1_020).row.quote))
    stats.add(weight_of(live("C", "50.00", "-50.00").row.quote))

    assert stats.percent == Decimal(6)
    assert (stats.counted, stats.decliners) == (3, 1)


def test_without_most_capitalisations_the_price_is_the_weight() -> None:
    stats = ChangeStats()
    stats.add(weight_of(live("A", "110.00", "10.00", market_cap=1_100).row.quote))
    stats.add(weight_of(live("B", "895.00", "-5.00").row.quote))

    assert not stats.by_capitalisation
    assert stats.percent == Decimal("0.5")


def test_two_share_classes_share_the_capitalisation_of_their_company() -> None:
    # GIVEN a company with two listed classes, each quoted with the capitalisation of both, and another company
    model = PriceModel()
    model.set_constituents(
        [constituent("A1", cik="1"), constituent("A2", cik="1"), constituent("B", cik="2")]
    )
    model.update(
        [
            live("A1", "110.00", "10.00", market_cap=2_200),
            live("A2", "110.00", "10.00", market_cap=2_200),
            live("B", "95.00", "-5.00", market_cap=1_900),
        ],
        NOW,
    )

    # THEN it counts once: +200 of 2,000 and -100 of 2,000
    assert model.total.percent == Decimal("2.5")


def test_the_total_counts_every_row_once_after_any_change_of_list_or_price() -> None:
    model = model_of("A", "B")
    for version, price in enumerate(("101.00", "99.00", "100.00"), start=1):
        model.update([live("A", price, "-1.00", version=version)], NOW)
    model.update([live("B", "100.00", "0.00", version=9)], NOW)
    model.set_constituents([constituent("A"), constituent("B"), constituent("C")])

    total = model.total
    assert (total.members, total.advancers, total.decliners, total.unchanged) == (3, 0, 1, 1)
