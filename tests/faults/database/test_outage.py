"""Guarantee: while the database is down rows are spooled to disk, memory is bounded and recovery is automatic."""

from __future__ import annotations

import sys
import time

import psutil
import psycopg
import pytest

from tests.faults.checker import Checker
from tests.faults.rig.program import Launcher, Program, pause, wait_for
from tests.support.postgres.server import TcpPostgres

BACK_WITHIN = 5.0
"""Maximum seconds from the database's recovery to the first new row."""
MOST_GROWTH = 32
"""Maximum growth of the program in MiB, whatever the length of the outage."""


def memory(program: Program) -> int:
    """Resident MiB of the program without its writers, which have ended or are idle."""
    return int(psutil.Process(program.process.pid).memory_info().rss) >> 20


def outage(launch: Launcher, check: Checker, server: TcpPostgres, seconds: float) -> tuple[float, int]:
    """Fetch the whole index each second during an outage; returns seconds to the first new row, and growth in MiB."""
    program = launch(database=server.url, interval=1)
    program.hears("cycle 2 finished")
    before = memory(program)
    server.stop()
    program.hears("database:")
    most = before
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        pause(0.5)
        most = max(most, memory(program))
    assert program.process.poll() is None
    assert list(program.journal.rglob("*.journal")), "rows wait on the disk"
    server.start()
    back = time.monotonic()
    with psycopg.connect(server.url, autocommit=True) as connection:
        (newest,) = connection.execute("SELECT max(stored_at) FROM prices").fetchone() or (None,)
        wait_for(
            lambda: connection.execute(
                "SELECT 1 FROM prices WHERE stored_at > %s LIMIT 1", (newest,)
            ).fetchone(),
            "a row after the outage",
        )
    recovered = time.monotonic() - back
    program.hears("the database is back")
    assert program.stops() == 143
    verdict = check.verdict(server.url)
    assert verdict.clean, str(verdict)
    assert verdict.in_journal == verdict.in_dead_letters == 0
    grown = most - before
    sys.stdout.write(f"{seconds:g} s down: back after {recovered:.1f} s, {grown} MiB more; {verdict}\n")
    return recovered, grown


@pytest.mark.thorough
def test_an_outage_of_seconds(launch: Launcher, check: Checker, tcp_postgres: TcpPostgres) -> None:
    recovered, growth = outage(launch, check, tcp_postgres, 5)
    assert recovered <= BACK_WITHIN
    assert growth <= MOST_GROWTH


@pytest.mark.soak
def test_an_outage_of_a_minute(launch: Launcher, check: Checker, tcp_postgres: TcpPostgres) -> None:
    recovered, growth = outage(launch, check, tcp_postgres, 60)
    assert recovered <= BACK_WITHIN
    assert growth <= MOST_GROWTH
