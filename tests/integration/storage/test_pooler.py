"""Through a connection pooler: everything works, and the pool's other users find their sessions as before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sp500tui.errors import DatabaseError, ExitCode
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.pipeline.report import exit_code
from sp500tui.pipeline.runtime.database_monitor import is_permanent
from sp500tui.storage.batch_codec import decode, encode
from sp500tui.storage.connection import connect
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import run
from sp500tui.storage.writes import insert, upsert_symbols
from sp500tui.tui.shell.price_reader import PostgresReader
from tests.faults.rig.engine import EngineStarter
from tests.support.pipeline.rows import row
from tests.support.postgres.pgbouncer import PgBouncer
from tests.support.postgres.server import TcpPostgres

Starter = Callable[..., PgBouncer]
FEW = "AAPL,MSFT,BRK.B"
_STATE = """
SELECT jsonb_build_object(
    'settings', (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name <> 'application_name'),
    'prepared', (SELECT array_agg(name) FROM pg_prepared_statements),
    'listening', (SELECT array_agg(channel) FROM pg_listening_channels() AS channel),
    'locks', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
    'temporary', (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
    'cursors', (SELECT count(*) FROM pg_cursors)
)
"""


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as from a shell with an empty home."""
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SP500TUI", "PG"))}
    return subprocess.run(
        [sys.executable, "-m", "sp500tui", arguments[0], f"--data-dir={folder / 'data'}", *arguments[1:]],
        env=kept | home,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_status_leaves_the_session_writable(start_pgbouncer: Starter, tmp_path: Path) -> None:
    # given a pool of one session, and its state
    pooler = start_pgbouncer()
    apply_schema(pooler.server.url)
    before = pooler.execute(_STATE)

    # when the status is read
    done = command(tmp_path, "database", "status", "--json", "--database", pooler.url)

    # then another program can write in the same session, whose state is the same
    assert done.returncode == ExitCode.OK, done.stderr
    assert '"rows": 0' in done.stdout
    assert pooler.execute(_STATE) == before
    pooler.execute("CREATE TABLE written (x int)")


def test_a_run_and_its_dashboard_change_nothing_for_others(
    start_pgbouncer: Starter, start: EngineStarter
) -> None:
    # given one session for everybody
    pooler = start_pgbouncer()
    before = pooler.execute(_STATE)

    # when the schema is applied, the list and prices are stored, and a screen reads them
    run = start(pooler.url, symbols=FEW, once=True)
    assert run.pipeline.join(60)
    reader = PostgresReader(lambda: pooler.url)
    listing = reader.read_overview(10)
    one = reader.read_symbol("AAPL", datetime.now(UTC) - timedelta(days=9000), 100, 10)
    reader.close()

    # then all of it has arrived, and the session is as it was
    report = run.pipeline.outcome()
    assert exit_code(report) is ExitCode.OK
    assert (report.ledger.stored, listing.newest.symbols, listing.statistics.total.rows) == (3, 3, 3)
    assert [stored.symbol for stored in one.rows] == ["AAPL"]
    assert one.rows[0].stored_at.tzinfo is UTC
    assert pooler.execute(_STATE) == before


@pytest.mark.thorough
def test_concurrent_writers_share_few_sessions(start_pgbouncer: Starter, start: EngineStarter) -> None:
    pooler = start_pgbouncer(size=2)
    run = start(pooler.url, symbols=FEW, once=True, writers=4)
    assert run.pipeline.join(60)
    assert run.pipeline.outcome().ledger.stored == 3


def test_dead_letters_are_replayed(start_pgbouncer: Starter, tmp_path: Path) -> None:
    pooler = start_pgbouncer()
    before = pooler.execute(_STATE)
    letters = DeadLetters(tmp_path / "data" / "live" / "dead-letters.jsonl")
    (record,) = decode(encode([row(1)]))
    letters.add([DeadLetter.of(each, "on purpose", "22003") for each in (record, {**record, "price": None})])

    done = command(tmp_path, "dead-letters", "replay", "--database", pooler.url)

    assert (done.returncode, done.stdout) == (ExitCode.INCOMPLETE, "1 stored, 1 rejected again\n"), (
        done.stderr
    )
    assert pooler.execute(_STATE) == before


@pytest.mark.thorough
def test_prepare_and_psql(start_pgbouncer: Starter, tmp_path: Path) -> None:
    pooler = start_pgbouncer()
    before = pooler.execute(_STATE)
    for options in (["--dry-run"], []):
        done = command(tmp_path, "database", "prepare", *options, "--database", pooler.url)
        assert done.returncode == ExitCode.OK, done.stderr
    done = command(tmp_path, "database", "psql", "--database", pooler.url, "-Atc", "SELECT 6 * 7")
    assert (done.returncode, done.stdout) == (ExitCode.OK, "42\n"), done.stderr
    assert pooler.execute(_STATE) == before


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_failed_statement_leaves_the_connection_usable(start_pgbouncer: Starter, mode: str) -> None:
    pooler = start_pgbouncer(mode)
    apply_schema(pooler.url)
    with connect(pooler.url, application_name="test") as connection:
        before = pooler.execute(_STATE) if mode == "transaction" else None
        for _ in range(8):
            with pytest.raises(DatabaseError):
                insert(connection, encode([row(1)]).replace(b"USD", b"NULL"))
            upsert_symbols(connection, ["AAPL"])
        assert insert(connection, encode([row(1)])) == 1
        if before is not None:
            assert pooler.execute(_STATE) == before


def test_time_outs_hold_and_end_with_the_transaction(start_pgbouncer: Starter) -> None:
    pooler = start_pgbouncer()
    with connect(pooler.url, application_name="test", statement_timeout=0.5) as connection:
        with pytest.raises(Exception, match="statement timeout"):
            run(connection, "SELECT pg_sleep(10)")
        assert run(connection, "SHOW statement_timeout").fetchone() == ("500ms",)
    assert pooler.execute("SHOW statement_timeout") == [("0",)]


def test_statement_pooling_is_refused_with_the_remedy(start_pgbouncer: Starter, tmp_path: Path) -> None:
    pooler = start_pgbouncer("statement")
    with pytest.raises(DatabaseError, match="statement mode; set pool_mode = transaction") as caught:
        connect(pooler.url, application_name="test")
    assert is_permanent(caught.value)
    done = command(tmp_path, "database", "status", "--database", pooler.url)
    assert done.returncode == ExitCode.DATABASE
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "sqlstate", "words"),
    [
        (lambda url: url + "?options=-c%20work_mem%3D5MB", "0A000", "ignore_startup_parameters"),
        (lambda url: url.replace("admin:", "unknown:"), "28P01", "refuses the password"),
        (lambda url: url.rpartition("/")[0] + "/elsewhere", "3D000", "has no such database"),
    ],
)
def test_refusals_of_a_pooler_are_explained(
    start_pgbouncer: Starter, change: Callable[[str], str], sqlstate: str, words: str
) -> None:
    pooler = start_pgbouncer()
    with pytest.raises(DatabaseError, match=words) as caught:
        connect(change(pooler.url), application_name="test")
    assert caught.value.sqlstate == sqlstate
    assert is_permanent(caught.value)


@pytest.mark.thorough
def test_a_server_that_is_down_while_the_pooler_runs_is_waited_for(
    start_pgbouncer: Starter, start: EngineStarter, tcp_postgres: TcpPostgres
) -> None:
    # given a run through a pooler that tries its server again at once
    pooler = start_pgbouncer(size=2, extra="server_login_retry = 0.2\nquery_wait_timeout = 2")
    run = start(pooler.url, symbols=FEW, interval=1.0)
    run.stores(3)

    # when the server stops for a while
    tcp_postgres.stop()
    run.waits_for(lambda seen: seen.database.retry_in is not None, "the outage")
    tcp_postgres.start()

    # then rows are stored again
    run.stores(6)
