"""A running pipeline fetches missing bars in the background and replaces old prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ChartRefusedError, Refusal, SourceError
from sp500tui.model import Resolution
from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.pipeline.history.coverage import TradingDay
from sp500tui.pipeline.runtime.history import HistoryRun
from sp500tui.pipeline.runtime.maintenance import HealRequest, Maintenance
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.yahoo.charts import ChartRequest
from sp500tui.storage.connection import connect
from tests.support.market.charts import FakeCharts, bar, insert_bars, trading_day, weekdays
from tests.support.parameters import rest_thorough
from tests.support.waiting import Wait

NOW = datetime.now(UTC)
DAYS = [trading_day(day) for day in weekdays((NOW - timedelta(days=9)).date(), 4)]

SINCE = DAYS[1:]
"""Sessions that began after the database was created, at any time of day."""


@pytest.fixture
def url(migrated_url: str) -> str:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("UPDATE schema_version SET applied_at = applied_at - interval '8 days'")
    return migrated_url


@contextmanager
def maintained(
    url: str, folder: Path, charts: FakeCharts, clock: Callable[[], float] = time.time, **settings: Any
) -> Iterator[Maintenance]:
    health = DatabaseHealth(lambda _: None)
    health.ready.set()
    health.record_success()
    chosen = Settings(database=url, data_dir=folder, **settings)
    background = Throttle(1000).background
    run = HistoryRun(
        chosen,
        Paths.of(chosen),
        url=lambda: url,
        fetch=charts,
        health=health,
        publish=lambda _: None,
        background=background,
    )
    maintenance = Maintenance(
        chosen,
        run,
        url=lambda: url,
        symbols=lambda: ["AAPL", "MSFT"],
        fetch=charts,
        background=background,
        health=health,
        clock=clock,
    )
    if maintenance.required:
        maintenance.start()
    try:
        yield maintenance
    finally:
        maintenance.close(drain=True)


def count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_missing_bars_are_fetched_since_the_database_was_created(
    url: str, tmp_path: Path, eventually: Wait
) -> None:
    charts = FakeCharts(list(DAYS), NOW)
    with maintained(url, tmp_path, charts, heal=True):
        eventually(lambda: count(url, "bars") >= 2 * 390 * 3)
    stored = count(url, "bars")
    # A second time, after a restart: only the trading days are requested.
    again = FakeCharts(list(DAYS), NOW)
    with maintained(url, tmp_path, again, heal=True) as maintenance:
        eventually(lambda: again.requests["AAPL"] == 1)
        assert maintenance.progress().requests == 0
    assert count(url, "bars") == stored


def test_after_a_wake_up_what_was_missed_is_fetched(url: str, tmp_path: Path, eventually: Wait) -> None:
    # given a program that has all bars up to the day before the last one
    charts, ahead = FakeCharts(list(SINCE[:-1]), NOW), [0.0]
    with maintained(url, tmp_path, charts, lambda: time.time() + ahead[0], heal=True) as maintenance:
        first = count_days(url)
        eventually(lambda: count_days(url) == 2 * (len(SINCE) - 1) and not maintenance.progress().busy)
        assert first == 0
        surveys = charts.requests["AAPL"]
        # when the machine was asleep for 19.5 hours, in which a session took place
        charts.days.append(SINCE[-1])
        ahead[0] = 19.5 * 3600
        # then that one is fetched at once, and nothing else is requested again
        eventually(lambda: count_days(url) == 2 * len(SINCE) and not maintenance.progress().busy)
        assert charts.requests["AAPL"] == surveys + 2
        assert charts.requests["MSFT"] == 2


@pytest.mark.parametrize("seconds", rest_thorough([-7200.0, 30.0]))
def test_a_clock_that_is_set_back_or_corrected_does_not_count_as_a_wake_up(
    url: str, tmp_path: Path, eventually: Wait, seconds: float
) -> None:
    charts, ahead = FakeCharts(list(SINCE[:-1]), NOW), [0.0]
    steps = []

    def clock() -> float:
        steps.append(ahead[0])
        return time.time() + ahead[0]

    with maintained(url, tmp_path, charts, clock, heal=True) as maintenance:
        eventually(lambda: count_days(url) == 2 * (len(SINCE) - 1) and not maintenance.progress().busy)
        asked = charts.requests.copy()
        ahead[0] = seconds
        eventually(lambda: steps.count(seconds) >= 3)
        assert charts.requests == asked


def test_a_hole_before_newer_bars_is_found_after_a_start(url: str, tmp_path: Path, eventually: Wait) -> None:
    # given the bars of the last day only, and none of an hour in the middle of it
    newest = SINCE[-1]
    kept = [start for start in newest.slots("1m") if not 60 <= newest.slots("1m").index(start) < 120]
    with connect(url, application_name="test") as connection:
        for symbol in ("AAPL", "MSFT"):
            insert_bars(connection, [bar(symbol, Resolution.MINUTE, start) for start in kept])
    # when a program with heal starts
    with maintained(url, tmp_path, FakeCharts(list(SINCE), NOW), heal=True):
        eventually(lambda: count_days(url) == 2 * len(SINCE))
    assert count(url, "bars") == 2 * len(SINCE) * 390


def count_days(url: str) -> int:
    """Number of days with all bars."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM coverage WHERE state = 'complete'").fetchone()
    assert row is not None
    return int(row[0])


