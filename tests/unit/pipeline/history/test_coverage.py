"""The expected bars of a session, and the requests that fill it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from sp500tui.model import Resolution
from sp500tui.pipeline.history.coverage import (
    RETRIEVABLE,
    CoverageState,
    coverage_of,
    coverage_state,
    holes,
    trading_days,
)
from sp500tui.pipeline.history.plan import history_tasks
from sp500tui.storage.history.sessions import Attempts
from tests.support.market.charts import session, trading_day, weekdays

pytestmark = pytest.mark.fast

MONDAY = date(2026, 5, 4)
NOW = datetime(2026, 5, 9, 12, tzinfo=UTC)


class TestSlots:
    @pytest.mark.parametrize(
        ("resolution", "full", "half"),
        [("1m", 390, 210), ("5m", 78, 42), ("15m", 26, 14), ("1h", 7, 4), ("1d", 1, 1), ("quotes", 390, 210)],
    )
    def test_follow_from_the_session_and_the_resolution(self, resolution: str, full: int, half: int) -> None:
        assert len(trading_day(MONDAY).slots(resolution)) == full
        assert len(trading_day(MONDAY, minutes=210).slots(resolution)) == half

    def test_a_date_with_two_sessions_expects_the_bars_of_both(self) -> None:
        first = session(MONDAY, minutes=60)
        second = type(first)(
            market=first.market,
            session_date=MONDAY,
            kind=first.kind,
            start_time=first.end_time + timedelta(hours=1),
            end_time=first.end_time + timedelta(hours=2),
        )
        (day,) = trading_days([second, first, first], first.start_time, NOW)
        assert len(day.slots("1m")) == 120
        assert len(day.slots("1d")) == 1


class TestState:
    @pytest.mark.parametrize(
        ("present", "attempts", "now", "state"),
        [
            (390, 0, NOW, CoverageState.COMPLETE),
            (389, 0, NOW, CoverageState.PARTIAL),
            (0, 2, NOW, CoverageState.MISSING),
            (389, 3, NOW, CoverageState.UNANSWERED),
            (0, 9, NOW, CoverageState.UNANSWERED),
            (100, 0, datetime(2026, 5, 4, 15, tzinfo=UTC), CoverageState.NOT_YET),
            (0, 0, datetime(2026, 5, 1, 15, tzinfo=UTC), CoverageState.NOT_YET),
            (0, 0, datetime(2026, 5, 4, 20, 0, 30, tzinfo=UTC), CoverageState.NOT_YET),
            (389, 0, datetime(2026, 5, 4, 20, 1, tzinfo=UTC), CoverageState.PARTIAL),
            (0, 0, NOW + timedelta(days=60), CoverageState.TOO_OLD),
            (390, 0, NOW + timedelta(days=60), CoverageState.COMPLETE),
        ],
    )
    def test_of_a_day_of_minutes(
        self, present: int, attempts: int, now: datetime, state: CoverageState
    ) -> None:
        oldest = now - timedelta(days=30)
        assert coverage_state(trading_day(MONDAY), 390, present, attempts, now, oldest) is state

    def test_collected_prices_are_never_too_old(self) -> None:
        (found,) = coverage_of(["AAPL"], "quotes", [trading_day(MONDAY)], {}, {}, NOW + timedelta(days=900))
        assert found.state is CoverageState.MISSING


class TestHoles:
    def test_are_joined_to_ranges(self) -> None:
        day = trading_day(MONDAY)
        opened = day.start_time
        stored = frozenset(day.slots("1m")) - {
            opened,
            *(opened + timedelta(minutes=n) for n in (5, 6, 7)),
            opened + timedelta(minutes=389),
        }
        assert holes(day, "1m", stored) == [
            (opened, opened + timedelta(minutes=1)),
            (opened + timedelta(minutes=5), opened + timedelta(minutes=8)),
            (opened + timedelta(minutes=389), day.end_time),
        ]

    def test_the_last_bar_of_a_session_may_be_shorter(self) -> None:
        day = trading_day(MONDAY)
        assert holes(day, "1h", frozenset(day.slots("1h")[:-1]))[0][1] == day.end_time


class TestTasks:
    def test_nothing_is_requested_of_complete_days(self) -> None:
        days = [trading_day(day) for day in weekdays(MONDAY, 5)]
        found = coverage_of(["AAPL"], "1m", days, {("AAPL", day.session_date): 390 for day in days}, {}, NOW)
        assert history_tasks(found) == []

    def test_a_hole_before_newer_data_is_requested(self) -> None:
        days = [trading_day(day) for day in weekdays(MONDAY, 5)]
        present = {("AAPL", day.session_date): 390 for day in days if day is not days[1]}
        (task,) = history_tasks(coverage_of(["AAPL"], "1m", days, present, {}, NOW))
        assert task.days == (days[1],)
        assert (task.start, task.end) == (days[1].start_time, days[1].end_time)

    @pytest.mark.parametrize(
        ("resolution", "days", "requests"),
        [("1m", 20, 4), ("5m", 20, 1), ("15m", 30, 1), ("1h", 30, 1), ("1d", 250, 1)],
    )
    def test_windows_are_those_that_the_endpoint_answers(
        self, resolution: str, days: int, requests: int
    ) -> None:
        listed = [trading_day(day) for day in weekdays(MONDAY, days)]
        now = listed[-1].end_time + timedelta(hours=1)
        tasks = history_tasks(coverage_of(["AAPL"], resolution, listed, {}, {}, now))
        retrievable = [task for task in tasks if task.symbol == "AAPL"]
        assert len(retrievable) == requests
        assert all(task.resolution is Resolution(resolution) for task in tasks)
        assert [task.end for task in tasks] == sorted((task.end for task in tasks), reverse=True)

    def test_days_that_were_requested_in_vain_are_requested_again_only_on_demand(self) -> None:
        days = [trading_day(MONDAY)]
        attempts = {("AAPL", MONDAY): Attempts(3, NOW)}
        found = coverage_of(["AAPL"], "1m", days, {}, attempts, NOW)
        assert history_tasks(found) == []
        assert len(history_tasks(found, RETRIEVABLE | {CoverageState.UNANSWERED})) == 1
