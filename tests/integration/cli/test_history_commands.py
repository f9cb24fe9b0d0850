"""`gaps` and `backfill` as used by scripts, with a database and without a source."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from sp500tui.cli.main import main
from sp500tui.errors import ChartRefusedError, Refusal, SourceError
from sp500tui.logs.redaction import redact_url
from sp500tui.model import Resolution
from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.pipeline.core.snapshot import HistoryFailure
from sp500tui.pipeline.history.coverage import TradingDay
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.sources.yahoo.charts import ChartRequest
from sp500tui.storage.connection import connect
from sp500tui.storage.history.retention import MINUTE_BARS, replace_old
from tests.support.market.charts import FakeCharts, bar, insert_bars, trading_day, weekdays
from tests.support.parameters import rest_thorough
from tests.support.remote.control_socket import Serve
from tests.support.tui.fake_pipeline import FakePipeline, running

NOW = datetime.now(UTC)
DAYS = [trading_day(day) for day in weekdays((NOW - timedelta(days=9)).date(), 4)]


@pytest.fixture
def charts(monkeypatch: pytest.MonkeyPatch) -> FakeCharts:
    """Charts in place of Yahoo Finance; the index has two members."""
    charts = FakeCharts(list(DAYS), NOW)
    sources = SimpleNamespace(
        yahoo=SimpleNamespace(chart=charts, close=lambda: None),
        wikipedia=SimpleNamespace(
            load=lambda: SimpleNamespace(
                constituents=[SimpleNamespace(symbol="AAPL"), SimpleNamespace(symbol="MSFT")]
            )
        ),
        close=lambda: None,
    )
    monkeypatch.setattr(Sources, "open", lambda *_, **__: sources)
    return charts


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Path:
    monkeypatch.setenv("SP500TUI_DATABASE", database_url)
    monkeypatch.setenv("SP500TUI_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def test_gaps_are_listed_and_filled(
    charts: FakeCharts, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a database without bars
    assert main(["gaps"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(DAYS) + 1
    assert lines[0].split() == [str(DAYS[-1].session_date), "missing", "780", "1m", "bars", "AAPL,", "MSFT"]
    assert lines[-1] == "0 of 8 days are complete"

    # when they are filled
    assert main(["backfill"]) == 0
    assert "3,120 bars stored, 0 were there already" in capsys.readouterr().out

    # then nothing is missing, and nothing more is requested
    assert main(["gaps"]) == 0
    assert capsys.readouterr().out == "8 of 8 days are complete\n"
    assert main(["backfill"]) == 0
    assert capsys.readouterr().out == "all bars that Yahoo Finance has are stored\n"


def test_gaps_name_the_holes_in_json(
    charts: FakeCharts, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "--symbols", "AAPL", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bars"] == {
        "fetched": 1560,
        "stored": 1560,
        "duplicate": 0,
        "queued": 0,
        "in_flight": 0,
        "spooled": 0,
        "dead": 0,
    }
    first = DAYS[1].start_time
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM bars WHERE start_time >= %s AND start_time < %s", (first, first + timedelta(hours=1))
        )

    assert main(["gaps", "--symbols", "AAPL", "--json"]) == 1

    (gap,) = json.loads(capsys.readouterr().out)
    assert (gap["symbol"], gap["state"], gap["present"], gap["expected"]) == ("AAPL", "partial", 330, 390)
    assert gap["holes"] == [[first.isoformat(), (first + timedelta(hours=1)).isoformat()]]


def test_a_window_without_trading_days(charts: FakeCharts, capsys: pytest.CaptureFixture[str]) -> None:
    saturday = next(
        day for day in (NOW.date() - timedelta(days=back) for back in range(1, 8)) if day.weekday() == 5
    )
    assert main(["gaps", "--from", str(saturday), "--to", str(saturday)]) == 0
    assert capsys.readouterr().out == "there are no trading days in this window\n"


def test_collected_prices_have_gaps_that_cannot_be_filled(
    charts: FakeCharts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gaps", "--resolution", "quotes", "--symbols", "AAPL"]) == 0
    assert "390 minutes" in capsys.readouterr().out


def test_bars_that_were_replaced_by_longer_ones_are_not_missing(
    charts: FakeCharts, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # given complete one-minute bars, of which those of two days were replaced by 15-minute bars
    assert main(["backfill", "--symbols", "AAPL"]) == 0
    with connect(database_url, application_name="test") as connection:
        assert replace_old(connection, MINUTE_BARS, DAYS[1].end_time) == 2 * 390
    capsys.readouterr()
    # then nothing is missing, which is explained, and nothing is requested again
    assert main(["gaps", "--symbols", "AAPL"]) == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    words = f"{DAYS[1].session_date} replaced 390 1m bars AAPL requested 1 time"
    assert lines[0].split() == words.split()
    assert summary == "2 of 4 days are complete, 2 are replaced by longer bars"
    assert main(["gaps", "--symbols", "AAPL", "--json"]) == 0
    gap = json.loads(capsys.readouterr().out)[0]
    assert (gap["state"], gap["present"], gap["replaced"], gap["expected"]) == ("replaced", 0, 390, 390)
    assert main(["backfill", "--symbols", "AAPL"]) == 0
    assert capsys.readouterr().out == "all bars that Yahoo Finance has are stored\n"


@pytest.mark.parametrize("command", ["gaps", "backfill"])
def test_symbols_whose_trading_days_are_not_known_end_with_1(
    charts: FakeCharts, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # given complete bars of one symbol, and a source without the exchange of the other
    assert main(["backfill", "--symbols", "AAPL"]) == 0
    capsys.readouterr()

    def refuse(request: ChartRequest) -> None:
        if request.symbol == "NONE.XX":
            raise ChartRefusedError("no chart of NONE.XX: unknown", Refusal.UNKNOWN_SYMBOL)

    charts.before = refuse
    assert main([command, "--symbols", "AAPL,NONE.XX"]) == 1
    assert "the trading days may be incomplete: no chart of NONE.XX: unknown" in capsys.readouterr().err


@pytest.mark.parametrize("resolution", rest_thorough(["5m", "1d", "15m", "1h"], 2))
def test_every_resolution(charts: FakeCharts, resolution: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill", "--symbols", "AAPL", "--resolution", resolution]) == 0
    capsys.readouterr()
    assert main(["gaps", "--symbols", "AAPL", "--resolution", resolution]) == 0


def test_days_that_are_too_old_are_named(charts: FakeCharts, capsys: pytest.CaptureFixture[str]) -> None:
    old = trading_day((NOW - timedelta(days=50)).date())
    charts.days.insert(0, old)
    assert main(["backfill", "--symbols", "AAPL", "--from", str(old.session_date)]) == 0
    error = capsys.readouterr().err
    assert f"1 trading day {old.session_date} is too old" in error
    assert "keeps 1m bars for 30 days" in error
    window = ["--from", str(old.session_date), "--to", str(old.session_date)]
    assert main(["backfill", "--symbols", "AAPL", *window]) == 2
    assert "use a longer --resolution" in capsys.readouterr().err
    assert main(["backfill", "--symbols", "AAPL", "--resolution", "15m", *window]) == 0


@pytest.mark.parametrize("command", ["gaps", "backfill"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "2150-01-01"], "--from 2150-01-01 is in the future"),
        (["--from", "2026-05-05", "--to", "2026-05-04"], "--to 2026-05-04 is before --from 2026-05-05"),
        (["--to", "2001-01-01"], "--to 2001-01-01 is before"),
        (["--resolution", "2m"], "--resolution 2m is invalid; give 1m, 5m"),
        (["--resolution", ""], "--resolution '' is invalid"),
        (["--symbols", "not a symbol!"], "is not a symbol"),
        (["--from", "noon"], "neither a date nor a time"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    charts: FakeCharts, command: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize("command", ["gaps", "backfill"])
def test_a_source_without_an_answer_ends_with_its_code(
    charts: FakeCharts, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(request: ChartRequest) -> None:
        raise SourceError("Yahoo Finance: no answer")

    charts.before = fail
    assert main([command, "--symbols", "AAPL"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "no answer" in line


def test_a_database_that_cannot_be_reached_ends_with_its_code(
    charts: FakeCharts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setenv("SP500TUI_DATABASE", f"postgresql:///x?host={tmp_path}")
    assert main(["gaps"]) == 4
    assert main(["backfill"]) == 4


@pytest.mark.parametrize("command", ["gaps", "backfill"])
def test_a_window_without_length_is_refused(
    charts: FakeCharts, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--from", "2026-05-04T15:00", "--to", "2026-05-04T15:00"]) == 2
    assert "a window ends after its start" in capsys.readouterr().err


def test_a_session_that_is_running_is_named(charts: FakeCharts, capsys: pytest.CaptureFixture[str]) -> None:
    opened = NOW - timedelta(minutes=30)
    today = replace(
        trading_day(opened.date()).sessions[0], start_time=opened, end_time=NOW + timedelta(hours=6)
    )
    charts.days.append(TradingDay(opened.date(), (today,)))
    assert (
        main(["backfill", "--symbols", "AAPL", "--from", f"{opened - timedelta(minutes=1):%Y-%m-%dT%H:%MZ}"])
        == 0
    )
    seen = capsys.readouterr()
    assert f"the session of {opened.date()} has not ended" in seen.err
    assert seen.out == "all bars that Yahoo Finance has are stored\n"


def test_an_interrupted_backfill_shows_how_to_continue(
    charts: FakeCharts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given an interrupt as soon as a worker requests minutes
    once = threading.Lock()

    def interrupt(request: ChartRequest) -> None:
        if request.resolution is Resolution.MINUTE and once.acquire(blocking=False):
            signal.raise_signal(signal.SIGINT)

    charts.before = interrupt
    assert main(["backfill"]) == 130
    assert "; the same command fetches the rest" in capsys.readouterr().err
    # then it does
    charts.before = lambda _: None
    assert main(["backfill"]) == 0
    capsys.readouterr()
    assert main(["gaps"]) == 0


EARLIER = HistoryFailure("OLD 1m", "OLD", "of an earlier request", refused=False)


class HealingPipeline(FakePipeline):
    """A running pipeline that stores what is requested at once, and reports it as done with the third question."""

    def __init__(self, url: str, charts: FakeCharts, *, failures: tuple[HistoryFailure, ...] = ()) -> None:
        calm = running()
        super().__init__(replace(calm, database=replace(calm.database, url=redact_url(url))), prices=())
        self.url, self.charts, self.failures = url, charts, failures
        self.questions = 0

    def heal(self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]) -> bool:
        if self.heals:
            with connect(self.url, application_name="test") as connection:
                for symbol in symbols:
                    found = [bar(symbol, resolution, at) for day in DAYS for at in day.slots(resolution)]
                    insert_bars(connection, found)
            self.questions = 3
        return super().heal(resolution, start, end, symbols)

    def history(self) -> HistorySnapshot:
        if not self.questions:
            return HistorySnapshot(
                sessions_completed=7, requests=5, requests_done=5, failed=3, failures=(EARLIER,)
            )
        self.questions -= 1
        left = self.questions > 1
        return HistorySnapshot(
            requests=7,
            requests_done=7 - left,
            sessions_completed=7 + 8 * (not left),
            failed=3 + len(self.failures),
            failures=(EARLIER, *self.failures),
        )


@pytest.fixture
def beside(
    serve: Serve, data: Path, charts: FakeCharts, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., HealingPipeline]:
    """Starts a pipeline on the data folder of the commands."""
    monkeypatch.setenv("SP500TUI_DATA_DIR", str(data.parent))

    def start(**options: Any) -> HealingPipeline:
        pipeline = HealingPipeline(database_url, charts, **options)
        serve(pipeline)
        return pipeline

    return start


def test_a_running_pipeline_fetches_the_bars(
    beside: Callable[..., HealingPipeline], charts: FakeCharts, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a pipeline on the same data folder and database
    pipeline = beside()
    # when bars are missing
    assert main(["backfill", "--json"]) == 0
    seen = capsys.readouterr()
    report = json.loads(seen.out)
    # then they were requested from it, and this program requested only the trading days
    (call,) = [call for call in pipeline.calls if call[0] == "heal"]
    assert (call[1], call[4]) == ("1m", ("AAPL", "MSFT"))
    assert "its live prices come first" in seen.err
    assert report["bars"] == {"stored": 3120}
    assert report["requests"] == {"total": 2, "done": 2, "failed": 0}
    assert report["completed_days"] == 8
    assert report["pipeline"] == os.getpid()
    # and a second time there is nothing to request
    assert main(["backfill"]) == 0
    assert capsys.readouterr().out == "all bars that Yahoo Finance has are stored\n"
    assert len([call for call in pipeline.calls if call[0] == "heal"]) == 1


def test_a_session_that_has_not_ended_is_not_requested_of_a_running_pipeline(
    beside: Callable[..., HealingPipeline], charts: FakeCharts
) -> None:
    # given a running session in addition to those that lack bars
    opened = NOW - timedelta(minutes=30)
    today = trading_day(opened.date()).sessions[0]
    charts.days.append(
        TradingDay(opened.date(), (replace(today, start_time=opened, end_time=NOW + timedelta(hours=6)),))
    )
    pipeline = beside()
    # when everything is to be fetched
    assert main(["backfill"]) == 0
    # then the request ends where that session begins
    (call,) = [call for call in pipeline.calls if call[0] == "heal"]
    assert call[3] == opened


def test_what_the_pipeline_could_not_fetch_ends_with_1(
    beside: Callable[..., HealingPipeline], capsys: pytest.CaptureFixture[str]
) -> None:
    # given a symbol without a chart, of which two windows were requested, and a request without an answer
    refused = [
        HistoryFailure(f"GONE 1m {number}", "GONE", "no chart of GONE", refused=True) for number in (1, 2)
    ]
    beside(failures=(*refused, HistoryFailure("AAPL 1m", "AAPL", "no answer", refused=False)))

    # when the bars are requested
    assert main(["backfill", "--symbols", "AAPL"]) == 1

    # then the reasons are reported as if this program had made the requests
    shown = capsys.readouterr().out.splitlines()
    assert shown[-2:] == ["no chart of GONE", "failed: AAPL 1m: no answer"]
    assert "earlier" not in "".join(shown)


def test_json_has_the_reasons_of_the_pipeline(
    beside: Callable[..., HealingPipeline], capsys: pytest.CaptureFixture[str]
) -> None:
    beside(failures=(HistoryFailure("GONE 1m", "GONE", "delisted", refused=True),))
    assert main(["backfill", "--symbols", "AAPL", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["requests"]["failed"] == 0
    assert (report["refused"], report["failed"]) == ([{"symbol": "GONE", "reason": "delisted"}], [])


def test_a_pipeline_that_does_not_take_the_request_is_not_waited_for(
    beside: Callable[..., HealingPipeline], capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = beside()
    pipeline.heals = False
    assert main(["backfill"]) == 0
    assert "3,120 bars stored, 0 were there already" in capsys.readouterr().out


def test_a_pipeline_with_another_database_is_not_used(
    beside: Callable[..., HealingPipeline], capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = beside()
    shown = pipeline.now_shows
    pipeline.now_shows = replace(shown, database=replace(shown.database, url="postgresql://other/prices"))
    assert main(["backfill"]) == 0
    assert "3,120 bars stored" in capsys.readouterr().out
    assert not [call for call in pipeline.calls if call[0] == "heal"]
