"""Formats of numbers, external text and bars."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sp500tui.tui.render import formats


@pytest.mark.parametrize(
    ("seconds", "words", "short"),
    [
        (None, "–", "–"),
        (0, "0.0 s", "0.0 s"),
        (0.44, "0.4 s", "0.4 s"),
        (0.96, "1 s", "1 s"),
        (59.4, "59 s", "59 s"),
        (59.6, "1 min", "1 min"),
        (200, "3 min 20 s", "3 min"),
        (8040, "2 h 14 min", "2 h"),
        (7200, "2 h", "2 h"),
        (100_000, "1 d 3 h", "1 d"),
        (-3, "0.0 s", "0.0 s"),
    ],
)
def test_spans(seconds: float | None, words: str, short: str) -> None:
    assert formats.span(seconds) == words
    assert formats.short_span(seconds) == short


@pytest.mark.parametrize(
    ("per_second", "words"),
    [
        (0, "0/s"),
        (-1, "0/s"),
        (0.01, "<0.1/s"),
        (4.21, "4.2/s"),
        (99.96, "100/s"),
        (412, "412/s"),
        (12_345, "12.3k/s"),
    ],
)
def test_rates(per_second: float, words: str) -> None:
    assert formats.rate(per_second) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (950, "950"),
        (999.6, "1k"),
        (4100, "4.1k"),
        (4000, "4k"),
        (123_456, "123k"),
        (1_000_000, "1M"),
        (2.5e9, "2.5G"),
    ],
)
def test_short_counts(number: float, words: str) -> None:
    assert formats.short_count(number) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "– ms"),
        (0.44, "0.4 ms"),
        (9.96, "10 ms"),
        (98.2, "98 ms"),
        (999.6, "1.0 s"),
        (1234, "1.2 s"),
        (100_000, "1 min 40 s"),
    ],
)
def test_milliseconds(value: float | None, words: str) -> None:
    assert formats.milliseconds(value) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (7400, "7.2 kB"),
        (12 << 20, "12 MB"),
        (3 << 30, "3.0 GB"),
        (2 << 40, "2.0 TB"),
    ],
)
def test_sizes(number: int, words: str) -> None:
    assert formats.size(number) == words


def test_plurals_and_counts() -> None:
    assert formats.plural(1, "row") == "1 row"
    assert formats.plural(21_126, "row") == "21,126 rows"


@given(st.text(), st.integers(0, 40), st.sampled_from(["left", "right", "center"]))
def test_fit_is_exactly_as_wide_as_requested(text: str, width: int, align: str) -> None:
    assert cell_len(formats.fit(formats.clean(text), width, align)) == width


@given(st.text())
def test_clean_text_steers_no_terminal(text: str) -> None:
    cleaned = formats.clean(text)
    assert len(cleaned) == len(text)
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in cleaned)


@given(st.floats(0, 2), st.integers(0, 30))
def test_a_gauge_has_the_requested_width_and_shows_empty_and_full(share: float, width: int) -> None:
    bar = formats.gauge(share, width)
    assert len(bar) == width
    if width:
        assert (bar == "━" * width) == (share >= 1)
        assert bar[0] in "━╸" if share > 0 else bar[0] == "─"


@given(st.lists(st.floats(0, 1e6), max_size=40), st.integers(0, 30))
def test_a_sparkline_is_as_wide_as_requested(values: list[float], width: int) -> None:
    assert len(formats.sparkline(values, width)) == width


def test_a_sparkline_of_nothing_is_flat_and_of_something_rises() -> None:
    assert formats.sparkline([0, 0], 4) == "  ▁▁"
    assert formats.sparkline([0, 5, 10], 3) == "▁▄▆"
