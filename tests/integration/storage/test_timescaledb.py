"""The statements for TimescaleDB on a server that has the extension, where one is given.

A server that shares one session among its clients, a transaction at a time, is enough: no test has two transactions at
once.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sp500tui.errors import DatabaseError
from sp500tui.model import ConvertedQuote, MarketState, Quote, Resolution
from sp500tui.storage import reads, status
from sp500tui.storage.batch_codec import decode, encode, encode_records
from sp500tui.storage.connection import connect
from sp500tui.storage.database import Database
from sp500tui.storage.distribution import prepare
from sp500tui.storage.export.rows import Dataset, Selection, csv_blocks
from sp500tui.storage.history.candles import read_candles
from sp500tui.storage.history.retention import MINUTE_BARS, PRICES, replace_old
from sp500tui.storage.history.sessions import QUOTES, present_by_day, replaced_by_day
from sp500tui.storage.schema import migrations
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.status import read_status
from sp500tui.storage.transaction import Connection
from sp500tui.storage.writes import insert, upsert_symbols
from tests.support.market.charts import bar, insert_bars, session

VARIABLE = "SP500TUI_TEST_TIMESCALEDB_URL"
"""Environment variable with the URL of a database in which TimescaleDB is created; the tests drop its tables."""
URL = os.environ.get(VARIABLE, "")
CUTOFF = datetime(2026, 5, 6, 14, 0, 30, tzinfo=UTC)
DAYS = [date(2026, 5, day) for day in range(4, 9)]
"""Of `FILL`: an hour from 13:30 on each, three prices a minute."""
FILL = """
INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, volume, fetched_at)
SELECT symbol, timestamptz '2026-05-04 13:30+00' + day * interval '1 day' + number * interval '20 s',
       100 + day + number * 0.01, 'USD', 'DKK', 'REGULAR', 1000 * number, timestamptz '2026-05-08 20:00+00'
