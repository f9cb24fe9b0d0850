"""The payload of a batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sp500tui.errors import DatabaseError
from sp500tui.model import BarBlock, ConvertedQuote, MarketState, Quote, Resolution
from sp500tui.storage.batch_codec import COLUMNS, count, decode, encode, encode_records, parameters, split

MOMENT = datetime(2026, 5, 1, 13, 30, tzinfo=UTC)

numbers = st.decimals(allow_nan=False, allow_infinity=False)
times = st.datetimes(timezones=st.just(UTC))
words = st.text("ABCDEFXYZ0123456789.-=^", min_size=1, max_size=8).filter(lambda text: text != "NULL")
quotes = st.builds(
    Quote,
    symbol=words,
    price=numbers,
    change=st.none() | numbers,
    percent_change=st.none() | numbers,
    currency=st.sampled_from(["USD", "GBp"]),
    quote_time=times,
    market_state=st.sampled_from(MarketState),
    volume=st.none() | st.integers(0, 2**62),
    fetched_at=times,
)
converted = st.builds(
    ConvertedQuote,
    quote=quotes,
    converted_price=st.none() | numbers,
    converted_currency=st.just("DKK"),
    fx_rate=st.none() | numbers,
    fx_time=st.none() | times,
)


def row(symbol: str = "AAPL", *, price: str = "1.50", at: datetime = MOMENT) -> ConvertedQuote:
    quote = Quote(symbol, Decimal(price), None, None, "USD", at, MarketState.REGULAR, None, MOMENT)
    return ConvertedQuote(quote, Decimal("10.2"), "DKK", Decimal("6.8"), MOMENT)


class TestEncode:
    def test_writes_one_array_literal_for_each_column(self) -> None:
        payload = encode([row("BRK.B"), row("AAPL", price="1.5E+2")])

        columns = dict(zip(COLUMNS, payload.split(b"\n"), strict=True))
        assert columns["symbol"] == b"{AAPL,BRK.B}"
        assert columns["price"] == b"{1.5E+2,1.50}"
        assert columns["change"] == b"{NULL,NULL}"
        assert columns["market_state"] == b"{REGULAR,REGULAR}"
        assert columns["quote_time"] == b"{2026-05-01T13:30:00+00:00,2026-05-01T13:30:00+00:00}"

    def test_of_no_rows_is_empty(self) -> None:
        assert count(encode([])) == 0
        assert decode(encode([])) == []

    def test_writes_times_in_utc(self) -> None:
        eastern = datetime(2026, 5, 1, 9, 30, tzinfo=timezone(-timedelta(hours=4)))
        assert decode(encode([row(at=eastern)]))[0]["quote_time"] == "2026-05-01T13:30:00+00:00"

    @settings(max_examples=40, deadline=None)
    @given(st.lists(converted, max_size=6))
    def test_loses_nothing_and_sorts(self, rows: list[ConvertedQuote]) -> None:
        records = decode(encode(rows))

        assert len(records) == count(encode(rows)) == len(rows)
        expected = sorted(rows, key=lambda one: (one.quote.symbol, one.quote.quote_time))
        for record, one in zip(records, expected, strict=True):
            quote = one.quote
            assert record["symbol"] == quote.symbol
            assert record["quote_time"] == quote.quote_time.isoformat()
            assert record["price"] == str(quote.price)
            assert record["change"] == (None if quote.change is None else str(quote.change))
            assert record["volume"] == (None if quote.volume is None else str(quote.volume))
            assert record["fx_time"] == (None if one.fx_time is None else one.fx_time.isoformat())

    @pytest.mark.parametrize(
        "symbol",
        [
            *("", "A B", "A,B", "A{", "A}", '"A"', "A\\", "A\nB", "NULL", "null", "Ä", "A\x00", "A'", "A;"),
            "\udcff",
        ],
    )
    def test_refuses_what_would_need_quotes(self, symbol: str) -> None:
        with pytest.raises(DatabaseError, match=r"the symbol .* cannot be stored") as caught:
            encode([row("AAPL"), row(symbol), row("MSFT")])
        assert caught.value.sqlstate == "22P02"
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize("price", ["NaN", "Infinity", "-Infinity", "sNaN"])
    def test_refuses_values_that_are_not_numbers(self, price: str) -> None:
        with pytest.raises(DatabaseError, match="the price") as caught:
            encode([row(price=price)])
        assert caught.value.sqlstate == "22P02"

    def test_takes_a_symbol_that_merely_contains_null(self) -> None:
        assert decode(encode([row("NULLX"), row("XNULL")]))[0]["symbol"] == "NULLX"


bar_prices = st.decimals("0.0001", "99999.9999", places=4)
bar_rows = st.lists(
    st.tuples(
        st.integers(0, 10_000), *[bar_prices] * 4, st.none() | st.integers(0, 2**62)
    ),
    max_size=20,
    unique_by=lambda row: row[0],
)  # fmt: skip


def bar_block(rows: list[tuple[object, ...]], **changes: object) -> BarBlock:
    """A block of minutes, in the order of their starts."""
    table = sorted(rows, key=lambda row: int(str(row[0])))
    starts, *columns = [list(column) for column in zip(*table, strict=True)] or [[]] * 6
    prices = [[str(price) for price in column] for column in columns[:4]]
    common = {"symbol": "BRK.B", "resolution": Resolution.MINUTE, "currency": "USD", "fetched_at": MOMENT}
    return BarBlock(
        **(common | changes),  # type: ignore[arg-type]
        starts=[int(MOMENT.timestamp()) + 60 * int(str(start)) for start in starts],
        opens=prices[0],
        highs=prices[1],
        lows=prices[2],
        closes=prices[3],
        volumes=columns[4],
    )


class TestBlocks:
    @given(bar_rows.filter(len))
    @settings(max_examples=50)
    def test_are_encoded_like_their_bars(self, rows: list[tuple[object, ...]]) -> None:
        block = bar_block(rows)
        assert encode(block) == encode(list(block))

    @pytest.mark.parametrize("currency", ["GBp", None])
    def test_may_have_any_currency_or_none(self, currency: str | None) -> None:
        (record,) = decode(encode(bar_block([(0, 1, 2, 1, 2, None)], currency=currency)))
        assert record["currency"] == currency
        assert record["volume"] is None

    def test_of_no_bars_are_batches_of_none(self) -> None:
        assert count(encode(bar_block([]))) == 0

    def test_can_be_split(self) -> None:
        block = bar_block([(number, 1, 2, 1, 2, number) for number in range(5)])
        halves = split(encode(block))
        assert [record["volume"] for half in halves for record in decode(half)] == ["0", "1", "2", "3", "4"]

    @pytest.mark.parametrize("changes", [{"symbol": "a,b"}, {"symbol": "NULL"}, {"currency": "U{D"}])
    def test_refuse_what_would_need_quotes(self, changes: dict[str, object]) -> None:
        with pytest.raises(DatabaseError, match="unexpected characters"):
            encode(bar_block([(0, 1, 2, 1, 2, 3)], **changes))

    def test_are_sequences_of_bars(self) -> None:
        block = bar_block([(number, 1, 2, 1, 2, number) for number in range(5)])
        bars = tuple(block)
        assert (len(block), block[-1], tuple(block[1:3])) == (5, bars[4], bars[1:3])
        assert block == bars
        assert block != bars[1:]
        assert (bars[3].start_time, bars[3].open, bars[3].volume) == (
            MOMENT + timedelta(minutes=3), Decimal(1), 3,
        )  # fmt: skip
        with pytest.raises(IndexError):
            block[5]


class TestTakingApart:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(converted, max_size=6))
    def test_records_go_back_to_the_same_payload(self, rows: list[ConvertedQuote]) -> None:
        payload = encode(rows)
        assert encode_records(decode(payload)) == payload

    @settings(max_examples=40, deadline=None)
    @given(st.lists(converted, max_size=6), st.integers(1, 8))
    def test_parts_of_equal_length_hold_all_rows_in_order(
        self, rows: list[ConvertedQuote], parts: int
    ) -> None:
        payload = encode(rows)
        split_payload = split(payload, parts)
        lengths = [count(part) for part in split_payload]
        assert [record for part in split_payload for record in decode(part)] == decode(payload)
        assert len(lengths) == max(1, min(parts, len(rows)))
        assert max(lengths) - min(lengths) <= 1

    def test_a_record_without_a_column_is_refused(self) -> None:
        record = decode(encode([row()]))[0]
        del record["price"]
        with pytest.raises(DatabaseError, match="without the column 'price'"):
            encode_records([record])

    def test_a_payload_in_another_format_is_refused(self) -> None:
        with pytest.raises(DatabaseError, match="13 expected") as caught:
            parameters(b"{1}\n{2}")
        assert caught.value.sqlstate == "22P02"