def test_nothing_is_done_without_a_setting(url: str, tmp_path: Path) -> None:
    charts = FakeCharts(list(DAYS), NOW)
    with maintained(url, tmp_path, charts) as maintenance:
        assert not maintenance.required
    assert not charts.requests


def test_a_front_end_has_the_coverage_determined_without_a_request_for_bars(
    url: str, tmp_path: Path, eventually: Wait
) -> None:
    charts = FakeCharts(list(DAYS), NOW)
    with maintained(url, tmp_path, charts) as maintenance:
        start = DAYS[0].start_time - timedelta(hours=1)
        maintenance.request(HealRequest(Resolution.MINUTE, start, NOW, (), fetch=False))
        eventually(lambda: not maintenance.progress().busy)
        assert count(url, "coverage") >= 2 * 3
        assert (count(url, "bars"), maintenance.progress()) == (0, HistorySnapshot())


def test_why_a_source_refuses_is_part_of_the_progress(url: str, tmp_path: Path, eventually: Wait) -> None:
    charts = FakeCharts(list(DAYS), NOW)

    def refuse(request: ChartRequest) -> None:
        if request.resolution is Resolution.MINUTE:
            raise ChartRefusedError("no chart of MSFT: delisted", Refusal.UNKNOWN_SYMBOL)

    charts.before = refuse
    with maintained(url, tmp_path, charts) as maintenance:
        start = DAYS[1].start_time - timedelta(hours=1)
        maintenance.request(HealRequest(Resolution.MINUTE, start, DAYS[1].end_time, ("MSFT",)))
        eventually(lambda: not maintenance.progress().busy)
        progress = maintenance.progress()
        assert (progress.failed, progress.problem) == (1, "no chart of MSFT: delisted")


def test_the_finished_bars_of_a_running_session_are_fetched_for_named_symbols(
    url: str, tmp_path: Path, eventually: Wait
) -> None:
    # given a session that began an hour ago
    running = trading_day(NOW.date())
    session = replace(
        running.sessions[0],
        start_time=NOW - timedelta(hours=1),
        end_time=NOW + timedelta(hours=5),
    )
    charts = FakeCharts([TradingDay(session.session_date, (session,))], NOW)
    charts.null_bars = {
        (symbol, start)
        for symbol in ("AAPL", "MSFT")
        for start in session.bar_starts(Resolution.MINUTE)
        if start + timedelta(minutes=2) > NOW
    }
    with maintained(url, tmp_path, charts) as maintenance:
        for symbols in ((), ("AAPL",)):
            maintenance.request(
                HealRequest(Resolution.MINUTE, NOW - timedelta(hours=2), NOW + timedelta(hours=9), symbols)
            )
        eventually(lambda: not maintenance.progress().busy)
        assert 55 <= count(url, "bars") <= 60
        assert maintenance.progress().sessions_incomplete == 1
    # and none of these requests counts when the session has ended
    with connect(url, application_name="test") as connection:
        assert connection.execute(
            "SELECT state, attempts FROM coverage WHERE symbol = 'AAPL'"
        ).fetchall() == [("not yet", 0)]


