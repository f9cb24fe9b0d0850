"""Splits what is missing into requests that the chart endpoint accepts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sp500tui.model import Resolution
from sp500tui.pipeline.history.coverage import RETRIEVABLE, CoverageState, DayCoverage, TradingDay
from sp500tui.sources.yahoo.chart_limits import LIMITS

_MAX_DAYS = 3_660
"""Longest window of one request, in days, if the endpoint sets no limit."""


@dataclass(frozen=True, slots=True)
class HistoryTask:
    """One request: the bars of a symbol for consecutive trading days."""

    symbol: str
    resolution: Resolution
    days: tuple[TradingDay, ...]
    failures: int = 0
    """Requests for it without an answer."""

    @property
    def start(self) -> datetime:
        """Start of the window, UTC."""
        return self.days[0].start_time

    @property
    def end(self) -> datetime:
        """End of the window, UTC, exclusive."""
        return self.days[-1].end_time

    def __str__(self) -> str:
        return f"{self.symbol} {self.resolution} {self.days[0].session_date} to {self.days[-1].session_date}"


def history_tasks(
    coverage: Iterable[DayCoverage],
    wanted: frozenset[CoverageState] = RETRIEVABLE,
) -> list[HistoryTask]:
    """The requests for the days in one of these states, newest days first; `coverage` is by symbol and date.

    Symbols are in random order, so that two programs that do the same work rarely request the same bars. Complete
    days between them are included, at no extra cost.
    """
    tasks = [
        HistoryTask(symbol, resolution, days)
        for (symbol, resolution), group in groupby(
            coverage, key=lambda each: (each.symbol, Resolution(each.resolution))
        )
        for days in _windows([each.day for each in group if each.state in wanted], resolution)
    ]
    return sorted(tasks, key=lambda task: (task.end, random.random()), reverse=True)  # noqa: S311


def _windows(days: list[TradingDay], resolution: Resolution) -> Iterator[tuple[TradingDay, ...]]:
    longest = timedelta(days=LIMITS[resolution].days_per_request or _MAX_DAYS)
    window: list[TradingDay] = []
    for day in days:
        if window and day.end_time - window[0].start_time > longest:
            yield tuple(window)
            window = []
        window.append(day)
    if window:
        yield tuple(window)
