"""The history stage with its real writers: complete, interrupted, killed, refused."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ChartRefusedError, Refusal, SourceError, ThrottledError
from sp500tui.model import ActionKind, CorporateAction, MarketState, Resolution, TradingSession
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import Health, WorkerState
from sp500tui.pipeline.history.calendar import market_days
from sp500tui.pipeline.history.coverage import RETRIEVABLE, CoverageState, TradingDay
from sp500tui.pipeline.history.plan import history_tasks
from sp500tui.pipeline.history.survey import Survey, survey
from sp500tui.pipeline.runtime.history import HistoryRun
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.sources.yahoo.charts import ChartRequest
from sp500tui.storage.connection import connect
from sp500tui.storage.history.sessions import stored_sessions
from tests.support.market.charts import FakeCharts, bar, trading_day, weekdays

TIMEOUT = 60
"""Maximum seconds of a run on a busy machine."""
NOW = datetime(2026, 5, 9, 12, tzinfo=UTC)
DAYS = [trading_day(day) for day in weekdays(date(2026, 5, 4), 5)]
WINDOW = (datetime(2026, 5, 1, tzinfo=UTC), NOW)
SYMBOLS = ("AAPL", "BRK.B", "MSFT")


@pytest.fixture
def url(migrated_url: str) -> str:
    return migrated_url


@pytest.fixture
def charts() -> FakeCharts:
    return FakeCharts(list(DAYS), NOW)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def running(
    url: str,
    folder: Path,
    charts: FakeCharts,
    *,
    address: Callable[[], str] | None = None,
    publish: Callable[[PipelineEvent], None] = lambda event: None,
) -> Iterator[HistoryRun]:
    """`address`: the URL of the database that the workers use, if it differs from `url`."""
    health = DatabaseHealth(lambda _: None)
    health.ready.set()
    health.record_success()
    settings = Settings(database=url, data_dir=folder, history_workers=2, drain_timeout=10)
    run = HistoryRun(
        settings,
        Paths.of(settings),
        url=address or (lambda: url),
        fetch=charts,
        health=health,
        publish=publish,
    )
    run.start()
    try:
        yield run
    finally:
        run.close()


def surveyed(url: str, charts: FakeCharts, resolution: str = "1m", now: datetime = NOW) -> Survey:
    with connect(url, application_name="test") as connection:
        return survey(connection, charts, SYMBOLS, resolution, WINDOW, now)


def heal(
    url: str, folder: Path, charts: FakeCharts, while_running: Callable[[HistoryRun], None] = lambda run: None
) -> HistoryRun:
    with running(url, folder, charts) as run:
        run.add(history_tasks(surveyed(url, charts).coverage, RETRIEVABLE | {CoverageState.UNANSWERED}))
        while_running(run)
        until(lambda: run.idle)
        assert run.ledger().is_balanced
    return run


def stored(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT symbol, resolution, start_time, open, high, low, close, volume, currency FROM bars ORDER BY 1, 2, 3"
        ).fetchall()


def expected() -> list[tuple[object, ...]]:
    bars = [
        bar(symbol, Resolution.MINUTE, start)
        for symbol in SYMBOLS
        for day in DAYS
        for start in day.slots("1m")
    ]
    return [
        (b.symbol, "1m", b.start_time, b.open, b.high, b.low, b.close, b.volume, b.currency) for b in bars
    ]


def states(url: str, charts: FakeCharts) -> set[CoverageState]:
    return {each.state for each in surveyed(url, charts).coverage}


def test_everything_missing_is_stored_exactly_once(url: str, tmp_path: Path, charts: FakeCharts) -> None:
    assert states(url, charts) == {CoverageState.MISSING}
    run = heal(url, tmp_path, charts)
    assert stored(url) == expected()
    assert states(url, charts) == {CoverageState.COMPLETE}
    assert (run.progress.done, run.progress.complete, run.progress.incomplete) == (3, 15, 0)
    # A second time: nothing is requested.
    again = heal(url, tmp_path, charts)
    assert (again.progress.total, again.counters.fetched) == (0, 0)


def test_a_hole_before_newer_bars_is_found_and_filled(url: str, tmp_path: Path, charts: FakeCharts) -> None:
    heal(url, tmp_path, charts)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM bars WHERE symbol = 'MSFT' AND start_time >= '2026-05-05 14:00+00' "
            "AND start_time < '2026-05-05 15:00+00'"
        )
    gaps = [each for each in surveyed(url, charts).coverage if each.state is not CoverageState.COMPLETE]
    assert [(each.symbol, each.day.session_date, each.present) for each in gaps] == [
        ("MSFT", date(2026, 5, 5), 330)
    ]
    run = heal(url, tmp_path, charts)
    assert (run.progress.total, run.counters.stored, run.counters.duplicate) == (1, 60, 330)
    assert stored(url) == expected()


@pytest.mark.thorough
def test_killed_writers_lose_duplicate_and_alter_nothing(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    kills = 0

    def kill_writers(run: HistoryRun) -> None:
        nonlocal kills
        deadline = time.monotonic() + 20
        while not run.idle and kills < 5 and time.monotonic() < deadline:
            for worker in run.writers.workers:
                if worker.pid != os.getpid():
                    # It may just have detected the last kill and have no new process yet.
                    with suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)
                        kills += 1
            time.sleep(0.05)

    charts.before = lambda request: time.sleep(0.1)
    heal(url, tmp_path, charts, kill_writers)
    assert kills
    assert stored(url) == expected()
    assert states(url, charts) == {CoverageState.COMPLETE}


def test_an_unavailable_database_is_waited_for(url: str, tmp_path: Path, charts: FakeCharts) -> None:
    # given workers whose database is unavailable at first
    events: list[PipelineEvent] = []
    present = [f"postgresql:///absent?host={tmp_path}"]
    tasks = history_tasks(surveyed(url, charts).coverage)
    with running(url, tmp_path, charts, address=lambda: present[0], publish=events.append) as run:
        run.add(tasks)
        until(lambda: run.trouble)
        assert all(worker.snapshot().state is not WorkerState.BUSY for worker in run.pool.workers)
        assert not charts.requests["MSFT"]
        # when it is available, then everything is stored, and no worker has ended
        present[0] = url
        until(lambda: run.idle)
    assert stored(url) == expected()
    assert not [
        event for event in events if event.kind is EventKind.WORKER_DIED and "history" in event.worker
    ]


def test_a_full_disk_delays_and_loses_nothing(url: str, tmp_path: Path, charts: FakeCharts) -> None:
    # given a database without room for more than some bars
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NEW.start_time > '2026-05-06' THEN "
            "RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'no space left on device'; END IF; "
            "RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON bars FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )

    def make_room(run: HistoryRun) -> None:
        until(lambda: "disk is full" in run.trouble or "no space" in run.trouble)
        assert not run.idle
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP TRIGGER full_disk ON bars")

    # when there is room again, then every bar is stored, and none was refused
    run = heal(url, tmp_path, charts, make_room)
    assert run.counters.dead == 0
    assert stored(url) == expected()
    assert states(url, charts) == {CoverageState.COMPLETE}


def test_a_currency_that_changes_between_two_answers_is_kept_with_each_bar(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    heal(url, tmp_path, charts)
    charts.currency = "EUR"
    later = trading_day(date(2026, 5, 8))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM bars WHERE start_time >= '2026-05-08'")
    heal(url, tmp_path, charts)
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT DISTINCT start_time >= %s, currency FROM bars ORDER BY 1", [later.start_time]
        )
        assert found.fetchall() == [(False, "USD"), (True, "EUR")]


@pytest.mark.slow
def test_bars_spooled_by_an_interrupted_run_are_stored_by_the_next(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    # given a run whose database is down, ended after it has fetched something
    with running(url, tmp_path, charts) as run:
        run.health.record_failure("down", "57P01")
        run.health.record_failure("down", "57P01")
        run.writer_stage.spooling_since = 0.0
        run.add(history_tasks(surveyed(url, charts).coverage))
        until(lambda: run.ledger().spooled > 0)
    assert stored(url) == []

    # when the next run starts
    health = DatabaseHealth(lambda _: None)
    assert health.status is Health.STARTING
    with running(url, tmp_path, charts) as following:
        until(lambda: following.idle and not following.journal().replay_left)

    # then they are in the table, and the rest is still known to be missing
    assert stored(url)
    heal(url, tmp_path, charts)
    assert stored(url) == expected()


def test_two_concurrent_runs_duplicate_nothing(url: str, tmp_path: Path, charts: FakeCharts) -> None:
    tasks = history_tasks(surveyed(url, charts).coverage)
    with running(url, tmp_path / "one", charts) as one, running(url, tmp_path / "two", charts) as two:
        one.add(tasks)
        two.add(tasks)
        until(lambda: one.idle and two.idle)
        assert one.counters.stored + two.counters.stored == len(expected())
    assert stored(url) == expected()


def test_what_another_run_has_stored_in_the_meantime_is_not_requested(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    tasks = history_tasks(surveyed(url, charts).coverage)
    heal(url, tmp_path, charts)
    before = charts.requests.total()
    with running(url, tmp_path, charts) as late:
        late.add(tasks)
        until(lambda: late.idle)
    assert charts.requests.total() == before
    assert (late.progress.done, late.progress.complete) == (3, 15)


def test_what_the_source_does_not_have_is_requested_three_times(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    lost = DAYS[2].start_time + timedelta(minutes=100)
    charts.null_bars = {("AAPL", lost)}
    for number in range(1, 4):
        heal(url, tmp_path, charts)
        (gap,) = [each for each in surveyed(url, charts).coverage if each.state is not CoverageState.COMPLETE]
        assert gap.attempts.count == number
    assert gap.state is CoverageState.UNANSWERED
    # The source has it later.
    charts.null_bars.clear()
    heal(url, tmp_path, charts)
    assert stored(url) == expected()


def test_an_unknown_symbol_is_refused_and_the_others_are_stored(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    def refuse(request: ChartRequest) -> None:
        if request.symbol == "MSFT":
            raise ChartRefusedError("no chart of MSFT: unknown", Refusal.UNKNOWN_SYMBOL)

    charts.before = refuse
    run = heal(url, tmp_path, charts)
    assert [(each.symbol, each.reason, each.refused) for each in run.progress.failures] == [
        ("MSFT", "no chart of MSFT: unknown", True)
    ]
    assert {row[0] for row in stored(url)} == {"AAPL", "BRK.B"}
    assert states(url, charts) == {CoverageState.COMPLETE, CoverageState.UNANSWERED}
    # It was requested once, and is requested again only on demand.
    assert attempts(url, charts, "MSFT") == {1}
    heal(url, tmp_path, charts)
    assert attempts(url, charts, "MSFT") == {2}


def attempts(url: str, charts: FakeCharts, symbol: str) -> set[int]:
    return {each.attempts.count for each in surveyed(url, charts).coverage if each.symbol == symbol}


def test_an_answer_that_cannot_be_used_is_not_final(url: str, tmp_path: Path, charts: FakeCharts) -> None:
    def refuse(request: ChartRequest) -> None:
        if request.symbol == "MSFT":
            raise ChartRefusedError("no chart of MSFT: an answer for META", Refusal.UNUSABLE)

    charts.before = refuse
    heal(url, tmp_path, charts)
    assert states(url, charts) == {CoverageState.COMPLETE, CoverageState.MISSING}
    assert attempts(url, charts, "MSFT") == {1}


def test_a_complete_day_between_two_requested_ones_completes_neither(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    # given two days to be requested in one window with a complete one between them, of which the source lacks the first
    heal(url, tmp_path, charts)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM bars WHERE symbol = 'MSFT' AND extract(day FROM start_time AT TIME ZONE 'UTC') IN (4, 6)"
        )
    charts.null_bars = {("MSFT", start) for start in DAYS[0].slots("1m")}
    # when they are requested
    run = heal(url, tmp_path, charts)
    # then one is complete
    assert (run.progress.total, run.progress.complete, run.progress.incomplete) == (1, 1, 1)


def test_days_before_the_first_trade_are_not_requested_again(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    charts.first_trade = DAYS[3].start_time
    charts.null_bars = {
        (symbol, start) for symbol in SYMBOLS for day in DAYS[:3] for start in day.slots("1m")
    }
    heal(url, tmp_path, charts)
    counts = [each.state for each in surveyed(url, charts).coverage if each.symbol == "AAPL"]
    assert counts == [CoverageState.UNANSWERED] * 3 + [CoverageState.COMPLETE] * 2
    assert attempts(url, charts, "AAPL") == {1}


def test_requests_to_a_source_that_fails_are_repeated_and_then_abandoned(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    def fail(request: ChartRequest) -> None:
        if request.symbol == "MSFT":
            raise SourceError("Yahoo Finance: no answer")
        if charts.requests[request.symbol] == 2 and request.symbol == "AAPL":
            raise ThrottledError("Yahoo Finance limits the request rate", 0.05)

    charts.before = fail
    run = heal(url, tmp_path, charts)
    assert [(each.reason, each.refused) for each in run.progress.failures] == [
        ("Yahoo Finance: no answer", False)
    ]
    assert {row[0] for row in stored(url)} == {"AAPL", "BRK.B"}
    # Attempts without a response are not counted.
    assert all(each.attempts.count < 2 for each in surveyed(url, charts).coverage)


def test_corporate_actions_are_kept_once(url: str, tmp_path: Path, charts: FakeCharts) -> None:
    opened = DAYS[1].start_time
    charts.actions["AAPL"] = (
        CorporateAction(
            "AAPL", ActionKind.SPLIT, date(2026, 5, 5), opened, Decimal(4), Decimal(1), None, None, NOW
        ),
        CorporateAction(
            "AAPL", ActionKind.DIVIDEND, date(2026, 5, 5), opened, None, None, Decimal("0.27"), "USD", NOW
        ),
    )
    heal(url, tmp_path, charts)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM bars")
    heal(url, tmp_path, charts)
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT kind, numerator, denominator, amount, currency FROM corporate_actions ORDER BY kind"
        ).fetchall()
    assert rows == [
        ("dividend", None, None, Decimal("0.27"), "USD"),
        ("split", Decimal(4), Decimal(1), None, None),
    ]


@pytest.mark.parametrize(
    ("opening", "monday"),
    [
        (datetime(2023, 1, 8, 23, tzinfo=UTC), date(2023, 1, 9)),
        (datetime(2023, 7, 3, 0, tzinfo=UTC), date(2023, 7, 3)),
    ],
    ids=["summer", "winter"],
)
def test_a_session_that_opens_on_the_day_before_in_utc_has_the_date_at_its_exchange(
    url: str, opening: datetime, monday: date
) -> None:
    # given a week of Sydney, whose sessions open at 10:00 there, so long ago that only daily charts reach back to it
    days = weekdays(monday, 5)
    openings = [opening + timedelta(days=number) for number in range(5)]
    sessions = [
        TradingSession("Australia/Sydney", day, MarketState.REGULAR, opened, opened + timedelta(hours=6))
        for day, opened in zip(days, openings, strict=True)
    ]
    charts = FakeCharts([TradingDay(each.session_date, (each,)) for each in sessions], NOW)
    window = (sessions[0].start_time - timedelta(days=1), sessions[-1].end_time)
    # when its trading days are determined
    with connect(url, application_name="test") as connection:
        (market,) = market_days(connection, charts, ["BHP.AX"], window, NOW)
        stored = connection.execute("SELECT session_date FROM sessions ORDER BY start_time").fetchall()
    # then they are the days there
    assert [day.session_date for day in market.days] == days
    assert [row[0] for row in stored] == days


def test_a_half_day_is_one_also_when_the_source_no_longer_states_its_close(url: str) -> None:
    # given a week with a half day, whose sessions were stored while the source stated them
    days = [trading_day(day) for day in weekdays(date(2026, 5, 4), 3)]
    days.append(trading_day(date(2026, 5, 7), minutes=210))
    window = (days[0].start_time, days[-1].end_time)
    with connect(url, application_name="test") as connection:
        market_days(connection, FakeCharts(days, NOW), ["AAPL"], window, NOW)
        # when they are determined three years later, from daily charts
        later = NOW + timedelta(days=1_100)
        (market,) = market_days(connection, FakeCharts(days, later), ["AAPL"], window, later)
        stored = stored_sessions(connection, market.market, *window)
    # then the half day is as short as before
    assert [day.slot_count("1m") for day in market.days] == [390, 390, 390, 210]
    assert [each.end_time for each in stored] == [day.end_time for day in days]


def test_a_source_that_does_not_answer_leaves_the_stored_sessions_unchanged(
    url: str, tmp_path: Path, charts: FakeCharts
) -> None:
    heal(url, tmp_path, charts)

    def fail(request: ChartRequest) -> None:
        raise SourceError("Yahoo Finance: no answer")

    charts.before = fail
    found = surveyed(url, charts)
    assert len(found.coverage) == 15
    assert found.warnings == ("the trading days may be incomplete: Yahoo Finance: no answer",)
