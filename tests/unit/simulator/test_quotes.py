"""Quotes of the demo market: their structure, their arithmetic, and their faults."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sp500tui.simulator.faults import Faults, FaultSampler
from sp500tui.simulator.market.clock import OPENING
from sp500tui.simulator.market.instruments import constituents
from sp500tui.simulator.market.model import Market
from sp500tui.simulator.stats import ServedQuote
from sp500tui.simulator.yahoo.quotes import CORE, dead_quote, latest_trade, pair_quote, share_quote
from sp500tui.simulator.yahoo.rendering import QuoteRenderer, Rendered
from tests.support.market.recordings import own_and_real
from tests.unit.simulator.test_clock import SettableTime
from tests.unit.simulator.test_market import known, new_market

CALENDAR_FACTS = {
    "dividendDate", "dividendRate", "dividendYield", "trailingAnnualDividendRate", "trailingAnnualDividendYield",
    "earningsTimestamp", "earningsTimestampStart", "earningsTimestampEnd", "earningsCallTimestampStart",
    "earningsCallTimestampEnd", "isEarningsDateEstimate", "averageAnalystRating", "beta",
}  # fmt: skip
"""Keys of real companies that an invented market does not have."""
EVERYTHING: frozenset[str] = frozenset()
SYMBOLS = ["MMM", "AOS", "ABT"]


class RenderedMarket:
    """A market, and the renderer of its quotes with the faults of a test."""

    def __init__(self, start_at: float = OPENING + 60, **faults: Any) -> None:
        self.time = SettableTime()
        self.market: Market = new_market(self.time, start_at=start_at)
        self.happened: list[str] = []
        self.sampler = FaultSampler(Faults(**faults), 1, self.happened.append)
        self.renderer = QuoteRenderer(self.market, self.sampler)

    def render(self, *symbols: str, wanted: frozenset[str] = EVERYTHING, wrap: bool = False) -> Rendered:
        return self.renderer.render(list(symbols or SYMBOLS), wanted, wrap)

    def quotes(
        self, *symbols: str, wanted: frozenset[str] = EVERYTHING, wrap: bool = False
    ) -> list[dict[str, Any]]:
        return [
            json.loads(fragment) for fragment in self.render(*symbols, wanted=wanted, wrap=wrap).fragments
        ]


def recorded(path: Path) -> dict[str, Any]:
    quote: dict[str, Any] = json.loads(path.read_text("utf-8"))["response"]["bodyJson"]["quoteResponse"][
        "result"
    ][0]
    return quote


def kinds(quote: dict[str, Any]) -> dict[str, str]:
    return {
        key: "number" if type(value) in (int, float) else type(value).__name__ for key, value in quote.items()
    }


@pytest.mark.parametrize(
    "path", own_and_real("yahoo/2026_quote-closed.json", "yahoo/2025_quote-AAPL-BABA.json")
)
def test_a_share_has_the_keys_and_types_of_a_recorded_one(path: Path) -> None:
    # given a recorded quote of a closed market, and one of the demo market in the evening
    real = kinds(recorded(path))
    ours = kinds(RenderedMarket(start_at=22.5 * 3600).quotes("MMM")[0])

    # then the latter has all of its keys except those of real companies, with the same types
    assert real.keys() - ours.keys() <= CALENDAR_FACTS
    assert {key: real[key] for key in real.keys() & ours.keys()} == {
        key: ours[key] for key in real.keys() & ours.keys()
    }
    assert ours.keys() <= real.keys()


@pytest.mark.parametrize("path", own_and_real("yahoo/2026_quote-pair.json", "yahoo/2025_quote-EURUSD=X.json"))
def test_a_pair_has_the_keys_and_types_of_a_recorded_one(path: Path) -> None:
    real, ours = kinds(recorded(path)), kinds(RenderedMarket().quotes("EURUSD=X")[0])
    assert real == ours


@pytest.mark.parametrize("path", own_and_real("yahoo/2026_quote-dead.json", "yahoo/2025_quote-BRKS.json"))
def test_a_delisted_symbol_has_the_fields_of_a_recorded_one(path: Path) -> None:
    (quote,) = RenderedMarket().quotes("BRKS")
    assert quote == dead_quote("BRKS")
    assert set(recorded(path)) - set(quote) <= {"messageBoardId"}


@pytest.mark.parametrize(
    "path", own_and_real("yahoo/2026_quote-fields-beta.json", "yahoo/2025_quote-MSFT-fields-beta.json")
)
def test_a_filtered_quote_has_the_recorded_core_and_the_requested_fields(path: Path) -> None:
    real = set(recorded(path)) - {"beta"}
    ours = set(RenderedMarket().quotes("MMM", wanted=frozenset({"currency"}))[0])
    assert ours == real | {"currency"}
    assert real == CORE


def test_the_change_is_the_price_less_the_previous_close_to_the_last_digit() -> None:
    # given quotes as printed, read without rounding
    fragments = RenderedMarket().render("MMM", "AOS", "ABT", "USDDKK=X").fragments
    for quote in (json.loads(fragment, parse_float=Decimal) for fragment in fragments):
        change = quote["regularMarketPrice"] - quote["regularMarketPreviousClose"]
        # then the arithmetic holds exactly
        assert quote["regularMarketChange"] == change
        percent = 100 * change / quote["regularMarketPreviousClose"]
        assert quote["regularMarketChangePercent"] == pytest.approx(percent, abs=Decimal("1e-6"))


@pytest.mark.parametrize(
    ("start_at", "state", "prefix"),
    [
        (8 * 3600, "PRE", "preMarket"),
        (12 * 3600, "REGULAR", "regularMarket"),
        (18 * 3600, "POST", "postMarket"),
        (21 * 3600, "POSTPOST", "postMarket"),
        (23 * 3600, "CLOSED", "postMarket"),
        (3 * 3600, "PREPRE", "postMarket"),
    ],
)
def test_each_session_prints_its_own_price(start_at: float, state: str, prefix: str) -> None:
    # given a quote in that session
    harness = RenderedMarket(start_at)
    (quote,) = harness.quotes("MMM")

    # then it is marked, has that session's price, and that price is in the ledger
    assert quote["marketState"] == state
    assert {key[:-5] for key in quote if key.endswith("MarketPrice")} == {prefix, "regularMarket"}
    assert harness.render("MMM").quotes == (
        ServedQuote("MMM", quote[prefix + "Time"], repr(quote[prefix + "Price"])),
    )
    if prefix != "regularMarket":
        change = Decimal(str(quote[prefix + "Price"])) - Decimal(str(quote["regularMarketPrice"]))
        assert Decimal(str(quote[prefix + "Change"])) == change


def test_a_fragment_is_made_once_a_trade() -> None:
    # given two requests within a second, and a later one
    harness = RenderedMarket()
    first, again = harness.render("MMM").fragments, harness.render("MMM").fragments
    harness.time.now += 30
    later = harness.render("MMM").fragments

    # then the first two have the same text
    assert first[0] is again[0]
    assert first != later


def test_unknown_symbols_are_left_out_and_dotted_ones_are_not_yahoos() -> None:
    market = new_market(SettableTime(), listings=constituents())
    rendered = QuoteRenderer(market, FaultSampler(Faults(), 1, print)).render(
        ["BRK-B", "BRK.B", "NOPE1"], EVERYTHING, False
    )
    assert [quote.symbol for quote in rendered.quotes] == ["BRK.B"]
    assert json.loads(rendered.fragments[0])["symbol"] == "BRK-B"


def test_formatted_numbers_come_as_objects() -> None:
    (quote,) = RenderedMarket().quotes("MMM", wrap=True)
    assert set(quote["regularMarketPrice"]) == {"raw", "fmt"}
    assert quote["symbol"] == "MMM"
    assert quote["tradeable"] is False


def test_currency_pairs_are_not_in_the_ledger() -> None:
    rendered = RenderedMarket().render("USDDKK=X")
    assert len(rendered.fragments) == 1
    assert rendered.quotes == ()


@pytest.mark.parametrize(
    ("fault", "text"), [("nan_price", "NaN"), ("null_price", "null"), ("negative_price", "-1.0")]
)
def test_a_spoilt_price_is_printed_and_kept_out_of_the_ledger(fault: str, text: str) -> None:
    harness = RenderedMarket(18 * 3600, **{fault: 1})
    rendered = harness.render("MMM")
    assert f'"regularMarketPrice":{text}' in rendered.fragments[0]
    assert f'"postMarketPrice":{text}' in rendered.fragments[0]
    assert rendered.quotes == ()
    assert harness.happened == [fault]


def test_a_stale_quote_is_that_of_the_previous_close() -> None:
    # given a market in which every quote is stale
    harness = RenderedMarket(stale=1)
    (quote,) = harness.quotes("MMM")
    day = known(harness.market, "MMM").today

    # then it is a real but old one, and is recorded as such in the ledger
    assert (quote["regularMarketPrice"], quote["regularMarketTime"]) == (
        day.previous_close,
        day.previous_time,
    )
    assert quote["regularMarketChange"] == 0
    assert harness.render("MMM").quotes == (ServedQuote("MMM", day.previous_time, repr(day.previous_close)),)


def test_missing_symbols_are_missing() -> None:
    assert RenderedMarket(missing_symbol=1).quotes() == []
    harness = RenderedMarket(missing_symbol=0.5)
    assert 0 < sum(len(harness.quotes()) for _ in range(20)) < 60


def test_an_empty_answer_has_no_quotes_at_all() -> None:
    assert RenderedMarket(empty=1).quotes("MMM", "USDDKK=X") == []


def test_an_unrequested_symbol_replaces_a_quote() -> None:
    # given answers with a symbol that was not requested
    harness = RenderedMarket(unrequested_symbols=1)
    rendered = harness.render()
    symbols = [json.loads(fragment)["symbol"] for fragment in rendered.fragments]

    # then one was not requested, and the ledger has only the others
    assert len(symbols) == 3
    assert len(set(symbols) & set(SYMBOLS)) == 2
    assert {quote.symbol for quote in rendered.quotes} == set(symbols) & set(SYMBOLS)


def test_faulty_rates() -> None:
    # given a rate, then each of its faults
    normal = RenderedMarket().quotes("DKK=X")[0]
    assert RenderedMarket(fx="missing").quotes("DKK=X") == []
    assert RenderedMarket(fx="zero").quotes("DKK=X")[0]["regularMarketPrice"] == 0
    old = RenderedMarket(fx="old").quotes("DKK=X")[0]
    assert normal["regularMarketTime"] - old["regularMarketTime"] >= 2 * 86_400


def test_without_a_usable_price_there_is_no_latest_trade() -> None:
    assert latest_trade(dead_quote("BRKS")) is None
    pair = new_market(SettableTime()).pair("DKK=X")
    assert pair is not None
    assert latest_trade(pair_quote(pair)) is not None
    instrument = known(new_market(SettableTime()), "MMM")
    quote = share_quote(instrument, new_market(SettableTime()).state())
    del quote["regularMarketTime"]
    assert latest_trade(quote) is None
