"""Guarantee: no row is lost while a database is down, slow, full, read-only, out of connections or locked."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.snapshot import Health, Snapshot
from tests.faults.checker import Checker
from tests.faults.rig.engine import Engine, EngineStarter
from tests.faults.rig.program import pause
from tests.faults.rig.toxics import ToxicProxy
from tests.support.postgres.server import TcpPostgres, kill_server

STRIKE = """
CREATE TABLE strike (sqlstate text);
CREATE FUNCTION struck() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE code text;
BEGIN
    SELECT sqlstate INTO code FROM strike;
    IF code IS NOT NULL THEN RAISE EXCEPTION 'struck on purpose' USING ERRCODE = code; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER strike BEFORE INSERT ON prices FOR EACH ROW EXECUTE FUNCTION struck();
"""
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sp500tui%'"


def down(snapshot: Snapshot) -> bool:
    return snapshot.database.health is Health.DOWN


def fetched_all_and_stored(engine: Engine, check: Checker, url: str) -> None:
    """Stop by the drain; no row may be lost, duplicated, altered or a dead letter."""
    ledger = engine.ends()
    assert ledger.dead == 0
    verdict = check.verdict(url)
    assert verdict.clean, str(verdict)
    assert verdict.in_journal == 0


@pytest.mark.thorough
def test_a_database_that_is_unavailable_at_the_start_is_waited_for(
    engine: EngineStarter, check: Checker, tcp_postgres: TcpPostgres
) -> None:
    tcp_postgres.stop()
    run = engine(tcp_postgres.url)
    run.waits_for(down, "the report that the database is down")
    assert "does not answer" in run.snapshot().database.message
    tcp_postgres.start()
    run.stores()
    fetched_all_and_stored(run, check, tcp_postgres.url)


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_database_that_becomes_unavailable_under_load(
    engine: EngineStarter, check: Checker, tcp_postgres: TcpPostgres, how: str
) -> None:
    """Given an outage, rows are spooled to disk and stored within five seconds of its end."""
    run = engine(tcp_postgres.url)
    run.stores(50)
    tcp_postgres.stop() if how == "stopped" else tcp_postgres.kill()
    run.waits_for(down, "the report that the database is down")
    pause(1.5)
    waiting = run.snapshot()
    assert waiting.ledger.spooled + waiting.ledger.queued + waiting.ledger.in_flight > 0
    tcp_postgres.start()
    run.stores()
    fetched_all_and_stored(run, check, tcp_postgres.url)


@pytest.mark.thorough
def test_the_embedded_server_is_killed_and_started_again(engine: EngineStarter, check: Checker) -> None:
    run = engine(None)
    run.stores(50)
    pgdata = engine.folder / "data" / "live" / "pgdata"
    kill_server(pgdata)
    run.stores(20)
    run.pipeline.pause()
    run.waits_for(lambda s: s.ledger.fetched == s.ledger.stored + s.ledger.duplicate, "all rows stored")
    # Checked before the end: the server stops with its last user.
    url = run.pipeline.database_url
    assert url is not None
    verdict = check.verdict(url)
    assert verdict.clean, str(verdict)


@pytest.mark.thorough
@pytest.mark.parametrize("sqlstate", ["40P01", "XX000"])
def test_a_database_that_refuses_everything_for_a_while(
    engine: EngineStarter, check: Checker, tcp_postgres: TcpPostgres, sqlstate: str
) -> None:
    run = engine(tcp_postgres.url)
    run.stores(20)
    tcp_postgres.execute(STRIKE, f"INSERT INTO strike VALUES ('{sqlstate}')")
    run.waits_for(lambda s: down(s) and "struck on purpose" in s.database.message, "the reason")
    pause(2)
    assert EventKind.DATABASE_BACK not in {event.kind for event in run.events}, (
        "it is not back while it refuses"
    )
    tcp_postgres.execute("TRUNCATE strike")
    run.stores()
    fetched_all_and_stored(run, check, tcp_postgres.url)


@pytest.mark.thorough
def test_a_database_that_has_become_read_only(
    engine: EngineStarter, check: Checker, tcp_postgres: TcpPostgres
) -> None:
    run = engine(tcp_postgres.url)
    run.stores(20)
    name = tcp_postgres.database
    tcp_postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on", TERMINATE)
    run.waits_for(lambda s: down(s) and "read-only" in s.database.message, "the reason")
    with psycopg.connect(tcp_postgres.url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    run.stores()
    fetched_all_and_stored(run, check, tcp_postgres.url)


@pytest.mark.thorough
def test_a_database_without_a_free_connection(
    engine: EngineStarter, check: Checker, tcp_postgres: TcpPostgres
) -> None:
    name = tcp_postgres.database
    tcp_postgres.execute(
        "CREATE ROLE feeder LOGIN PASSWORD 'pw' CONNECTION LIMIT 1", f"GRANT ALL ON DATABASE {name} TO feeder"
    )
    tcp_postgres.execute("GRANT ALL ON SCHEMA public TO feeder")
    try:
        with psycopg.connect(tcp_postgres.url_for("feeder", "pw")):
            run = engine(tcp_postgres.url_for("feeder", "pw"))
            run.waits_for(lambda s: down(s) and "no connection left" in s.database.message, "the reason")
            tcp_postgres.execute("ALTER ROLE feeder CONNECTION LIMIT 50")
        run.stores()
        fetched_all_and_stored(run, check, tcp_postgres.url)
    finally:
        engine.close()
        tcp_postgres.execute("DROP OWNED BY feeder", "DROP ROLE feeder")


@pytest.mark.thorough
def test_an_administrator_ends_the_connections_again_and_again(
    engine: EngineStarter, check: Checker, tcp_postgres: TcpPostgres
) -> None:
    run = engine(tcp_postgres.url)
    for _ in range(5):
        run.stores(5)
        tcp_postgres.execute(TERMINATE)
    run.stores()
    fetched_all_and_stored(run, check, tcp_postgres.url)


@pytest.mark.thorough
def test_a_table_that_another_session_has_locked(
    engine: EngineStarter, check: Checker, tcp_postgres: TcpPostgres
) -> None:
    """Given a lock longer than several time-outs, no row becomes a dead letter and no writer is replaced needlessly."""
    run = engine(tcp_postgres.url, commit_timeout=1.0)
    run.stores(20)
    with psycopg.connect(tcp_postgres.url) as connection:
        connection.execute("LOCK TABLE prices IN ACCESS EXCLUSIVE MODE")
        run.waits_for(lambda s: down(s) and "timeout" in s.database.message, "the reason")
        pause(4)
    run.stores()
    fetched_all_and_stored(run, check, tcp_postgres.url)


@pytest.fixture
def proxy(tcp_postgres: TcpPostgres) -> Iterator[ToxicProxy]:
    """A proxy between the program and the database."""
    with ToxicProxy(tcp_postgres.port) as proxy:
        yield proxy


def through(proxy: ToxicProxy, server: TcpPostgres) -> str:
    return server.url.replace(f":{server.port}/", f":{proxy.port}/")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("fault", "value"),
    [
        ("latency", 0.15),
        ("rate", 20_000.0),
        ("cut_after", 9_000),
        ("cut_after", 0),
        ("half_open", True),
        ("gone", True),
    ],
)
def test_a_network_that_fails(
    engine: EngineStarter,
    check: Checker,
    tcp_postgres: TcpPostgres,
    proxy: ToxicProxy,
    fault: str,
    value: float,
) -> None:
    """Connections are delayed, throttled, cut in the middle of a batch, silent or refused, and then restored."""
    run = engine(through(proxy, tcp_postgres), commit_timeout=1.5)
    run.stores(20)
    setattr(proxy, fault, value)
    pause(1.5)
    proxy.calm()
    run.stores()
    fetched_all_and_stored(run, check, tcp_postgres.url)


@pytest.mark.thorough
def test_an_unanswered_commit_is_sent_again_and_doubles_nothing(
    engine: EngineStarter, check: Checker, tcp_postgres: TcpPostgres, proxy: ToxicProxy
) -> None:
    """The response to a commit is lost: the rows are in the table and are sent again."""
    run = engine(through(proxy, tcp_postgres), commit_timeout=1.5, writers=1)
    run.stores(20)
    before = run.snapshot().ledger.duplicate
    proxy.deaf = True
    run.waits_for(lambda s: any(stage.restarts for stage in s.stages), "a writer that was replaced")
    proxy.calm()
    run.stores()
    assert run.snapshot().ledger.duplicate > before
    fetched_all_and_stored(run, check, tcp_postgres.url)
