"""The limits of Yahoo Finance's chart endpoint for each resolution: how far back, and how much in one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sp500tui.errors import ChartRefusedError, Refusal
from sp500tui.model import Resolution

_MARGIN = timedelta(minutes=10)
"""Margin: a request may wait for the throttle, and Yahoo's clock may differ from this one."""


@dataclass(frozen=True, slots=True)
class ChartLimits:
    """The limits of one resolution."""

    days_back: int | None
    """How many days before now a window may start; None for any number."""
    days_per_request: int | None
    """Longest window of one request in days; None for any length."""
    requested_as: Resolution
    """The resolution to request, whose bars are merged if it is a finer one."""


LIMITS: Mapping[Resolution, ChartLimits] = {
    Resolution.MINUTE: ChartLimits(30, 7, Resolution.MINUTE),
    Resolution.FIVE_MINUTES: ChartLimits(60, 60, Resolution.FIVE_MINUTES),
    Resolution.QUARTER_HOUR: ChartLimits(60, 60, Resolution.QUARTER_HOUR),
    # A request for 30m is answered with 60m bars.
    Resolution.HALF_HOUR: ChartLimits(60, 60, Resolution.QUARTER_HOUR),
    Resolution.HOUR: ChartLimits(730, 730, Resolution.HOUR),
    Resolution.DAY: ChartLimits(None, None, Resolution.DAY),
}
"""As stated in Yahoo's error messages; for 1-minute bars, these have named 7 and 8 days per request."""

_FIRST_DAY = datetime(1900, 1, 1, tzinfo=UTC)
"""No bars are older."""


def oldest_start(resolution: Resolution, now: datetime) -> datetime:
    """The earliest time from which bars of this resolution can be requested, UTC."""
    days = LIMITS[resolution].days_back
    return _FIRST_DAY if days is None else now - timedelta(days=days) + _MARGIN


def check_window(resolution: Resolution, start: datetime, end: datetime, now: datetime) -> None:
    """Check that Yahoo can have bars of this window and returns them in one request.

    Raises:
        ChartRefusedError: the window is empty, is in the future, starts too early or is too long.
    """
    limits = LIMITS[resolution]
    if start >= end:
        raise _refused(resolution, start, end, "the window is empty", "give a start before the end")
    if start > now:
        raise _refused(resolution, start, end, "the window is in the future", "give a start in the past")
    if start < oldest_start(resolution, now) - _MARGIN:
        if limits.days_back is None:
            raise _refused(resolution, start, end, "no bars are older than 1900", "give a later start")
        raise _refused(
            resolution,
            start,
            end,
            f"Yahoo keeps them for {limits.days_back} days",
            f"start at {describe_time(oldest_start(resolution, now))} or later, or use a longer resolution",
        )
    if limits.days_per_request is not None and end - start > timedelta(days=limits.days_per_request):
        raise _refused(
            resolution,
            start,
            end,
            f"one request covers at most {limits.days_per_request} days",
            "split the window",
        )


def describe_window(resolution: Resolution, start: datetime, end: datetime) -> str:
    """`1m bars from 2026-05-01 13:30 to 2026-05-08 13:30 UTC`."""
    return f"{resolution} bars from {start.astimezone(UTC):%Y-%m-%d %H:%M} to {describe_time(end)}"


def describe_time(time: datetime) -> str:
    """`2026-05-01 13:30 UTC`."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _refused(
    resolution: Resolution, start: datetime, end: datetime, reason: str, remedy: str
) -> ChartRefusedError:
    return ChartRefusedError(
        f"no {describe_window(resolution, start, end)}: {reason}; {remedy}", Refusal.WINDOW
    )
