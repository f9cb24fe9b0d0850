"""The rates accepted, and the precision of converted prices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.model import FetchedQuote, FxRate
from sp500tui.pipeline.stages.fx import FxRates, is_plausible, major_unit
from tests.support.pipeline.rows import OPENING, quote
from tests.support.waiting import FakeClock


def rate(value: str, base: str = "USD", target: str = "DKK") -> FxRate:
    return FxRate(base, target, Decimal(value), OPENING)


def shown(rates: FxRates) -> str | None:
    found = rates.primary()[1]
    return str(found.rate) if found else None


@pytest.mark.parametrize(
    ("old", "new", "accepted"),
    [
        (None, "6.85", True),
        (None, "0", False),
        (None, "-1", False),
        (None, "NaN", False),
        (None, "sNaN", False),
        (None, "Infinity", False),
        ("6.85", "7.535", True),
        ("6.85", "7.5351", False),
        ("6.85", "6.165", True),
        ("6.85", "6.1649", False),
        ("6.85", "0.146", False),
    ],
)
def test_a_rate_is_plausible_within_ten_percent_of_the_last(
    old: str | None, new: str, accepted: bool
) -> None:
    assert is_plausible(None if old is None else Decimal(old), Decimal(new)) is accepted


@pytest.mark.parametrize(
    ("values", "end"),
    [
        (["6.85", "9.0"], "6.85"),
        (["6.85", "9.0", "9.1"], "6.85"),
        (["6.85", "9.0", "9.1", "9.2"], "9.2"),
        (["6.85", "9.0", "9.1", "6.86", "9.2", "9.2"], "6.86"),
        (["6.85", "0", "0", "0", "0"], "6.85"),
        (["6.85", "NaN", "NaN", "9.0"], "6.85"),
        (["0", "-1", "NaN"], None),
    ],
)
def test_a_jump_is_accepted_after_three_in_a_row(values: list[str], end: str | None) -> None:
    rates = FxRates("DKK", clock=FakeClock())
    for value in values:
        rates.update([rate(value)])
    assert shown(rates) == end


def test_rates_of_unregistered_pairs_are_ignored() -> None:
    rates = FxRates("DKK")
    rates.update([rate("1.1", base="EUR"), rate("0.9", target="EUR")])
    assert shown(rates) is None
    assert rates.unknown_pairs() == (("USD", "DKK"),)


def test_a_pair_is_stale_without_a_rate_and_when_the_rate_is_old() -> None:
    clock = FakeClock()
    rates = FxRates("DKK", refresh=10, clock=clock)
    rates.register(["GBp", "DKK", "EUR"])
    assert rates.stale_pairs() == (("USD", "DKK"), ("GBP", "DKK"), ("EUR", "DKK"))
    rates.update([rate("6.85"), rate("8.6", base="GBP"), rate("7.46", base="EUR")])
    assert rates.stale_pairs() == ()
    clock.now += 10
    assert len(rates.stale_pairs()) == 3
    assert rates.unknown_pairs() == ()
    assert rates.primary() == ("USD/DKK", rate("6.85"), 10.0)


def test_a_rate_is_pending_only_for_the_pending_timeout() -> None:
    clock = FakeClock()
    rates = FxRates("DKK", pending_timeout=10, clock=clock)
    assert rates.is_pending(["USD"])
    assert not rates.is_pending(["DKK"])
    assert not rates.is_pending(["CHF"]), "not registered"
    clock.now += 10
    assert not rates.is_pending(["USD"])
    rates.register(["CHF"])
    assert rates.is_pending(["USD", "CHF"])
    rates.update([rate("7.9", base="CHF")])
    assert not rates.is_pending(["CHF"])
    rates.wait_for_update(0)


def test_without_a_rate_there_is_no_converted_price_and_never_a_zero() -> None:
    converted = FxRates("DKK").convert(FetchedQuote(quote(1), fetched_monotonic=5.0, fetched_by="price-2"))
    assert (converted.converted_price, converted.fx_rate, converted.fx_time) == (None, None, None)
    assert (converted.converted_currency, converted.fetched_monotonic, converted.fetched_by) == (
        "DKK",
        5.0,
        "price-2",
    )


def test_an_unregistered_pair_has_no_rate() -> None:
    converted = FxRates("DKK").convert(FetchedQuote(quote(1, currency="JPY")))
    assert converted.converted_price is None


def test_a_price_in_the_target_currency_is_unchanged() -> None:
    rates = FxRates("USD")
    converted = rates.convert(FetchedQuote(quote(1, price="100.250")))
    assert str(converted.converted_price) == "100.250"
    assert converted.fx_rate == 1
    assert rates.primary() == ("USD/USD", None, None)
    assert rates.stale_pairs() == ()


@pytest.mark.parametrize(
    ("code", "major", "units"),
    [("GBp", "GBP", 100), ("GBX", "GBP", 100), ("ZAc", "ZAR", 100), ("ILA", "ILS", 100), ("GBP", "GBP", 1)],
)
def test_prices_in_minor_units(code: str, major: str, units: int) -> None:
    assert major_unit(code) == (major, units)
    in_major = FxRates(major).convert(FetchedQuote(quote(1, currency=code, price="250")))
    assert in_major.converted_price == Decimal(250) / units
    rates = FxRates("DKK")
    rates.register([code])
    rates.update([rate("8.5", base=major)])
    assert (
        rates.convert(FetchedQuote(quote(1, currency=code, price="250"))).converted_price
        == Decimal("2125") / units
    )


numbers = st.decimals(
    min_value=Decimal("1e-20"), max_value=Decimal("1e15"), allow_nan=False, allow_infinity=False
)


@given(price=numbers, of_one=numbers, code=st.sampled_from(["USD", "GBp"]))
def test_conversion_is_exact(price: Decimal, of_one: Decimal, code: str) -> None:
    rates = FxRates("DKK")
    base, units = major_unit(code)
    rates.register([code])
    rates.update([FxRate(base, "DKK", of_one, OPENING)])

    converted = rates.convert(FetchedQuote(quote(1, currency=code, price=str(price)))).converted_price

    assert converted is not None
    assert Fraction(converted) == Fraction(price) * Fraction(of_one) / units


def test_rate_and_time_belong_together_although_a_newer_rate_arrives() -> None:
    # given a rate that is replaced by another thread as soon as it is read
    rates = FxRates("DKK")
    later = OPENING + timedelta(minutes=1)

    class Replaced:
        base, target, time = "USD", "DKK", OPENING
        is_read = False

        @property
        def rate(self) -> Decimal:
            if self.is_read:
                self.is_read = False
                rates.update([FxRate("USD", "DKK", Decimal("6.9"), later)])
            return Decimal("6.8")

    known: Any = Replaced()
    rates.update([known])
    known.is_read = True
    # when a price is converted
    row = rates.convert(FetchedQuote(quote(1)))
    # then the row has the time of the rate that it was converted with
    assert (row.fx_rate, row.fx_time) == (Decimal("6.8"), OPENING)
    assert shown(rates) == "6.9"


def test_an_extremely_large_price_can_be_converted() -> None:
    rates = FxRates("DKK")
    rates.update([rate("6.85")])
    converted = rates.convert(FetchedQuote(quote(1, price="1E+999999")))
    assert converted.converted_price is not None
