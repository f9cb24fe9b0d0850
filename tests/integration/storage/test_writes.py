"""Writing batches and the list of constituents, on a real server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from sp500tui.errors import DatabaseError
from sp500tui.model import Constituent, ConvertedQuote, MarketState, Quote
from sp500tui.storage.batch_codec import COLUMNS, decode, encode, encode_records
from sp500tui.storage.connection import connect
from sp500tui.storage.errors import is_bad_row, is_transient
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import Connection
from sp500tui.storage.writes import insert, upsert_constituents
from tests.support.postgres.server import TcpPostgres

MOMENT = datetime(2026, 5, 1, 13, 30, 0, 123456, tzinfo=UTC)


def row(symbol: str = "AAPL", price: str = "189.90", at: datetime = MOMENT) -> ConvertedQuote:
    quote = Quote(symbol, Decimal(price), Decimal("-1.230"), None, "USD", at, MarketState.PRE, 12, MOMENT)
    return ConvertedQuote(quote, Decimal(price) * 7, "DKK", Decimal("7"), MOMENT)


def table(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT symbol, quote_time, price FROM prices ORDER BY 1, 2").fetchall()


class TestInsert:
    def test_stores_every_column_exactly(self, connection: Connection) -> None:
        before = datetime.now(UTC)
        assert insert(connection, encode([row(price="0.000100")])) == 1

        stored = connection.execute("SELECT * FROM prices").fetchone()
        names = [column.name for column in connection.execute("SELECT * FROM prices").description or ()]
        assert stored is not None
        fields = dict(zip(names, stored, strict=True))
        assert tuple(names) == (*COLUMNS, "stored_at")
        assert str(fields["price"]) == "0.000100"
        assert str(fields["change"]) == "-1.230"
        assert fields["percent_change"] is None
        assert fields["quote_time"] == MOMENT
        assert fields["market_state"] == "PRE"
        assert fields["volume"] == 12
        assert before - timedelta(seconds=1) < fields["stored_at"] < datetime.now(UTC) + timedelta(seconds=1)

    def test_of_the_same_batch_again_changes_nothing(self, connection: Connection) -> None:
        payload = encode([row("A"), row("B")])
        assert insert(connection, payload) == 2
        assert insert(connection, payload) == 0
        assert insert(connection, encode([row("B", "1"), row("C"), row("C", "2")])) == 1
        assert table(connection) == [(symbol, MOMENT, Decimal("189.90")) for symbol in "ABC"]

    def test_of_no_rows_does_nothing(self, connection: Connection) -> None:
        assert insert(connection, encode([])) == 0

    @pytest.mark.parametrize(
        ("column", "value", "sqlstate"),
        [("volume", "9" * 30, "22003"), ("price", None, "23502"), ("fetched_at", "2026-99-01", "22008")],
    )
    def test_of_a_bad_row_stores_nothing_of_its_batch(
        self, connection: Connection, column: str, value: str | None, sqlstate: str
    ) -> None:
        records = decode(encode([row("A"), row("B"), row("C")]))
        records[1][column] = value

        with pytest.raises(DatabaseError) as caught:
            insert(connection, encode_records(records))

        assert caught.value.sqlstate == sqlstate
        assert is_bad_row(sqlstate)
        assert table(connection) == []
        assert insert(connection, encode_records([records[0]])) == 1

    def test_of_overlapping_batches_at_once_stores_each_row_once(self, migrated_url: str) -> None:
        rows = [row(f"S{number:03}") for number in range(300)]

        def write(start: int) -> int:
            with connect(migrated_url, application_name="test") as connection:
                return sum(
                    insert(connection, encode(rows[first : first + 100][:: -1 if first % 100 else 1]))
                    for first in range(start, 250, 50)
                )

        with ThreadPoolExecutor(4) as pool:
            stored = sum(pool.map(write, [0, 50, 0, 50]))

        assert stored == 300

    def test_lets_other_threads_run_while_it_waits_for_another_transaction(self, migrated_url: str) -> None:
        # given a transaction of this program that has stored the same row
        waits = "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = 'second'"
        with (
            connect(migrated_url, application_name="first") as first,
            connect(migrated_url, application_name="second", statement_timeout=30) as second,
            ThreadPoolExecutor(1) as pool,
        ):
            insert(first, encode([row()]))
            first.execute("CREATE TEMPORARY TABLE kept AS TABLE prices")
            first.execute("DELETE FROM prices")
            with first.transaction():
                first.execute("INSERT INTO prices TABLE kept")
                # when another thread stores it
                stored = pool.submit(insert, second, encode([row()]))
                while first.execute(waits).fetchone() != ("Lock",):
                    first.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.01)")
            # then this one can commit in the meantime, and the other one ends
            assert stored.result(timeout=60) == 0

    def test_survives_a_session_that_forgot_the_statement(self, connection: Connection) -> None:
        insert(connection, encode([row("A")]))
        connection.execute("DEALLOCATE ALL")
        assert insert(connection, encode([row("A"), row("B")])) == 1

    def test_survives_a_session_that_has_prepared_the_statement_already(self, connection: Connection) -> None:
        # given a pooler's session in which another program has prepared a statement by that name
        connection.execute("PREPARE insert_prices AS SELECT 1")

        # then the rows are stored all the same, and its statement is still there
        assert insert(connection, encode([row("A")])) == 1
        assert insert(connection, encode([row("A"), row("B")])) == 1
        assert connection.execute("EXECUTE insert_prices").fetchone() == (1,)

    def test_reports_a_missing_table(self, database_url: str) -> None:
        with (
            connect(database_url, application_name="test") as connection,
            pytest.raises(DatabaseError) as caught,
        ):
            insert(connection, encode([row()]))
        assert caught.value.sqlstate == "42P01"
        assert not is_bad_row("42P01")

    def test_reports_an_ended_session(self, connection: Connection, migrated_url: str) -> None:
        with psycopg.connect(migrated_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
        with pytest.raises(DatabaseError) as caught:
            insert(connection, encode([row()]))
        assert is_transient(caught.value.sqlstate)
        assert connection.closed

    @pytest.mark.slow
    def test_reports_a_killed_server_and_continues_after_its_restart(self, tcp_postgres: TcpPostgres) -> None:
        apply_schema(tcp_postgres.url)
        payload = encode([row("A")])
        with connect(tcp_postgres.url, application_name="test") as connection:
            insert(connection, payload)
            tcp_postgres.kill()
            with pytest.raises(DatabaseError) as caught:
                insert(connection, payload)
            assert is_transient(caught.value.sqlstate)
            assert connection.closed
        tcp_postgres.start()
        with connect(tcp_postgres.url, application_name="test") as connection:
            assert insert(connection, payload) == 0

    def test_reports_a_closed_connection(self, database_url: str) -> None:
        connection = connect(database_url, application_name="test")
        connection.close()
        with pytest.raises(DatabaseError) as caught:
            insert(connection, encode([row()]))
        assert is_transient(caught.value.sqlstate)

    def test_reports_a_read_only_session(self, connection: Connection) -> None:
        connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(DatabaseError) as caught:
            insert(connection, encode([row()]))
        assert caught.value.sqlstate == "25006"


class TestConstituents:
    apple = Constituent(
        symbol="AAPL",
        name="Apple Inc.",
        sector="Information Technology",
        sub_industry="Technology Hardware",
        headquarters="Cupertino, California",
        date_added=date(1982, 11, 30),
        cik="0000320193",
        founded="1977",
    )

    def seen(self, connection: Connection) -> list[tuple[object, ...]]:
        return connection.execute(
            "SELECT symbol, name, date_added, first_seen, last_seen FROM constituents ORDER BY symbol"
        ).fetchall()

    def test_keeps_when_it_was_first_seen(self, connection: Connection) -> None:
        later = MOMENT + timedelta(days=1)
        renamed = replace(self.apple, name="Apple")
        upsert_constituents(connection, [self.apple], MOMENT)
        upsert_constituents(connection, [renamed, renamed], later)
        assert self.seen(connection) == [("AAPL", "Apple", date(1982, 11, 30), MOMENT, later)]

    def test_stores_any_text(self, connection: Connection) -> None:
        hostile = """'); DROP TABLE prices; -- {"a,b"} \\ NULL"""
        upsert_constituents(connection, [replace(self.apple, name=hostile, date_added=None)], MOMENT)
        assert self.seen(connection) == [("AAPL", hostile, None, MOMENT, MOMENT)]
        assert table(connection) == []

    def test_names_the_reason_of_a_failure(self, database_url: str) -> None:
        with (
            connect(database_url, application_name="test") as connection,
            pytest.raises(DatabaseError, match="list of constituents") as caught,
        ):
            upsert_constituents(connection, [self.apple], MOMENT)
        assert caught.value.sqlstate == "42P01"
