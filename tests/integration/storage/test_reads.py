"""What screens and `database status` read, and psql, on real servers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from sp500tui.errors import ConfigurationError, DatabaseError
from sp500tui.storage import reads as reading
from sp500tui.storage import status as inspection
from sp500tui.storage.connection import connect
from sp500tui.storage.database import Database
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.reads import (
    PricePoint,
    history,
    insert_rate,
    last_rows,
    newest,
    row_count,
    row_total,
    statistics,
)
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.status import psql_command, status
from sp500tui.storage.transaction import Connection
from tests.support.postgres import TcpPostgres

START = datetime(2026, 5, 1, 13, 30, tzinfo=UTC)
FILL = """
INSERT INTO prices (
    symbol, quote_time, price, currency, converted_price, converted_currency, market_state, volume, fetched_at
)
SELECT symbol, %(start)s::timestamptz + minute * interval '1 min', minute + 0.50, 'USD', 7 * (minute + 0.50), 'DKK',
       'REGULAR', 100, %(start)s
FROM unnest(%(symbols)s::text[]) AS symbol, generate_series(0, %(rows)s - 1) AS minute
"""


def fill(connection: Connection, symbols: list[str], rows: int) -> None:
    connection.execute(FILL, {"start": START, "symbols": symbols, "rows": rows})


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    apply_schema(database_url)
    with connect(database_url, application_name="test") as connection:
        yield connection


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

    def test_tells_why_it_failed(self, connection: Connection) -> None:
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

    def test_a_large_table_that_was_never_looked_at_is_counted(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(connection, ["AAPL"], 3000)
        monkeypatch.setattr(reading, "COUNTED_BYTES", 0)
        assert row_total(connection).rows == 3000

    def test_a_server_that_tells_no_sizes_counts(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(connection, ["AAPL"], 3)
        monkeypatch.setitem(QUERIES, "table_size", "SELECT no_such_function()")
        total = row_total(connection)
        assert (total.rows, total.exact, total.bytes) == (3, True, None)

    def test_the_newest_trade_and_the_symbols(self, connection: Connection) -> None:
        assert newest(connection).symbols == 0
        assert newest(connection).quote_time is None
        fill(connection, ["AAPL", "MSFT"], 2)
        found = newest(connection)
        assert (found.symbols, found.quote_time) == (2, START + timedelta(minutes=1))
        assert found.stored_at is not None

    def test_statistics_tell_the_server(self, connection: Connection) -> None:
        found = statistics(connection)
        assert found.version.startswith("18")
        assert abs((found.taken_at - datetime.now(UTC)).total_seconds()) < 60
        assert 1 <= found.connections <= found.max_connections == 100

    def test_the_rate_is_the_growth_between_two_looks(self, connection: Connection) -> None:
        earlier = replace(statistics(connection), inserted=100)
        later = replace(earlier, inserted=600, taken_at=earlier.taken_at + timedelta(seconds=2))
        assert insert_rate(earlier, later) == 250
        assert insert_rate(later, earlier) is None
        assert insert_rate(earlier, earlier) is None
        assert insert_rate(replace(earlier, inserted=None), later) is None

    def test_every_figure_has_its_sql(self) -> None:
        for name, sql in QUERIES.items():
            assert sql.startswith("-- "), name


class TestStatus:
    def test_of_a_new_database_says_that_it_is_empty(self, database_url: str, tmp_path: Path) -> None:
        found = status(Database.open(database_url, tmp_path))
        assert found.lines()[-1] == "tables        none yet: the first run makes them"
        assert found.as_json()["rows"] is None
        with connect(database_url, application_name="test") as connection:
            assert connection.execute("SELECT to_regclass('public.prices')").fetchone() == (None,)

    def test_tells_what_is_there(self, connection: Connection, database_url: str, tmp_path: Path) -> None:
        fill(connection, ["AAPL", "MSFT"], 1000)
        found = status(Database.open(database_url, tmp_path))
        lines = found.lines()
        assert (found.as_json()["rows"], found.as_json()["newest_trade"]) == (
            2000,
            "2026-05-02T06:09:00+00:00",
        )
        assert lines[0].startswith("database      postgresql://sp500tui@/test_")
        assert lines[1].startswith("server        PostgreSQL 18")
        assert lines[1].endswith("by URL")
        assert lines[2] == "schema        version 4"
        assert lines[3].startswith("prices        2,000 rows, ")
        assert lines[4:7] == [
            "symbols       2 with a price",
            "newest trade  2026-05-02 06:09:00 UTC",
            "constituents  0",
        ]

    def test_of_an_empty_table_knows_no_trade(
        self, connection: Connection, database_url: str, tmp_path: Path
    ) -> None:
        assert "newest trade  none" in status(Database.open(database_url, tmp_path)).lines()

    def test_hides_the_password(self, tcp_postgres: TcpPostgres, tmp_path: Path) -> None:
        text = "\n".join(status(Database.open(tcp_postgres.url, tmp_path)).lines())
        assert "admin:***@127.0.0.1" in text
        assert "s3cret" not in text

    def test_tells_a_table_that_may_not_be_read(self, tcp_postgres: TcpPostgres, tmp_path: Path) -> None:
        apply_schema(tcp_postgres.url)
        tcp_postgres.execute("CREATE ROLE blind LOGIN PASSWORD 'x'")
        database = Database.open(tcp_postgres.url_for("blind", "x"), tmp_path)
        with pytest.raises(DatabaseError, match="permission denied"):
            status(database)
        tcp_postgres.execute("DROP ROLE blind")


class TestPsql:
    @pytest.mark.parametrize("path", [None, ""])
    def test_opens_the_database_without_showing_the_password(
        self, tcp_postgres: TcpPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | None
    ) -> None:
        if path is not None:
            monkeypatch.setenv("PATH", path)
        command, environment = psql_command(
            Database.open(tcp_postgres.url, tmp_path), ["-Atc", "SELECT 6 * 7", "--no-psqlrc"]
        )
        assert "s3cret" not in " ".join(command)
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert result.stdout == "42\n"

    def test_opens_the_embedded_one(self, database_url: str, tmp_path: Path) -> None:
        command, environment = psql_command(Database.open(database_url, tmp_path), ["-Atc", "SELECT 1"])
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert result.stdout == "1\n"

    def test_that_is_nowhere_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def nothing() -> Path:
            raise ConfigurationError("no package")

        monkeypatch.setattr(inspection, "find_program", lambda name: None)
        monkeypatch.setattr(inspection, "bin_folder", nothing)
        with pytest.raises(ConfigurationError, match="no psql on PATH; install"):
            psql_command(Database.open("postgresql://host/db", tmp_path), [])
