"""The dates and times of `--from` and `--to`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sp500tui.cli.commands.data.window import EARLIEST, LATEST, parse_window
from sp500tui.errors import ConfigurationError


def utc(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 5, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        (None, None, (EARLIEST, LATEST)),
        ("2026-05-04", "2026-05-05", (utc(4), utc(6))),
        ("20260504", "20260505", (utc(4), utc(6))),
        (" 2026-05-04 ", " 2026-05-04 ", (utc(4), utc(5))),
        ("2026-05-04T13:30", "2026-05-04 14:00", (utc(4, 13, 30), utc(4, 14))),
        ("20260504T1330Z", "2026-05-04T16:00+02:00", (utc(4, 13, 30), utc(4, 14))),
        ("2026-05-04T00:00", "2026-05-05", (utc(4), utc(6))),
    ],
)
def test_a_date_of_to_is_the_last_day_and_a_time_the_end(
    start: str | None, end: str | None, window: tuple[datetime, datetime]
) -> None:
    assert parse_window(start, end) == window


@pytest.mark.parametrize(
    "text", ["", "today", "2026-05", "2026-W19", "2026W191", "04.05.2026", "1777852800", "2026-02-30"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    for window in ((text, None), (None, text)):
        with pytest.raises(ConfigurationError, match="is neither a date nor a time; write 2026-05-04"):
            parse_window(*window)


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-05-05", "2026-05-04"), ("2026-05-04T13:30", "2026-05-04T13:30"), ("2026-05-04", "20260503")],
)
def test_a_window_without_length_is_refused(start: str, end: str) -> None:
    with pytest.raises(ConfigurationError, match="--to"):
        parse_window(start, end)
