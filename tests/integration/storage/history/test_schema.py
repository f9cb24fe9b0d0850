"""The tables of the history: the step from a database without them, and the views that apply corporate actions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from sp500tui.model import Resolution
from sp500tui.storage.batch_codec import encode
from sp500tui.storage.database import Database
from sp500tui.storage.history.sessions import (
    Attempts,
    CoverageRow,
    SessionCounts,
    attempts_by_day,
    bars_by_session,
    store_coverage,
)
from sp500tui.storage.schema import migrations
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.status import HistoryTotals, read_status
from sp500tui.storage.transaction import Connection
from sp500tui.storage.writes import insert
from tests.support.market.charts import bar, block, session

LAST_BEFORE_HISTORY = 4
PRICE = """
INSERT INTO prices (symbol, quote_time, price, change, currency, converted_price, converted_currency, market_state,
                    volume, fetched_at)
VALUES (%s, %s, %s, 1, 'USD', 7, 'DKK', 'REGULAR', 10, %s)
"""
BAR = """
INSERT INTO bars (symbol, resolution, start_time, open, high, low, close, volume, currency, source, fetched_at)
VALUES (%s, '1d', %s, 750.25, 760, 740, 752.5, 1000, 'USD', 'yahoo', %s)
"""
SPLIT = """
INSERT INTO corporate_actions (symbol, effective_date, kind, numerator, denominator, effective_time, fetched_at)
VALUES (%s, %s, 'split', %s, %s, %s, now())
"""


def make_older_database(url: str) -> None:
    """The tables as the version before the history made them."""
    folder = Path(migrations.__file__).parent
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE schema_version (version integer PRIMARY KEY, name text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for path in sorted(folder.glob("*.sql")):
            version = int(path.name.partition("_")[0])
            if version <= LAST_BEFORE_HISTORY:
                connection.execute(path.read_text("utf-8").encode())
                connection.execute(
                    "INSERT INTO schema_version (version, name) VALUES (%s, %s)", (version, path.stem)
                )


def test_a_database_of_the_version_before_keeps_its_rows(database_url: str) -> None:
    # given a database of the version before, with rows
    make_older_database(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(PRICE, ("AAPL", "2026-05-04 13:30+00", "225.42", "2026-05-04 13:30:01+00"))
        connection.execute("INSERT INTO known_symbols VALUES ('AAPL')")
        before = connection.execute("SELECT * FROM prices").fetchall()
    assert read_status(Database(database_url, None)).history is None

    # when this version opens it, twice
    apply_schema(database_url)
    apply_schema(database_url)

    # then the rows are the same, and the new tables are empty
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT * FROM prices").fetchall() == before
        assert connection.execute("SELECT price, factor FROM adjusted_prices").fetchall() == [
            (Decimal("225.42"), Decimal(1))
        ]
    assert read_status(Database(database_url, None)).history == HistoryTotals(0, True, 0, 0, 0, 0)


def test_every_file_can_be_applied_again(connection: Connection) -> None:
    for path in sorted(Path(migrations.__file__).parent.glob("*.sql")):
        connection.execute(path.read_text("utf-8").encode())


class TestAdjustedViews:
    def test_only_what_was_fetched_before_a_split_is_multiplied(self, connection: Connection) -> None:
        # given the same day's bar of two symbols, one fetched before the split, one after it
        connection.execute(BAR, ("NVDA", "2021-07-19 13:30+00", "2021-07-19 21:00+00"))
        connection.execute(BAR, ("NVDB", "2021-07-19 13:30+00", "2021-07-21 21:00+00"))
        for symbol in ("NVDA", "NVDB"):
            connection.execute(SPLIT, (symbol, "2021-07-20", 4, 1, "2021-07-20 13:30+00"))

        bars = connection.execute(
            "SELECT symbol, open, close, volume, factor FROM adjusted_bars ORDER BY symbol"
        ).fetchall()

        assert bars == [
            ("NVDA", Decimal("187.5625"), Decimal("188.125"), 4000, Decimal("0.25")),
            ("NVDB", Decimal("750.25"), Decimal("752.5"), 1000, Decimal(1)),
        ]

    def test_a_bar_after_the_split_is_not_adjusted(self, connection: Connection) -> None:
        connection.execute(BAR, ("NVDA", "2021-07-20 13:30+00", "2021-07-20 13:31+00"))
        connection.execute(SPLIT, ("NVDA", "2021-07-20", 4, 1, "2021-07-20 13:30+00"))
        assert connection.execute("SELECT close FROM adjusted_bars").fetchall() == [(Decimal("752.5"),)]

    @pytest.mark.parametrize(
        ("splits", "close"),
        [
            ([(4, 1), (10, 1)], Decimal("18.8125")),
            ([(1, 8)], Decimal(6020)),
            ([(3, 2), (3, 2), (3, 2), (2, 3), (2, 3), (2, 3)], Decimal("752.5")),
            ([(7, 1), (4, 1), (2, 1), (1, 56)], Decimal("752.5")),
            ([("1281", "1000")], Decimal("752.5") / Decimal("1.281")),
        ],
    )
    def test_several_splits_are_multiplied_exactly(
        self, connection: Connection, splits: list[tuple[object, object]], close: Decimal
    ) -> None:
        connection.execute(BAR, ("NVDA", "2021-07-19 13:30+00", "2021-07-19 21:00+00"))
        for day, (numerator, denominator) in enumerate(splits, start=20):
            moment = f"2021-07-{day} 13:30+00"
            connection.execute(SPLIT, ("NVDA", moment[:10], numerator, denominator, moment))
        row = connection.execute("SELECT close FROM adjusted_bars").fetchone()
        assert row is not None
        assert abs(row[0] - close) < Decimal("1e-13")

    def test_each_bar_is_adjusted_by_the_splits_after_it(self, connection: Connection) -> None:
        # given bars before, between and after two splits, and a split of another symbol
        for day in ("2021-07-19", "2021-07-20", "2021-07-21", "2024-06-10"):
            connection.execute(BAR, ("NVDA", f"{day} 13:30+00", f"{day} 21:00+00"))
        connection.execute(SPLIT, ("NVDA", "2021-07-20", 4, 1, "2021-07-20 13:30+00"))
        connection.execute(SPLIT, ("NVDA", "2024-06-10", 10, 1, "2024-06-10 13:30+00"))
        connection.execute(SPLIT, ("OTHER", "2024-06-10", 3, 1, "2024-06-10 13:30+00"))

        factors = connection.execute("SELECT factor FROM adjusted_bars ORDER BY start_time").fetchall()

        # then a bar that begins with a split is after it
        assert factors == [(Decimal("0.025"),), (Decimal("0.1"),), (Decimal("0.1"),), (Decimal(1),)]

    def test_collected_prices_are_adjusted_and_stay_as_they_were(self, connection: Connection) -> None:
        connection.execute(PRICE, ("NVDA", "2021-07-19 20:00+00", "751.19", "2021-07-19 20:00:01+00"))
        connection.execute(SPLIT, ("NVDA", "2021-07-20", 4, 1, "2021-07-20 13:30+00"))
        adjusted = connection.execute(
            "SELECT price, change, converted_price, volume FROM adjusted_prices"
        ).fetchall()
        assert adjusted == [(Decimal("187.7975"), Decimal("0.25"), Decimal("1.75"), 40)]
        assert connection.execute("SELECT price FROM prices").fetchall() == [(Decimal("751.19"),)]

    def test_dividends_change_no_price(self, connection: Connection) -> None:
        connection.execute(BAR, ("AAPL", "2026-05-08 13:30+00", "2026-05-08 21:00+00"))
        connection.execute(
            "INSERT INTO corporate_actions (symbol, effective_date, kind, amount, effective_time, fetched_at) "
            "VALUES ('AAPL', '2026-05-11', 'dividend', 0.27, '2026-05-11 13:30+00', now())"
        )
        assert connection.execute("SELECT close FROM adjusted_bars").fetchall() == [(Decimal("752.5"),)]


def test_bars_are_counted_by_session_with_and_without_the_absent_ones(connection: Connection) -> None:
    # given two days of minutes, of which the second has a bar that the source does not have any more
    sessions = [session(date(2026, 5, day)) for day in (4, 5)]
    openings = [each.start_time for each in sessions]
    bars = [bar("BRK.B", Resolution.MINUTE, openings[0] + timedelta(minutes=at)) for at in range(3)]
    bars += [bar("BRK.B", Resolution.MINUTE, openings[1] + timedelta(minutes=at)) for at in (0, 1)]
    bars += [bar("BRK.B", Resolution.MINUTE, sessions[0].end_time + timedelta(minutes=30))]
    insert(connection, encode(block(bars)))
    insert(connection, encode(block([bar("AAPL", Resolution.MINUTE, openings[0])])))

    # then sessions are counted apart, and what is between them, other symbols and resolutions not for any session
    counts = bars_by_session(connection, "BRK.B", "1m", sessions, [openings[1] + timedelta(minutes=1)])
    assert counts == SessionCounts({date(2026, 5, 4): 3, date(2026, 5, 5): 2}, 5)
    first = replace(sessions[1], end_time=openings[1] + timedelta(minutes=1))
    assert bars_by_session(connection, "BRK.B", "1m", [sessions[0], first]).bars[date(2026, 5, 5)] == 1
    assert bars_by_session(connection, "BRK.B", "5m", sessions) == SessionCounts({}, 0)


@pytest.mark.parametrize("symbol", ["BRK.B", 'A"B\\C', "Ä,{}", "NULL"])
def test_coverage_keeps_any_symbol(connection: Connection, symbol: str) -> None:
    now, day = datetime(2026, 5, 9, tzinfo=UTC), date(2026, 5, 8)
    for _ in range(2):
        store_coverage(connection, "1m", [CoverageRow(symbol, day, 390, 389, "partial", 1)], now)
    asked = attempts_by_day(connection, "1m", [symbol], day, day)
    assert asked == {(symbol, day): Attempts(2, now)}
