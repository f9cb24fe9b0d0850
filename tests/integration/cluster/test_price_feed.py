"""The prices that other nodes store reach a node's front end, whenever their rows become visible."""

from __future__ import annotations

import psycopg
import pytest

from sp500tui.cluster.shared import price_feed
from sp500tui.cluster.shared.price_feed import PriceFeed
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.storage import batch_codec
from sp500tui.storage.connection import connect
from sp500tui.storage.writes import insert
from tests.support.pipeline.rows import row
from tests.support.waiting import Wait


def store(url: str, symbol: str, *, seconds_ago: float = 0.0) -> None:
    """Store a price that was written `seconds_ago` by the server's clock and is visible now."""
    with connect(url, application_name="another node") as connection:
        insert(connection, batch_codec.encode([row(1, symbol=symbol)]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE prices SET stored_at = stored_at - make_interval(secs => %s) WHERE symbol = %s",
            (seconds_ago, symbol),
        )


@pytest.mark.parametrize(
    ("seconds_ago", "overlap", "full_interval"),
    [(20.0, 60.0, 60.0), (3600.0, 10.0, 0.0)],
    ids=["a commit that took long", "a clock that was set back"],
)
def test_a_price_with_an_earlier_stored_at_is_seen(
    migrated_url: str,
    eventually: Wait,
    monkeypatch: pytest.MonkeyPatch,
    seconds_ago: float,
    overlap: float,
    full_interval: float,
) -> None:
    # given a feed that has read a price
    monkeypatch.setattr(price_feed, "_MIN_INTERVAL", 0.01)
    monkeypatch.setattr(price_feed, "_FULL_INTERVAL", full_interval)
    prices = LatestPrices()
    feed = PriceFeed(prices, lambda: migrated_url, overlap=overlap)
    feed.thread.start()
    store(migrated_url, "AAPL")
    feed.stored(1)
    eventually(lambda: prices.get("AAPL"))

    # when another one becomes visible whose stored_at is earlier
    store(migrated_url, "MSFT", seconds_ago=seconds_ago)
    feed.stored(2)

    # then it is read
    eventually(lambda: prices.get("MSFT"))
    feed.close()
    assert feed.thread.join(30)
