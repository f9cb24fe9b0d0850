"""Every item round-trips, and any other payload is refused."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.cluster.broker.errors import BrokerError
from sp500tui.cluster.queue.codec import Codec, FetchedCodec, HistoryTaskCodec, RowCodec, TickerCodec
from sp500tui.model import ConvertedQuote, FetchedQuote, MarketState, Quote, Resolution, Ticker
from sp500tui.pipeline.history.plan import HistoryTask
from tests.support.market.charts import trading_day

OFFSET = 1_700_000_000.0

words = st.text(max_size=12)
numbers = st.decimals(allow_nan=False, allow_infinity=False)
times = st.datetimes(min_value=datetime(1971, 1, 1), timezones=st.just(UTC)).map(lambda t: t.replace(fold=0))
ticks = st.integers(1, 10**9).map(lambda microseconds: microseconds / 1e6)
quotes = st.builds(
    Quote,
    symbol=words,
    price=numbers,
    change=st.none() | numbers,
    percent_change=st.none() | numbers,
    currency=words,
    quote_time=times,
    market_state=words | st.sampled_from([state.value for state in MarketState]),
    volume=st.none() | st.integers(0, 2**63 - 1),
    fetched_at=times,
)
rows = st.builds(
    ConvertedQuote,
    quote=quotes,
    converted_price=st.none() | numbers,
    converted_currency=words,
    fx_rate=st.none() | numbers,
    fx_time=st.none() | times,
    fetched_monotonic=st.just(0.0) | ticks,
    fetched_by=words,
)


def comes_back(codec: Codec[Any], item: Any, monotonic: str) -> None:
    """Every printed field round-trips exactly, and monotonic times to a tenth of a millisecond."""
    data = codec.encode(item)
    found = codec.decode(data)
    assert b"\n" not in data
    assert getattr(found, monotonic) == pytest.approx(getattr(item, monotonic), abs=1e-4)
    for name in {field.name for field in fields(item)} - {monotonic}:
        assert repr(getattr(found, name)) == repr(getattr(item, name))


@given(st.builds(Ticker, symbol=words, queued_at=ticks, attempts=st.integers(0, 99)))
def test_a_ticker_round_trips(ticker: Ticker) -> None:
    comes_back(TickerCodec(lambda: OFFSET), ticker, "queued_at")


@given(st.builds(FetchedQuote, quote=quotes, fetched_monotonic=ticks, fetched_by=words))
def test_a_quote_round_trips_digit_by_digit(fetched: FetchedQuote) -> None:
    comes_back(FetchedCodec(lambda: OFFSET), fetched, "fetched_monotonic")


@given(rows)
def test_a_row_round_trips_digit_by_digit(row: ConvertedQuote) -> None:
    comes_back(RowCodec(lambda: OFFSET), row, "fetched_monotonic")


@given(
    st.lists(st.dates(min_value=date(1971, 1, 1), max_value=date(2199, 1, 1)), min_size=1, max_size=4),
    st.sampled_from(Resolution),
    words,
    st.integers(0, 9),
)
def test_a_request_for_bars_round_trips(
    dates: list[date], resolution: Resolution, symbol: str, failures: int
) -> None:
    task = HistoryTask(symbol, resolution, tuple(trading_day(each) for each in dates), failures)
    codec = HistoryTaskCodec()
    data = codec.encode(task)
    assert b"\n" not in data
    assert codec.decode(data) == task


@pytest.mark.parametrize(
    "days",
    [[], 7, "2026-05-04", [[]], [["2026-05-04"]], [["2026-05-04", ["New York", "REGULAR", "now", "then"]]]],
)
def test_a_request_for_bars_without_a_window_is_refused(days: object) -> None:
    data = json.dumps(["history", "AAPL", "1m", 0, days]).encode()
    with pytest.raises(BrokerError, match="unreadable queue entry"):
        HistoryTaskCodec().decode(data)


def test_a_tick_is_the_same_moment_on_a_node_whose_clock_differs() -> None:
    """One machine has run for 100 s, the other for a day; the broker's clock is the same for both."""
    here, there = TickerCodec(lambda: OFFSET), TickerCodec(lambda: OFFSET - 86_300.0)

    found = there.decode(here.encode(Ticker("AAPL", 100.0)))

    assert found.queued_at == pytest.approx(86_400.0)


def test_an_unknown_tick_stays_unknown() -> None:
    row = ConvertedQuote(_quote(), None, "DKK", None, None)
    codec = RowCodec(lambda: OFFSET)
    assert codec.decode(codec.encode(row)).fetched_monotonic == 0.0


def _quote() -> Quote:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=-5)))
    return Quote("BRK.B", Decimal("1.50"), None, None, "USD", moment, MarketState.REGULAR, None, moment)


GOOD = json.loads(
    FetchedCodec(lambda: 0.0).encode(FetchedQuote(_quote(), fetched_monotonic=1.0, fetched_by="price-1"))
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95pickle",
        b"null",
        b"{}",
        b"[]",
        b'["ticker","AAPL",1.0,0]',
        b'["quote"]',
        b"[" * 100_000,
        *(
            json.dumps([*GOOD[:at], value, *GOOD[at + 1 :]]).encode()
            for at, value in [
                (1, 5),
                (1, None),
                (2, "NaN"),
                (2, "Infinity"),
                (2, "a lot"),
                (2, 1.5),
                (3, "sNaN"),
                (6, "yesterday"),
                (6, "2026-01-02T03:04:05"),
                (7, 5),
                (8, "many"),
                (9, None),
                (10, "now"),
                (11, ["price-1"]),
            ]
        ),
    ],
    ids=repr,
)
def test_foreign_bytes_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(BrokerError, match="unreadable queue entry on the broker") as refused:
        FetchedCodec(lambda: 0.0).decode(data)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_broker_error(data: bytes) -> None:
    codecs: list[Codec[Any]] = [TickerCodec(lambda: 0.0), FetchedCodec(lambda: 0.0), RowCodec(lambda: 0.0)]
    for codec in (*codecs, HistoryTaskCodec()):
        with pytest.raises(BrokerError):
            codec.decode(data)
