"""Settings of a database or a role change neither what is stored nor what is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sp500tui.storage.batch_codec import encode
from sp500tui.storage.connection import connect
from sp500tui.storage.reads import history, last_rows, latest_since, statistics
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import run
from sp500tui.storage.writes import insert, upsert_constituents
from tests.support.parameters import rest_thorough
from tests.support.pipeline.rows import row
from tests.support.postgres.server import TcpPostgres

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_SETTINGS = {
    "statement_timeout": "'500ms'",
    "lock_timeout": "'500ms'",
    "idle_in_transaction_session_timeout": "'500ms'",
    "transaction_timeout": "'500ms'",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "search_path": "''",
    "array_nulls": "off",
    "DateStyle": "'German, DMY'",
    "IntervalStyle": "sql_standard",
    "TimeZone": "'Asia/Kathmandu'",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "client_encoding": "LATIN1",
    "synchronous_commit": "off",
    "lc_numeric": "'C'",
    "plan_cache_mode": "force_generic_plan",
}


@pytest.mark.parametrize(
    "name", rest_thorough(["every one of them", "search_path of nowhere", *_SETTINGS], 2)
)
def test_a_setting_changes_nothing(tcp_postgres: TcpPostgres, name: str) -> None:
    # given a database with the setting
    chosen = _SETTINGS if name.startswith("every") else {name: _SETTINGS.get(name, "")}
    if name == "search_path of nowhere":
        chosen = {"search_path": "nowhere, pg_temp"}
    tcp_postgres.execute(
        *(f"ALTER DATABASE {tcp_postgres.database} SET {each} = {value}" for each, value in chosen.items())
    )

    # when the schema is made, and a row with a NULL is stored and read in every way
    apply_schema(tcp_postgres.url)
    given = row(1)
    with connect(tcp_postgres.url, application_name="test", statement_timeout=20) as connection:
        assert insert(connection, encode([given])) == 1
        assert insert(connection, encode([given, row(2)])) == 1
        upsert_constituents(connection, [], LONG_AGO)
        stored = last_rows(connection, "S1", 10)[0]
        points = history(connection, "S1", LONG_AGO, 10)
        latest = {each.quote.symbol: each for each in latest_since(connection, LONG_AGO).rows}
        assert statistics(connection).total.rows == 2
        # a statement may take longer than the database's own time-outs
        run(connection, "SELECT pg_sleep(0.7)")

    # then the values and their time zone are those that were given
    assert (stored.price, stored.quote_time, stored.percent_change) == (
        given.quote.price,
        given.quote.quote_time,
        None,
    )
    assert stored.quote_time.utcoffset() == timedelta(0)
    assert points[0].time == given.quote.quote_time
    assert latest["S1"].quote == given.quote


def test_functions_and_types_of_the_same_names_in_another_schema_are_not_used(
    tcp_postgres: TcpPostgres,
) -> None:
    # given a database in which a schema is searched before that of PostgreSQL
    tcp_postgres.execute(
        "CREATE SCHEMA other",
        "CREATE DOMAIN other.numeric AS integer",
        "CREATE TYPE other.timestamptz AS ENUM ('never')",
        "CREATE FUNCTION other.now() RETURNS timestamp with time zone LANGUAGE sql AS 'SELECT NULL::date'",
        f"ALTER DATABASE {tcp_postgres.database} SET search_path = other, pg_catalog",
    )

    # when the schema is made, and a row is stored and read
    apply_schema(tcp_postgres.url)
    given = row(1)
    with connect(tcp_postgres.url, application_name="test") as connection:
        assert insert(connection, encode([given])) == 1
        stored = last_rows(connection, "S1", 10)[0]

    # then it is the one that was given
    assert (stored.price, stored.quote_time) == (given.quote.price, given.quote.quote_time)


def test_a_user_in_a_schema_of_its_own_writes_the_tables_in_public(tcp_postgres: TcpPostgres) -> None:
    # given a user whose tables are in another schema, one of them with the name of a table of the program
    tcp_postgres.execute(
        "CREATE SCHEMA mine",
        "CREATE TABLE mine.prices (x int)",
        f"ALTER DATABASE {tcp_postgres.database} SET search_path = mine",
    )

    apply_schema(tcp_postgres.url)
    with connect(tcp_postgres.url, application_name="test") as connection:
        assert insert(connection, encode([row(1)])) == 1
        assert run(connection, "SELECT count(*) FROM mine.prices").fetchone() == (0,)
