"""Prices of charts: from single precision to the digits that were printed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.sources.yahoo.chart_numbers import printed_price, printed_prices
from tests.data.make_recordings import as_float32


@given(st.floats(2**-14, 2**20, width=32))
def test_a_price_in_single_precision_has_its_shortest_digits(price: float) -> None:
    assert printed_price(price) == Decimal(
        np.format_float_positional(np.float32(price), unique=True, trim="-")
    )


@given(st.decimals("0.01", "99999.99", places=2))
def test_cents_survive_single_precision(price: Decimal) -> None:
    printed = printed_price(as_float32(float(price)))
    assert printed == price
    assert "E" not in str(printed)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (225.4199981689453, "225.42"),
        (226.69009399414062, "226.6901"),
        (225.67, "225.67"),
        (34, "34"),
        (1234570.0, "1234570"),
        (700123.4375, "700123.44"),
        (Decimal("187.2200000001"), "187.2200000001"),
    ],
)
def test_prices_as_printed(number: Any, text: str) -> None:
    assert str(printed_price(number)) == text


anything = (
    st.floats(width=32)
    | st.floats(2**-20, 2**24, width=32)
    | st.decimals("0.01", "99999.9999", places=4).map(lambda price: as_float32(float(price)))
    | st.floats()
    | st.integers(-5, 2_000_000)
    | st.none()
    | st.booleans()
    | st.text("12.,", max_size=3)
)


@given(st.lists(anything, max_size=30), st.lists(anything, max_size=5))
def test_columns_are_printed_like_single_prices(first: list[object], second: list[object]) -> None:
    texts = printed_prices([first, second])
    assert [[None if text is None else Decimal(text) for text in column] for column in texts] == [
        [printed_price(value) for value in column] for column in (first, second)
    ]


def test_a_list_among_the_prices_is_no_price() -> None:
    assert printed_prices([[1.5, [2], {}], [225.4199981689453]]) == [["1.5", None, None], ["225.42"]]


@pytest.mark.parametrize(
    "number",
    [None, True, 0, -1.5, float("inf"), float("nan"), "1", [], 1e16, 10**400, -(10**400), Decimal("NaN")],
)
def test_what_is_no_price(number: object) -> None:
    assert printed_price(number) is None
