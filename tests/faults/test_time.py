"""Guarantee: wrong clocks lose no row and do not change the order of rows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from sp500tui.model import ConvertedQuote
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.pipeline.writer.client import WriterClient
from sp500tui.storage import batch_codec as rowcodec
from sp500tui.storage.connection import connect
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import run
from tests.faults.checker import Checker
from tests.faults.rig.engine import EngineStarter
from tests.faults.rig.steps import FIFTY
from tests.support.pipeline.rows import row

NEW_YORK = ZoneInfo("America/New_York")
SPRING = datetime(2026, 3, 8, 1, 0, tzinfo=NEW_YORK)
"""An hour before clocks go from 2:00 to 3:00."""
AUTUMN = datetime(2026, 11, 1, 0, 0, tzinfo=NEW_YORK)
"""Two hours before clocks go from 2:00 back to 1:00."""
ODD_DATABASE = (
    "ALTER DATABASE {name} SET timezone = 'America/New_York'",
    "ALTER DATABASE {name} SET datestyle = 'SQL, DMY'",
)
OUTDATED_LATEST = (
    "SELECT symbol FROM latest_prices FULL JOIN"
    " (SELECT symbol, max(quote_time) AS newest FROM prices GROUP BY symbol) newest_prices USING (symbol)"
    " WHERE quote_time IS DISTINCT FROM newest"
)


def row_at(symbol: str, moment: datetime, price: str) -> ConvertedQuote:
    one = row(symbol=symbol)
    return replace(one, quote=replace(one.quote, quote_time=moment, price=Decimal(price)))


@contextmanager
def writer(url: str) -> Iterator[WriterClient]:
    """A writer process with the current environment."""
    apply_schema(url)
    link = WriterClient(url, "writer-1", 20.0)
    try:
        assert link.connect(20, lambda: False).committed
        yield link
    finally:
        link.close(kill=True)


def goes_round(cycle: int, snapshot: Snapshot) -> bool:
    return snapshot.cycle.number >= cycle


def change_database(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.format(name=connection.info.dbname))


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the wall clock of this process to an offset from the real one, in seconds."""
    real, offset = time.time, 0.0

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.fromtimestamp(time.time(), tz)

    def step(seconds: float) -> None:
        nonlocal offset
        offset = seconds

    monkeypatch.setattr(time, "time", lambda: real() + offset)
    for name, module in list(sys.modules.items()):
        if name.startswith("sp500tui.") and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Stepped)
    return step


@pytest.mark.thorough
def test_the_wall_clock_jumps_while_rows_come_in(
    engine: EngineStarter, check: Checker, database_url: str, wall_clock: Callable[[float], None]
) -> None:
    """Cycles keep their interval, rows are stored with the times of the trades, the equation holds."""
    run = engine(database_url, interval=0.5)
    run.stores(20)
    for hours in (20, -20, 0):
        wall_clock(3600.0 * hours)
        run.waits_for(partial(goes_round, run.snapshot().cycle.number + 2), "two cycles after the jump")
        run.stores(5)
    assert not run.snapshot().missing
    assert run.ends().dead == 0
    verdict = check.verdict(database_url)
    assert verdict.clean, str(verdict)
    with connect(database_url, application_name="test") as connection:
        assert not connection.execute(OUTDATED_LATEST).fetchall()


@pytest.mark.thorough
def test_a_clock_that_is_days_behind_names_every_symbol_and_recovers(
    engine: EngineStarter, database_url: str, wall_clock: Callable[[float], None]
) -> None:
    """A trade more than a day in the future is rejected and reported until the clock is corrected."""
    run = engine(database_url, interval=0.5)
    run.stores(20)
    wall_clock(-3 * 86_400.0)
    run.waits_for(lambda s: len(s.missing) == len(FIFTY.split(",")), "every symbol named")
    assert all("is in the future" in symbol.reason for symbol in run.snapshot().missing)
    wall_clock(0)
    run.waits_for(lambda s: not s.missing, "every symbol priced again")
    run.stores(5)
    run.ends()


@pytest.mark.parametrize("start", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_new_yorks_clocks_change_and_no_hour_is_lost_or_doubled(
    database_url: str, monkeypatch: pytest.MonkeyPatch, start: datetime
) -> None:
    """Given a program and a database in New York's time zone, trades every half hour keep their times."""
    monkeypatch.setenv("TZ", "America/New_York")
    change_database(database_url, *ODD_DATABASE)
    begin = start.astimezone(UTC)
    times = [begin + timedelta(minutes=30 * number) for number in range(8)]
    with writer(database_url) as link:
        rows = [row_at("AAPL", moment, str(100 + number)) for number, moment in enumerate(times)]
        assert link.commit(1, rowcodec.encode(rows), 20, lambda: False).stored == len(times)
    with connect(database_url, application_name="test") as connection:
        found = run(connection, "SELECT quote_time, price FROM prices ORDER BY quote_time").fetchall()
    assert found == [(moment, Decimal(100 + number)) for number, moment in enumerate(times)]


def test_of_two_prices_of_one_moment_the_first_stored_stays(database_url: str) -> None:
    """A trade is identified by symbol and second: another price counts as a duplicate, in one batch or in two."""
    moment = datetime(2026, 5, 4, 15, 0, tzinfo=UTC)
    with writer(database_url) as link:
        both = rowcodec.encode([row_at("AAPL", moment, "100.5"), row_at("AAPL", moment, "200")])
        assert link.commit(1, both, 20, lambda: False).stored == 1
        later = rowcodec.encode([row_at("AAPL", moment, "300")])
        assert link.commit(2, later, 20, lambda: False).stored == 0
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT price FROM prices").fetchall() == [(Decimal("100.5"),)]


@pytest.mark.thorough
@pytest.mark.parametrize("hours", [-30, 30])
def test_a_database_whose_clock_and_zone_differ(
    engine: EngineStarter, check: Checker, database_url: str, hours: int
) -> None:
    """Only `stored_at` comes from the database's clock; the order of rows follows the trades."""
    apply_schema(database_url)
    change_database(
        database_url,
        *ODD_DATABASE,
        f"ALTER TABLE prices ALTER stored_at SET DEFAULT now() + interval '{hours} hours'",
    )
    run = engine(database_url)
    run.stores(60)
    assert run.ends().dead == 0
    verdict = check.verdict(database_url)
    assert verdict.clean, str(verdict)
    with connect(database_url, application_name="test") as connection:
        assert not connection.execute(OUTDATED_LATEST).fetchall()
        off = connection.execute("SELECT min(abs(extract(epoch FROM stored_at - fetched_at))) FROM prices")
        ((least,),) = off.fetchall()
    assert least > 3600 * 29
