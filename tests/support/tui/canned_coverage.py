"""A coverage without a database: a few weeks of sessions with holes in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from sp500tui.storage.history.coverage import CoverageCell, StoredCoverage
from sp500tui.tui.coverage.reader import Holes

DAYS = [
    day for day in (date(2026, 3, 2) + timedelta(days=number) for number in range(64)) if day.weekday() < 5
]
SYMBOLS = ("AAPL", "AMZN", "BRK.B", "GOOGL", "META", "MSFT", "NVDA", "TSLA")
LOST = DAYS[-4]
"""A session without stored bars."""
CHECKED = datetime(2026, 5, 4, 15, 0, tzinfo=UTC)


def cell(symbol: str, day: date, present: int, state: str, attempts: int = 0) -> CoverageCell:
    asked = CHECKED if attempts else None
    return CoverageCell(symbol, day, 390, present, state, attempts, asked)


def cells() -> list[CoverageCell]:
    """All complete except a lost session, a hole in NVDA, one in TSLA that the source lacks, and the current day."""
    found = []
    for symbol in SYMBOLS:
        for day in DAYS:
            one = cell(symbol, day, 390, "complete")
            if day == DAYS[-1]:
                one = cell(symbol, day, 150, "not yet")
            elif day == LOST:
                one = cell(symbol, day, 0, "missing", attempts=1)
            elif symbol == "NVDA" and day == DAYS[-6]:
                one = cell(symbol, day, 360, "partial")
            elif symbol == "TSLA" and day == DAYS[-9]:
                one = cell(symbol, day, 388, "unanswered", attempts=3)
            elif day == DAYS[0]:
                one = cell(symbol, day, 0, "too old")
            found.append(one)
    return found


class CannedCoverage:
    """Answers immediately, or fails with `failure`; records its calls."""

    def __init__(self) -> None:
        self.cells = cells()
        self.failure: Exception | None = None
        self.resolutions: tuple[str, ...] = ("1m", "quotes")
        self.asked: list[tuple[object, ...]] = []
        self.closed = False

    def read(self, resolution: str, days: int) -> StoredCoverage:
        self.asked.append(("read", resolution, days))
        if self.failure is not None:
            raise self.failure
        if not self.cells:
            return StoredCoverage("", (), None, ())
        return StoredCoverage(resolution or "1m", self.resolutions, CHECKED, tuple(self.cells))

    def holes(self, resolution: str, cell: CoverageCell) -> Holes:
        self.asked.append(("holes", resolution, cell.symbol, cell.session_date))
        start = datetime(
            cell.session_date.year, cell.session_date.month, cell.session_date.day, 14, tzinfo=UTC
        )
        return [(start, start + timedelta(minutes=cell.missing))] if cell.missing else []

    def close(self) -> None:
        self.closed = True
