"""The coverage of a demo market whose days pass faster: several sessions on one date."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sp500tui.errors import DatabaseError
from sp500tui.model import Resolution
from sp500tui.pipeline.history.coverage import CoverageState
from sp500tui.pipeline.history.survey import survey
from sp500tui.simulator.faults import Faults
from sp500tui.simulator.market.clock import CLOSING, DAY, OPENING
from sp500tui.simulator.yahoo.charts import chart
from sp500tui.sources.yahoo.charts import Chart, ChartRequest, parse_chart
from sp500tui.storage.history.sessions import store_sessions, stored_sessions
from sp500tui.storage.transaction import Connection
from tests.support.market.charts import MARKET, insert_bars, session
from tests.unit.simulator.test_clock import NOON, SettableTime
from tests.unit.simulator.test_market import new_market

SPEED = 20
_DAY = DAY / SPEED
"""Real seconds of one day of the market."""


class FastMarket:
    """Charts of a market since its first opening; its day takes 72 minutes by default."""

    def __init__(self, first_opening: float = NOON, speed: float = SPEED) -> None:
        self.time = SettableTime()
        self.time.now = first_opening
        self.market = new_market(self.time, speed=speed, start_at=OPENING)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time.now, UTC)

    def __call__(self, request: ChartRequest) -> Chart:
        query = {
            "interval": str(request.resolution),
            "period1": f"{request.start.timestamp():.0f}",
            "period2": f"{request.end.timestamp():.0f}",
        }
        answer = chart(self.market, request.symbol, query, Faults())
        body = json.loads(json.dumps({"chart": {"result": [answer.result], "error": None}}))
        return parse_chart(body, request, self.now)


def state_of_today(connection: Connection, market: FastMarket) -> tuple[int, int, CoverageState]:
    """Expected and stored bars of the current date."""
    start = datetime.fromtimestamp(NOON, UTC) - timedelta(hours=1)
    found = survey(connection, market, ["MMM"], "1m", (start, market.now), market.now)
    assert not found.warnings
    (today,) = found.coverage
    return today.expected, today.present, today.state


def test_what_was_fetched_is_complete_however_many_sessions_a_date_has(connection: Connection) -> None:
    market = FastMarket()
    session_seconds = (CLOSING - OPENING) / SPEED
    start = datetime.fromtimestamp(NOON, UTC)
    for day in range(4):
        # when another session has ended, its bars are missing, and only those
        market.time.now = NOON + day * _DAY + session_seconds + 120
        assert state_of_today(connection, market)[:2] == (20 * (day + 1), 20 * day)
        # and once they are stored, nothing is missing, also while the next session is running
        fetched = market(ChartRequest("MMM", Resolution.MINUTE, start, market.now))
        insert_bars(connection, fetched.bars)
        assert state_of_today(connection, market) == (20 * (day + 1),) * 2 + (CoverageState.COMPLETE,)
        market.time.now = NOON + (day + 1) * _DAY + 300
        assert state_of_today(connection, market) == (20 * (day + 1),) * 2 + (CoverageState.COMPLETE,)


@pytest.mark.parametrize("hours_later", range(0, 24, 4))
def test_a_session_at_any_time_of_day_is_complete_with_its_bars(
    connection: Connection, hours_later: int
) -> None:
    # given a session that may end on the next date of the exchange, and the start of another one
    opening = NOON + hours_later * 3600.0
    market = FastMarket(opening, speed=1)
    start = datetime.fromtimestamp(opening, UTC)
    market.time.now = opening + DAY + 3600
    # when its bars are stored
    fetched = market(ChartRequest("MMM", Resolution.MINUTE, start, start + timedelta(hours=7)))
    assert len(fetched.bars) == 390
    insert_bars(connection, fetched.bars)
    # then they count for it, and none for the other
    found = survey(connection, market, ["MMM"], "1m", (start, market.now), market.now)
    assert [(each.present, each.state) for each in found.coverage] == [
        (390, CoverageState.COMPLETE),
        (0, CoverageState.NOT_YET),
    ]


def test_the_bar_of_a_date_does_not_depend_on_the_session_after_which_it_is_requested() -> None:
    market = FastMarket()
    start = datetime.fromtimestamp(NOON, UTC) - timedelta(hours=1)
    found = []
    for day in range(3):
        # when a session is running, its date has no bar that is stored
        market.time.now = NOON + day * _DAY + 300
        assert market(ChartRequest("MMM", Resolution.DAY, start, market.now)).bars == ()
        # and after it the bar of the first one
        market.time.now = NOON + day * _DAY + (CLOSING - OPENING) / SPEED + 120
        (bar,) = market(ChartRequest("MMM", Resolution.DAY, start, market.now)).bars
        found.append((bar.start_time, bar.open, bar.high, bar.low, bar.close, bar.volume))
    assert set(found) == {found[0]}
    assert found[0][0] == datetime.fromtimestamp(NOON, UTC)


def test_a_gap_of_an_earlier_session_is_reported_while_a_later_one_is_running(connection: Connection) -> None:
    market = FastMarket()
    market.time.now = NOON + 300
    assert state_of_today(connection, market) == (20, 0, CoverageState.NOT_YET)
    market.time.now = NOON + _DAY + 300
    assert state_of_today(connection, market) == (20, 0, CoverageState.MISSING)


def test_a_session_that_is_stated_differently_replaces_the_one_before(connection: Connection) -> None:
    # given a session, and one long entry of the same date that spans it
    day = datetime(2026, 5, 4, tzinfo=UTC)
    stated = session(day.date(), minutes=210)
    store_sessions(connection, [session(day.date()), session(day.date() + timedelta(days=1))], day)

    # when the source states that it closes early, and that the next one opens later
    later = session(day.date() + timedelta(days=1))
    moved = type(later)(
        MARKET, later.session_date, later.kind, later.start_time + timedelta(hours=1), later.end_time
    )
    store_sessions(connection, [stated, moved, moved], day)

    # then these are the only sessions
    assert stored_sessions(connection, MARKET, day, day + timedelta(days=2)) == (stated, moved)


def test_sessions_are_not_replaced_by_some_that_cannot_be_stored(connection: Connection) -> None:
    # given a session, and a table that accepts no other one
    day = datetime(2026, 5, 4, tzinfo=UTC)
    stated = session(day.date())
    store_sessions(connection, [stated], day)
    connection.execute("ALTER TABLE sessions ADD CHECK (start_time <= '2026-05-04 13:30+00')")
    moved = replace(stated, start_time=stated.start_time + timedelta(hours=1))

    # when it is stated with another opening
    with pytest.raises(DatabaseError, match="violates check constraint"):
        store_sessions(connection, [moved], day)

    # then it is still stored
    assert stored_sessions(connection, MARKET, day, day + timedelta(days=2)) == (stated,)
