"""`database prepare` on a real PostgreSQL, without extensions and with fakes of the two."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from sp500tui.errors import DatabaseError
from sp500tui.storage import status
from sp500tui.storage.connection import connect
from sp500tui.storage.database import Database
from sp500tui.storage.distribution import CITUS as CITUS_NAME
from sp500tui.storage.distribution import TIMESCALEDB as TIMESCALEDB_NAME
from sp500tui.storage.distribution import Server, pending_steps, prepare
from sp500tui.storage.history.retention import PRICES, replace_old
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.reads import last_rows, latest_trade, row_total, statistics
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.status import read_status
from sp500tui.storage.transaction import Connection
from tests.support.postgres.extensions import CITUS, TIMESCALEDB, pretend

FILL = """
INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, fetched_at)
SELECT symbol, timestamptz '2026-05-01 13:30+00' + minute * interval '1 min', minute, 'USD', 'DKK', 'REGULAR', now()
FROM unnest(ARRAY['AAPL', 'BRK.B', 'ZTS']) WITH ORDINALITY AS listed (symbol, place), generate_series(1, 5) AS minute
WHERE place <> 2 OR minute <= 3
"""
BARS = """
INSERT INTO bars (symbol, resolution, start_time, open, high, low, close, source, fetched_at)
SELECT 'AAPL', '1m', timestamptz '2026-05-01 13:30+00' + minute * interval '1 min', 1, 1, 1, 1, 'yahoo', now()
FROM generate_series(1, 50) AS minute
"""


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    with connect(migrated_url, application_name="test") as connection:
        connection.execute(FILL)
        yield connection


class TestDecisions:
    def test_citus_takes_precedence_over_timescaledb(self) -> None:
        server = Server.of([("timescaledb", "2.21.0", "public"), ("citus", "13.0-1", "pg_catalog")], "17.4")
        assert server.line() == "server    PostgreSQL 17.4 with Citus 13.0-1"
        assert server.only_installed == ()

    def test_an_extension_of_the_server_is_none_of_the_database(self) -> None:
        server = Server.of([("timescaledb", None, None), ("citus", None, None)], "17.4")
        assert server.created is None
        assert server.only_installed == ("citus", "timescaledb")

    def test_existing_objects_are_not_changed(self) -> None:
        assert [step.makes for step in pending_steps(CITUS_NAME, {"prices"})] == [
            "constituents",
            "known_symbols",
            "bars",
            "coverage",
            "corporate_actions",
            "memberships",
            "sessions",
            "latest_prices",
            "latest_prices",
        ]
        assert [step.makes for step in pending_steps(TIMESCALEDB_NAME, {"prices"})] == [
            "bars",
            "latest_prices",
            "latest_prices",
        ]


class TestAlone:
    def test_creates_the_tables_and_reports_that_nothing_else_is_needed(self, database_url: str) -> None:
        first, second = prepare(database_url)
        assert first.startswith("server    PostgreSQL 18")
        assert first.endswith("without Citus or TimescaleDB")
        assert second == "nothing   to do: a single PostgreSQL server needs no distribution"
        with connect(database_url, application_name="test") as connection:
            assert latest_trade(connection).symbols == 0

    def test_a_dry_run_changes_nothing(self, database_url: str) -> None:
        assert len(list(prepare(database_url, dry_run=True))) == 2
        with psycopg.connect(database_url) as connection:
            assert connection.execute("SELECT to_regclass('public.prices')").fetchone() == (None,)

    def test_names_an_extension_that_is_installed_but_not_created(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(QUERIES, "available_extensions", "SELECT 'citus', NULL::text, NULL::text")
        assert list(prepare(database_url))[-1] == (
            "hint      Citus is installed on the server but not created in this database: "
            "run CREATE EXTENSION citus, then prepare again"
        )


class TestCitus:
    @pytest.fixture(autouse=True)
    def citus(self, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        connection.execute(CITUS.encode())
        pretend(monkeypatch, "citus", "13.0-1")

    def test_distributes_every_table_by_symbol(self, connection: Connection, migrated_url: str) -> None:
        lines = list(prepare(migrated_url))
        assert lines[0].endswith("with Citus 13.0-1")
        assert [line.split()[0] for line in lines[1:]] == ["done"] * 10
        spread = connection.execute(
            "SELECT logicalrelid::text, distributed_by, beside FROM pg_dist_partition"
        )
        assert sorted(spread.fetchall()) == [
            ("bars", "symbol", "public.prices"),
            ("constituents", "symbol", "public.prices"),
            ("corporate_actions", "symbol", "public.prices"),
            ("coverage", "symbol", "public.prices"),
            ("known_symbols", "symbol", "public.prices"),
            ("memberships", "symbol", "public.prices"),
            ("prices", "symbol", "default"),
            ("sessions", None, None),
        ]

    def test_the_newest_prices_are_the_same_without_a_recursion(
        self, connection: Connection, migrated_url: str
    ) -> None:
        before = connection.execute("SELECT * FROM latest_prices ORDER BY symbol").fetchall()
        figures, rows = latest_trade(connection), last_rows(connection, None, 4)

        list(prepare(migrated_url))

        definition = connection.execute("SELECT pg_get_viewdef('latest_prices'::regclass)").fetchone()
        assert definition is not None
        assert "RECURSIVE" not in definition[0]
        assert connection.execute("SELECT * FROM latest_prices ORDER BY symbol").fetchall() == before
        assert [row[0] for row in before] == ["AAPL", "BRK.B", "ZTS"]
        assert (latest_trade(connection), last_rows(connection, None, 4)) == (figures, rows)

    def test_again_does_nothing(self, migrated_url: str) -> None:
        list(prepare(migrated_url))
        assert list(prepare(migrated_url))[1:] == ["nothing   to do: the tables are already distributed"]
        apply_schema(migrated_url)

    def test_continues_where_it_was_interrupted(self, connection: Connection, migrated_url: str) -> None:
        steps = prepare(migrated_url)
        assert [next(steps).split()[0] for _ in range(3)] == ["server", "done", "done"]
        steps.close()
        assert [line.split()[0] for line in prepare(migrated_url)] == ["server", *["done"] * 8]

    def test_a_dry_run_shows_the_sql_and_changes_nothing(
        self, connection: Connection, migrated_url: str
    ) -> None:
        text = "\n".join(prepare(migrated_url, dry_run=True))
        assert text.count("would     ") == 10
        assert "SELECT create_distributed_table('public.prices', 'symbol')" in text
        assert connection.execute("SELECT count(*) FROM pg_dist_partition").fetchone() == (0,)

    def test_a_refused_step_is_reported_with_its_reason(
        self, connection: Connection, migrated_url: str
    ) -> None:
        connection.execute("DROP FUNCTION create_distributed_table")
        with pytest.raises(DatabaseError, match="did not distribute the table prices by symbol") as caught:
            list(prepare(migrated_url))
        assert caught.value.sqlstate == "42883"

    def test_the_size_is_that_on_the_nodes(self, connection: Connection, migrated_url: str) -> None:
        # given tables that are not distributed yet
        assert not row_total(connection).distributed

        # when they are, and the nodes have looked at a sample
        list(prepare(migrated_url))
        connection.execute("ANALYZE prices")

        # then size and rows are theirs, and the server's own counter is not taken for the growth
        total = row_total(connection)
        assert (total.rows, total.exact, total.bytes, total.distributed) == (39, False, 900_000_000_000, True)
        assert statistics(connection).inserted is None

    def test_many_bars_are_estimated_from_the_shards(
        self, connection: Connection, migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given more bars on the nodes than are counted, of which the coordinator's table has none
        list(prepare(migrated_url))
        connection.execute(BARS)
        connection.execute("ANALYZE bars")
        monkeypatch.setattr(status, "_COUNTED_BARS", 100)
        monkeypatch.setitem(QUERIES, "bars_estimate", "SELECT 0")
        # then the status reports the sum of the estimates of the fake's three shards
        history = read_status(Database.open(migrated_url, tmp_path)).history
        assert history is not None
        assert (history.bars, history.bars_exact) == (3 * 50, False)


class TestTimescale:
    @pytest.fixture(autouse=True)
    def timescale(self, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        connection.execute(TIMESCALEDB.encode())
        connection.execute("ANALYZE prices")
        pretend(monkeypatch, "timescaledb", "2.21.0")

    def test_cuts_the_prices_by_time_once(self, connection: Connection, migrated_url: str) -> None:
        assert [line.split()[0] for line in prepare(migrated_url)] == ["server", *["done"] * 4]
        assert [line.split()[0] for line in prepare(migrated_url)] == ["server", "nothing"]
        made = connection.execute(
            "SELECT hypertable_name, every::text FROM timescaledb_information.hypertables"
        )
        assert made.fetchall() == [("prices", "1 day"), ("bars", "7 days")]

    def test_the_size_is_that_of_the_pieces(self, connection: Connection, migrated_url: str) -> None:
        list(prepare(migrated_url))
        total = row_total(connection)
        assert (total.rows, total.exact, total.bytes) == (4_000_000, False, 700_000_000)

    def test_many_bars_are_estimated_from_the_chunks(
        self, connection: Connection, migrated_url: str, tmp_path: Path
    ) -> None:
        # given the catalog's estimate of a hypertable, which is that of the empty parent
        list(prepare(migrated_url))
        connection.execute("ANALYZE bars")
        # then the status reports that of the chunks
        history = read_status(Database.open(migrated_url, tmp_path)).history
        assert history is not None
        assert (history.bars, history.bars_exact) == (4_000_000, False)

    def test_the_newest_prices_are_the_same_without_a_recursion(
        self, connection: Connection, migrated_url: str
    ) -> None:
        # given a database that a previous version has prepared
        before = connection.execute("SELECT * FROM latest_prices ORDER BY symbol").fetchall()
        steps = prepare(migrated_url)
        assert [next(steps).split()[0] for _ in range(3)] == ["server", "done", "done"]
        steps.close()
        # when it is prepared again
        assert [line.split()[0] for line in prepare(migrated_url)] == ["server", "done", "done"]
        # then the view searches the chunks of known symbols, instead of every chunk for every symbol
        definition = connection.execute("SELECT pg_get_viewdef('latest_prices'::regclass)").fetchone()
        assert definition is not None
        assert "RECURSIVE" not in definition[0]
        assert connection.execute("SELECT * FROM latest_prices ORDER BY symbol").fetchall() == before


class TestSchemaOfTheExtension:
    """TimescaleDB created in a schema that is not in the search path: `CREATE EXTENSION timescaledb SCHEMA "Ext"`."""

    @pytest.fixture(autouse=True)
    def timescale(self, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        functions = TIMESCALEDB.replace("CREATE FUNCTION ", 'CREATE FUNCTION "Ext".')
        connection.execute(f'CREATE SCHEMA "Ext"; {functions}'.encode())
        pretend(monkeypatch, "timescaledb", "2.21.0", '"Ext"')

    def test_its_functions_are_found(self, connection: Connection, migrated_url: str, tmp_path: Path) -> None:
        assert [line.split()[0] for line in prepare(migrated_url)] == ["server", *["done"] * 4]
        report = read_status(Database.open(migrated_url, tmp_path))
        assert report.statistics is not None
        assert report.statistics.total.bytes == 700_000_000
        replace_old(connection, PRICES, datetime(2026, 5, 2, tzinfo=UTC))
        assert connection.execute("SELECT relation::text FROM dropped").fetchall() == [("prices",)]

    def test_the_statements_of_a_dry_run_name_it(self, migrated_url: str) -> None:
        text = "\n".join(prepare(migrated_url, dry_run=True))
        assert 'SELECT "Ext".create_hypertable(' in text
        assert "@extschema@" not in text

    def test_a_table_that_was_not_prepared_has_a_status(self, migrated_url: str, tmp_path: Path) -> None:
        report = read_status(Database.open(migrated_url, tmp_path))
        assert report.statistics is not None
        assert (report.statistics.total.rows, report.statistics.total.distributed) == (13, False)
