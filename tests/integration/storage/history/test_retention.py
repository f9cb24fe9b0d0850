"""Old prices become bars of a minute, and old bars of a minute bars of a quarter of an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import connect
from sp500tui.storage.distribution import prepare
from sp500tui.storage.history.retention import MINUTE_BARS, PRICES, Replacement, replace_old
from sp500tui.storage.history.sessions import QUOTES, present_by_day, replaced_by_day
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.transaction import Connection
from tests.support.market.charts import session
from tests.support.postgres.extensions import TIMESCALEDB, pretend

CUTOFF = datetime(2026, 5, 6, 14, 0, 30, tzinfo=UTC)
FILL = """
INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, volume, fetched_at)
SELECT symbol, timestamptz '2026-05-04 13:30+00' + day * interval '1 day' + number * interval '20 s',
       100 + day + number * 0.01, 'USD', 'DKK', 'REGULAR', 1000 * number,
       timestamptz '2026-05-08' + number * interval '1 s'
FROM unnest(ARRAY['AAPL', 'MSFT']) AS listed (symbol), generate_series(0, 4) AS day, generate_series(0, 179) AS number
"""


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    with connect(migrated_url, application_name="test") as connection:
        connection.execute(FILL.encode())
        yield connection


def number(connection: Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def test_old_prices_become_bars_and_newer_ones_stay(connection: Connection) -> None:
    # given an hour of prices on each of five days; the cutoff lies within the third hour
    deleted = replace_old(connection, PRICES, CUTOFF)

    # then whole minutes before it are replaced
    assert deleted == 2 * (180 + 180 + 90)
    assert number(connection, "SELECT min(quote_time) FROM prices") == datetime(2026, 5, 6, 14, tzinfo=UTC)
    assert number(connection, "SELECT count(*) FROM bars") == 2 * (60 + 60 + 30)
    row = connection.execute(
        "SELECT open, high, low, close, volume, currency, source FROM bars WHERE symbol = 'AAPL' "
        "AND start_time = '2026-05-05 13:31+00'"
    ).fetchone()
    assert row == (
        Decimal("101.03"),
        Decimal("101.05"),
        Decimal("101.03"),
        Decimal("101.05"),
        None,
        "USD",
        "prices",
    )
    # Again, nothing is left to be replaced.
    assert replace_old(connection, PRICES, CUTOFF) == 0


def test_a_bar_of_the_source_is_kept(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO bars (symbol, resolution, start_time, open, high, low, close, source, fetched_at) "
        "VALUES ('AAPL', '1m', '2026-05-04 13:30+00', 1, 2, 0.5, 1.5, 'yahoo', now())"
    )
    replace_old(connection, PRICES, CUTOFF)
    assert number(
        connection, "SELECT close FROM bars WHERE symbol = 'AAPL' AND start_time = '2026-05-04 13:30+00'"
    ) == Decimal("1.5")


def test_no_row_is_deleted_whose_bar_is_not_stored(connection: Connection) -> None:
    connection.execute("ALTER TABLE bars ADD CHECK (start_time < '2026-05-05')")
    with pytest.raises(DatabaseError, match="old prices could not be replaced by bars"):
        replace_old(connection, PRICES, CUTOFF)
    # The first day of the first symbol was one transaction, the second day the one that failed.
    assert number(connection, "SELECT count(*) FROM prices") == 2 * 5 * 180 - 180
    assert number(connection, "SELECT count(*) FROM bars") == 60


def test_old_bars_become_longer_ones(connection: Connection) -> None:
    replace_old(connection, PRICES, CUTOFF)
    connection.execute("UPDATE bars SET volume = 10")
    assert replace_old(connection, MINUTE_BARS, datetime(2026, 5, 5, 14, 20, tzinfo=UTC)) == 2 * (60 + 45)
    rows = connection.execute(
        "SELECT start_time, open, high, low, close, volume, source FROM bars "
        "WHERE symbol = 'AAPL' AND resolution = '15m' ORDER BY start_time"
    ).fetchall()
    assert len(rows) == 4 + 3
    assert rows[0] == (
        datetime(2026, 5, 4, 13, 30, tzinfo=UTC),
        Decimal("100.00"),
        Decimal("100.44"),
        Decimal("100.00"),
        Decimal("100.44"),
        150,
        "bars",
    )
    assert number(connection, "SELECT min(start_time) FROM bars WHERE resolution = '1m'") == datetime(
        2026, 5, 5, 14, 15, tzinfo=UTC
    )


def test_bars_that_were_fetched_after_a_split_are_brought_to_the_shares_of_the_others(
    connection: Connection,
) -> None:
    # given a split of 4:1, a minute that was fetched before it, and the next one, which was missing, after it
    connection.execute(
        "INSERT INTO corporate_actions "
        "(symbol, effective_date, kind, numerator, denominator, effective_time, fetched_at) "
        "VALUES ('XYZ', '2026-05-05', 'split', 4, 1, '2026-05-05 04:00+00', now())"
    )
    connection.execute(
        "INSERT INTO bars (symbol, resolution, start_time, open, high, low, close, volume, source, fetched_at) VALUES "
        "('XYZ', '1m', '2026-05-04 13:30+00', 400.20, 404.00, 396.00, 400.40, 100, 'yahoo', '2026-05-04 13:32+00'), "
        "('XYZ', '1m', '2026-05-04 13:31+00', 100.10, 102.00, 99.50, 101.00, 800, 'yahoo', '2026-05-06 13:32+00')"
    )
    # when both are replaced by one bar
    assert replace_old(connection, MINUTE_BARS, CUTOFF) == 2
    # then it is in the shares of before the split, and the view has it in those of today
    columns = "SELECT open, high, low, close, volume FROM {} WHERE symbol = 'XYZ'"
    stored = connection.execute(columns.format("bars").encode()).fetchall()
    assert stored == [tuple(map(Decimal, ("400.20", "408", "396.00", "404", "300")))]
    adjusted = connection.execute(columns.format("adjusted_bars").encode()).fetchall()
    assert adjusted == [tuple(map(Decimal, ("100.05", "102", "99", "101", "1200")))]


def test_ends_between_two_portions_when_cancelled(connection: Connection) -> None:
    answers = iter([False, True, True])
    assert replace_old(connection, PRICES, CUTOFF, lambda: next(answers)) == 180


LATE_PRICE = """
INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, fetched_at)
VALUES ('AAPL', '2026-05-04 18:00:05+00', 500, 'USD', 'DKK', 'REGULAR', now())
"""
LATE_BAR = """
INSERT INTO bars (symbol, resolution, start_time, open, high, low, close, source, fetched_at)
VALUES ('AAPL', '1m', '2026-05-04 18:00+00', 500, 500, 500, 500, 'yahoo', now())
"""


@pytest.mark.parametrize(
    ("replacement", "late", "resolution"),
    [(PRICES, LATE_PRICE, "1m"), (MINUTE_BARS, LATE_BAR, "15m")],
    ids=["price", "bar"],
)
def test_a_row_that_arrives_between_the_bars_and_the_deletion_gets_a_bar(
    connection: Connection,
    migrated_url: str,
    monkeypatch: pytest.MonkeyPatch,
    replacement: Replacement,
    late: str,
    resolution: str,
) -> None:
    # given another program that commits an old row once the bars of its day are stored
    if replacement is MINUTE_BARS:
        replace_old(connection, PRICES, CUTOFF)
    arrived: list[bool] = []
    execute = Connection.execute

    def interrupted(self: Connection, query: Any, *more: Any, **options: Any) -> Any:
        if query == QUERIES[f"delete_{replacement.rows}"] and not arrived:
            arrived.append(True)
            with psycopg.connect(migrated_url) as other:
                other.execute(late.encode())
        return execute(self, query, *more, **options)

    monkeypatch.setattr(Connection, "execute", interrupted)

    # when the day is replaced
    replace_old(connection, replacement, CUTOFF)
    assert arrived

    # then that row is replaced too, not only deleted
    query = f"SELECT high FROM bars WHERE resolution = '{resolution}' AND start_time = '2026-05-04 18:00+00'"
    assert number(connection, query) == 500


def test_a_database_that_keeps_its_old_rows_is_not_queried_without_end(connection: Connection) -> None:
    # given a trigger that keeps the rows that are to be deleted
    connection.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER keep BEFORE DELETE ON prices FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 10

    # when they are replaced, then this ends with the reason
    with pytest.raises(DatabaseError, match="AAPL were not deleted; check for a trigger or a row policy"):
        replace_old(connection, PRICES, CUTOFF, cancelled)
    assert len(asked) == 2


class TestTimescale:
    @pytest.fixture(autouse=True)
    def timescale(self, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        connection.execute(TIMESCALEDB.encode())
        pretend(monkeypatch, "timescaledb", "2.21.0")

    def test_the_emptied_chunks_are_dropped(self, connection: Connection, migrated_url: str) -> None:
        connection.execute("ANALYZE prices")
        list(prepare(migrated_url))
        replace_old(connection, PRICES, CUTOFF)
        whole_minute = CUTOFF.replace(second=0)
        dropped = connection.execute("SELECT relation::text, older_than FROM dropped").fetchall()
        assert dropped == [("prices", whole_minute)]
        # Nothing more was replaced, or it concerns bars, whose chunks hold longer bars too: nothing is dropped.
        replace_old(connection, PRICES, CUTOFF)
        replace_old(connection, MINUTE_BARS, CUTOFF)
        assert number(connection, "SELECT count(*) FROM dropped") == 1

    def test_no_chunk_is_dropped_with_a_price_that_arrived_late(
        self, connection: Connection, migrated_url: str
    ) -> None:
        connection.execute("ANALYZE prices")
        list(prepare(migrated_url))
        older = "SELECT count(*) FROM prices WHERE quote_time < '2026-05-06' AND symbol = "
        arrived = False

        def another_arrives() -> bool:
            """A price of the first symbol, while those of the second are replaced."""
            nonlocal arrived
            if not arrived and number(connection, f"{older} 'MSFT'") == 180:
                connection.execute(FILL.replace("(0, 4)", "(0, 0)").encode() + b" ON CONFLICT DO NOTHING")
                arrived = True
            return False

        replace_old(connection, PRICES, CUTOFF, another_arrives)
        assert arrived
        assert number(connection, f"{older} 'AAPL'") == 180
        assert number(connection, "SELECT count(*) FROM dropped") == 0
        # The next run replaces it, and then drops the chunks.
        replace_old(connection, PRICES, CUTOFF)
        assert number(connection, f"{older} 'AAPL'") == 0
        assert number(connection, "SELECT count(*) FROM dropped") == 1

    def test_a_chunk_that_is_read_is_dropped_later_and_writers_do_not_wait_for_it(
        self, connection: Connection, migrated_url: str
    ) -> None:
        # given a chunk that a long query reads
        list(prepare(migrated_url))
        connection.execute(
            "ALTER FUNCTION drop_chunks RENAME TO drop_unused; "
            "CREATE FUNCTION drop_chunks(relation regclass, older_than timestamptz) RETURNS SETOF text "
            "LANGUAGE plpgsql AS 'BEGIN LOCK TABLE dropped; PERFORM drop_unused(relation, older_than); END'"
        )
        with (
            psycopg.connect(migrated_url) as other,
            connect(migrated_url, application_name="test", statement_timeout=30) as limited,
        ):
            other.execute("SELECT FROM dropped")
            # when prices are replaced, then this ends, and another program stores a price
            assert replace_old(limited, PRICES, CUTOFF) == 2 * (180 + 180 + 90)
            other.execute(LATE_PRICE.encode())
        # and the next run drops the chunk
        assert replace_old(connection, PRICES, CUTOFF) == 1
        assert number(connection, "SELECT count(*) FROM dropped") == 1

    def test_the_newer_chunks_are_not_locked(self, connection: Connection, migrated_url: str) -> None:
        # given a chunk of newer prices that another session compresses
        list(prepare(migrated_url))
        connection.execute("CREATE TABLE newer (CHECK (quote_time > '2026-06-01')) INHERITS (prices)")
        with psycopg.connect(migrated_url) as other:
            other.execute("LOCK TABLE newer IN SHARE UPDATE EXCLUSIVE MODE")
            replace_old(connection, PRICES, CUTOFF)
            assert number(connection, "SELECT count(*) FROM dropped") == 1

    def test_prices_of_a_symbol_that_is_not_known_are_replaced_too(
        self, connection: Connection, migrated_url: str
    ) -> None:
        # given a hypertable, and prices of a symbol that no program has recorded
        list(prepare(migrated_url))
        connection.execute(LATE_PRICE.replace("AAPL", "ZTS").encode())
        assert number(connection, "SELECT count(*) FROM latest_prices WHERE symbol = 'ZTS'") == 0
        # then they do not keep the chunks from being dropped
        assert replace_old(connection, PRICES, CUTOFF) == 2 * (180 + 180 + 90) + 1
        assert number(connection, "SELECT count(*) FROM dropped") == 1

    def test_a_table_that_was_not_prepared_is_not_changed(self, connection: Connection) -> None:
        assert replace_old(connection, PRICES, CUTOFF) == 2 * (180 + 180 + 90)
        assert number(connection, "SELECT count(*) FROM dropped") == 0


def test_a_session_killed_in_the_middle_leaves_every_price_or_its_bar(
    connection: Connection, migrated_url: str
) -> None:
    # given a session that is killed between two portions, and one that is killed within one
    pid = connection.info.backend_pid
    everything = prices_or_bars(migrated_url)
    answers = iter([False, False, False])

    def killed() -> bool:
        if next(answers, True):
            with psycopg.connect(migrated_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [pid])
        return False

    with pytest.raises(DatabaseError):
        replace_old(connection, PRICES, CUTOFF, killed)
    # then no minute is without its price or its bar, and the next run completes the work
    assert prices_or_bars(migrated_url) == everything
    with connect(migrated_url, application_name="test") as again:
        replace_old(again, PRICES, CUTOFF)
        assert number(again, "SELECT min(quote_time) FROM prices") == CUTOFF.replace(second=0)
    assert prices_or_bars(migrated_url) == everything


def prices_or_bars(url: str) -> set[tuple[str, datetime]]:
    """The minutes of which there is a price or a bar."""
    with psycopg.connect(url) as connection:
        return set(
            connection.execute(
                "SELECT symbol, date_trunc('minute', quote_time) FROM prices "
                "UNION SELECT symbol, start_time FROM bars WHERE resolution = '1m'"
            ).fetchall()
        )


def test_prices_that_arrive_late_do_not_change_the_bar(connection: Connection, migrated_url: str) -> None:
    replace_old(connection, PRICES, CUTOFF)
    with psycopg.connect(migrated_url, autocommit=True) as other:
        other.execute(FILL.encode() + b" ON CONFLICT DO NOTHING")
    assert replace_old(connection, PRICES, CUTOFF) == 2 * (180 + 180 + 90)
    assert number(connection, "SELECT count(*) FROM bars") == 2 * (60 + 60 + 30)


class TestWhatWasReplaced:
    def replaced(
        self, connection: Connection, resolution: str, before: datetime | None = None
    ) -> dict[tuple[str, date], int]:
        sessions = [session(date(2026, 5, day)) for day in (4, 5, 6)]
        return replaced_by_day(connection, resolution, ["AAPL"], sessions, before)

    def test_minutes_of_prices_are_counted_as_bars_of_any_length(self, connection: Connection) -> None:
        # given an hour of prices on each day, and one of the evening
        connection.execute(LATE_PRICE.replace("18:00", "21:00").encode())
        replace_old(connection, PRICES, CUTOFF)
        days = {
            ("AAPL", date(2026, 5, 4)): 60,
            ("AAPL", date(2026, 5, 5)): 60,
            ("AAPL", date(2026, 5, 6)): 30,
        }
        assert self.replaced(connection, QUOTES) == days
        assert self.replaced(connection, "1m") == {}
        # then it is the same once the bars of minutes are replaced too
        replace_old(connection, MINUTE_BARS, CUTOFF)
        assert self.replaced(connection, QUOTES) == days
        assert self.replaced(connection, "1m") == days
        assert self.replaced(connection, "15m") == {}

    def test_a_bar_that_is_stored_again_is_not_counted_as_replaced(self, connection: Connection) -> None:
        replace_old(connection, PRICES, CUTOFF)
        replace_old(connection, MINUTE_BARS, CUTOFF)
        connection.execute(LATE_BAR.replace("18:00", "13:31").encode())
        assert self.replaced(connection, "1m")["AAPL", date(2026, 5, 4)] == 45

    def test_a_longer_bar_of_the_source_counts_for_what_is_older_than_the_settings_keep(
        self, connection: Connection
    ) -> None:
        connection.execute(LATE_BAR.replace("1m", "15m").encode())
        assert self.replaced(connection, "1m") == {}
        day = datetime(2026, 5, 4, tzinfo=UTC)
        assert self.replaced(connection, "1m", day) == {}
        assert self.replaced(connection, "1m", day.replace(day=5)) == {("AAPL", date(2026, 5, 4)): 15}


def test_bars_outside_the_sessions_do_not_count(connection: Connection) -> None:
    # given bars of prices that were collected before and after a session, and the last trade at its close
    early, late = LATE_PRICE.replace("18:00:05", "12:00:05"), LATE_PRICE.replace("18:00:05", "20:00:05")
    connection.execute(early.encode())
    connection.execute(late.encode())
    sessions = [session(date(2026, 5, day)) for day in (4, 5)]
    present = {("AAPL", date(2026, 5, 4)): 60, ("AAPL", date(2026, 5, 5)): 60}
    assert present_by_day(connection, QUOTES, ["AAPL"], sessions) == present
    replace_old(connection, PRICES, CUTOFF)
    assert present_by_day(connection, "1m", ["AAPL"], sessions) == present
