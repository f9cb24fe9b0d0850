"""The columns of a response of `v8/finance/chart`, and which of their elements are bars."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from operator import ge
from typing import Any

from sp500tui.model import TradingSession
from sp500tui.sources.yahoo.chart_numbers import (
    LATEST,
    OLDEST,
    epoch_seconds,
    printed_prices,
    share_volumes,
    utc,
)
from sp500tui.sources.yahoo.json_values import get_path

_NAMES = ("open", "high", "low", "close", "volume")


@dataclass(slots=True)
class Columns:
    """The elements of a response, column by column."""

    rows: dict[int, int] = field(default_factory=dict)
    """Start of an element with all prices, in seconds since 1970 → its index; the first of two with prices is used."""
    empty: set[int] = field(default_factory=set)
    """Starts of the elements without all prices."""
    opens: list[str | None] = field(default_factory=list)
    highs: list[str | None] = field(default_factory=list)
    lows: list[str | None] = field(default_factory=list)
    closes: list[str | None] = field(default_factory=list)
    volumes: list[int | None] = field(default_factory=list)

    def picked(self, starts: Sequence[int]) -> tuple[list[Any], ...]:
        """The prices and volumes of these elements, column by column."""
        rows = [self.rows[start] for start in starts]
        columns = (self.opens, self.highs, self.lows, self.closes, self.volumes)
        if rows and rows == list(range(rows[0], rows[-1] + 1)):
            return tuple(column[rows[0] : rows[-1] + 1] for column in columns)
        return tuple(list(map(column.__getitem__, rows)) for column in columns)


def read_columns(result: object) -> Columns | None:
    """The columns of a response; None if they differ in length."""
    times = get_path(result, "timestamp")
    if times is None:
        return Columns()
    quote = get_path(result, "indicators", "quote", 0)
    columns = [get_path(quote, name) for name in _NAMES]
    if columns[-1] is None and isinstance(times, list):
        columns[-1] = [None] * len(times)
    lists: list[list[object]] = [column for column in (times, *columns) if isinstance(column, list)]
    if len(lists) != 1 + len(columns) or len({len(each) for each in lists}) != 1:
        return None
    starts = _starts(lists[0])
    rows: dict[int, int] = dict(zip(reversed(starts), range(len(starts) - 1, -1, -1), strict=True))  # type: ignore[arg-type]
    rows.pop(None, None)  # type: ignore[call-overload]
    opens, highs, lows, closes = printed_prices(lists[1:5])
    found = Columns(rows, set(), opens, highs, lows, closes, share_volumes(lists[5]))
    _set_aside_empty(found, starts, lists[2], lists[3])
    return found


def _starts(times: list[object]) -> list[int | None]:
    if set(map(type, times)) == {int} and min(times) >= OLDEST and max(times) <= LATEST:  # type: ignore[type-var,operator]
        return times  # type: ignore[return-value]
    return [epoch_seconds(time) for time in times]


def _set_aside_empty(
    columns: Columns, starts: Sequence[int | None], highs: Sequence[object], lows: Sequence[object]
) -> None:
    """Move elements that lack a price, or whose high is below the low, from `rows` to `empty`."""
    prices = (columns.opens, columns.highs, columns.lows, columns.closes)
    if not any(None in column for column in prices) and all(map(ge, highs, lows)):  # type: ignore[arg-type]
        return
    rows: dict[int, int] = {}
    for row, start in enumerate(starts):
        if start is None or start in rows:
            continue
        if any(column[row] is None for column in prices) or highs[row] < lows[row]:  # type: ignore[operator]
            columns.empty.add(start)
        else:
            rows[start] = row
    columns.rows = rows
    columns.empty -= rows.keys()


@dataclass(slots=True)
class Selection:
    """Starts of the bars of a window, in seconds since 1970 and in order."""

    finished: list[int] = field(default_factory=list)
    """Starts of final bars."""
    unfinished: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    """Starts of bars that have ended and have no prices."""


@dataclass(frozen=True, slots=True)
class Window:
    """The requested bars, in seconds since 1970."""

    start: float
    end: float
    """Exclusive."""
    arrived: float
    """When the response arrived: no bar starts later."""
    settled: float
    """Bars that ended until then are final."""


def select_on_grid(
    columns: Columns, sessions: Sequence[TradingSession], width: int, window: Window, partial: set[int]
) -> Selection:
    """The bars on the grids of the sessions; those that start at `partial` are missing once they have ended."""
    found = Selection()
    rows = columns.rows
    for grid, closing in grids(sessions, width):
        wanted = grid[bisect_left(grid, window.start) : bisect_left(grid, window.end)]
        wanted = wanted[: bisect_right(wanted, window.arrived)]
        done = len(wanted) if closing <= window.settled else bisect_right(wanted, window.settled - width)
        ended = wanted[:done]
        there = [start for start in ended if start in rows and start not in partial]
        found.finished += there
        if len(there) < len(ended):
            held = set(there)
            found.missing += [start for start in ended if start not in held]
        found.unfinished += [start for start in wanted[done:] if start in rows]
    return found


def grids(sessions: Sequence[TradingSession], width: int) -> Iterator[tuple[range, int]]:
    """The starts of the bars of each session, with its end."""
    for session in sessions:
        closing = int(session.end_time.timestamp())
        yield range(int(session.start_time.timestamp()), closing, width), closing


def merged(
    columns: Columns, sessions: Sequence[TradingSession], width: int, step: int
) -> tuple[Columns, set[int]]:
    """Longer bars made of those of `step` seconds, and the starts of the ones that lack parts."""
    found, partial = Columns(), set[int]()
    for grid, closing in grids(sessions, width):
        for start in grid:
            parts = range(start, min(start + width, closing), step)
            rows = [columns.rows[part] for part in parts if part in columns.rows]
            if not rows:
                continue
            if len(rows) < len(parts):
                partial.add(start)
            volumes = [columns.volumes[row] for row in rows]
            found.rows[start] = len(found.opens)
            found.opens.append(columns.opens[rows[0]])
            found.highs.append(max((columns.highs[row] for row in rows), key=Decimal))  # type: ignore[arg-type]
            found.lows.append(min((columns.lows[row] for row in rows), key=Decimal))  # type: ignore[arg-type]
            found.closes.append(columns.closes[rows[-1]])
            found.volumes.append(None if None in volumes else sum(volumes))  # type: ignore[arg-type]
    return found, partial


def select_days(
    columns: Columns, meta: Mapping[str, object], zone: tzinfo, window: Window
) -> tuple[Columns, Selection]:
    """One bar per day, from its opening.

    The current day's element may have the time of its latest trade instead, and may come in addition to one with
    the opening. Returns the columns with the bars at their openings.
    """
    regular = get_path(meta, "currentTradingPeriod", "regular")
    opening, closing = (epoch_seconds(get_path(regular, edge)) for edge in ("start", "end"))
    latest_trade = epoch_seconds(meta.get("regularMarketTime"))
    current = None if opening is None else utc(opening).astimezone(zone)
    latest_day = None if latest_trade is None else utc(latest_trade).astimezone(zone).date()
    days: dict[object, tuple[int, int, int | None]] = {}
    """Date → start, end and row."""
    for start in sorted({*columns.rows, *columns.empty}):
        day = utc(start).astimezone(zone).date()
        begins = start
        if current is not None and day == latest_day:
            opened = datetime.combine(day, current.timetz().replace(tzinfo=None), zone)
            # If a date has several sessions, as in a fast demo market, the bar is that of the first.
            begins = min(start, int(opened.timestamp()))
        ends = begins + 86_400
        if current is not None and closing is not None and day <= current.date():
            ends = closing if day == current.date() else begins
        if day not in days or days[day][2] is None:
            days[day] = (begins, ends, columns.rows.get(start))
    found = Selection()
    rows: dict[int, int] = {}
    for begins, ends, row in days.values():
        if not window.start <= begins < window.end or begins > window.arrived:
            continue
        if row is not None:
            rows[begins] = row
            (found.finished if ends <= window.settled else found.unfinished).append(begins)
        elif ends <= window.settled:
            found.missing.append(begins)
    columns.rows = rows
    return columns, found
