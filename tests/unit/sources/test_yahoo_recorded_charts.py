"""Recorded answers of the chart endpoint become bars, sessions and corporate actions."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from sp500tui.model import ActionKind, MarketState, Resolution
from sp500tui.sources.yahoo.charts import SETTLING, ChartRequest, parse_chart
from sp500tui.sources.yahoo.json_values import read_json
from tests.support.market.chart_answers import CLOSED, LATER, OPENED, parse, starts, utc
from tests.support.market.recordings import FOLDERS, REAL_RECORDINGS, RECORDINGS, needs_real, own_and_real


def recorded(path: Path) -> Any:
    """The body as the client decodes it."""
    return read_json(
        json.dumps(json.loads(path.read_text("utf-8"))["response"]["bodyJson"]).encode(), parse_float=float
    )


def request_of(path: Path, resolution: Resolution) -> ChartRequest:
    """The request of a recording; an own one has a window around its bars."""
    url = json.loads(path.read_text("utf-8")).get("request", {}).get("url")
    if url is None:
        return ChartRequest("ZQA", resolution, OPENED - timedelta(days=400), CLOSED)
    query = parse_qs(urlsplit(url).query)
    start, end = (datetime.fromtimestamp(int(query[name][0]), UTC) for name in ("period1", "period2"))
    return ChartRequest(urlsplit(url).path.rpartition("/")[2], resolution, start, end)


CHARTS = [
    ("2026_chart-day.json", "2025_chart-AAPL.json", Resolution.DAY, 1),
    ("2026_chart-split.json", "2021_chart-NVDA-1d-split.json", Resolution.DAY, 252),
    ("2026_chart-minutes.json", "2024_chart-AAPL-1m.json", Resolution.MINUTE, 389),
    (None, "2020_chart-CRON-1d.json", Resolution.DAY, 1),
    (None, "2023_chart-WSU.DE-1d.json", Resolution.DAY, 3),
]


@pytest.mark.parametrize(
    ("path", "resolution", "count"),
    [
        pytest.param(REAL_RECORDINGS / "yahoo" / real, resolution, count, id=real, marks=needs_real)
        for _, real, resolution, count in CHARTS
    ]
    + [
        pytest.param(RECORDINGS / "yahoo" / own, resolution, None, id=own)
        for own, _, resolution, _ in CHARTS
        if own
    ],
)
def test_recorded_charts_are_parsed_exactly(path: Path, resolution: Resolution, count: int | None) -> None:
    # given a recorded answer
    body = recorded(path)
    chart = parse_chart(body, request_of(path, resolution), LATER)

    # then its bars are the elements with prices, at the times and with the numbers printed before single precision
    result = body["chart"]["result"][0]
    quote = result["indicators"]["quote"][0]
    names = ("open", "high", "low", "close")
    expected = [
        (time, *(Decimal(str(np.float32(quote[name][at]))) for name in names), quote["volume"][at])
        for at, time in enumerate(result["timestamp"])
        if quote["open"][at] is not None and time <= chart.request.end.timestamp()
    ]
    found = [
        (int(bar.start_time.timestamp()), bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in chart.bars
    ]
    extra = [element for element in expected if element[0] not in {bar[0] for bar in found}]
    assert found == [element for element in expected if element not in extra]
    assert count is None or len(found) == count
    # and what was dropped is no bar: the latest trade, without a volume
    assert all(element[-1] == 0 and len(set(element[1:5])) == 1 for element in extra)
    assert {bar.currency for bar in chart.bars} == {result["meta"]["currency"]}
    assert not chart.unfinished


@pytest.mark.parametrize(
    "path", own_and_real("yahoo/2026_chart-minutes.json", "yahoo/2024_chart-AAPL-1m.json")
)
def test_a_recorded_day_of_minutes_names_its_hole_and_its_sessions(path: Path) -> None:
    chart = parse_chart(recorded(path), request_of(path, Resolution.MINUTE), LATER)
    (day,) = [each for each in chart.sessions if each.start_time == chart.bars[0].start_time]
    whole = day.bar_starts(Resolution.MINUTE)
    assert len(whole) == 390
    assert set(whole) <= {*starts(chart), *chart.missing}
    assert len([hole for hole in chart.missing if day.start_time <= hole < day.end_time]) == 1
    assert len(chart.sessions) == 3
    assert {session.market for session in chart.sessions} == {"America/New_York"}
    assert {session.kind for session in chart.sessions} == {MarketState.REGULAR}


@needs_real
def test_the_recorded_minutes_read_as_they_were_printed() -> None:
    path = REAL_RECORDINGS / "yahoo/2024_chart-AAPL-1m.json"
    chart = parse_chart(recorded(path), request_of(path, Resolution.MINUTE), LATER)
    last = chart.bars[-1]
    assert last.start_time == utc(2024, 10, 2, 19, 59)
    assert [str(price) for price in (last.open, last.high, last.low, last.close)] == [
        "226.86", "226.9601", "226.6901", "226.81",
    ]  # fmt: skip
    assert chart.missing == (utc(2024, 10, 2, 15, 15),)


@pytest.mark.parametrize(
    "path", own_and_real("yahoo/2026_chart-split.json", "yahoo/2021_chart-NVDA-1d-split.json")
)
def test_a_recorded_split_is_an_action(path: Path) -> None:
    chart = parse_chart(recorded(path), request_of(path, Resolution.DAY), LATER)
    (split,) = chart.actions
    assert split.kind is ActionKind.SPLIT
    assert split.effective_date in {start.date() for start in starts(chart)}
    assert split.effective_time == datetime.combine(split.effective_date, time(4), UTC), (
        "midnight in New York"
    )
    assert split.numerator in (3, 4)
    assert split.denominator == 1
    assert (split.amount, split.currency) == (None, None)


def test_a_weekend_is_an_answer_without_bars() -> None:
    chart = parse(recorded(RECORDINGS / "yahoo/2026_chart-weekend.json"), start=CLOSED, end=LATER)
    assert (chart.bars, chart.unfinished, chart.missing) == ((), (), ())
    assert chart.first_trade == utc(1992, 3, 24, 13)


def test_sessions_around_the_regular_one_have_their_own_grids() -> None:
    # given two days with all sessions, of which the second is a half day
    chart = parse(recorded(RECORDINGS / "yahoo/2026_chart-extended.json"), Resolution.QUARTER_HOUR)

    # then the sessions are those of the answer, in order, and the bars are on their grids
    kinds = [(session.session_date, session.kind) for session in chart.sessions]
    days = [date(2026, 4, 30), date(2026, 5, 1)]
    assert kinds == [
        (day, kind) for day in days for kind in (MarketState.PRE, MarketState.REGULAR, MarketState.POST)
    ]
    half_day = chart.sessions[4]
    assert half_day.end_time - half_day.start_time == timedelta(hours=3, minutes=30)
    grid = [start for session in chart.sessions for start in session.bar_starts(Resolution.QUARTER_HOUR)]
    assert sorted([*starts(chart), *chart.missing]) == grid
    assert len(chart.missing) == 1


def test_the_running_day_is_not_finished_and_starts_at_its_opening() -> None:
    # given an answer of a running day, whose last element has the time of the latest trade
    body = recorded(RECORDINGS / "yahoo/2026_chart-running.json")
    during = parse(body, Resolution.DAY, now=OPENED + timedelta(seconds=7_400))
    after = parse(body, Resolution.DAY, now=CLOSED + SETTLING)

    # then it is one bar, from the opening, that is final after the close
    assert starts(during) == [OPENED - timedelta(days=days) for days in (4, 3, 2, 1)]
    assert [bar.start_time for bar in during.unfinished] == [OPENED]
    assert starts(after) == [*starts(during), OPENED]
    assert after.unfinished == ()
    # and an unnamed currency is not invented
    assert {bar.currency for bar in after.bars} == {None}


def test_payments_are_actions_with_their_currency() -> None:
    body = recorded(RECORDINGS / "yahoo/2026_chart-running.json")
    body["chart"]["result"][0]["meta"]["currency"] = "USD"
    found = [
        (action.kind, action.effective_date, str(action.amount), action.currency)
        for action in parse(body, Resolution.DAY).actions
    ]
    assert found == [
        (ActionKind.DIVIDEND, date(2026, 4, 28), "0.24", "USD"),
        (ActionKind.CAPITAL_GAIN, date(2026, 4, 30), "0.120001", "USD"),
        (ActionKind.DIVIDEND, date(2026, 4, 30), "1.1", "CAD"),
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_recorded_chart_is_covered_here(folder: Path) -> None:
    known = {name for own, real, *_ in CHARTS for name in (own, real)}
    known |= {f"2026_chart-{kind}.json" for kind in ("weekend", "extended", "running")}
    assert {path.name for path in (folder / "yahoo").glob("*chart*.json")} <= known
