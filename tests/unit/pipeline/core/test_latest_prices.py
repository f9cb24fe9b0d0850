"""The cache of the latest prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sp500tui.model import ConvertedQuote, MarketState
from sp500tui.pipeline.core.latest_prices import LatestPrices
from tests.support.pipeline.rows import row


def later(of: ConvertedQuote, seconds: int, price: str = "101") -> ConvertedQuote:
    quote = replace(
        of.quote, quote_time=of.quote.quote_time + timedelta(seconds=seconds), price=Decimal(price)
    )
    return replace(of, quote=quote)


def test_changes_since_a_version_are_in_the_order_of_change() -> None:
    latest_prices = LatestPrices()
    latest_prices.update([row(1), row(2), row(3)])
    version, first = latest_prices.changes_since(0)
    assert [price.row for price in first] == [row(1), row(2), row(3)]

    latest_prices.update([later(row(2), 5), row(3)])

    newer, changed = latest_prices.changes_since(version)
    assert [price.row.quote.symbol for price in changed] == ["S2"]
    assert newer == version + 1
    assert latest_prices.changes_since(newer) == (newer, [])


def test_an_older_quote_never_replaces_a_newer_one() -> None:
    latest_prices = LatestPrices()
    latest_prices.update([later(row(1), 5)])
    latest_prices.update([later(row(1), 4, "55")])
    assert latest_prices.changes_since(0)[1][0].row == later(row(1), 5)


def test_a_later_converted_price_replaces_a_missing_one() -> None:
    latest_prices = LatestPrices()
    latest_prices.update([replace(row(1), converted_price=None)])
    version = latest_prices.changes_since(0)[0]
    latest_prices.update([row(1)])
    assert len(latest_prices.changes_since(version)[1]) == 1
    version = latest_prices.changes_since(0)[0]
    latest_prices.update([replace(row(1), fetched_monotonic=9.0)])
    assert latest_prices.changes_since(version)[1] == [], "the same price again is no change"


def test_the_writer_is_shown_only_for_the_quote_that_it_committed() -> None:
    latest_prices = LatestPrices()
    assert latest_prices.get("S1") is None
    latest_prices.update([row(1)])
    found = latest_prices.get("S1")
    assert found is not None
    assert found.written_by == ""
    latest_prices.mark_written([row(1)], "writer-2")
    found = latest_prices.get("S1")
    assert found is not None
    assert found.written_by == "writer-2"
    assert latest_prices.changes_since(0)[1][0].written_by == "writer-2"
    latest_prices.update([later(row(1), 1)])
    found = latest_prices.get("S1")
    assert found is not None
    assert found.written_by == ""


def test_the_session_is_that_of_the_newest_quote() -> None:
    latest_prices = LatestPrices()
    assert latest_prices.market_state is None
    latest_prices.update([row(1)])
    assert latest_prices.market_state is MarketState.REGULAR
