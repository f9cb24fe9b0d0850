"""Reading stored rows from the real embedded PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from sp500tui.errors import DatabaseError
from sp500tui.storage.transaction import run
from sp500tui.tui.shell.price_reader import PostgresReader
from sp500tui.tui.symbol.screen import SymbolScreen
from tests.support.ports import free_port
from tests.support.postgres.server import end_session
from tests.support.tui.fake_pipeline import NOON, FakePipeline
from tests.tui.conftest import Drive


@pytest.fixture
def filled(migrated_url: str) -> str:
    """A database with ten minutes of one symbol, a price every ten seconds."""
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO prices (symbol, quote_time, price, change, percent_change, currency, converted_price,"
            " converted_currency, fx_rate, fx_time, market_state, volume, fetched_at)"
            " SELECT 'NVDA', %(now)s::timestamptz - n * interval '10 s', 200 - n, 1, 0.5, 'USD', (200 - n) * 7,"
            " 'DKK', 7, %(now)s, 'REGULAR', 1000, %(now)s FROM generate_series(1, 60) AS n",
            {"now": NOON},
        )
    return migrated_url


@pytest.fixture
def reader(filled: str) -> Iterator[PostgresReader]:
    made = PostgresReader(lambda: filled)
    yield made
    made.close()


class TestArchive:
    def test_a_symbol_is_read_as_it_was_stored(self, reader: PostgresReader) -> None:
        stored = reader.read_symbol("NVDA", NOON - timedelta(minutes=5), 500, 5)
        assert stored.symbol == "NVDA"
        assert len(stored.points) == 30
        assert stored.points[-1].price == Decimal(199)
        assert [row.price for row in stored.rows] == [Decimal(200 - n) for n in range(1, 6)]

    def test_many_points_are_thinned(self, reader: PostgresReader) -> None:
        everything = reader.read_symbol("NVDA", datetime(1970, 1, 1, tzinfo=UTC), 20, 1)
        assert 10 <= len(everything.points) <= 20

    def test_the_figures_of_the_server(self, reader: PostgresReader) -> None:
        stored = reader.read_overview(3)
        assert stored.statistics.total.rows == 60
        assert stored.newest.symbols == 1
        assert len(stored.rows) == 3

    def test_it_cannot_write(self, reader: PostgresReader) -> None:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.query(lambda connection: run(connection, "DELETE FROM prices"))

    def test_a_connection_that_the_server_ends_while_it_is_idle_is_replaced(
        self, reader: PostgresReader, filled: str
    ) -> None:
        # given a connection that the server ends
        reader.read_overview(1)
        end_session(filled, "sp500tui dashboard")
        # then the next query is answered
        assert reader.read_overview(1).statistics.total.rows == 60

    def test_before_the_database_is_open(self) -> None:
        with pytest.raises(DatabaseError, match="not open yet"):
            PostgresReader(lambda: None).read_overview(1)

    def test_closing_twice_is_allowed(self, reader: PostgresReader) -> None:
        reader.read_overview(1)
        reader.close()
        reader.close()

    def test_a_closed_archive_opens_no_connection(self, reader: PostgresReader) -> None:
        reader.read_overview(1)
        reader.close()
        with pytest.raises(DatabaseError, match="the reader is closed"):
            reader.read_overview(1)
        assert reader._connection is None


class Opened:
    """Replaces `connect`: counts the opened and the closed connections."""

    def __init__(self) -> None:
        self.connections: list[Opened.Connection] = []

    class Connection:
        closed = False

        def close(self) -> None:
            self.closed = True

    def __call__(self, url: str, **options: object) -> Connection:
        self.connections.append(self.Connection())
        return self.connections[-1]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Every connection of the test."""
    made = Opened()
    monkeypatch.setattr("sp500tui.storage.connection.connect", made)
    return made


class TestClosing:
    def test_a_query_that_waits_while_the_reader_is_closed_opens_no_connection(self, opened: Opened) -> None:
        # given a running query, a close that waits for it, and another query that waits for both
        reader = PostgresReader(lambda: "postgresql://host/x")
        asked, answered = threading.Event(), threading.Event()
        refused: list[DatabaseError] = []

        def slow(_: object) -> None:
            asked.set()
            answered.wait(10)

        def late() -> None:
            try:
                reader.query(lambda _: None)
            except DatabaseError as error:
                refused.append(error)

        first = threading.Thread(target=reader.query, args=(slow,))
        first.start()
        assert asked.wait(60)
        closing = threading.Thread(target=reader.close)
        closing.start()
        while not reader._closed:
            closing.join(0.001)
        second = threading.Thread(target=late)
        second.start()
        # when the first one is answered
        answered.set()
        for thread in (first, closing, second):
            thread.join(10)
            assert not thread.is_alive()
        # then the second one is refused, and no connection stays open
        assert len(refused) == 1
        assert [connection.closed for connection in opened.connections] == [True]

    def test_an_error_of_any_kind_closes_the_connection(self, opened: Opened) -> None:
        reader = PostgresReader(lambda: "postgresql://host/x")

        def broken(_: object) -> None:
            raise ValueError("year 12026 is out of range")

        with pytest.raises(ValueError, match="12026"):
            reader.query(broken)
        assert [connection.closed for connection in opened.connections] == [True]
        reader.query(lambda _: None)
        assert len(opened.connections) == 2


async def test_the_symbol_screen_draws_what_postgresql_holds(drive: Drive, filled: str) -> None:
    fake = FakePipeline()
    fake.database_url = filled
    async with drive(fake) as driven:
        await driven.app.push_screen(SymbolScreen("NVDA"))
        await driven.until(lambda: "60 collected prices" in driven.text())
        await driven.press("T")
        await driven.until(lambda: "199.00 USD" in driven.text() and "over 9 min" in driven.text())
        await driven.press("2")
        await driven.until(lambda: "60 rows" in driven.text())
        assert "1,393.00 DKK" in driven.text()


async def test_a_screen_shows_which_server_does_not_answer(drive: Drive) -> None:
    fake = FakePipeline()
    fake.database_url = f"postgresql://me:s3cret@127.0.0.1:{free_port()}/replica"
    async with drive(fake, database="postgresql://host/x", read_database=fake.database_url) as driven:
        await driven.press("2")
        await driven.until(lambda: "(read replica)" in driven.text())
        await driven.until(lambda: "does not answer: no server listens there" in driven.text())
        assert "me:***@127.0.0.1" in driven.text()
        assert "s3cret" not in driven.text()
