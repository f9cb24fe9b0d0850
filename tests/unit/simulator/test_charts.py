"""Charts of the demo market: bars that agree with the quotes and with each other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sp500tui.simulator.market.bars import Bar, MinuteBars
from sp500tui.simulator.market.clock import OPENING
from sp500tui.simulator.market.history import daily_bars, local_date
from sp500tui.simulator.market.model import Market
from sp500tui.simulator.yahoo.charts import ChartError, chart
from tests.support.recordings import own_and_real
from tests.unit.simulator.test_clock import NOON, SettableTime
from tests.unit.simulator.test_market import known, new_market

INTERVALS = ["1m", "2m", "5m", "15m", "30m", "60m", "90m", "1h", "1d", "5d", "1wk", "1mo", "3mo"]
RANGES = ["1d", "7d", "2wk", "ytd", "max"]


def result(market: Market, symbol: str = "MMM", **query: str) -> dict[str, Any]:
    """The chart as a client gets it, through JSON."""
    answer: dict[str, Any] = json.loads(json.dumps(chart(market, symbol, query)))
    return answer


def bars(answer: dict[str, Any]) -> list[Bar]:
    quote = answer["indicators"]["quote"][0]
    columns = zip(
        answer["timestamp"],
        quote["open"],
        quote["high"],
        quote["low"],
        quote["close"],
        quote["volume"],
        strict=True,
    )
    return [Bar(*column) for column in columns]


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
    answer = result(market, range=span, interval=interval, includePrePost="true")
    shown = bars(answer)

    # then bars follow each other, and high and low bound the rest
    starts = [bar.start for bar in shown]
    assert starts == sorted(set(starts))
    for bar in shown:
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.volume >= 0
    # and the last one ends at the present price
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

    # then there are as many as a year has business days, on business days, each opening in the morning
    assert 255 <= len(days) <= 264
    locals_ = [
        datetime.fromtimestamp(bar.start, UTC).astimezone(ZoneInfo("America/New_York")) for bar in days[:-1]
    ]
    assert all(moment.weekday() < 5 and (moment.hour, moment.minute) == (9, 30) for moment in locals_)
    # and the last two are the quote's previous close and its day
    assert days[-2].close == today.previous_close
    assert days[-1] == today.bar()


def test_a_longer_range_shows_the_same_days() -> None:
    market = after(600)
    month = bars(result(market, range="1mo", interval="1d"))
    year = bars(result(market, range="1y", interval="1d"))
    assert year[-len(month) :] == month


@pytest.mark.parametrize("interval", ["1m", "5m", "1h"])
def test_minutes_add_up_to_their_days(interval: str) -> None:
    # given five days within the day and as whole days
    market = after(3000)
    days = bars(result(market, range="5d", interval="1d"))
    minutes = bars(result(market, range="5d", interval=interval))

    # then every day's minutes open, close and reach as the day does
    for day in days:
        own = [bar for bar in minutes if local_date(bar.start) == local_date(day.start)]
        assert own[0].open == day.open
        assert own[-1].close == day.close
        assert max(bar.high for bar in own) == day.high
        assert min(bar.low for bar in own) == day.low


def test_a_quote_lies_within_the_bar_of_its_minute() -> None:
    # given a market looked at every few seconds for ten minutes
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
    # given a market whose fourth day goes on, at a speed at which a day takes 86.4 s
    market = after(3 * 86.4 + 10, speed=1000)
    instrument = known(market, "MMM")
    days = bars(result(market, range="1mo", interval="1d"))

    # then the three days gone by are the last of its history, on separate dates
    assert len(instrument.past) == 3
    assert [bar.close for bar in days[-4:-1]] == [bar.close for bar in instrument.past]
    assert len({local_date(bar.start) for bar in days}) == len(days)


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
    # given a pair asked for now and a minute later
    time = SettableTime()
    market = new_market(time)
    market.pair("USDDKK=X")
    time.now += 60
    answer = result(market, "DKK=X", range="5d", interval="1d")

    # then its last bar is the present rate and the one before its previous close
    pair = market.pair("DKK=X")
    assert pair is not None
    assert bars(answer)[-1] == pair.today.bar()
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
    ],
)
def test_what_cannot_be_drawn_is_refused(symbol: str, query: dict[str, str], status: int) -> None:
    with pytest.raises(ChartError) as refusal:
        chart(after(60), symbol, query)
    assert refusal.value.status == status


@settings(max_examples=20, deadline=None)
@given(st.integers(), st.integers(2, 400))
def test_invented_days_connect(seed: int, back: int) -> None:
    # given the past of a share under any seed
    market = new_market(SettableTime(), seed)
    instrument = known(market, "AOS")
    since = local_date(NOON - back * 86_400)
    days = daily_bars(instrument, since)

    # then it is the same at a second look and bounded by the date asked for
    assert days == daily_bars(instrument, since)
    assert all(local_date(bar.start) >= since for bar in days)
    assert all(
        0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in days
    )


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 10_000)), min_size=1))
def test_minute_bars_hold_every_trade(trades: list[tuple[int, int]]) -> None:
    # given trades in the order of time
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
