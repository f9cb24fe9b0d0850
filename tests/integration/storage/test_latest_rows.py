"""The newest rows are read from the database with the values that were stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sp500tui.storage import batch_codec as rowcodec
from sp500tui.storage.connection import connect
from sp500tui.storage.reads import latest_since
from sp500tui.storage.writes import insert
from tests.support.pipeline.rows import row

EVER = datetime(1970, 1, 1, tzinfo=UTC)


def test_only_the_newest_row_of_a_symbol_and_only_what_is_new(migrated_url: str) -> None:
    # given two rows of one symbol and one of another
    older, newer, other = row(0, symbol="AAPL"), row(1, symbol="AAPL"), row(2, symbol="MSFT")
    assert older.quote.quote_time < newer.quote.quote_time
    with connect(migrated_url, application_name="test") as connection:
        assert latest_since(connection, EVER).stored_at is None
        insert(connection, rowcodec.encode([older, newer, other]))

        # when the newest rows are read
        latest = latest_since(connection, EVER)

        # then the values are those that were stored, and asking from later on finds nothing
        found = {each.quote.symbol: each for each in latest.rows}
        for stored in (newer, other):
            seen = found[stored.quote.symbol]
            assert seen.quote == stored.quote
            assert (seen.converted_price, seen.converted_currency) == (
                stored.converted_price,
                stored.converted_currency,
            )
            assert (seen.fx_rate, seen.fx_time) == (stored.fx_rate, stored.fx_time)
        assert len(latest.rows) == 2
        assert latest.stored_at is not None
        assert latest_since(connection, latest.stored_at + timedelta(seconds=1)).rows == ()
