"""The pure decisions of the throttle as tables."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.backoff import BackOff
from sp500tui.sources.throttle import (
    FAILURE_BACKOFF,
    MAX_RETRY_AFTER,
    THROTTLE_BACKOFF,
    burst_at,
    decrease_rate,
    default_burst,
    increase_rate,
    parse_retry_after,
)

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"),
    [
        (1, 1.0, 4),
        (1, 0.0, 2),
        (2, 1.0, 8),
        (2, 0.5, 6),
        (4, 0.0, 16),
        (5, 1.0, 60),
        (9, 0.0, 30),
        (10**9, 1.0, 60),
    ],
)
def test_back_off_doubles_up_to_its_cap_and_is_spread_over_the_upper_half(
    failures: int, jitter: float, seconds: float
) -> None:
    assert THROTTLE_BACKOFF.delay(failures, jitter) == seconds


@given(failures=st.integers(-3, 10**6), jitter=st.floats(-1, 2))
def test_back_off_never_leaves_its_bounds(failures: int, jitter: float) -> None:
    for back_off in (THROTTLE_BACKOFF, FAILURE_BACKOFF, BackOff(0.5, 2.0)):
        assert back_off.base / 2 <= back_off.delay(failures, jitter) <= back_off.cap


@pytest.mark.parametrize(("rate", "lower"), [(4.0, 2.0), (2.0, 1.0), (0.3, 0.25), (0.25, 0.25)])
def test_a_429_halves_the_rate_down_to_a_sixteenth(rate: float, lower: float) -> None:
    assert decrease_rate(rate, limit=4.0) == lower


@pytest.mark.parametrize(("rate", "higher"), [(2.0, 2.2), (3.9, 4.0), (4.0, 4.0)])
def test_a_good_answer_adds_a_twentieth_up_to_the_limit(rate: float, higher: float) -> None:
    assert increase_rate(rate, limit=4.0) == pytest.approx(higher)


@pytest.mark.parametrize(("rate", "burst"), [(4.0, 16), (2.0, 8), (0.25, 1), (0.01, 1)])
def test_the_burst_shrinks_with_the_rate(rate: float, burst: int) -> None:
    assert burst_at(rate, limit=4.0, burst=16) == burst


@pytest.mark.parametrize(("rate", "burst"), [(4.0, 12), (0.1, 1), (100.0, 300)])
def test_the_default_burst_is_three_seconds_of_requests(rate: float, burst: int) -> None:
    assert default_burst(rate) == burst


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", 1.5),
        ("3, 7", 7.0),
        ("3, soon", None),
        ("9" * 400, None),
        ("٣", None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("120", 120.0),
        ("99999999999999999999", MAX_RETRY_AFTER),
        ("Mon, 04 May 2026 12:00:30 GMT", 30.0),
        ("Mon, 04 May 2026 14:00:30 +0200", 30.0),
        ("Mon, 04 May 2026 12:00:30 -0000", 30.0),
        ("Mon, 04 May 2026 11:00:00 GMT", 0.0),
        ("Mon, 04 May 2099 11:00:00 GMT", MAX_RETRY_AFTER),
        ("Mon, 99 May 2026 11:00:00 GMT", None),
        ("Mon, 04 May 99999999999 11:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_a_bounded_number_or_none(header: str) -> None:
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER
