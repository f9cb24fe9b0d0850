"""The coverage as the screen reads it from a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from sp500tui.model import MarketState, TradingSession
from sp500tui.storage.history.coverage import CoverageCell, StoredCoverage, read_coverage
from sp500tui.storage.history.sessions import CoverageRow, store_coverage, store_sessions
from sp500tui.storage.transaction import Connection
from sp500tui.tui.coverage.reader import PostgresCoverageReader

NOW = datetime(2026, 5, 6, 21, tzinfo=UTC)
DAYS = [date(2026, 5, 4), date(2026, 5, 5), date(2026, 5, 6)]


def test_an_empty_table_has_no_resolution(connection: Connection) -> None:
    assert read_coverage(connection, "1m", 10) == StoredCoverage("", (), None, ())


def test_the_latest_dates_of_a_resolution_are_read(connection: Connection) -> None:
    # given three days of hours, and one of minutes that was checked later
    rows = [CoverageRow("AAPL", day, 7, present, "partial", 1) for present, day in enumerate(DAYS)]
    store_coverage(connection, "1h", rows, NOW)
    store_coverage(
        connection, "1m", [CoverageRow("AAPL", DAYS[0], 390, 390, "complete")], NOW + timedelta(hours=1)
    )

    # then those of a resolution are limited to a number of dates
    hours = read_coverage(connection, "1h", 2)
    assert (hours.resolution, hours.resolutions, hours.checked_at) == ("1h", ("1m", "1h"), NOW)
    assert hours.cells == tuple(
        CoverageCell("AAPL", day, 7, present, "partial", 1, NOW)
        for present, day in enumerate(DAYS)
        if present
    )
    # and an unknown resolution gives way to the one checked last
    assert (
        read_coverage(connection, "", 2).resolution == read_coverage(connection, "5m", 2).resolution == "1m"
    )


def test_the_holes_of_a_session_are_found_by_its_times(connection: Connection, migrated_url: str) -> None:
    # given the sessions of two markets on one day
    opened = datetime(2026, 5, 4, 13, 30, tzinfo=UTC)
    sessions = [
        TradingSession(
            "America/New_York", DAYS[0], MarketState.REGULAR, opened, opened + timedelta(hours=6.5)
        ),
        TradingSession("Europe/London", DAYS[0], MarketState.REGULAR, opened, opened + timedelta(hours=8)),
    ]
    store_sessions(connection, sessions, NOW)
    reader = PostgresCoverageReader(lambda: migrated_url)
    try:
        # then a session that should have seven hours is the one of New York
        cell = CoverageCell("AAPL", DAYS[0], 7, 0, "missing", 0, None)
        assert reader.holes("1h", cell) == [(opened, opened + timedelta(hours=6.5))]
        assert reader.holes("1h", CoverageCell("AAPL", DAYS[1], 7, 0, "missing", 0, None)) == []
        assert reader.holes("quotes", cell) == []
    finally:
        reader.close()
