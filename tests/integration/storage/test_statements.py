"""A server that fails transactions with SQLSTATE 40001, as distributed ones and replicas do in ordinary service."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest

from sp500tui.errors import DatabaseError
from sp500tui.model import Constituent, ConvertedQuote, MarketState, Quote
from sp500tui.pipeline.writer.client import WriterClient
from sp500tui.storage.batch_codec import encode
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.reads import latest_trade
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import Connection
from sp500tui.storage.writes import insert, upsert_constituents, upsert_symbols

MOMENT = datetime(2026, 5, 1, 13, 30, tzinfo=UTC)
APPLE = Constituent("AAPL", "Apple Inc.", "IT", "Hardware", "Cupertino", None, "0000320193", "1976")
QUOTE = Quote("AAPL", Decimal("189.90"), None, None, "USD", MOMENT, MarketState.PRE, 12, MOMENT)
BATCH = encode([ConvertedQuote(QUOTE, None, "DKK", None, None)])

QUARREL = """
CREATE SEQUENCE attempts;
CREATE FUNCTION quarrel() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('attempts') <= {failures} THEN
        RAISE EXCEPTION 'restart transaction' USING ERRCODE = '40001';
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION quarrel_of_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM quarrel(); RETURN new; END';
CREATE TRIGGER quarrel BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION quarrel_of_row();
"""
"""A sequence counts on where a transaction is rolled back, so that exactly the first attempts lose."""


def lose(connection: Connection, failures: int, table: str = "prices") -> None:
    connection.execute(QUARREL.format(failures=failures, table=table).encode())


def attempts(connection: Connection) -> int:
    row = connection.execute("SELECT last_value FROM attempts").fetchone()
    return int(row[0]) if row else 0


def test_a_batch_with_a_serialization_failure_is_retried_and_stored_once(connection: Connection) -> None:
    lose(connection, failures=5)
    assert insert(connection, BATCH) == 1
    assert attempts(connection) == 6
    assert connection.execute("SELECT count(*) FROM prices").fetchone() == (1,)


def test_a_batch_that_always_fails_to_serialize_is_raised_as_transient(
    connection: Connection, migrated_url: str
) -> None:
    # given a server on which the first eight attempts lose
    lose(connection, failures=8)
    link = WriterClient(migrated_url, "writer-1", 10.0)
    assert link.connect(20, lambda: False).committed

    # when a writer's process sends the batch, and sends it again on request
    first = link.commit(1, BATCH, 20, lambda: False)
    second = link.commit(2, BATCH, 20, lambda: False)
    link.close()

    # then the first answer names the reason, and the second is the commit
    assert (first.committed, first.sqlstate) == (False, "40001")
    assert (second.committed, second.stored) == (True, 1)


@pytest.mark.parametrize("table", ["constituents", "known_symbols"])
def test_the_list_is_stored_in_spite_of_it(connection: Connection, table: str) -> None:
    lose(connection, failures=3, table=table)
    upsert_constituents(connection, [APPLE], MOMENT)
    upsert_symbols(connection, ["AAPL", "AAPL", "ZZZ"])
    assert connection.execute("SELECT symbol FROM constituents").fetchall() == [("AAPL",)]
    assert connection.execute("SELECT symbol FROM known_symbols ORDER BY 1").fetchall() == [
        ("AAPL",),
        ("ZZZ",),
    ]


def test_a_query_is_retried(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    lose(connection, failures=3)
    monkeypatch.setitem(
        QUERIES, "latest_trade", f"SELECT newest.* FROM ({QUERIES['latest_trade']}) newest WHERE quarrel()"
    )
    assert latest_trade(connection).symbols == 0
    assert attempts(connection) == 4


def test_a_query_that_always_fails_to_serialize_is_an_error(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(connection, failures=100)
    monkeypatch.setitem(QUERIES, "latest_trade", "SELECT quarrel()")
    with pytest.raises(DatabaseError, match="query latest_trade: restart transaction") as caught:
        latest_trade(connection)
    assert caught.value.sqlstate == "40001"


def test_the_schema_is_applied_in_spite_of_it(connection: Connection, migrated_url: str) -> None:
    # given a schema whose last file is missing, and a server that has its first attempts lose
    lose(connection, failures=2, table="schema_version")
    connection.execute("DROP TABLE known_symbols")
    connection.execute("DELETE FROM schema_version WHERE version = 4")

    apply_schema(migrated_url)

    with psycopg.connect(migrated_url) as other:
        assert other.execute("SELECT count(*) FROM schema_version").fetchone() == (11,)
        assert other.execute("SELECT count(*) FROM known_symbols").fetchone() == (0,)
