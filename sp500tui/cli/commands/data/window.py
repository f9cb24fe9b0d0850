"""Dates and times of `--from` and `--to`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sp500tui.errors import ConfigurationError
from sp500tui.logs.redaction import shown_value

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")
_WEEK = re.compile(r"\d{4}-?W")
"""The beginning of a week date; as `--to`, it would not name its last day."""


def parse_window(start: str | None, end: str | None) -> tuple[datetime, datetime]:
    """The window of `--from` and `--to` in UTC, its end exclusive; without a limit from 1900 to 2200.

    A date of `--to` is the last day of the window. A time without a zone is in UTC.

    Raises:
        ConfigurationError: a value is not a date or time, or the end is not after the start.
    """
    first = EARLIEST if start is None else _moment(start, "--from")
    last = LATEST if end is None else _moment(end, "--to") + timedelta(days=is_date(end))
    if last <= first:
        if last == first and end is not None and not is_date(end):
            raise ConfigurationError(f"--to {end} is the time of --from; a window ends after its start")
        raise ConfigurationError(f"--to {end} is before --from {start}; give the earlier one as --from")
    return first, last


def is_date(text: str) -> bool:
    """Whether the text is written as a date: `2026-05-04` or `20260504`, not a week or a time."""
    return _DATE.fullmatch(text.strip()) is not None


def _moment(text: str, option: str) -> datetime:
    if _WEEK.match(text.strip()):
        raise _invalid(text, option)
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _invalid(text, option) from None
    if not EARLIEST <= moment < LATEST:
        raise ConfigurationError(f"{option} {text} is not between the years 1900 and 2199")
    return moment


def _invalid(text: str, option: str) -> ConfigurationError:
    return ConfigurationError(
        f"{option} '{shown_value(text)}' is neither a date nor a time; write 2026-05-04 or 2026-05-04T13:30:00Z"
    )
