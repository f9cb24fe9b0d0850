"""Charts of the demo market: bars that agree with the quotes and with each other."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sp500tui.simulator.faults import Faults
from sp500tui.simulator.market.bars import Bar, MinuteBars
from sp500tui.simulator.market.calendar import closes_early, is_trading_day, local_date, real_time
from sp500tui.simulator.market.clock import OPENING
from sp500tui.simulator.market.history import daily_bars
from sp500tui.simulator.market.model import Market
from sp500tui.simulator.yahoo.charts import ChartAnswer, ChartError, chart, printed_in_single_precision
from sp500tui.sources.yahoo.chart_numbers import printed_price
from tests.support.market.recordings import own_and_real
from tests.unit.simulator.test_clock import NOON, SettableTime
from tests.unit.simulator.test_market import known, new_market

INTERVALS = ["1m", "2m", "5m", "15m", "30m", "60m", "90m", "1h", "1d", "5d", "1wk", "1mo", "3mo"]
RANGES = ["1d", "7d", "2wk", "ytd", "max"]


def result(market: Market, symbol: str = "MMM", **query: str) -> dict[str, Any]:
    """The chart as a client gets it, through JSON."""
    answer: dict[str, Any] = json.loads(json.dumps(chart(market, symbol, query, Faults()).result))
    return answer


def elements(answer: dict[str, Any]) -> list[Bar]:
    """All elements of the answer, with prices as they were before single precision."""
    quote = answer["indicators"]["quote"][0]
    prices = [
        [float(printed_price(price) or 0) for price in quote[name]]
        for name in ("open", "high", "low", "close")
    ]
    return [Bar(*column) for column in zip(answer["timestamp"], *prices, quote["volume"], strict=True)]


def bars(answer: dict[str, Any]) -> list[Bar]:
    """The elements without the latest trade that follows bars within a day."""
    found = elements(answer)
    extra = "tradingPeriods" in answer["meta"] and found[-1].start == answer["meta"]["regularMarketTime"]
    return found[:-1] if extra and not found[-1].volume else found


def allowed(interval: str, span: str) -> bool:
    """Whether the endpoint has this range of this interval."""
    shortest = {"1m": "7d", "2m": "2wk", "5m": "2wk", "15m": "2wk", "30m": "2wk", "90m": "2wk"}.get(interval)
    if shortest is None:
        return span != "max" or interval not in ("60m", "1h")
    return RANGES.index(span) <= RANGES.index(shortest)


def after(seconds: float, speed: float = 1.0, start_at: float = OPENING) -> Market:
    time = SettableTime()
    market = new_market(time, speed=speed, start_at=start_at)
    known(market, "MMM")
    time.now += seconds
    return market


@pytest.fixture(scope="module")
def young_market() -> Market:
    """A market twenty minutes old."""
    return after(1200)


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("span", RANGES)
def test_bars_are_in_order_and_possible(interval: str, span: str, young_market: Market) -> None:
    # given a chart of any range and interval
    market = young_market
    if not allowed(interval, span):
        with pytest.raises(ChartError, match=r"granularity data|requested range"):
            result(market, range=span, interval=interval)
        return
    answer = result(market, range=span, interval=interval, includePrePost="true")
    shown = bars(answer)

    # then bars follow each other, and high and low bound the rest
    starts = [bar.start for bar in shown]
    assert starts == sorted(set(starts))
    for bar in shown:
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.volume >= 0
    # and the last one closes at the current price
    assert shown[-1].close == known(market, "MMM").today.price


@pytest.mark.parametrize("path", own_and_real("yahoo/2026_chart-day.json", "yahoo/2025_chart-AAPL.json"))
def test_the_chart_has_the_shape_of_a_recorded_one(path: Path) -> None:
    real = json.loads(path.read_text("utf-8"))["response"]["bodyJson"]["chart"]["result"][0]
    ours = result(after(60), range="5d", interval="1d")
    assert ours.keys() == real.keys()
    assert real["meta"].keys() - ours["meta"].keys() <= {"fiftyTwoWeekHigh", "fiftyTwoWeekLow"}
    assert (
        ours["meta"]["currentTradingPeriod"]["pre"].keys()
        == real["meta"]["currentTradingPeriod"]["pre"].keys()
    )
    assert ours["indicators"]["quote"][0].keys() == real["indicators"]["quote"][0].keys()


def test_a_year_of_days_ends_with_the_previous_close_and_today() -> None:
    # given a year of daily bars
    market = after(600)
    days = bars(result(market, range="1y", interval="1d"))
    today = known(market, "MMM").today

    # then there is one for each trading day of the year, opening in the morning
    assert 248 <= len(days) <= 255
    locals_ = [
        datetime.fromtimestamp(bar.start, UTC).astimezone(ZoneInfo("America/New_York")) for bar in days[:-1]
    ]
    assert all(
        is_trading_day(moment.date()) and (moment.hour, moment.minute) == (9, 30) for moment in locals_
    )
    # and the last two are the quote's previous close and its day
    assert days[-2].close == today.previous_close
    assert days[-1] == replace(today.bar(), start=today.time)


def test_a_longer_range_shows_the_same_days() -> None:
    market = after(600)
    month = bars(result(market, range="1mo", interval="1d"))
    year = bars(result(market, range="1y", interval="1d"))
    assert year[-len(month) :] == month


@pytest.mark.parametrize("interval", ["1m", "5m", "1h"])
def test_minutes_add_up_to_their_days(interval: str) -> None:
    # given five days of intraday and daily bars
    market = after(3000)
    days = bars(result(market, range="5d", interval="1d"))
    minutes = bars(result(market, range="5d", interval=interval))

    # then open, close, high and low of every day match its minutes
    for day in days:
        own = [bar for bar in minutes if local_date(bar.start) == local_date(day.start)]
        assert own[0].open == day.open
        assert own[-1].close == day.close
        assert max(bar.high for bar in own) == day.high
        assert min(bar.low for bar in own) == day.low


def test_a_quote_lies_within_the_bar_of_its_minute() -> None:
    # given a market read every few seconds for ten minutes
    time = SettableTime()
    market = new_market(time)
    seen = []
    for _ in range(100):
        time.now += 6
        today = known(market, "MMM").today
        seen.append((today.time, today.price))

    # then each price seen is within the bar of its minute
    minutes = {bar.start: bar for bar in bars(result(market, range="1d", interval="1m"))}
    for stamp, price in seen:
        bar = minutes[stamp - stamp % 60]
        assert bar.low <= price <= bar.high


def test_trades_around_the_session_are_shown_on_request_only() -> None:
    # given a market in its late session
    market = after(60, start_at=17 * 3600)
    end = market.clock.periods(market.clock.elapsed()).regular[1]
    regular = bars(result(market, range="1d", interval="1m"))
    extended = bars(result(market, range="1d", interval="1m", includePrePost="true"))
    assert all(bar.start < end for bar in regular)
    assert any(bar.start >= end for bar in extended)


def test_days_of_the_demo_become_history() -> None:
    # given a market in the session of its fourth day
    market = after(3 * 86_400 + 600)
    instrument = known(market, "MMM")
    days = bars(result(market, range="1mo", interval="1d"))

    # then the past three days are the last of its history, at their original times
    assert len(instrument.past) == 3
    assert [bar.start for bar in days[-4:-1]] == [bar.start for bar in instrument.past]
    assert [bar.close for bar in days[-4:-1]] == [bar.close for bar in instrument.past]
    assert len({local_date(bar.start) for bar in days}) == len(days)


def test_a_date_on_which_several_days_of_the_demo_pass_has_the_bar_of_the_first() -> None:
    # given a market whose fourth day is running, at a speed at which a day takes 86.4 s
    market = after(3 * 86.4 + 10, speed=1000)
    instrument = known(market, "MMM")
    assert bars(result(market, range="1mo", interval="1d"))[-1] == instrument.past[0]


def test_a_day_that_is_over_does_not_change() -> None:
    # given the bars of the first day, requested in the evening and two days later
    time = SettableTime()
    market = new_market(time, start_at=OPENING)
    for _ in range(30):
        time.now += 900
        known(market, "MMM")
    window = {"period1": str(int(NOON)), "period2": str(int(NOON) + 6 * 3600 + 1800), "interval": "1m"}
    evening = bars(result(market, **window))
    time.now += 2 * 86_400
    later = bars(result(market, **window))

    # then they are the same, one for every minute of the session
    assert evening == later
    assert [bar.start for bar in evening] == [int(NOON) + 60 * minute for minute in range(390)]


def test_periods_choose_what_is_shown() -> None:
    market = after(600)
    year = bars(result(market, range="1y", interval="1d"))
    some = result(market, interval="1d", period1=str(year[10].start), period2=str(year[20].start))
    assert bars(some) == year[10:20]


def test_a_chart_of_the_future_has_no_bars() -> None:
    answer = result(after(60), interval="1d", period1=str(int(NOON) + 10**6), period2=str(int(NOON) + 10**7))
    assert "timestamp" not in answer
    assert answer["indicators"]["quote"] == [{}]


def test_a_currency_pair_has_a_chart() -> None:
    # given a pair requested now and a minute later
    time = SettableTime()
    market = new_market(time)
    market.pair("USDDKK=X")
    time.now += 60
    answer = result(market, "DKK=X", range="5d", interval="1d")

    # then its last bar is the current rate and the one before is its previous close
    pair = market.pair("DKK=X")
    assert pair is not None
    assert bars(answer)[-1] == replace(pair.today.bar(), start=pair.today.time)
    assert bars(answer)[-2].close == pair.today.previous_close
    assert answer["meta"]["instrumentType"] == "CURRENCY"
    assert bars(result(market, "DKK=X", range="1d", interval="1m"))


@pytest.mark.parametrize(
    ("symbol", "query", "status"),
    [
        ("NOPE1", {}, 404),
        ("MMM", {"interval": "7m"}, 422),
        ("MMM", {"range": "soon"}, 422),
        ("MMM", {"period1": "then"}, 422),
        ("MMM", {"period1": "nan"}, 422),
        ("MMM", {"period1": "1e300"}, 422),
        ("MMM", {"period1": "inf"}, 422),
        ("MMM", {"period1": "0", "period2": "1000", "interval": "1d"}, 400),
        (
            "MMM",
            {"period1": str(NOON - 31 * 86_400), "period2": str(NOON - 30 * 86_400), "interval": "1m"},
            422,
        ),
        ("MMM", {"period1": str(NOON - 9 * 86_400), "period2": str(NOON), "interval": "1m"}, 422),
        ("MMM", {"period1": str(NOON - 61 * 86_400), "period2": str(NOON), "interval": "15m"}, 422),
        ("MMM", {"period1": str(NOON - 731 * 86_400), "period2": str(NOON), "interval": "1h"}, 422),
    ],
)
def test_what_cannot_be_drawn_is_refused(symbol: str, query: dict[str, str], status: int) -> None:
    with pytest.raises(ChartError) as refusal:
        chart(after(60), symbol, query, Faults())
    assert refusal.value.status == status


def test_the_sessions_of_the_window_are_named_half_days_and_all() -> None:
    # given a window with Thanksgiving in it
    market = after(60)
    start = real_time(date(2024, 11, 25))
    answer = result(market, interval="1h", period1=str(start), period2=str(start + 6 * 86_400))
    periods = [period for (period,) in answer["meta"]["tradingPeriods"]]
    days = {local_date(period["start"]): period["end"] - period["start"] for period in periods}

    # then the holiday is absent and the day after it ends at 13:00
    assert date(2024, 11, 28) not in days
    assert days[date(2024, 11, 27)] == 6.5 * 3600
    assert days[date(2024, 11, 29)] == 3.5 * 3600
    # and bars fill each session and nothing else
    shown = [bar.start for bar in bars(answer)]
    opened = real_time(date(2024, 11, 29), time(9, 30))
    assert [bar for bar in shown if bar >= opened][:4] == [opened + hour * 3600 for hour in range(4)]


def test_bars_within_a_day_are_followed_by_the_latest_trade() -> None:
    # given the minutes of an earlier day
    market = after(600)
    start = int(NOON) - 7 * 86_400
    answer = result(market, interval="1m", period1=str(start), period2=str(start + 3 * 86_400))
    extra = elements(answer)[-1]

    # then the last element has the time and the price of the latest trade, and no volume
    today = known(market, "MMM").today
    assert (extra.start, extra.open, extra.close, extra.volume) == (today.time, today.price, today.price, 0)
    assert extra.start >= start + 3 * 86_400


def week(market: Market, faults: Faults, interval: str = "1m") -> ChartAnswer:
    start = int(NOON) - 7 * 86_400
    query = {"interval": interval, "period1": str(start), "period2": str(int(NOON) + 3_600)}
    return chart(market, "MMM", query, faults)


@pytest.mark.parametrize("interval", ["1m", "1h", "1d"])
def test_a_lost_session_has_no_bars_until_the_fault_ends(interval: str) -> None:
    # given a week of which some sessions are lost
    market = after(600)
    whole = week(market, Faults(), interval)
    lost = week(market, Faults(lost_sessions=0.5), interval)

    # then they have no elements but are named, and the others are complete
    dates = {local_date(start) for start in lost.served.withheld} if lost.served else set()
    given = {local_date(bar.start) for bar in lost.served.bars} if lost.served else set()
    assert dates
    assert not dates & given
    assert lost.faults == {"lost_sessions"}
    assert result_periods(lost) == result_periods(whole)
    assert set(times(whole)) - set(times(lost)) == set(lost.served.withheld if lost.served else ())
    # and it is the same ones for every symbol and every time
    assert week(market, Faults(lost_sessions=0.5), interval) == lost
    # and the running session is not lost
    assert times(week(market, Faults(lost_sessions=1.0), interval))[-1] == times(whole)[-1]
    assert week(market, Faults(), interval) == whole


def test_null_bars_are_elements_without_prices() -> None:
    # given a week in which every tenth bar or so is null
    market = after(600)
    answer = week(market, Faults(null_bars=0.1))
    quote: Any = answer.result["indicators"]
    columns = quote["quote"][0]
    null = [at for at, volume in enumerate(columns["volume"]) if volume is None]

    # then all their columns are, and the ledger names them
    assert answer.served is not None
    assert 0.05 < len(null) / len(columns["volume"]) < 0.15
    assert all(columns[name][at] is None for name in columns for at in null)
    assert tuple(times(answer)[at] for at in null) == answer.served.withheld
    assert not {bar.start for bar in answer.served.bars} & set(answer.served.withheld)


def test_the_ledger_has_the_bars_that_have_ended_with_the_prices_before_single_precision() -> None:
    # given a running minute
    market = after(630)
    answer = week(market, Faults())
    shown = {bar.start: bar for bar in bars(json.loads(json.dumps(answer.result)))}
    assert answer.served is not None
    ended = {bar.start: bar for bar in answer.served.bars}

    # then it is not in the ledger, and every other bar is
    running = max(shown)
    assert set(ended) == set(shown) - {running}
    for start, bar in ended.items():
        assert [float(price) for price in (bar.open, bar.high, bar.low, bar.close)] == [
            shown[start].open, shown[start].high, shown[start].low, shown[start].close,
        ]  # fmt: skip
        assert bar.end == start + 60
        assert bar.volume == shown[start].volume
        assert len(bar.close.partition(".")[2]) <= 4


def times(answer: ChartAnswer) -> list[int]:
    found: Any = answer.result.get("timestamp", [])
    return list(found)


def result_periods(answer: ChartAnswer) -> object:
    meta: Any = answer.result["meta"]
    return meta.get("tradingPeriods")


@given(st.floats(2**-7, 2**20, width=32))
def test_printed_prices_agree_with_numpy(price: float) -> None:
    expected = np.format_float_positional(np.float32(price), unique=True, trim="-")
    assert printed_in_single_precision(price) == expected


def test_prices_are_in_single_precision() -> None:
    quote = result(after(600), range="5d", interval="1m")["indicators"]["quote"][0]
    assert all(price == float(np.float32(price)) for name in ("open", "close") for price in quote[name])


@pytest.mark.parametrize(
    ("day", "open_", "early"),
    [
        (date(2026, 1, 1), False, False),
        (date(2026, 4, 3), False, False),
        (date(2026, 5, 25), False, False),
        (date(2026, 7, 3), False, False),
        (date(2025, 7, 3), True, True),
        (date(2026, 11, 26), False, False),
        (date(2026, 11, 27), True, True),
        (date(2026, 12, 24), True, True),
        (date(2026, 12, 25), False, False),
        (date(2026, 11, 28), False, False),
        (date(2026, 11, 30), True, False),
    ],
)
def test_the_exchange_keeps_its_holidays(day: date, open_: bool, early: bool) -> None:
    assert (is_trading_day(day), closes_early(day)) == (open_, early)


@settings(max_examples=20, deadline=None)
@given(st.integers(), st.integers(2, 400))
def test_invented_days_connect(seed: int, back: int) -> None:
    # given the history of a share with any seed
    market = new_market(SettableTime(), seed)
    instrument = known(market, "AOS")
    since = local_date(NOON - back * 86_400)
    days = daily_bars(instrument, since)

    # then a second request has the same result, bounded by the requested date
    assert days == daily_bars(instrument, since)
    assert all(local_date(bar.start) >= since for bar in days)
    assert all(
        0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in days
    )


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 10_000)), min_size=1))
def test_minute_bars_hold_every_trade(trades: list[tuple[int, int]]) -> None:
    # given trades in chronological order
    minutes, stamp = MinuteBars(), 1_000_000
    by_minute: dict[int, list[int]] = {}
    for gap, price in trades:
        stamp += gap
        minutes.trade(stamp, price, 1)
        by_minute.setdefault(stamp - stamp % 60, []).append(price)

    # then each minute with trades has one bar made of them
    assert list(minutes) == [
        Bar(start, prices[0], max(prices), min(prices), prices[-1], len(prices))
        for start, prices in by_minute.items()
    ]
    # and forgetting drops those before
    cut = stamp - stamp % 60
    minutes.forget_before(cut)
    assert [bar.start for bar in minutes] == [cut]
