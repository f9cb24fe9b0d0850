"""Prices by column round-trip digit by digit."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sp500tui.pipeline.core.snapshot import LivePrice
from sp500tui.remote.recording.columns import PriceColumns, latest, pack
from sp500tui.remote.wire import decode, encode
from tests.support.tui.fake_pipeline import live_price, seeded_prices

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)


def reread(columns: PriceColumns) -> PriceColumns:
    """The columns as read from a file."""
    found: PriceColumns = decode(encode(columns), PriceColumns)
    return found


def values(price: LivePrice) -> list[str]:
    """The values of a price as text: decimals that are equal may differ in their digits."""
    row, quote = price.row, price.row.quote
    return [
        str(getattr(each, field.name))
        for each in (quote, row, price)
        for field in fields(each)
        if field.name not in ("row", "quote")
    ]


def changed(price: str | Decimal, change: str | Decimal | None, percent: str | Decimal | None) -> LivePrice:
    """A price with these numbers, and no conversion."""
    given_price = live_price("AAPL", Decimal(1), 0.0, 1)
    quote = replace(
        given_price.row.quote,
        price=Decimal(price),
        change=None if change is None else Decimal(change),
        percent_change=None if percent is None else Decimal(percent),
    )
    row = replace(given_price.row, quote=quote, converted_price=None, fx_rate=None, fx_time=None)
    return replace(given_price, row=row)


def test_prices_are_the_same_again() -> None:
    # given prices of every kind: without a rate, without a change, with a price that is no product
    quoted = seeded_prices()
    odd = live_price("ODD", Decimal("1.50"), 0.0, 504)
    odd = replace(
        odd,
        row=replace(
            odd.row,
            converted_price=None,
            fx_rate=None,
            fx_time=None,
            quote=replace(odd.row.quote, change=None, percent_change=None, volume=None),
        ),
        written_by="",
    )
    exact = live_price("EXACT", Decimal("10.0"), 1.0, 505)
    exact = replace(exact, row=replace(exact.row, converted_price=Decimal("68.72100")))
    prices = [*quoted, odd, exact]
    # when they are packed, then nothing is lost, not even a digit
    columns = pack(prices)
    assert columns is not None
    assert [values(price) for price in latest([reread(columns)])] == [values(price) for price in prices]


def test_the_last_of_several_wins() -> None:
    first = [live_price("A", Decimal(1), 1.0, 1), live_price("B", Decimal(2), 1.0, 2)]
    second = [live_price("A", Decimal(3), 1.0, 3)]
    packed = [pack(first), pack(second)]
    assert latest([each for each in packed if each is not None]) == [first[1], second[0]]


def test_no_prices_take_no_room() -> None:
    assert pack([]) is None


@given(DECIMALS, st.none() | DECIMALS, st.none() | DECIMALS)
@example(Decimal("160.07"), Decimal("-4.25"), Decimal("-2.5864167"))
@example(Decimal("2"), Decimal("1"), Decimal("-0.0"))
@example(Decimal("2"), Decimal("2"), Decimal("1E+3"))
@example(Decimal("1E+40"), Decimal("1E-40"), Decimal("1E-80"))
def test_any_change_in_per_cent_is_the_same_again(
    price: Decimal, change: Decimal | None, percent: Decimal | None
) -> None:
    prices = [changed(price, change, percent)]
    columns = pack(prices)
    assert columns is not None
    assert [values(price) for price in latest([reread(columns)])] == [values(price) for price in prices]


@pytest.mark.parametrize(
    ("price", "change", "percent", "packed"),
    [
        ("160.07", "-4.25", "-2.5864167", (7, 0)),
        ("244.6", "3.0700073", "1.2710667", (7, 0)),
        ("764.04", "-57.49005", "-6.9979243", (7, -1)),
        ("101.00", "1.00", "1.00", (2, 0)),
        ("2", "2", "100", Decimal(100)),
        ("2", None, "100", Decimal(100)),
        ("2", "1", None, None),
    ],
)
def test_a_change_in_per_cent_is_a_pair_where_it_follows_from_price_and_change(
    price: str, change: str | None, percent: str | None, packed: object
) -> None:
    columns = pack([changed(price, change, percent)])
    assert columns is not None
    assert columns.quotes["percent_change"] == (packed,)


def test_columns_with_the_change_in_per_cent_itself_are_read() -> None:
    # given columns of the first version of the format
    prices = [changed("160.07", "-4.25", "-2.5864167")]
    columns = pack(prices)
    assert columns is not None
    columns.quotes["percent_change"] = (Decimal("-2.5864167"),)
    # then
    assert [values(price) for price in latest([reread(columns)])] == [values(price) for price in prices]
