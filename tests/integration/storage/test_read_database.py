"""A read replica for the dashboard: the pipeline writes to the primary, the screens read the replica."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from sp500tui.errors import DatabaseError
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.tui.shell.price_reader import PostgresReader
from tests.faults.rig.engine import Engine, EngineStarter
from tests.support.ports import free_port
from tests.support.postgres.server import TcpPostgres, end_server, public_folder

FEW = "AAPL,MSFT,BRK.B"


@pytest.fixture
def primary() -> Iterator[TcpPostgres]:
    """A separate server with the tables."""
    server = TcpPostgres(public_folder(), free_port())
    server.create()
    server.start()
    apply_schema(server.url)
    yield server
    end_server(server.pgdata)
    shutil.rmtree(server.folder)


@pytest.fixture
def replica(primary: TcpPostgres) -> Iterator[TcpPostgres]:
    """A hot standby that follows `primary`: a copy of it with standby.signal."""
    server = TcpPostgres(public_folder(), free_port())
    primary.stop()
    subprocess.run(["cp", "-a", str(primary.pgdata), str(server.pgdata)], check=True)
    (server.pgdata / "standby.signal").touch()
    address = f"host=127.0.0.1 port={primary.port} user=admin password=''{primary.password}''"
    with (server.pgdata / "postgresql.auto.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(f"primary_conninfo = '{address}'\n")
    primary.start()
    server.start()
    yield server
    end_server(server.pgdata)
    shutil.rmtree(server.folder)


def archive_of(run: Engine) -> PostgresReader:
    """What the screens of a dashboard over this pipeline would read."""
    return PostgresReader(lambda: run.pipeline.database_url)


@pytest.mark.thorough
def test_the_screens_read_the_replica_and_the_writers_write_to_the_database(
    start: EngineStarter, database_url: str, tcp_postgres: TcpPostgres
) -> None:
    # given a replica that lags: it has one row, of another symbol
    apply_schema(tcp_postgres.url)
    tcp_postgres.execute(
        "INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, fetched_at) "
        "VALUES ('NVDA', '2026-05-01 13:30+00', 100, 'USD', 'DKK', 'REGULAR', now())"
    )

    # when a pipeline has stored its first prices
    run = start(database_url, symbols=FEW, read_database=tcp_postgres.url)
    run.stores(3)
    reader = archive_of(run)
    stored = reader.read_overview(10)
    points = reader.read_symbol("AAPL", datetime(1970, 1, 1, tzinfo=UTC), 10, 10).points
    reader.close()
    run.ends()

    # then the screens saw the replica's one row, and the database has the others
    assert [row.symbol for row in stored.rows] == ["NVDA"]
    assert points == ()
    with psycopg.connect(database_url) as connection:
        symbols = {row[0] for row in connection.execute("SELECT symbol FROM prices")}
    assert symbols == set(FEW.split(","))


@pytest.mark.slow
def test_a_replica_that_is_down_affects_the_screens_only(start: EngineStarter, database_url: str) -> None:
    # given a replica that does not listen
    replica = f"postgresql://me:s3cret@127.0.0.1:{free_port()}/prices"
    run = start(database_url, symbols=FEW, read_database=replica)

    # when a screen queries, the error names which server does not answer, without its password
    run.stores(3)
    reader = archive_of(run)
    with pytest.raises(DatabaseError, match=r"me:\*\*\*@127\.0\.0\.1:\d+/prices does not answer"):
        reader.read_overview(10)
    reader.close()

    # then the pipeline has no trouble, and ends with everything stored
    assert run.snapshot().database.health is Health.OK
    run.ends()


@pytest.mark.thorough
def test_a_real_replica_shows_what_the_writers_stored(
    start: EngineStarter,
    primary: TcpPostgres,
    replica: TcpPostgres,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    run = start(primary.url, symbols=FEW, read_database=replica.url)
    run.stores(3)
    reader = archive_of(run)
    eventually(lambda: reader.read_overview(10).newest.symbols == 3)
    statistics = reader.read_overview(10).statistics
    assert statistics.total.rows >= 3
    assert statistics.inserted is None, "a replica does not count what it only repeats"
    reader.close()
    run.ends()


def test_a_standby_as_the_database_is_refused_with_the_remedy(replica: TcpPostgres) -> None:
    with pytest.raises(
        DatabaseError, match="is a standby, which is read-only; use the address of its primary"
    ):
        apply_schema(replica.url)
