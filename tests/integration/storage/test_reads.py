"""What the screens read, on real servers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from sp500tui.errors import DatabaseError
from sp500tui.storage import reads as reading
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.reads import (
    PricePoint,
    history,
    insert_rate,
    last_rows,
    latest_trade,
    row_count,
    row_total,
    statistics,
)
from sp500tui.storage.transaction import Connection
from tests.support.postgres.stored_prices import START, fill


class TestHistory:
    def test_is_every_price_while_there_are_few(self, connection: Connection) -> None:
        fill(connection, ["AAPL", "MSFT"], 3)
        points = history(connection, "AAPL", START + timedelta(minutes=1))
        assert points == (
            PricePoint(START + timedelta(minutes=1), Decimal("1.50"), Decimal("10.50"), 100, "REGULAR"),
            PricePoint(START + timedelta(minutes=2), Decimal("2.50"), Decimal("17.50"), 100, "REGULAR"),
        )
        assert points[0].time.tzinfo is UTC

    @pytest.mark.parametrize(
        ("rows", "asked"), [(2000, 2000), (2001, 2000), (5003, 2000), (5003, 10**6), (50, 7)]
    )
    def test_is_thinned_evenly_and_keeps_the_newest(
        self, connection: Connection, rows: int, asked: int
    ) -> None:
        fill(connection, ["AAPL"], rows)
        points = history(connection, "AAPL", START, asked)
        steps = {later.time - earlier.time for earlier, later in pairwise(points)}
        assert min(asked, 2000) / 2 <= len(points) <= min(asked, 2000)
        assert points[-1].time == START + timedelta(minutes=rows - 1)
        assert len(steps) == 1

    def test_of_an_unknown_symbol_is_empty(self, connection: Connection) -> None:
        fill(connection, ["AAPL"], 1)
        assert history(connection, "'; DROP TABLE prices; --", START) == ()
        assert row_count(connection) == 1

    def test_names_the_reason_of_a_failure(self, connection: Connection) -> None:
        connection.execute("DROP TABLE prices CASCADE")
        with pytest.raises(DatabaseError, match="query history") as caught:
            history(connection, "AAPL", START)
        assert caught.value.sqlstate == "42P01"


class TestLastRows:
    def test_of_one_symbol_begin_with_the_newest(self, connection: Connection) -> None:
        fill(connection, ["AAPL", "MSFT"], 5)
        rows = last_rows(connection, "AAPL", 2)
        assert [(row.symbol, row.price) for row in rows] == [
            ("AAPL", Decimal("4.50")),
            ("AAPL", Decimal("3.50")),
        ]
        assert rows[0].stored_at.tzinfo is UTC

    def test_of_all_are_the_newest_trades_of_any_symbol(self, connection: Connection) -> None:
        fill(connection, ["AAPL"], 9)
        fill(connection, ["MSFT"], 4)
        fill(connection, ["ZTS"], 8)
        rows = last_rows(connection, None, 4)
        assert [(row.symbol, row.price) for row in rows] == [
            ("AAPL", Decimal("8.50")),
            ("AAPL", Decimal("7.50")),
            ("ZTS", Decimal("7.50")),
            ("AAPL", Decimal("6.50")),
        ]

    def test_are_bounded(self, connection: Connection) -> None:
        fill(connection, ["AAPL"], 300)
        assert len(last_rows(connection, "AAPL", 10**9)) == 200
        assert len(last_rows(connection, None, 0)) == 1

    def test_of_an_empty_table_are_none(self, connection: Connection) -> None:
        assert last_rows(connection, None, 10) == ()


class TestTotals:
    def test_a_small_table_is_counted(self, connection: Connection) -> None:
        fill(connection, ["AAPL"], 1234)
        total = row_total(connection)
        assert (total.rows, total.exact) == (1234, True)
        assert total.bytes is not None
        assert total.bytes > 1234 * 50

    def test_a_large_table_is_estimated(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(connection, ["AAPL", "MSFT"], 3000)
        connection.execute("ANALYZE prices")
        fill(connection, ["ZTS"], 3000)
        monkeypatch.setattr(reading, "COUNTED_BYTES", 1000)
        total = row_total(connection)
        assert not total.exact
        assert 8000 < total.rows < 10_000

    def test_a_large_table_that_was_never_analyzed_is_counted(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(connection, ["AAPL"], 3000)
        monkeypatch.setattr(reading, "COUNTED_BYTES", 0)
        assert row_total(connection).rows == 3000

    def test_a_server_without_size_functions_counts_the_rows(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(connection, ["AAPL"], 3)
        monkeypatch.setitem(QUERIES, "table_size", "SELECT no_such_function()")
        total = row_total(connection)
        assert (total.rows, total.exact, total.bytes) == (3, True, None)

    def test_the_newest_trade_and_the_symbols(self, connection: Connection) -> None:
        assert latest_trade(connection).symbols == 0
        assert latest_trade(connection).quote_time is None
        fill(connection, ["AAPL", "MSFT"], 2)
        found = latest_trade(connection)
        assert (found.symbols, found.quote_time) == (2, START + timedelta(minutes=1))
        assert found.stored_at is not None

    def test_statistics_name_the_server(self, connection: Connection) -> None:
        found = statistics(connection)
        assert found.version.startswith("18")
        assert abs((found.taken_at - datetime.now(UTC)).total_seconds()) < 60
        assert 1 <= found.connections <= found.max_connections == 100

    def test_the_rate_is_the_growth_between_two_reads(self, connection: Connection) -> None:
        earlier = replace(statistics(connection), inserted=100)
        later = replace(earlier, inserted=600, taken_at=earlier.taken_at + timedelta(seconds=2))
        assert insert_rate(earlier, later) == 250
        assert insert_rate(later, earlier) is None
        assert insert_rate(earlier, earlier) is None
        assert insert_rate(replace(earlier, inserted=None), later) is None

    def test_every_figure_has_its_sql(self) -> None:
        for name, sql in QUERIES.items():
            assert sql.startswith("-- "), name