FROM unnest(ARRAY['AAPL', 'MSFT']) AS listed (symbol), generate_series(0, 4) AS day, generate_series(0, 179) AS number
ON CONFLICT DO NOTHING
"""
LAST_BEFORE_BARS = 4
"""The last migration before that of the table `bars`."""
MADE_BY_AN_EARLIER_VERSION = """
SELECT create_hypertable(
    'public.prices', 'quote_time', chunk_time_interval => interval '1 day', create_default_indexes => false
)
"""

pytestmark = pytest.mark.skipif(
    not URL, reason=f"needs TimescaleDB: set {VARIABLE} to the URL of a test database that has it"
)


def quote(symbol: str, at: datetime, price: str = "189.90") -> ConvertedQuote:
    value = Quote(symbol, Decimal(price), None, None, "USD", at, MarketState.REGULAR, 12, at)
    return ConvertedQuote(value, Decimal(price) * 7, "DKK", Decimal(7), at)


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def chunks(connection: Connection, table: str = "prices") -> list[date]:
    """The first days of the chunks of a hypertable."""
    return [
        start.astimezone(UTC).date()
        for (start,) in rows(
            connection,
            "SELECT range_start FROM timescaledb_information.chunks "
            f"WHERE hypertable_name = '{table}' ORDER BY range_start",
        )
    ]


def remove_tables() -> None:
    with psycopg.connect(URL, autocommit=True, prepare_threshold=None) as connection:
        for table in migrations._created_tables():
            connection.execute(f"DROP TABLE IF EXISTS public.{table} CASCADE")
        connection.execute("DROP VIEW IF EXISTS public.split_factors CASCADE")


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of the database, without tables. One test at a time uses it."""
    assert "test" in str(conninfo_to_dict(URL).get("dbname")), (
        f"the database of {VARIABLE} is not called test"
    )
    with (Path(tempfile.gettempdir()) / "sp500tui-test-timescaledb.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_tables()
        yield URL
        remove_tables()


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """A connection to the database with hypertables that are empty."""
    list(prepare(url))
    with connect(url, application_name="test") as connection:
        yield connection


class TestPrepare:
    def test_partitions_the_tables_by_time_once(self, url: str) -> None:
        first, *steps = prepare(url)
        assert " with TimescaleDB " in first
        assert [line.split()[0] for line in steps] == ["done"] * 4
        with connect(url, application_name="test") as connection:
            assert rows(
                connection,
                "SELECT hypertable_name, column_name, time_interval FROM timescaledb_information.dimensions "
                "WHERE hypertable_schema = 'public' ORDER BY 1",
            ) == [("bars", "start_time", timedelta(7)), ("prices", "quote_time", timedelta(1))]
            # No index but the key.
            assert rows(connection, "SELECT indexname FROM pg_indexes WHERE tablename = 'prices'") == [
                ("prices_pkey",)
            ]
        assert list(prepare(url))[1:] == ["nothing   to do: the tables are already distributed"]
        assert not apply_schema(url)

    def test_moves_the_rows_that_are_stored_into_chunks(self, url: str) -> None:
        # given rows in ordinary tables
        apply_schema(url)
        content = (
            "SELECT md5(string_agg(prices::text, ' ' ORDER BY symbol, quote_time)) FROM prices "
            "UNION ALL SELECT md5(string_agg(bars::text, ' ' ORDER BY symbol, start_time)) FROM bars"
        )
        newest = "SELECT * FROM latest_prices ORDER BY symbol"
        with connect(url, application_name="test") as connection:
            connection.execute(FILL)
            insert_bars(
                connection,
                [bar("AAPL", Resolution.DAY, datetime(2026, 1, 5, 14, 30, tzinfo=UTC) + timedelta(7 * week))
                 for week in range(10)],
            )  # fmt: skip
            before = rows(connection, content), rows(connection, newest)
        # when they are prepared
        list(prepare(url))
        # then each row is in a chunk, and the views have the same
        with connect(url, application_name="test") as connection:
            assert (rows(connection, content), rows(connection, newest)) == before
            assert rows(connection, "SELECT count(*) FROM ONLY prices") == [(0,)]
            assert chunks(connection) == DAYS
            assert len(chunks(connection, "bars")) == 10
            assert insert(connection, encode([quote("AAPL", datetime(2026, 5, 4, 13, 30, tzinfo=UTC))])) == 0

    def test_a_dry_run_changes_nothing(self, url: str) -> None:
        apply_schema(url)
        assert sum(line.startswith("would") for line in prepare(url, dry_run=True)) == 4
        with connect(url, application_name="test") as connection:
            assert chunks(connection) == []
            assert rows(connection, "SELECT count(*) FROM timescaledb_information.hypertables") == [(0,)]

    def test_completes_what_an_earlier_version_has_prepared(
        self, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        # given the tables of a version without bars, the prices of which are a hypertable
        with monkeypatch.context() as earlier:
            for path in migrations._FOLDER.glob("*.sql"):
                if int(path.name.partition("_")[0]) <= LAST_BEFORE_BARS:
                    (tmp_path / path.name).write_text(path.read_text())
            earlier.setattr(migrations, "_FOLDER", tmp_path)
            migrations._created_tables.cache_clear()
            apply_schema(url)
        migrations._created_tables.cache_clear()
        with connect(url, application_name="test") as connection:
            connection.execute(MADE_BY_AN_EARLIER_VERSION)
        # when it is prepared again, then the later tables are made, and the steps that remain
        assert [line.split()[0] for line in prepare(url)] == ["server", *["done"] * 3]

    def test_a_failure_is_one_line_and_prepare_can_be_run_again(self, url: str) -> None:
        # given a unique index that a hypertable cannot have
        apply_schema(url)
        with connect(url, application_name="test") as connection:
            connection.execute("CREATE UNIQUE INDEX other ON prices (symbol, fetched_at)")
        # then the reason is the server's, without its details
        with pytest.raises(DatabaseError) as caught:
            list(prepare(url))
        assert str(caught.value) == (
            "the database did not partition the table prices by trade time, a day in each chunk: "
            'cannot create a unique index without the column "quote_time" (used in partitioning)'
        )
        # when the index is gone, then it goes on
        with connect(url, application_name="test") as connection:
            connection.execute("DROP INDEX other")
        assert [line.split()[0] for line in prepare(url)] == ["server", *["done"] * 4]


class TestWrites:
    def test_each_row_of_a_batch_over_several_chunks_is_stored_once(self, connection: Connection) -> None:
        moments = [datetime(2026, 5, day, 13, 30, tzinfo=UTC) for day in (8, 4, 6)]
        batch = [quote(symbol, moment) for symbol in ("AAPL", "MSFT") for moment in moments]
        assert insert(connection, encode(batch)) == 6
        assert insert(connection, encode(batch)) == 0
        later = [quote("AAPL", moments[0], "1"), quote("ZTS", moments[0]), quote("ZTS", moments[0], "2")]
        assert insert(connection, encode(later)) == 1
        assert rows(connection, "SELECT count(*), min(price), max(price) FROM prices") == [
            (7, Decimal("189.90"), Decimal("189.90"))
        ]
        assert chunks(connection) == [date(2026, 5, 4), date(2026, 5, 6), date(2026, 5, 8)]

    def test_a_prepared_insert_continues_after_its_chunk_was_dropped(self, connection: Connection) -> None:
        old, new = datetime(2026, 5, 4, 13, 30, tzinfo=UTC), datetime(2026, 5, 8, 13, 30, tzinfo=UTC)
        for number in range(10):
            second = timedelta(seconds=number)
            assert insert(connection, encode([quote("AAPL", old + second), quote("AAPL", new + second)])) == 2
        assert replace_old(connection, PRICES, CUTOFF) == 10
        assert insert(connection, encode([quote("AAPL", old), quote("AAPL", new)])) == 1

    def test_a_row_that_the_table_refuses_stores_nothing_of_its_batch(self, connection: Connection) -> None:
        records = decode(encode([quote("A", CUTOFF), quote("B", CUTOFF), quote("C", CUTOFF)]))
        records[1]["price"] = None
        with pytest.raises(DatabaseError) as caught:
            insert(connection, encode_records(records))
        assert caught.value.sqlstate == "23502"
        assert rows(connection, "SELECT count(*) FROM prices") == [(0,)]


class TestReads:
    def test_of_the_newest_prices_need_not_look_into_every_chunk(self, connection: Connection) -> None:
        connection.execute(FILL)
        upsert_symbols(connection, ["AAPL", "MSFT", "ZTS"])
        trade = reads.latest_trade(connection)
        assert (trade.symbols, trade.quote_time) == (2, datetime(2026, 5, 8, 14, 29, 40, tzinfo=UTC))
        assert [row.symbol for row in reads.last_rows(connection, None, 3)] == ["AAPL", "MSFT", "AAPL"]
        plan = "\n".join(
            line for (line,) in rows(connection, "EXPLAIN (COSTS OFF) SELECT * FROM latest_prices")
        )
        assert "ChunkAppend" in plan
        assert "Merge Append" not in plan
        points = reads.history(connection, "MSFT", datetime(2026, 5, 7, tzinfo=UTC))
        assert len(points) == 2 * 180

    def test_size_and_rows_are_those_of_the_chunks(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection.execute(FILL)
        # given a table that was never analyzed, then its rows are counted
        monkeypatch.setattr(reads, "COUNTED_BYTES", 0)
        assert (reads.row_total(connection).rows, reads.row_total(connection).exact) == (1800, True)
        connection.execute("ANALYZE prices")
        total = reads.row_total(connection)
        assert (total.rows, total.exact, total.distributed) == (1800, False, True)
        assert total.bytes is not None
        assert total.bytes > 1800 * 50
        assert reads.statistics(connection).inserted is None

    def test_many_bars_are_estimated_from_the_chunks(
        self, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start = datetime(2026, 5, 4, 13, 30, tzinfo=UTC)
        insert_bars(
            connection,
            [bar("AAPL", Resolution.MINUTE, start + timedelta(minutes=number)) for number in range(300)],
        )
        connection.execute("ANALYZE bars")
        for most, exact in ((2_000_000, True), (100, False)):
            monkeypatch.setattr(status, "_COUNTED_BARS", most)
            history = read_status(Database.open(URL, tmp_path)).history
            assert history is not None
            assert (history.bars, history.bars_exact) == (300, exact)

    def test_exports_candles_and_gaps_have_every_row(self, connection: Connection) -> None:
        connection.execute(FILL)
        replace_old(connection, PRICES, CUTOFF)
        window = (datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
        for dataset, number in ((Dataset.QUOTES, 2 * (90 + 180 + 180)), (Dataset.BARS, 2 * (60 + 60 + 30))):
            text = b"".join(csv_blocks(connection, Selection(dataset, *window)))
            assert len(text.splitlines()) == 1 + number
        sessions = [session(day) for day in DAYS]
        days = dict.fromkeys((("AAPL", day) for day in DAYS), 60)
        present = present_by_day(connection, QUOTES, ["AAPL"], sessions)
        replaced = replaced_by_day(connection, QUOTES, ["AAPL"], sessions, None)
        assert {day: present.get(day, 0) + replaced.get(day, 0) for day in days} == days
        candles = read_candles(connection, "AAPL", None, now=window[1], most=1000).candles
        assert sum(candle.volume is not None for candle in candles) > 0
        assert (candles[0].open, candles[-1].close) == (Decimal("100.00"), Decimal("105.79"))

    def test_the_adjusted_views_apply_a_split(self, connection: Connection) -> None:
        connection.execute(FILL)
        connection.execute(
            "INSERT INTO corporate_actions "
            "(symbol, effective_date, kind, numerator, denominator, effective_time, fetched_at) "
            "VALUES ('AAPL', '2026-05-11', 'split', 4, 1, '2026-05-11 04:00+00', now())"
        )
        replace_old(connection, PRICES, CUTOFF)
        for view, column in (("adjusted_prices", "price"), ("adjusted_bars", "close")):
            plain = view.removeprefix("adjusted_")
            sums = f"SELECT symbol, sum({column}) FROM {{}} GROUP BY symbol ORDER BY symbol"
            (apple, microsoft) = rows(connection, sums.format(plain))
            assert rows(connection, sums.format(view)) == [(apple[0], apple[1] / 4), microsoft]


class TestRetention:
    def test_the_emptied_chunks_are_dropped_and_newer_prices_stay(self, connection: Connection) -> None:
        connection.execute(FILL)
        assert replace_old(connection, PRICES, CUTOFF) == 2 * (180 + 180 + 90)
        # then the chunk of the cutoff's day stays with the prices after it, and each minute before it has a bar
        assert chunks(connection) == DAYS[2:]
        assert rows(connection, "SELECT min(quote_time), count(*) FROM prices") == [
            (datetime(2026, 5, 6, 14, tzinfo=UTC), 2 * (90 + 180 + 180))
        ]
        assert rows(connection, "SELECT count(*), max(start_time) FROM bars WHERE resolution = '1m'") == [
            (2 * (60 + 60 + 30), datetime(2026, 5, 6, 13, 59, tzinfo=UTC))
        ]
        assert replace_old(connection, PRICES, CUTOFF) == 0
        # Bars are replaced by longer ones, in chunks that stay.
        assert replace_old(connection, MINUTE_BARS, CUTOFF) == 2 * (60 + 60 + 30)
        assert rows(connection, "SELECT resolution, count(*) FROM bars GROUP BY 1") == [
            ("15m", 2 * (4 + 4 + 2))
        ]

    def test_prices_of_a_symbol_that_is_not_known_are_replaced_too(self, connection: Connection) -> None:
        # given rows of a program that does not record its symbols
        connection.execute(FILL)
        assert rows(connection, "SELECT count(*) FROM latest_prices") == [(0,)]
        replace_old(connection, PRICES, CUTOFF)
        assert chunks(connection) == DAYS[2:]

    def test_no_chunk_is_dropped_whose_bars_are_not_stored(self, connection: Connection) -> None:
        connection.execute(FILL)
        connection.execute("ALTER TABLE bars ADD CHECK (start_time < '2026-05-05')")
        with pytest.raises(DatabaseError, match="old prices could not be replaced by bars"):
            replace_old(connection, PRICES, CUTOFF)
        assert rows(connection, "SELECT count(*) FROM prices") == [(2 * 5 * 180 - 180,)]
        assert rows(connection, "SELECT count(*) FROM bars") == [(60,)]
        assert chunks(connection) == DAYS

    def test_no_chunk_is_dropped_with_a_price_that_arrived_late(self, connection: Connection) -> None:
        connection.execute(FILL)
        arrived = False

        def another_arrives() -> bool:
            """A price of the first symbol, while those of the second are replaced."""
            nonlocal arrived
            older = "SELECT symbol, count(*) FROM prices WHERE quote_time < '2026-05-06' GROUP BY symbol"
            if not arrived and rows(connection, older) == [("MSFT", 180)]:
                connection.execute(FILL)
                arrived = True
            return False

        replace_old(connection, PRICES, CUTOFF, another_arrives)
        assert arrived
        assert chunks(connection) == DAYS
        replace_old(connection, PRICES, CUTOFF)
        assert chunks(connection) == DAYS[2:]

    def test_a_table_that_was_not_prepared_is_not_changed(self, url: str) -> None:
        apply_schema(url)
        with connect(url, application_name="test") as connection:
            connection.execute(FILL)
            upsert_symbols(connection, ["AAPL", "MSFT"])
            assert replace_old(connection, PRICES, CUTOFF) == 2 * (180 + 180 + 90)
            assert not reads.row_total(connection).distributed

    def test_compressed_chunks_are_written_and_replaced_as_others(self, connection: Connection) -> None:
        # given a user who compresses old chunks
        connection.execute(FILL)
        try:
            connection.execute(
                "ALTER TABLE prices SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol')"
            )
            connection.execute(
                "SELECT compress_chunk(chunk) "
                "FROM show_chunks('prices', older_than => timestamptz '2026-05-08') AS chunk"
            )
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("the server has only the features under the Apache license")
        # then duplicates of compressed rows are recognized, and new rows are stored
        first = datetime(2026, 5, 4, 13, 30, tzinfo=UTC)
        assert insert(connection, encode([quote("AAPL", first), quote("ZTS", first)])) == 1
        # and all are replaced
        assert replace_old(connection, PRICES, CUTOFF) == 2 * (180 + 180 + 90) + 1
        assert rows(connection, "SELECT count(*) FROM bars") == [(2 * (60 + 60 + 30) + 1,)]
        assert chunks(connection) == DAYS[2:]
