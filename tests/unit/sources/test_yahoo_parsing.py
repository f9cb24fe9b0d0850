"""Answers of Yahoo Finance become quotes, rates and trading periods, or a reason in words."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sp500tui.cluster.queue.codec import RowCodec
from sp500tui.errors import SourceError
from sp500tui.model import ConvertedQuote, FxRate, MarketState, Quote
from sp500tui.sources.yahoo.json_values import error_message, get_path, read_json
from sp500tui.sources.yahoo.parsing import FIELDS, OMITTED, parse_quotes
from sp500tui.sources.yahoo.symbols import parse_symbol
from sp500tui.sources.yahoo.trading_calendar import TradingPeriods, parse_trading_periods
from sp500tui.storage.batch_codec import decode, encode
from tests.support.market.recordings import REAL_RECORDINGS, RECORDINGS, body_of, needs_real, own_and_real

NOW = datetime(2026, 5, 4, 15, 0, tzinfo=UTC)
AT = int(NOW.timestamp())


def line(symbol: str = "AAPL", **changes: Any) -> dict[str, Any]:
    usual = {
        "symbol": symbol,
        "quoteType": "EQUITY",
        "currency": "USD",
        "marketState": "REGULAR",
        "regularMarketPrice": 187.22,
        "regularMarketTime": AT - 5,
        "regularMarketChange": 3.41,
        "regularMarketChangePercent": 1.8550756,
        "regularMarketVolume": 40_896_227,
    }
    return {key: value for key, value in {**usual, **changes}.items() if value != "absent"}


def body(*lines: Any) -> bytes:
    return json.dumps({"quoteResponse": {"result": lines, "error": None}}).encode()


def one(changes: dict[str, Any]) -> Quote | str:
    result = parse_quotes(read_json(body(line(**changes))), ["AAPL"], [], NOW)
    return result.quotes[0] if result.quotes else result.missing["AAPL"]


def test_a_quote_keeps_every_digit_as_printed() -> None:
    raw = body(line()).replace(b"187.22", b"187.2200000000000000001").replace(b"3.41", b"3.410")
    quote = parse_quotes(read_json(raw), ["AAPL"], [], NOW).quotes[0]
    assert quote == Quote(
        symbol="AAPL",
        price=Decimal("187.2200000000000000001"),
        change=Decimal("3.410"),
        percent_change=Decimal("1.8550756"),
        currency="USD",
        quote_time=NOW - timedelta(seconds=5),
        market_state=MarketState.REGULAR,
        volume=40_896_227,
        fetched_at=NOW,
    )
    assert (str(quote.price), str(quote.change)) == ("187.2200000000000000001", "3.410")


PRE = {"preMarketPrice": 11, "preMarketTime": AT - 10, "preMarketChange": 0.5, "preMarketChangePercent": 4.76}
POST = {
    "postMarketPrice": 12,
    "postMarketTime": AT - 20,
    "postMarketChange": -1,
    "postMarketChangePercent": -7.7,
}
REGULAR_LONG_AGO = {"regularMarketTime": AT - 9000}


@pytest.mark.parametrize(
    ("state", "extra", "price", "change"),
    [
        ("PRE", PRE | POST | REGULAR_LONG_AGO, "11", "0.5"),
        ("PRE", POST | REGULAR_LONG_AGO, "12", "-1"),
        ("PRE", REGULAR_LONG_AGO, "187.22", "3.41"),
        ("REGULAR", PRE | POST | REGULAR_LONG_AGO, "187.22", "3.41"),
        ("POST", POST | REGULAR_LONG_AGO, "12", "-1"),
        ("POST", POST | {"postMarketTime": AT - 90_000}, "187.22", "3.41"),
        ("POST", REGULAR_LONG_AGO, "187.22", "3.41"),
        ("POSTPOST", POST | REGULAR_LONG_AGO, "12", "-1"),
        ("CLOSED", PRE | POST | REGULAR_LONG_AGO, "12", "-1"),
        ("CLOSED", POST | {"postMarketTime": AT - 90_000}, "187.22", "3.41"),
        ("PREPRE", POST | REGULAR_LONG_AGO, "12", "-1"),
    ],
)
def test_the_price_is_the_latest_trade_of_the_session(
    state: str, extra: dict[str, Any], price: str, change: str
) -> None:
    quote = one({"marketState": state, **extra})
    assert isinstance(quote, Quote)
    assert (str(quote.price), str(quote.change), quote.market_state) == (price, change, state)


OVERNIGHT = {
    "overnightMarketPrice": 13,
    "overnightMarketTime": AT - 7,
    "overnightMarketChange": 2,
    "overnightMarketChangePercent": 18.2,
}


@pytest.mark.parametrize(
    ("state", "extra", "price", "change"),
    [
        ("OVERNIGHT", OVERNIGHT | POST | REGULAR_LONG_AGO, "13", "2"),
        ("OVERNIGHT", POST | REGULAR_LONG_AGO, "12", "-1"),
        ("OVERNIGHT", OVERNIGHT | POST | {"overnightMarketPrice": None}, "187.22", "3.41"),
        ("OVERNIGHT", OVERNIGHT | {"overnightMarketPrice": -1} | POST | REGULAR_LONG_AGO, "12", "-1"),
        ("OVERNIGHT", OVERNIGHT | {"overnightMarketTime": None} | POST | REGULAR_LONG_AGO, "12", "-1"),
        ("CLOSED", OVERNIGHT | POST | REGULAR_LONG_AGO, "13", "2"),
        ("PREPRE", OVERNIGHT | {"overnightMarketPrice": 0} | POST | REGULAR_LONG_AGO, "12", "-1"),
        ("PRE", OVERNIGHT | PRE | {"preMarketTime": AT - 6} | REGULAR_LONG_AGO, "11", "0.5"),
        ("REGULAR", OVERNIGHT | REGULAR_LONG_AGO, "187.22", "3.41"),
        ("LUNCH", {"lunchMarketPrice": 9, "lunchMarketTime": AT - 1}, "9", "None"),
        ("LUNCH", {"lunchMarketPrice": "9", "lunchMarketTime": AT - 1}, "187.22", "3.41"),
        ("LUNCH", {"lunchMarketPrice": 9, "lunchMarketTime": AT + 90_000}, "187.22", "3.41"),
        ("LUNCH", {"lunchMarketPrice": 9}, "187.22", "3.41"),
        ("LUNCH", PRE | POST, "187.22", "3.41"),
        ("LUNCH", PRE | POST | REGULAR_LONG_AGO, "11", "0.5"),
    ],
)
def test_overnight_and_unknown_sessions_use_the_newest_usable_trade(
    state: str, extra: dict[str, Any], price: str, change: str
) -> None:
    quote = one({"marketState": state, **extra})
    assert isinstance(quote, Quote)
    assert (str(quote.price), str(quote.change), quote.market_state) == (price, change, state)


def test_an_unknown_session_without_a_usable_trade_is_missing_with_the_reason() -> None:
    quote = one({"marketState": "LUNCH", "regularMarketPrice": 0, "lunchMarketPrice": None})
    assert quote == "its price is not a number above zero: 0"


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("absent", "UNKNOWN"),
        (None, "UNKNOWN"),
        (7, "UNKNOWN"),
        (True, "UNKNOWN"),
        ({"raw": "PRE"}, "UNKNOWN"),
        (["PRE"], "UNKNOWN"),
        ("", "UNKNOWN"),
        ("  ", "UNKNOWN"),
        ("\x00\x1b", "UNKNOWN"),
        ("NULL", "UNKNOWN"),
        ("null", "UNKNOWN"),
        ("夜", "UNKNOWN"),
        ("regular", "REGULAR"),
        (" Post ", "POST"),
        ("Late Night", "LATE_NIGHT"),
        ("LUNCH\x1b[2J", "LUNCH_2J"),
        ('A,"B"}', "A_B"),
        ("X" * 5000, "X" * 24),
    ],
)
def test_any_market_state_keeps_the_price_and_can_be_stored(value: Any, state: str) -> None:
    quote = one({"marketState": value})
    assert isinstance(quote, Quote)
    assert (str(quote.price), quote.market_state) == ("187.22", state)
    row = ConvertedQuote(quote, None, "DKK", None, None)
    assert decode(encode([row]))[0]["market_state"] == state
    codec = RowCodec(lambda: 0.0)
    assert codec.decode(codec.encode(row)) == row


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quoteType": "NONE"}, "unknown to Yahoo Finance, or no longer traded"),
        ({"regularMarketPrice": "absent"}, "no price in Yahoo's answer"),
        ({"regularMarketPrice": None}, "no price in Yahoo's answer"),
        ({"regularMarketPrice": 0}, "its price is not a number above zero: 0"),
        ({"regularMarketPrice": -3.5}, "its price is not a number above zero: -3.5"),
        ({"regularMarketPrice": float("nan")}, "its price is not a number above zero: NaN"),
        ({"regularMarketPrice": float("inf")}, "its price is not a number above zero: Infinity"),
        ({"regularMarketPrice": 1e300}, "its price is not a number above zero: 1E+300"),
        ({"regularMarketPrice": 1e-300}, "its price is not a number above zero: 1E-300"),
        ({"regularMarketPrice": True}, "its price is not a number above zero: True"),
        ({"regularMarketPrice": "187"}, "its price is not a number above zero: 187"),
        ({"regularMarketPrice": {"raw": 1}}, "its price is not a number above zero: {'raw': 1}"),
        ({"regularMarketTime": "absent"}, "no time of the trade in Yahoo's answer"),
        ({"regularMarketTime": 0}, "no time of the trade in Yahoo's answer"),
        ({"regularMarketTime": "soon"}, "no time of the trade in Yahoo's answer"),
        ({"regularMarketTime": AT + 90_000}, f"the time of the trade is in the future: {AT + 90_000}"),
        ({"regularMarketTime": 10**14}, f"the time of the trade is in the future: {10**14}"),
        ({"currency": "absent"}, "no currency in Yahoo's answer"),
        ({"currency": None}, "no currency in Yahoo's answer"),
        ({"currency": "US$"}, "no currency in Yahoo's answer"),
        ({"marketState": "POST", "postMarketPrice": -1}, "its price is not a number above zero: -1"),
    ],
)
def test_an_entry_without_a_usable_price_is_missing_with_the_reason(
    changes: dict[str, Any], reason: str
) -> None:
    assert one(changes) == reason


@pytest.mark.parametrize("value", [None, "n/a", float("nan"), 1e200, False])
def test_an_unreadable_change_or_volume_is_left_out_and_the_quote_stays(value: Any) -> None:
    quote = one(
        {"regularMarketChange": value, "regularMarketChangePercent": value, "regularMarketVolume": value}
    )
    assert isinstance(quote, Quote)
    assert (quote.change, quote.percent_change, quote.volume) == (None, None, None)


@pytest.mark.parametrize(("volume", "read"), [(0, 0), (-1, None), (2**63, None), (1.5e7, 15_000_000)])
def test_a_volume_is_a_count_of_shares(volume: float, read: int | None) -> None:
    quote = one({"regularMarketVolume": volume})
    assert isinstance(quote, Quote)
    assert quote.volume == read


def test_a_nan_affects_its_own_symbol_only() -> None:
    answer = read_json(body(line("AAPL", regularMarketPrice=float("nan")), line("MSFT")))
    result = parse_quotes(answer, ["AAPL", "MSFT"], [], NOW)
    assert [quote.symbol for quote in result.quotes] == ["MSFT"]
    assert list(result.missing) == ["AAPL"]


def test_quotes_are_found_by_symbol_whatever_their_order_and_company() -> None:
    answer = read_json(
        body(line("XYZ"), "rubbish", 7, {"symbol": 3}, line("BRK-B"), line("AAPL"), line("AAPL"))
    )
    result = parse_quotes(answer, ["AAPL", "BRK.B", "NOPE1", "AAPL"], [], NOW)
    assert [quote.symbol for quote in result.quotes] == ["AAPL", "BRK.B"]
    assert result.missing == {"NOPE1": OMITTED}
    assert result.unrequested == {"XYZ"}


@pytest.mark.parametrize("name", ["USDDKK=X", "DKK=X"])
def test_a_rate_is_found_under_both_its_names(name: str) -> None:
    pair = line(name, currency="DKK", regularMarketPrice=6.8765)
    result = parse_quotes(read_json(body(pair)), [], [("USD", "DKK"), ("USD", "DKK"), ("DKK", "DKK")], NOW)
    assert result.rates == (
        FxRate("USD", "DKK", Decimal("6.8765"), NOW - timedelta(seconds=5)),
        FxRate("DKK", "DKK", Decimal(1), NOW),
    )
    assert not result.quotes
    assert not result.missing


def test_a_pair_requested_as_a_symbol_is_a_quote() -> None:
    pair = line("DKK=X", quoteType="CURRENCY", currency="DKK", regularMarketPrice=6.8765)
    result = parse_quotes(read_json(body(pair)), ["USDDKK=X"], [("USD", "DKK")], NOW)
    assert [(quote.symbol, quote.currency) for quote in result.quotes] == [("USDDKK=X", "DKK")]
    assert len(result.rates) == 1
    assert encode([ConvertedQuote(result.quotes[0], None, "DKK", None, None)])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"regularMarketPrice": 0}, "its price is not a number above zero: 0"),
        ({"currency": "USD"}, "it comes in USD, not in DKK"),
        ({"symbol": "OTHER"}, OMITTED),
        ({"regularMarketTime": None}, "no time of the trade in Yahoo's answer"),
    ],
)
def test_an_invalid_rate_is_left_out_with_a_warning(
    changes: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    pair = {**line("DKK=X", currency="DKK", regularMarketPrice=6.8), **changes}
    with caplog.at_level(logging.DEBUG, logger="sp500tui"):
        result = parse_quotes(read_json(body(pair)), [], [("USD", "DKK")], NOW)
    assert result.rates == ()
    assert caplog.messages == [f"no rate from USDDKK=X: {reason}"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "answered nothing instead of quotes"),
        (b"<!DOCTYPE html>\n<html lang='zh'>", "answered a web page instead of quotes"),
        (b'{"quoteResponse":{"res', "answered invalid or truncated JSON instead of quotes"),
        (b"Edge: \x1b[31mNo", "answered 'Edge: [31mNo' instead of quotes"),
        (b"[" * 100_000, "answered invalid or truncated JSON"),
        (b'{"a": 1e99999999999999999999}', "answered invalid or truncated JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "answered invalid or truncated JSON"),
    ],
)
def test_text_that_is_not_json_is_refused_in_one_line(raw: bytes, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_json(raw)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            {"finance": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Cookie"}}},
            "Invalid Cookie",
        ),
        ({"finance": {"error": {"code": "Unauthorized"}}}, "Unauthorized"),
        ({"quoteResponse": {"result": [], "error": "no\nway"}}, "no way"),
        ({"quoteResponse": {"result": None, "error": None}}, "an answer of an unknown shape"),
        ({"quoteResponse": []}, "an answer of an unknown shape"),
        ([], "an answer of an unknown shape"),
        (None, "an answer of an unknown shape"),
    ],
)
def test_an_answer_of_another_shape_is_an_error_with_yahoos_message(answer: object, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        parse_quotes(answer, ["AAPL"], [], NOW)


def test_an_empty_answer_names_every_symbol() -> None:
    result = parse_quotes({"quoteResponse": {"result": [], "error": None}}, ["SIX", "AAPL"], [], NOW)
    assert result.missing == {"SIX": OMITTED, "AAPL": OMITTED}


def test_a_missing_path_is_none() -> None:
    assert get_path({"a": [{"b": 1}]}, "a", 0, "b") == 1
    assert get_path({"a": [{"b": 1}]}, "a", 1, "b") is None
    assert get_path({"a": [{"b": 1}]}, "a", "b") is None
    assert get_path([], 0) is None
    assert error_message({"chart": {"error": None}}) == ""


def hours(first: int, last: int) -> tuple[datetime, datetime]:
    return datetime(2026, 5, 4, first, tzinfo=UTC), datetime(2026, 5, 4, last, tzinfo=UTC)


DAY = TradingPeriods(pre=hours(8, 13), regular=hours(13, 20), post=hours(20, 23))


@pytest.mark.parametrize(
    ("hour", "following"),
    [
        (5, (MarketState.PRE, 8)),
        (8, (MarketState.REGULAR, 13)),
        (15, (MarketState.POST, 20)),
        (22, (MarketState.CLOSED, 23)),
        (23, None),
    ],
)
def test_the_next_session_of_the_trading_day(hour: int, following: tuple[MarketState, int] | None) -> None:
    now = datetime(2026, 5, 4, hour, tzinfo=UTC)
    expected = following and (following[0], datetime(2026, 5, 4, following[1], tzinfo=UTC))
    assert DAY.next_change(now) == expected


def chart(pre: Any, regular: Any, post: Any) -> dict[str, Any]:
    periods = {
        name: {"start": span[0], "end": span[1]} if isinstance(span, tuple) else span
        for name, span in (("pre", pre), ("regular", regular), ("post", post))
    }
    return {"chart": {"result": [{"meta": {"currentTradingPeriod": periods}}], "error": None}}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (chart((1, 2), (2, 3), (3, 2)), "overlap"),
        (chart((1, 2), (2, 3), None), "unreadable"),
        (chart((1, 2), (2, Decimal("NaN")), (3, 4)), "unreadable"),
        (chart((1, 2), (2, 3), (3, 10**30)), "unreadable"),
        (chart((True, 2), (2, 3), (3, 4)), "unreadable"),
        ({"chart": {"result": None, "error": {"description": "No data found"}}}, "No data found"),
        ({}, "no trading periods"),
    ],
)
def test_invalid_trading_periods_are_an_error(answer: object, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        parse_trading_periods(answer)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (34_678_040_000, 34_678_040_000),
        (3.467804e10, 34_678_040_000),
        (0, None),
        (-1, None),
        (2**70, None),
        ("1T", None),
        (True, None),
        (None, None),
        ("absent", None),
    ],
)
def test_a_capitalisation_is_a_positive_number_or_unknown(value: object, expected: int | None) -> None:
    quote = one({"marketCap": value})

    assert isinstance(quote, Quote)
    assert quote.market_cap == expected


def test_fields_name_currency_state_and_all_sessions() -> None:
    assert {
        "currency",
        "marketState",
        "overnightMarketPrice",
        "overnightMarketTime",
        "postMarketTime",
        "preMarketPrice",
        "regularMarketVolume",
        "marketCap",
    } <= set(FIELDS)


def check_recording(path: Path, expected: dict[str, Any]) -> None:
    answer = body_of(path)
    symbols = parse_quotes(answer, [], [], NOW).unrequested
    result = parse_quotes(answer, [parse_symbol(symbol) for symbol in symbols], [], NOW)
    read: dict[str, Any] = {q.symbol: (str(q.price), q.market_state, q.currency) for q in result.quotes}
    assert read | dict(result.missing) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "2026_quote-closed.json",
            {"ZQA": ("84.55", "CLOSED", "USD"), "ZQB.B": ("84.17", "CLOSED", "USD")},
        ),
        ("2026_quote-pre.json", {"ZQA": ("85.02", "PRE", "USD"), "ZQB.B": ("85.02", "PRE", "USD")}),
        ("2026_quote-overnight.json", {"ZQA": ("84.7", "OVERNIGHT", "USD")}),
        ("2026_quote-pence.json", {"ZQP.L": ("512.4", "REGULAR", "GBp")}),
        ("2026_quote-dead.json", {"ZQX": "unknown to Yahoo Finance, or no longer traded"}),
        ("2026_quote-fields-symbol.json", {"ZQA": "no currency in Yahoo's answer"}),
        ("2026_quote-fields-beta.json", {"ZQA": "no currency in Yahoo's answer"}),
    ],
)
def test_answers_of_the_real_shape_become_quotes_or_a_named_reason(
    name: str, expected: dict[str, Any]
) -> None:
    check_recording(RECORDINGS / "yahoo" / name, expected)


@needs_real
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "2025_quote-AAPL-BABA.json",
            {"AAPL": ("244.64", "CLOSED", "USD"), "BABA": ("124.81", "CLOSED", "USD")},
        ),
        (
            "2022_quoteCombine-AAPL-TSLA.json",
            {"AAPL": ("155.82", "PRE", "USD"), "TSLA": ("721", "PRE", "USD")},
        ),
        ("2025_quote-OCDO.L.json", {"OCDO.L": ("308.8", "REGULAR", "GBp")}),
        ("2025_quote-BRKS.json", {"BRKS": "unknown to Yahoo Finance, or no longer traded"}),
        ("2025_quote-TSLA-fields-symbol.json", {"TSLA": "no currency in Yahoo's answer"}),
        ("2025_quote-MSFT-fields-beta.json", {"MSFT": "no currency in Yahoo's answer"}),
    ],
)
def test_recorded_answers_become_quotes_or_a_named_reason(name: str, expected: dict[str, Any]) -> None:
    check_recording(REAL_RECORDINGS / "yahoo" / name, expected)


@pytest.mark.parametrize(
    ("path", "rate"),
    [
        (RECORDINGS / "yahoo/2026_quote-pair.json", "1.1203604"),
        pytest.param(REAL_RECORDINGS / "yahoo/2025_quote-EURUSD=X.json", "1.0489877", marks=needs_real),
    ],
)
def test_the_recorded_pair_becomes_a_rate(path: Path, rate: str) -> None:
    (found,) = parse_quotes(body_of(path), [], [("EUR", "USD")], NOW).rates
    assert (found.base, found.target, str(found.rate)) == ("EUR", "USD", rate)


@pytest.mark.parametrize(
    ("path", "opening"),
    [
        (RECORDINGS / "yahoo/2026_chart-day.json", datetime(2026, 5, 1, 13, 30, tzinfo=UTC)),
        pytest.param(
            REAL_RECORDINGS / "yahoo/2025_chart-AAPL.json",
            datetime(2025, 3, 24, 13, 30, tzinfo=UTC),
            marks=needs_real,
        ),
    ],
)
def test_the_recorded_chart_has_the_trading_day(path: Path, opening: datetime) -> None:
    periods = parse_trading_periods(body_of(path))
    assert periods.regular == (opening, opening + timedelta(hours=6, minutes=30))
    assert periods.next_change(opening + timedelta(minutes=30)) == (MarketState.POST, periods.regular[1])


@pytest.mark.parametrize(
    "path", own_and_real("yahoo/error_bodies.json", "yahoo/TRANSCRIBED_error_bodies.json")
)
def test_error_bodies_are_reported_with_yahoos_message(path: Path) -> None:
    bodies = json.loads(path.read_text())
    for name in ("quote_401_cookie", "quote_401_feature", "chart_500_wrapped", "chart_404"):
        assert error_message(bodies[name]["body"])
        with pytest.raises(SourceError):
            parse_quotes(bodies[name]["body"], ["AAPL"], [], NOW)
