"""Windows of the chart endpoint: how far back, how long, and what is refused before a request is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sp500tui.errors import ChartRefusedError, Refusal
from sp500tui.model import Resolution
from sp500tui.sources.yahoo.chart_limits import LIMITS, check_window, oldest_start

NOW = datetime(2026, 5, 4, 15, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_every_resolution_has_limits() -> None:
    assert set(LIMITS) == set(Resolution)
    assert all(limits.requested_as.width <= resolution.width for resolution, limits in LIMITS.items())


@pytest.mark.parametrize(
    ("resolution", "start", "end", "words"),
    [
        ("1m", NOW - DAY, NOW - DAY, "the window is empty"),
        ("1m", NOW, NOW - DAY, "the window is empty"),
        ("1d", NOW + DAY, NOW + 2 * DAY, "is in the future"),
        (
            "1m",
            NOW - 31 * DAY,
            NOW - 30 * DAY,
            "keeps them for 30 days; start at 2026-04-04 15:10 UTC or later",
        ),
        ("15m", NOW - 61 * DAY, NOW, "keeps them for 60 days"),
        ("30m", NOW - 61 * DAY, NOW, "keeps them for 60 days"),
        ("1h", NOW - 731 * DAY, NOW, "keeps them for 730 days"),
        ("1d", datetime(1899, 1, 1, tzinfo=UTC), NOW, "older than 1900"),
        ("1m", NOW - 8 * DAY, NOW, "at most 7 days; split the window"),
    ],
)
def test_a_window_that_yahoo_cannot_answer_is_refused(
    resolution: str, start: datetime, end: datetime, words: str
) -> None:
    with pytest.raises(ChartRefusedError, match=words) as error:
        check_window(Resolution(resolution), start, end, NOW)
    assert error.value.refusal is Refusal.WINDOW
    assert str(error.value).startswith(f"no {resolution} bars from ")


@pytest.mark.parametrize("resolution", Resolution)
def test_the_oldest_start_can_be_requested(resolution: Resolution) -> None:
    start = oldest_start(resolution, NOW)
    days = LIMITS[resolution].days_per_request
    window = (start, NOW if days is None else min(NOW, start + timedelta(days=days)))
    check_window(resolution, *window, NOW)
    # also a few minutes later, after waiting for the throttle
    check_window(resolution, *window, NOW + timedelta(minutes=5))
