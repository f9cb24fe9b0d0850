"""Bars and collected prices as candles, merged by the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from sp500tui.model import ActionKind, Bar, CorporateAction, Resolution
from sp500tui.storage.history import candles
from sp500tui.storage.history.candles import Candle, StoredCandles, read_candles
from sp500tui.storage.history.periods import PERIODS, Period
from sp500tui.storage.history.sessions import store_actions
from sp500tui.storage.transaction import Connection
from tests.support.market.charts import insert_bars, weekdays

OPENING = datetime(2026, 5, 4, 13, 30, tzinfo=UTC)
CLOSE = OPENING + timedelta(hours=6.5)
DAYS = weekdays(date(2026, 5, 4), 5)
QUOTE = """
INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, volume, fetched_at)
VALUES ('MMM', %s, %s, 'USD', 'DKK', %s, %s, %s)
"""


def bar(start: datetime, price: int, resolution: Resolution = Resolution.MINUTE) -> Bar:
    """A bar that opens at `price`, closes one above, and ranges from two below to three above."""
    first, high, low, last = map(Decimal, (price, price + 3, price - 2, price + 1))
    return Bar("MMM", resolution, start, first, high, low, last, 100, "USD", CLOSE)


def minutes(opening: datetime, prices: Iterable[int]) -> list[Bar]:
    return [bar(opening + timedelta(minutes=number), price) for number, price in enumerate(prices)]


def days(resolution: Resolution = Resolution.DAY) -> list[Bar]:
    """A daily bar for each day of a week: 100, 101, …"""
    return [bar(OPENING + timedelta(days=number), 100 + number, resolution) for number in range(5)]


def quote(
    connection: Connection, at: datetime, price: str, volume: int | None, state: str = "REGULAR"
) -> None:
    connection.execute(QUOTE, (at, Decimal(price), state, volume, at))


def split(day: datetime) -> CorporateAction:
    midnight = day.replace(hour=4, minute=0)
    return CorporateAction(
        "MMM", ActionKind.SPLIT, day.date(), midnight, Decimal(4), Decimal(1), None, None, day
    )


def prices(candle: Candle) -> tuple[int, ...]:
    return tuple(int(price) for price in (candle.open, candle.high, candle.low, candle.close))


def read(
    connection: Connection, span: int | None = 1, most: int = 500, now: datetime = CLOSE
) -> StoredCandles:
    return read_candles(connection, "MMM", span, now, most)


def test_nothing_stored_is_no_candle(connection: Connection) -> None:
    assert read(connection) == StoredCandles("MMM", candles.EMPTY_PERIOD)
    assert read(connection, None).candles == ()


def test_bars_are_merged_to_as_many_as_can_be_drawn(connection: Connection) -> None:
    # given the one-minute bars of half an hour, of which the third is missing
    insert_bars(
        connection, [each for each in minutes(OPENING, range(100, 130)) if each.start_time.minute != 32]
    )

    # then there is a candle for each minute if they fit
    fine = read(connection)
    assert (fine.period.name, len(fine.candles)) == ("1-minute", 29)
    assert (fine.origin, fine.currency, fine.adjusted) == ({"1m": 29}, "USD", False)

    # and longer ones where there is not: open of the first, close of the last, the missing bar not invented
    coarse = read(connection, most=3)
    assert (coarse.period.name, coarse.origin) == ("10-minute", {"1m": 29})
    assert [prices(each) for each in coarse.candles] == [
        (100, 112, 98, 110),
        (110, 122, 108, 120),
        (120, 132, 118, 130),
    ]
    assert [each.volume for each in coarse.candles] == [900, 1000, 1000]
    assert coarse.candles[0].start == OPENING


@pytest.mark.parametrize(
    ("span", "most", "period", "candles"),
    [(7, 100, "daily", 5), (366, 100, "daily", 5), (7, 2, "weekly", 1), (None, 1, "weekly", 1)],
)
def test_periods_of_days_follow_the_calendar_of_the_exchange(
    connection: Connection, span: int | None, most: int, period: str, candles: int
) -> None:
    insert_bars(connection, days())
    found = read(connection, span, most, now=OPENING + timedelta(days=4, hours=8))
    assert (found.period.name, len(found.candles)) == (period, candles)
    assert (prices(found.candles[0])[0], prices(found.candles[-1])[-1]) == (100, 105)
    assert found.candles[0].start == datetime(2026, 5, 4, 4, tzinfo=UTC)


def test_the_resolution_that_covers_most_of_a_period_makes_it(connection: Connection) -> None:
    # given daily bars of a week, and one-minute bars of its first day and part of its second
    whole = minutes(OPENING, [500] * 390)
    part = minutes(OPENING + timedelta(days=1), [700] * 30)
    insert_bars(connection, [*days(), *whole, *part])

    coarse = read(connection, 7, most=5, now=OPENING + timedelta(days=4, hours=8))

    # then the first day is computed from minutes, the others from daily bars, and no volume is counted twice
    assert [prices(each)[0] for each in coarse.candles] == [500, 101, 102, 103, 104]
    assert coarse.origin == {"1m": 390, "1d": 4}
    assert coarse.candles[0].volume == 39_000


def test_collected_prices_fill_in_where_there_are_no_bars(connection: Connection) -> None:
    # given one-minute bars of ten minutes, and prices during and after them
    insert_bars(connection, minutes(OPENING, range(100, 110)))
    for minute in range(5, 15):
        quote(connection, OPENING + timedelta(minutes=minute, seconds=30), f"{200 + minute}.5", 1000 * minute)
    quote(connection, CLOSE + timedelta(minutes=1), "999", 20_000, "POST")

    found = read(connection, now=CLOSE + timedelta(hours=1))

    # then bars are preferred, prices continue them, and those after hours are left out as in bars
    assert [prices(each)[3] for each in found.candles] == [*range(101, 111), 210, 211, 212, 213, 214]
    assert found.origin == {"1m": 10, "quotes": 5}
    assert found.regular
    # and the shares of a candle are the difference of the counts
    assert found.candles[-1].volume == 1000


def test_the_running_bar_has_bars_and_prices(connection: Connection) -> None:
    # given two one-minute bars, and a price in the third minute
    insert_bars(connection, minutes(OPENING, range(100, 102)))
    quote(connection, OPENING + timedelta(minutes=2, seconds=10), "150", 5)

    found = read(connection, most=1, now=OPENING + timedelta(minutes=3))

    assert [prices(candle) for candle in found.candles] == [(100, 150, 98, 150)]
    assert found.origin == {"1m": 2, "quotes": 1}


def test_prices_alone_are_candles_too(connection: Connection) -> None:
    # given prices of a pre-market with yesterday's volume, and of a session
    quote(connection, OPENING - timedelta(minutes=30), "90", 70_000, "PRE")
    quote(connection, OPENING + timedelta(seconds=5), "100", 50)
    quote(connection, OPENING + timedelta(seconds=15), "101", 80)
    quote(connection, OPENING + timedelta(seconds=25), "99", None)

    found = read(connection, most=40)

    assert [prices(each) for each in found.candles] == [(90, 90, 90, 90), (100, 101, 99, 99)]
    assert [each.volume for each in found.candles] == [None, 80]
    assert (found.origin, found.regular) == ({"quotes": 4}, False)


def test_a_split_in_the_window_adjusts_what_was_fetched_before_it(connection: Connection) -> None:
    # given daily bars and a price fetched before a split of 4:1 on the fourth day
    insert_bars(connection, [each for each in days() if each.start_time.date() < DAYS[3]])
    day = OPENING + timedelta(days=3)
    store_actions(connection, [split(day)])
    quote(connection, OPENING + timedelta(days=1), "400", 1)
    quote(connection, day + timedelta(minutes=5), "25", 1000)

    found = read(connection, 7, now=day + timedelta(hours=1))

    assert found.adjusted
    # then all is in the shares of today, as the views say
    view = "SELECT open, high, low, close, volume FROM adjusted_bars ORDER BY start_time"
    assert [(c.open, c.high, c.low, c.close, c.volume) for c in found.candles[:3]] == connection.execute(
        view
    ).fetchall()
    assert [prices(each)[0] for each in found.candles] == [25, 25, 25, 25]
    (action,) = found.actions
    assert (action.factor, action.effective_date) == (Decimal("0.25"), DAYS[3])
    # and a window after the split shows prices as printed
    assert not read(connection, 1, now=day + timedelta(days=1)).adjusted


def test_the_present_day_is_the_last_trading_day(connection: Connection) -> None:
    # given minutes of a Friday, and a Sunday
    friday = OPENING + timedelta(days=4)
    insert_bars(connection, [*minutes(OPENING, [1] * 5), *minutes(friday, range(100, 105))])
    assert len(read(connection, now=friday + timedelta(days=2)).candles) == 5
    # then two weeks later there is nothing of that day
    assert read(connection, now=friday + timedelta(days=14)).candles == ()


@pytest.mark.parametrize("period", PERIODS, ids=str)
def test_a_period_starts_in_the_program_where_it_starts_in_the_database(
    connection: Connection, period: Period
) -> None:
    for at in (
        OPENING,
        CLOSE,
        datetime(2026, 1, 1, 3, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
    ):
        connection.execute("DELETE FROM bars")
        insert_bars(connection, [bar(at, 100, Resolution.MINUTE)])
        candles = read_candles_of(connection, period, at)
        assert [each.start for each in candles] == [period.start_of(at)]


def read_candles_of(connection: Connection, period: Period, at: datetime) -> list[Candle]:
    """The candles of a given period, regardless of the number that fits."""
    window = candles._Window(connection, "MMM", at - timedelta(days=1), at + timedelta(days=1), ())
    return [row.candle for row in window.bars(period, ["1m"])]


@pytest.mark.thorough
@pytest.mark.parametrize("adjusted", [False, True])
def test_four_hundred_thousand_bars_are_merged_before_they_are_sent(
    connection: Connection, adjusted: bool
) -> None:
    # given the minutes of four years
    connection.execute(
        "INSERT INTO bars (symbol, resolution, start_time, open, high, low, close, volume, source, fetched_at) "
        "SELECT 'MMM', '1m', %(end)s::timestamptz - interval '5 min' * number, 100, 103, 99, 101, 10, 'yahoo', "
        "%(end)s::timestamptz - interval '5 min' * number FROM generate_series(0, 399999) AS number",
        {"end": OPENING},
    )
    if adjusted:
        store_actions(connection, [split(OPENING - timedelta(days=30))])
    # when everything is read
    found = read(connection, None, most=120, now=OPENING)

    # then a bounded number of rows is sent, and every bar is in them
    assert 0 < len(found.candles) <= 120
    assert found.origin == {"1m": 400_000}
    assert sum(each.volume or 0 for each in found.candles) >= 4_000_000
    assert found.adjusted is adjusted
