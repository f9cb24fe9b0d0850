"""Answers of the chart endpoint become bars, sessions and corporate actions, or a refusal in words."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.errors import ChartRefusedError, Refusal, SourceError
from sp500tui.model import Bar, MarketState, Resolution, TradingSession
from sp500tui.sources.yahoo.charts import ChartRequest, parse_chart
from sp500tui.sources.yahoo.json_values import read_chart, read_json
from tests.data.make_recordings import CLOSING, DAY, OPENING, as_float32, periods
from tests.support.market.chart_answers import CLOSED, LATER, MINUTE, OPENED, answer, parse, starts, utc


@pytest.mark.parametrize(
    "event",
    [
        {"date": OPENING, "numerator": 0, "denominator": 1},
        {"date": OPENING, "numerator": 4},
        {"date": OPENING, "numerator": "4", "denominator": "1"},
        {"numerator": 4, "denominator": 1},
        {"date": "then", "numerator": 4, "denominator": 1},
    ],
)
def test_an_unreadable_action_is_logged_and_costs_no_bar(
    event: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    body = answer([OPENING])
    body["chart"]["result"][0]["events"] = {"splits": {"x": event}, "dividends": None}
    chart = parse(body)
    assert (chart.actions, len(chart.bars)) == ((), 1)
    assert "unreadable split of ZQA" in caplog.text


def test_a_repeated_current_day_is_one_bar() -> None:
    body = answer(
        [OPENING, OPENING + 5_000], "1d", open=[10, 10.5], meta={"regularMarketTime": OPENING + 5_000}
    )
    chart = parse(body, Resolution.DAY)
    assert [(bar.start_time, bar.open) for bar in chart.bars] == [(OPENED, Decimal(10))]


def test_days_of_another_year_keep_the_opening_of_their_season() -> None:
    winter = int(utc(2026, 1, 15, 14, 30).timestamp())
    chart = parse(answer([winter, OPENING], "1d"), Resolution.DAY, start=utc(2026, 1, 1))
    assert starts(chart) == [utc(2026, 1, 15, 14, 30), OPENED]


@pytest.mark.parametrize(
    "column", [{"open": [10, None, 10]}, {"close": [11, 0, 11]}, {"high": [12, float("nan"), 12]}, {"low": [9, -9, 9]},
               {"high": [12, 8, 12]}, {"open": [10, True, 10]}, {"open": [10, "10", 10]}],
)  # fmt: skip
def test_an_element_without_possible_prices_is_missing_not_flat(column: dict[str, list[Any]]) -> None:
    chart = parse(answer([OPENING, OPENING + 60, OPENING + 120], **column), end=OPENED + 3 * MINUTE)
    assert starts(chart) == [OPENED, OPENED + 2 * MINUTE]
    assert chart.missing == (OPENED + MINUTE,)


def test_an_element_that_is_not_in_the_answer_is_missing() -> None:
    chart = parse(answer([OPENING, OPENING + 120]), end=OPENED + 4 * MINUTE)
    assert chart.missing == (OPENED + MINUTE, OPENED + 3 * MINUTE)


@pytest.mark.parametrize(
    "extra",
    [CLOSING, CLOSING + 1, OPENING - 60, OPENING + 61, OPENING + DAY, OPENING],
    ids=["the close", "after it", "before the opening", "off the grid", "another day", "a second one"],
)
def test_an_element_off_the_grid_is_no_bar(extra: int) -> None:
    # given a last element that repeats the latest trade
    columns = {name: [value, 77] for name, value in {"open": 10, "high": 12, "low": 9, "close": 11}.items()}
    chart = parse(answer([OPENING, extra], volume=[100, 0], **columns))
    assert [(bar.start_time, bar.close) for bar in chart.bars] == [(OPENED, Decimal(11))]


def test_bars_outside_the_window_are_dropped() -> None:
    times = [OPENING + 60 * minute for minute in range(5)]
    chart = parse(answer(times), start=OPENED + MINUTE, end=OPENED + 3 * MINUTE)
    assert starts(chart) == [OPENED + MINUTE, OPENED + 2 * MINUTE]
    assert chart.missing == ()


@pytest.mark.parametrize(
    ("seconds", "finished", "unfinished"), [(59, 0, 1), (60, 0, 2), (119, 0, 2), (120, 1, 2)]
)
def test_a_bar_is_final_a_minute_after_its_end(seconds: int, finished: int, unfinished: int) -> None:
    times = [OPENING + 60 * minute for minute in range(seconds // 60 + 1)]
    chart = parse(answer(times), now=OPENED + timedelta(seconds=seconds))
    assert (len(chart.bars), len(chart.unfinished), chart.missing) == (finished, unfinished, ())


def test_a_bar_of_the_future_is_dropped() -> None:
    chart = parse(answer([OPENING, OPENING + 600]), now=OPENED + MINUTE)
    assert [bar.start_time for bar in chart.unfinished] == [OPENED]


def test_a_shorter_resolution_is_merged_along_the_session() -> None:
    # given quarters of an hour, of which one has no prices
    times = [OPENING + 900 * number for number in range(26)]
    columns: dict[str, list[int | None]] = {
        "open": [10 + number for number in range(26)],
        "high": [13 + number for number in range(26)],
        "low": [9 + number for number in range(26)],
        "close": [11 + number for number in range(26)],
    }
    columns["close"][5] = None
    chart = parse(answer(times, "15m", **columns), Resolution.HALF_HOUR)

    # then two make half an hour, and the incomplete one is missing
    first = chart.bars[0]
    assert (first.start_time, first.volume) == (OPENED, 200)
    assert [first.open, first.high, first.low, first.close] == [10, 14, 9, 12]
    assert len(chart.bars) == 12
    assert chart.missing == (OPENED + timedelta(hours=1),)


def test_the_last_hour_of_a_session_is_shorter() -> None:
    times = [OPENING + 3_600 * number for number in range(7)]
    chart = parse(answer(times, "1h"), Resolution.HOUR)
    assert starts(chart) == [OPENED + timedelta(hours=number) for number in range(7)]
    assert parse(answer(times, "60m"), Resolution.HOUR).bars == chart.bars


@pytest.mark.parametrize(
    ("body", "refusal", "words"),
    [
        (answer([OPENING], "60m"), Refusal.UNUSABLE, "the answer has 60m bars"),
        (answer([OPENING], "1mo"), Refusal.UNUSABLE, "the answer has 1mo bars"),
        (answer([OPENING], meta={"dataGranularity": None}), Refusal.UNUSABLE, "the answer has None bars"),
        (answer([OPENING], meta={"symbol": "ZQB"}), Refusal.UNUSABLE, "the answer is for ZQB"),
        (answer([OPENING], open=[1, 2]), Refusal.UNUSABLE, "columns of the answer differ in length"),
        (answer([OPENING], low=None), Refusal.UNUSABLE, "columns of the answer differ in length"),
        (answer([OPENING], meta={"tradingPeriods": None, "currentTradingPeriod": None}), Refusal.UNUSABLE,
         "names no trading periods"),
        ({"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found"}}},
         Refusal.UNKNOWN_SYMBOL, "No data found; check the symbol"),
        ({"chart": {"result": None, "error": {"code": "Unprocessable Entity", "description": "too long"}}},
         Refusal.WINDOW, "too long; give a window within the last 30 days and of at most 7 days"),
        ({"chart": {"result": None, "error": {"description": "Data doesn't exist for startDate = 1"}}},
         Refusal.NO_DATA, "give a later start"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_request_and_the_remedy(body: Any, refusal: Refusal, words: str) -> None:
    with pytest.raises(ChartRefusedError) as error:
        parse(body, end=OPENED + MINUTE, start=OPENED)
    assert error.value.refusal is refusal
    message = str(error.value)
    assert message.startswith(
        "Yahoo Finance has no chart of ZQA: 1m bars from 2026-05-01 13:30 to 2026-05-01 13:31 UTC: "
    )
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "unknown shape"),
        ([], "unknown shape"),
        ({"chart": {"result": [], "error": None}}, "unknown shape"),
        ({"chart": {"result": [{"meta": None}]}}, "unknown shape"),
        (
            {"finance": {"error": {"code": "Internal Server Error", "description": "Duplicate key 1"}}},
            "Duplicate key",
        ),
    ],
)
def test_a_failure_of_the_service_is_no_refusal(body: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        parse(body)
    assert not isinstance(error.value, ChartRefusedError)


def test_a_dollar_pair_may_answer_with_its_short_name() -> None:
    body = answer([OPENING], meta={"symbol": "DKK=X"})
    request = ChartRequest("USDDKK=X", Resolution.MINUTE, OPENED, CLOSED)
    assert len(parse_chart(body, request, LATER).bars) == 1


def test_a_bar_without_a_volume_has_prices() -> None:
    assert parse(answer([OPENING], volume=[None])).bars[0].volume is None


def test_a_session_lists_the_starts_of_its_bars() -> None:
    session = TradingSession("America/New_York", date(2026, 5, 1), MarketState.REGULAR, OPENED, CLOSED)
    counts = {resolution: len(session.bar_starts(resolution)) for resolution in Resolution}
    assert counts == {"1m": 390, "5m": 78, "15m": 26, "30m": 13, "1h": 7, "1d": 1}
    pre = TradingSession(
        "America/New_York", date(2026, 5, 1), MarketState.PRE, OPENED - timedelta(hours=5.5), OPENED
    )
    assert pre.bar_starts(Resolution.DAY) == []


@given(st.lists(st.decimals("0.01", "99999.99", places=2), min_size=1, max_size=60), st.data())
def test_bars_have_the_prices_that_were_printed(prices: list[Decimal], data: st.DataObject) -> None:
    # given minutes in single precision, of which some have no prices and some no volume
    times = [OPENING + 60 * minute for minute in range(len(prices))]
    holes = data.draw(st.sets(st.sampled_from(times)))
    column = [
        None if time in holes else as_float32(float(price)) for time, price in zip(times, prices, strict=True)
    ]
    volumes = [None if price % 2 else 100 for price in prices]
    body = json.dumps(answer(times, open=column, high=column, low=column, close=column, volume=volumes))

    # then every bar has its price to the digit, and the others are missing
    chart = parse(read_chart(body.encode()), end=OPENED + MINUTE * len(prices))
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in chart.bars] == [
        (price,) * 4 + (volume,)
        for time, price, volume in zip(times, prices, volumes, strict=True)
        if time not in holes
    ]
    assert [int(start.timestamp()) for start in chart.missing] == sorted(holes)


def test_elements_out_of_order_are_bars_in_order() -> None:
    times = [OPENING + 60 * minute for minute in (0, 2, 1, 3)]
    chart = parse(answer(times, volume=[0, 2, 1, 3]), end=OPENED + 4 * MINUTE)
    assert [(bar.start_time - OPENED) // MINUTE for bar in chart.bars] == [0, 1, 2, 3]
    assert [bar.volume for bar in chart.bars] == [0, 1, 2, 3]


@pytest.mark.parametrize(("opens", "bar"), [([10, 11], 10), ([None, 11], 11), ([10, None], 10)])
def test_of_two_elements_at_one_time_the_first_with_prices_counts(opens: list[Any], bar: int) -> None:
    chart = parse(answer([OPENING, OPENING], open=opens), end=OPENED + MINUTE)
    assert [each.open for each in chart.bars] == [bar]
    assert not chart.missing


def test_a_day_that_closes_early_has_fewer_bars() -> None:
    early = [[periods()["regular"] | {"end": OPENING + 210 * 60}]]
    times = [OPENING + 60 * minute for minute in range(390)]
    chart = parse(answer(times, sessions=early))
    assert len(chart.bars) == 210
    assert chart.missing == ()


@pytest.mark.parametrize("volume", [-1, 2**63, "100", float("inf"), True])
def test_an_impossible_volume_costs_no_prices(volume: object) -> None:
    assert [bar.volume for bar in parse(answer([OPENING, OPENING + 60], volume=[volume, 7])).bars] == [
        None,
        7,
    ]


def test_a_chart_with_a_number_that_is_no_json_is_read() -> None:
    body = json.dumps(answer([OPENING, OPENING + 60], open=[float("nan"), 10])).encode()
    chart = parse(read_chart(body), end=OPENED + 2 * MINUTE)
    assert (starts(chart), chart.missing) == ([OPENED + MINUTE], (OPENED,))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"chart":', b"[" * 100_000])
def test_a_chart_that_is_no_json_is_a_failure_of_the_service(body: bytes) -> None:
    with pytest.raises(SourceError, match="instead of a chart"):
        read_chart(body)


def test_numbers_that_no_float_holds_cost_their_element_only() -> None:
    body = answer([OPENING, 10**400, OPENING + 60], open=[10, 10, 10**400], volume=[10**400, 1, 1])
    chart = parse(read_chart(json.dumps(body).encode()), end=OPENED + 2 * MINUTE)
    assert [(bar.start_time, bar.volume) for bar in chart.bars] == [(OPENED, None)]
    assert chart.missing == (OPENED + MINUTE,)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_json_in_another_encoding_is_read(encoding: str) -> None:
    body = json.dumps(answer([OPENING]))
    assert starts(parse(read_chart(body.encode(encoding)))) == [OPENED]
    assert read_json(body.encode(encoding)) == read_json(body.encode())


def test_a_session_that_is_listed_twice_or_has_an_impossible_end_adds_no_bars() -> None:
    regular = periods()["regular"]
    sessions = [[regular, regular], [regular | {"start": OPENING + 86_400, "end": 253_402_300_000}]]
    chart = parse(answer([OPENING, OPENING + 60], sessions=sessions), end=OPENED + 2 * MINUTE)
    assert starts(chart) == [OPENED, OPENED + MINUTE]
    assert [each.start_time for each in chart.sessions] == [OPENED]


def test_a_bar_has_the_request_and_the_arrival() -> None:
    (bar,) = parse(answer([OPENING])).bars
    assert bar == Bar(
        "ZQA", Resolution.MINUTE, OPENED, Decimal(10), Decimal(12), Decimal(9), Decimal(11), 100, "USD", LATER
    )
