"""Moments as the screens print them: local time, with the day only where it is another one."""

from __future__ import annotations

from datetime import datetime

MOMENT_WIDTH = 12
"""Cells of the longest moment."""


def format_time(time: datetime | None, now: datetime) -> str:
    """A local time: `14:02:11` today, `May 13 14:02` this year, `2025-05-13` before; a dash for none."""
    if time is None:
        return "–"
    local, here = time.astimezone(), now.astimezone()
    if local.date() == here.date():
        return f"{local:%H:%M:%S}"
    if local.year == here.year:
        return f"{local:%b} {local.day:2d} {local:%H:%M}"
    return f"{local:%Y-%m-%d}"


def seconds_between(earlier: datetime | None, later: datetime) -> float | None:
    """Seconds from one moment to another, none below zero; None where one is missing."""
    return None if earlier is None else max(0.0, (later - earlier).total_seconds())
