"""Determines what a session of a symbol should hold, and compares it with what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from sp500tui.config.settings import Settings, parse_age
from sp500tui.model import MarketState, Resolution, TradingSession
from sp500tui.sources.yahoo.chart_limits import oldest_start
from sp500tui.sources.yahoo.charts import SETTLING
from sp500tui.storage.history.sessions import QUOTES, Attempts, CoverageRow

MAX_ATTEMPTS = 3
"""Answers without the missing bars after which the source is not expected to have them."""


class CoverageState(StrEnum):
    """How complete a session of a symbol is."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    MISSING = "missing"
    NOT_YET = "not yet"
    """The session has not ended."""
    UNANSWERED = "unanswered"
    """The source was queried several times and does not have the rest."""
    REPLACED = "replaced"
    """Longer bars have replaced what is missing, as the retention settings require."""
    TOO_OLD = "too old"
    """The source does not keep bars of this resolution for that long."""


RETRIEVABLE = frozenset({CoverageState.PARTIAL, CoverageState.MISSING})
"""States in which the source may have the missing bars."""


@dataclass(frozen=True, slots=True)
class TradingDay:
    """The regular sessions of one date at an exchange: one, two with a lunch break, many in a demo that runs faster."""

    session_date: date
    sessions: tuple[TradingSession, ...]

    @property
    def start_time(self) -> datetime:
        """The first opening, UTC."""
        return self.sessions[0].start_time

    @property
    def end_time(self) -> datetime:
        """The last close, UTC."""
        return self.sessions[-1].end_time

    def settled(self, now: datetime) -> TradingDay:
        """The day with only the sessions that have ended, or with all if none has.

        Bars missing from the first session of a date are a gap even while a later session is running.
        """
        ended = tuple(each for each in self.sessions if each.end_time + SETTLING <= now)
        return TradingDay(self.session_date, ended or self.sessions)

    def slots(self, resolution: str) -> list[datetime]:
        """The starts of the bars that the day should have; of minutes, for collected prices."""
        width = Resolution.MINUTE if resolution == QUOTES else Resolution(resolution)
        starts = [start for session in self.sessions for start in session.bar_starts(width)]
        return starts[:1] if width is Resolution.DAY else starts

    def slot_count(self, resolution: str) -> int:
        """The number of `slots`."""
        width = Resolution.MINUTE if resolution == QUOTES else Resolution(resolution)
        count = sum(session.bar_count(width) for session in self.sessions)
        return min(count, 1) if width is Resolution.DAY else count


@dataclass(frozen=True, slots=True)
class DayCoverage:
    """One trading day of one symbol at one resolution."""

    symbol: str
    resolution: str
    day: TradingDay
    expected: int
    present: int
    replaced: int
    """Bars, or minutes with a collected price, that longer bars have replaced."""
    state: CoverageState
    attempts: Attempts

    @property
    def missing(self) -> int:
        """Bars, or minutes with a collected price, that are neither stored nor replaced."""
        return max(0, self.expected - self.present - self.replaced)

    def row(self, requests: int = 0) -> CoverageRow:
        """The row to be stored."""
        return CoverageRow(
            self.symbol, self.day.session_date, self.expected, self.present, str(self.state), requests
        )


def trading_days(
    sessions: Sequence[TradingSession], start: datetime, end: datetime
) -> tuple[TradingDay, ...]:
    """The days whose regular sessions start in a window, in order."""
    regular = sorted(
        {
            (each.session_date, each.start_time): each
            for each in sessions
            if each.kind is MarketState.REGULAR and start <= each.start_time < end
        }.items()
    )
    return tuple(
        TradingDay(day, tuple(session for _, session in group))
        for day, group in groupby(regular, key=lambda item: item[0][0])
    )


def coverage_of(
    symbols: Sequence[str],
    resolution: str,
    days: Sequence[TradingDay],
    present: Mapping[tuple[str, date], int],
    attempts: Mapping[tuple[str, date], Attempts],
    now: datetime,
    replaced: Mapping[tuple[str, date], int] | None = None,
) -> list[DayCoverage]:
    """The coverage of every symbol and day, by symbol and date."""
    oldest = None if resolution == QUOTES else oldest_start(Resolution(resolution), now)
    expected = [day.slot_count(resolution) for day in days]
    never = Attempts(0, None)
    found: list[DayCoverage] = []
    for symbol in symbols:
        for day, slots in zip(days, expected, strict=True):
            key = (symbol, day.session_date)
            held = min(present.get(key, 0), slots)
            longer = min((replaced or {}).get(key, 0), slots - held)
            made = attempts.get(key, never)
            count = MAX_ATTEMPTS if made.final else made.count
            state = coverage_state(day, slots, held, count, now, oldest, longer)
            found.append(DayCoverage(symbol, resolution, day, slots, held, longer, state, made))
    return found


def coverage_state(
    day: TradingDay,
    expected: int,
    present: int,
    attempts: int,
    now: datetime,
    oldest: datetime | None,
    replaced: int = 0,
) -> CoverageState:
    """The state of one day; `oldest` is the start of the bars that the source still has, None for no limit."""
    if present >= expected:
        return CoverageState.COMPLETE
    if day.end_time + SETTLING > now:
        return CoverageState.NOT_YET
    if present + replaced >= expected:
        return CoverageState.REPLACED
    if oldest is not None and day.start_time < oldest:
        return CoverageState.TOO_OLD
    if attempts >= MAX_ATTEMPTS:
        return CoverageState.UNANSWERED
    return CoverageState.PARTIAL if present else CoverageState.MISSING


def replaced_before(settings: Settings, resolution: str, now: datetime) -> datetime | None:
    """Start of the bars, or collected prices, that longer bars do not replace, UTC; None if all are kept."""
    ages = {QUOTES: settings.keep_quotes, Resolution.MINUTE: settings.keep_bars_1m}
    age = ages.get(resolution)
    return None if age is None else now - parse_age(age)


def holes(day: TradingDay, resolution: str, stored: frozenset[datetime]) -> list[tuple[datetime, datetime]]:
    """The ranges of a day without bars: start of the first missing bar, end of the last one."""
    width = timedelta(minutes=1) if resolution == QUOTES else Resolution(resolution).width
    found: list[tuple[datetime, datetime]] = []
    for start in day.slots(resolution):
        if start in stored:
            continue
        end = min(start + width, day.end_time)
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found
