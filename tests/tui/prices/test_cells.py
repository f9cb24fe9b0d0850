"""Formatting of single cells."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.tui.prices.sparkline import PriceHistory, sparkline
from sp500tui.tui.render.formats import arrow, format_age, format_change, format_volume


@pytest.mark.parametrize(
    ("value", "words", "mark"),
    [
        ("3.41", "+3.41 %", "▲"),
        ("-0.7", "−0.70 %", "▼"),
        ("0", "0.00 %", " "),
        ("-0.001", "0.00 %", " "),
        ("0.0049", "0.00 %", " "),
        ("0.0051", "+0.01 %", "▲"),
        ("-1234.5", "−1,234.50 %", "▼"),
        (None, "–", " "),
    ],
)
def test_a_change_shows_its_direction_without_colour(value: str | None, words: str, mark: str) -> None:
    change = None if value is None else Decimal(value)

    assert format_change(change, " %") == words
    assert arrow(words) == mark


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (812, "812"),
        (41_200, "41.2 k"),
        (999_960, "1.0 M"),
        (57_600_000, "57.6 M"),
        (10**16, "10000.0 T"),
    ],
)
def test_volume_keeps_its_decimal_point(count: int, words: str) -> None:
    assert format_volume(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (172_799, "47 h"), (172_800, "2 d")],
)
def test_an_age_is_never_rounded_up(seconds: int, words: str) -> None:
    assert format_age(seconds) == words


@pytest.mark.parametrize(
    ("values", "blocks"),
    [
        ([], "    "),
        ([5.0], "   ▄"),
        ([1.0, 1.0], "  ▄▄"),
        ([1.0, 7.0], "  ▁▇"),
        ([0.0, 1.0, 4.0, 3.0, 2.0, 1.0], "▇▅▃▁"),
        ([100.0, 100.03, 99.99, 100.0], "▄▄▄▄"),
        ([99.5, 100.5], "  ▁▇"),
    ],
)
def test_a_sparkline_spans_its_values_and_at_least_one_percent(values: list[float], blocks: str) -> None:
    assert sparkline(values, 4) == blocks


@given(st.lists(st.floats(0.5, 1e6, width=32), max_size=300))
def test_a_price_history_is_bounded_and_spans_the_session(prices: list[float]) -> None:
    history = PriceHistory()
    for price in prices:
        history.add(price)

    points = list(history)

    assert len(points) <= PriceHistory.LIMIT
    assert points[:1] == prices[:1]
    assert points[-1:] == prices[-1:]
    assert len(history.sparkline(12)) == 12


def test_a_single_price_has_no_sparkline() -> None:
    history = PriceHistory()
    history.add(100.0)

    assert history.sparkline(5) == "     "


def test_a_price_history_has_a_gain_from_the_second_price_on() -> None:
    history = PriceHistory()
    history.add(100.0)
    before = history.gain
    history.add(110.0)

    assert before is None
    assert history.gain == pytest.approx(0.1)
