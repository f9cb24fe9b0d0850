"""Durations as parts of another one."""

from __future__ import annotations

import pytest

from sp500tui.duration_text import share_of_time


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0.0, 2.0, "0.0 of 2.0 s"),
        (1.7, 2.0, "1.7 of 2.0 s"),
        (1.2, 15.0, "1.2 of 15 s"),
        (9.96, 9.94, "10 of 9.9 s"),
        (17.4, 15.0, "17 of 15 s"),
        (15.2, 15.0, ">15 of 15 s"),
        (2.004, 2.0, ">2.0 of 2.0 s"),
        (2.0, 2.0, "2.0 of 2.0 s"),
        (1.996, 2.0, "2.0 of 2.0 s"),
        (240.0, 2.0, "240 of 2.0 s"),
        (24.0, 600.0, "0.4 of 10 min"),
        (5400.0, 86_400.0, "1.5 of 24 h"),
        (1.2, 0.0, "1.2 s"),
        (300.0, 0.0, "5.0 min"),
        (0.0, 0.0, "0.0 s"),
    ],
)
def test_both_are_in_the_unit_of_the_whole_with_at_most_one_decimal(
    part: float, whole: float, text: str
) -> None:
    assert share_of_time(part, whole) == text
