"""Prices as text, with as many digits as their size needs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.price_text import change_text, price_text


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (None, "–"),
        ("0", "0.00"),
        ("1286.584", "1,286.58"),
        ("700000", "700,000.00"),
        ("1", "1.00"),
        ("0.1234", "0.1234"),
        ("0.01", "0.0100"),
        ("0.00999", "0.00999"),
        ("0.00012", "0.00012"),
        ("0.000123456", "0.0001235"),
        ("0.00001234", "0.00001234"),
        ("0.0000004567", "0.00000046"),
        ("0.0000000123", "1.2E-8"),
        ("1.2E-9", "1.2E-9"),
        ("-0.00012", "-0.00012"),
    ],
)
def test_a_price_keeps_its_significant_digits(price: str | None, words: str) -> None:
    assert price_text(None if price is None else Decimal(price)) == words


@pytest.mark.parametrize(
    ("change", "price", "words"),
    [
        (None, "1", "–"),
        ("0", "0.0001", "0.00"),
        ("3.41", "100", "+3.41"),
        ("-1234.5", "10000", "−1,234.50"),
        ("-0.001", "100", "0.00"),
        ("0.0000012", "0.00012", "+0.0000012"),
        ("-0.0000012", "0.00012", "−0.0000012"),
        ("-0.02", "0.5", "−0.0200"),
    ],
)
def test_a_change_is_as_fine_as_its_price(change: str | None, price: str, words: str) -> None:
    assert change_text(None if change is None else Decimal(change), Decimal(price)) == words


@given(st.decimals(min_value="1E-20", max_value="1E+6", allow_nan=False))
def test_no_price_is_shown_as_nothing(price: Decimal) -> None:
    shown = Decimal(price_text(price).replace(",", ""))
    assert shown > 0
    assert abs(shown - price) <= price / 10
    assert len(price_text(price)) <= 12
