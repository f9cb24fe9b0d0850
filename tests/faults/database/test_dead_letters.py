"""Guarantee: a rejected row is kept with the reason, can be listed, and is stored once the database accepts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.storage import batch_codec as rowcodec
from sp500tui.storage.schema.migrations import apply_schema
from tests.faults.checker import Checker
from tests.faults.rig.engine import EngineStarter
from tests.support.pipeline.rows import row
from tests.support.postgres.server import TcpPostgres

REFUSE_OIL = "ALTER TABLE prices ADD CONSTRAINT no_oil CHECK (symbol <> 'XOM') NOT VALID"
ALLOW_OIL = "ALTER TABLE prices DROP CONSTRAINT no_oil"


def dead_letters(action: str, folder: Path, database: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [
            *(sys.executable, "-m", "sp500tui", "dead-letters", action),
            *(f"--data-dir={folder / 'data'}", f"--database={database}", *options),
        ],
        env={name: value for name, value in os.environ.items() if not name.startswith("SP500TUI")} | home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def record(number: int, **changes: str | None) -> dict[str, str | None]:
    (found,) = rowcodec.decode(rowcodec.encode([row(number)]))
    return found | changes


def symbols_in(database: str) -> list[str]:
    with psycopg.connect(database) as connection:
        return [symbol for (symbol,) in connection.execute("SELECT symbol FROM prices ORDER BY symbol")]


@pytest.fixture
def letters(folder: Path) -> DeadLetters:
    """Two good rows, one too large, one without a price, and a batch that cannot be read."""
    letters = DeadLetters(folder / "data" / "live" / "dead-letters.jsonl")
    rows: list[dict[str, Any]] = [
        record(1),
        record(2, price="1e999999"),
        record(3),
        record(4, price=None),
        {},
    ]
    letters.add([DeadLetter.of(each, "refused on purpose", "22003") for each in rows])
    return letters


def test_dead_letters_are_listed_and_replayed_and_those_rejected_again_stay(
    letters: DeadLetters, folder: Path, database_url: str
) -> None:
    listed = dead_letters("list", folder, database_url)
    assert listed.returncode == 0
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["S1", "S2", "S3", "S4", "–"]
    assert all("refused on purpose" in line for line in listed.stdout.splitlines())

    replayed = dead_letters("replay", folder, database_url)

    assert (replayed.returncode, replayed.stdout) == (1, "2 stored, 3 rejected again\n"), replayed.stderr
    assert symbols_in(database_url) == ["S1", "S3"]
    left = json.loads(dead_letters("list", folder, database_url, "--json").stdout)
    assert [letter.get("symbol") for letter in left] == ["S2", "S4", None]
    assert {letter["reason"] for letter in left} == {"refused on purpose"}


@pytest.mark.thorough
def test_a_replay_that_is_repeated_or_cut_off_doubles_nothing(
    letters: DeadLetters, folder: Path, database_url: str
) -> None:
    """Rows that the database already has, as after a killed replay, are removed and stay stored once."""
    apply_schema(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, fetched_at)"
            " VALUES ('S1', %s, 100.25, 'USD', 'DKK', 'REGULAR', now())",
            (record(1)["quote_time"],),
        )
    for stored in (2, 0):
        replayed = dead_letters("replay", folder, database_url)
        assert replayed.stdout == f"{stored} stored, 3 rejected again\n"
    assert symbols_in(database_url) == ["S1", "S3"]


def test_dead_letters_stay_where_no_database_answers(letters: DeadLetters, folder: Path) -> None:
    before = letters.listing()
    replayed = dead_letters("replay", folder, "postgresql://user@127.0.0.1:1/none")
    assert replayed.returncode == 4
    assert "Traceback" not in replayed.stderr
    assert len(replayed.stderr.splitlines()) == 1
    assert letters.listing() == before


@pytest.mark.thorough
def test_what_a_run_could_not_store_is_stored_by_a_replay(
    engine: EngineStarter, check: Checker, folder: Path, tcp_postgres: TcpPostgres
) -> None:
    """The only rejected row of a batch is kept, and stored once the reason no longer applies."""
    run = engine(tcp_postgres.url)
    run.stores(20)
    tcp_postgres.execute(REFUSE_OIL)
    run.waits_for(lambda s: s.ledger.dead >= 2, "dead letters")
    run.stores(10)
    dead = run.ends().dead
    verdict = check.verdict(tcp_postgres.url)
    assert verdict.clean, str(verdict)
    assert verdict.in_dead_letters >= 1
    refused = dead_letters("replay", folder, tcp_postgres.url)
    assert (refused.returncode, refused.stdout) == (1, f"0 stored, {dead} rejected again\n"), refused.stderr

    tcp_postgres.execute(ALLOW_OIL)
    replayed = dead_letters("replay", folder, tcp_postgres.url)

    assert (replayed.returncode, replayed.stdout) == (0, f"{dead} stored, 0 rejected again\n"), (
        replayed.stderr
    )
    verdict = check.verdict(tcp_postgres.url)
    assert verdict.clean, str(verdict)
    assert verdict.in_dead_letters == 0
    assert "no dead letters" in dead_letters("list", folder, tcp_postgres.url).stdout
