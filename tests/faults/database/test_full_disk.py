"""Guarantee: no row is lost while the disk of the journal, of PostgreSQL or of both is full."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sp500tui.pipeline.core.snapshot import Health, Snapshot
from tests.faults.checker import Checker, Handed
from tests.faults.rig.engine import EngineStarter
from tests.faults.rig.program import pause
from tests.support.ports import free_port
from tests.support.postgres.server import TcpPostgres, end_server

pytestmark = pytest.mark.thorough

Disk = Callable[[int], Path]
"""Mounts a file system of a size in KiB."""


def fill(disk: Path) -> Path:
    """Fill the disk completely; returns the file that occupies it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    return ballast


def write_log(url: str) -> None:
    """Have the server write more WAL than fits any disk here, so that it fails."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(20):
            connection.execute("SELECT pg_switch_wal()")
            connection.execute("SELECT pg_logical_emit_message(true, 'ballast', repeat('x', 1000000))")


def journal_is_full(snapshot: Snapshot) -> bool:
    journal = snapshot.journal
    return journal.health is Health.DOWN and "the disk of the journal is full" in journal.message


def database_is_full(snapshot: Snapshot) -> bool:
    database = snapshot.database
    return database.health is Health.DOWN and "No space left" in database.message


def test_the_journals_disk_is_full(
    engine: EngineStarter, handed: Handed, database_url: str, small_disk: Disk
) -> None:
    """Given no room for a batch, rows wait in memory and hold the intake back until there is room."""
    disk = small_disk(512)
    run = engine(database_url, data_dir=disk)
    run.stores(10)
    ballast = fill(disk)
    run.waits_for(journal_is_full, "the report that the journal's disk is full")
    run.waits_for(lambda s: s.ledger.queued > 0, "rows that wait in the queue")
    pause(0.5)
    assert journal_is_full(run.snapshot())
    ballast.unlink()
    run.stores(10)
    assert run.snapshot().journal.health is not Health.DOWN
    assert run.ends().dead == 0
    verdict = Checker(handed, disk / "live").verdict(database_url)
    assert verdict.clean, str(verdict)
    assert verdict.in_journal == 0


@pytest.fixture
def server_on(small_disk: Disk) -> Iterator[TcpPostgres]:
    """A server reached by TCP on a separate small disk."""
    server = TcpPostgres(small_disk(100 << 10), free_port())
    server.create()
    server.start()
    yield server
    end_server(server.pgdata)
    # Shown if the test fails.
    sys.stdout.write((server.folder / "server.log").read_text(encoding="utf-8", errors="replace")[-20_000:])


def test_postgresqls_disk_is_full(engine: EngineStarter, check: Checker, server_on: TcpPostgres) -> None:
    """Tables, then the WAL, find no room, and the server ends; rows wait until it is repaired."""
    # A server without room for its WAL may block a commit; each writer then waits for the whole time-out.
    run = engine(server_on.url, commit_timeout=5.0)
    run.stores(10)
    ballast = fill(server_on.folder)
    run.waits_for(database_is_full, "the report that the database's disk is full")
    with pytest.raises(psycopg.Error):
        write_log(server_on.url)
    pause(1)
    assert run.snapshot().database.health is Health.DOWN
    ballast.unlink()
    goal = run.snapshot().ledger.stored + 10

    def has_recovered(snapshot: Snapshot) -> bool:
        # The server may fail a moment after the statement that filled its WAL.
        if not server_on.alive():
            server_on.start()
        return snapshot.ledger.stored >= goal

    run.waits_for(has_recovered, "more rows stored", 120)
    assert run.ends().dead == 0
    verdict = check.verdict(server_on.url)
    assert verdict.clean, str(verdict)
    assert verdict.in_journal == 0


def test_the_one_disk_of_everything_is_full(engine: EngineStarter, handed: Handed, small_disk: Disk) -> None:
    """The usual case: embedded server, journal and dead letters share a disk. Recovery is automatic."""
    disk = small_disk(100 << 10)
    run = engine(None, data_dir=disk)
    run.stores(10)
    url = run.pipeline.database_url
    assert url is not None
    ballast = fill(disk)
    run.waits_for(
        lambda s: s.journal.health is Health.DOWN or s.database.health is Health.DOWN, "the word of it"
    )
    with pytest.raises(psycopg.Error):
        write_log(url)
    pause(2)
    ballast.unlink()
    run.stores(10)
    run.pipeline.pause()
    run.waits_for(lambda s: s.ledger.fetched == s.ledger.stored + s.ledger.duplicate, "all rows stored")
    # Checked before the end: the server stops with its last user.
    verdict = Checker(handed, disk / "live").verdict(run.pipeline.database_url or "")
    assert verdict.clean, str(verdict)
    assert run.ends().dead == 0