def test_a_front_end_has_missing_bars_fetched(url: str, tmp_path: Path, eventually: Wait) -> None:
    # given a pipeline without heal
    charts = FakeCharts(list(DAYS), NOW)
    with maintained(url, tmp_path, charts) as maintenance:
        assert maintenance.progress() == HistorySnapshot()
        # when one session of one symbol is requested
        day = DAYS[1]
        start, end = day.start_time - timedelta(hours=1), day.end_time + timedelta(hours=1)
        maintenance.request(HealRequest(Resolution.MINUTE, start, end, ("AAPL",)))
        assert maintenance.progress().busy
        eventually(lambda: not maintenance.progress().busy)
        # then it is stored, and nothing else
        assert count(url, "bars") == 390
        progress = maintenance.progress()
        assert (progress.requests, progress.requests_done, progress.sessions_completed) == (1, 1, 1)
        # and a request for all symbols fetches the rest
        maintenance.request(HealRequest(Resolution.MINUTE, DAYS[0].start_time, NOW, ()))
        eventually(lambda: count(url, "bars") >= 2 * 390 * 3)


def test_a_request_that_fails_is_abandoned_with_a_warning(
    url: str, tmp_path: Path, eventually: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    charts = FakeCharts([], NOW)

    def fail(request: ChartRequest) -> None:
        raise SourceError("Yahoo Finance: no answer")

    charts.before = fail
    with maintained(url, tmp_path, charts) as maintenance:
        maintenance.request(HealRequest(Resolution.MINUTE, NOW - timedelta(days=3), NOW, ("AAPL",)))
        eventually(lambda: not maintenance.progress().busy)
        assert maintenance.thread.failures == 0
    assert "no answer" in caplog.text


def test_an_end_during_a_survey_is_no_error(url: str, tmp_path: Path, eventually: Wait) -> None:
    # given a request that is being determined until the end of the run
    charts = FakeCharts(list(DAYS), NOW)
    with maintained(url, tmp_path, charts) as maintenance:
        charts.before = lambda _: eventually(lambda: maintenance.thread.stopping)
        maintenance.request(HealRequest(Resolution.MINUTE, NOW - timedelta(days=3), NOW, ("AAPL",)))
        eventually(lambda: charts.requests["AAPL"])
    # then the thread ends with it
    assert not maintenance.thread.is_alive()
    assert maintenance.thread.failures == 0


def test_a_source_that_fails_does_not_end_it(url: str, tmp_path: Path, eventually: Wait) -> None:
    charts = FakeCharts(list(DAYS), NOW)

    def fail(request: ChartRequest) -> None:
        raise SourceError("Yahoo Finance: no answer")

    charts.before = fail
    with maintained(url, tmp_path, charts, heal=True) as maintenance:
        eventually(lambda: charts.requests["AAPL"] >= 1)
        assert maintenance.thread.is_alive()
        assert maintenance.thread.failures == 0


def test_bars_that_are_not_kept_are_not_fetched_again(url: str, tmp_path: Path, eventually: Wait) -> None:
    # given a pipeline that fetches missing bars, and keeps one-minute bars for a day
    charts = FakeCharts(list(DAYS), NOW)
    with maintained(url, tmp_path, charts, heal=True, keep_bars_1m="1d") as maintenance:
        # when both are done, which happens before a request of a front end
        day = DAYS[-1]
        maintenance.request(HealRequest(Resolution.DAY, day.start_time, day.end_time, ("AAPL",), fetch=False))
        eventually(lambda: charts.requests["AAPL"] and not maintenance.progress().busy)
        # then no older bars were requested, only to be replaced
        assert maintenance.progress().requests == 0
    assert count(url, "bars") == 0


def test_old_prices_are_replaced_by_bars(url: str, tmp_path: Path, eventually: Wait) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO prices "
            "(symbol, quote_time, price, currency, converted_currency, market_state, fetched_at) "
            "SELECT 'AAPL', now() - number * interval '1 day', 100, 'USD', 'DKK', 'REGULAR', now() "
            "FROM generate_series(1, 100) AS number"
        )
    with maintained(url, tmp_path, FakeCharts([], NOW), keep_quotes="90d"):
        eventually(lambda: count(url, "bars") >= 10)
    assert count(url, "prices") + count(url, "bars") == 100
