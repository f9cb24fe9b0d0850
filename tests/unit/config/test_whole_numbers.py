"""Whole numbers in text."""

from __future__ import annotations

import pytest

from sp500tui.config.whole_numbers import whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("64", 64),
        ("007", 7),
        ("65", None),
        ("0", None),
        ("000199", None),
        ("", None),
        ("-3", None),
        ("+3", None),
        ("1.5", None),
        ("1_0", None),
        (" 3", None),
        ("٣", None),
        ("²", None),
        ("9" * 5000, None),
    ],
)
def test_only_digits_within_the_limits_are_a_number(text: str, number: int | None) -> None:
    assert whole_number(text, 1, 64) == number
