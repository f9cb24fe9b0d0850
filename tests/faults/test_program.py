"""Guarantee: rows in the journal survive when the program is killed or stopped or its output is closed."""

from __future__ import annotations

import os
import random
import signal
import subprocess

import psycopg
import pytest

from tests.faults.campaigns.kills import kill_programs
from tests.faults.checker import Checker, Handed, Key, rows_in_journal, rows_in_table
from tests.faults.rig.program import Launcher, wait_for
from tests.faults.rig.steps import FIFTY, continues, ends_clean, have_ended, running
from tests.support.postgres.server import runs

KEYS = "SELECT symbol, quote_time FROM prices"
END_ALL_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.mark.thorough
def test_the_program_is_killed_and_the_next_start_brings_everything(
    launch: Launcher, handed: Handed, database_url: str, rng: random.Random
) -> None:
    """Only quotes served just before a kill may be missing."""
    campaign = kill_programs(launch, handed, database_url, rng, times=1)
    assert campaign.clean, str(campaign)
    assert campaign.verdict.in_journal == 0


@pytest.mark.thorough
def test_rows_wait_in_the_journal_and_are_replayed(
    launch: Launcher, check: Checker, database_url: str
) -> None:
    """Given rows that the database has not stored, when the program is killed, the next start stores them first."""
    program = running(launch, database_url, interval=0.5, commit_timeout=5)
    with psycopg.connect(database_url) as locker:
        locker.execute("LOCK TABLE prices IN ACCESS EXCLUSIVE MODE")
        stored = {(symbol, round(time.timestamp())) for symbol, time in locker.execute(KEYS)}
        wait_for(
            lambda: {key for key, _ in rows_in_journal(program.journal)} - stored,
            "a batch that only the journal has",
        )
        held = dict(rows_in_journal(program.journal))
        family = program.family()
        program.kill()
        for process in family[1:]:
            process.kill()
        # Otherwise the server would execute the statements of the killed writers once the lock is released.
        locker.execute(END_ALL_OTHERS)
    missing = set(held) - {key for key, _ in rows_in_table(database_url)}
    assert missing

    again = launch(database=database_url, symbols="AAPL")
    again.hears("rows of an earlier run")
    again.hears("cycle 1 finished")

    wait_for(lambda: set(held) <= {key for key, _ in rows_in_table(database_url)}, "what was held")
    assert again.stops() == 143
    assert rows_in_journal(again.journal) == []
    assert dict(rows_in_table(database_url)).items() >= held.items()


@pytest.mark.thorough
def test_rows_that_no_writer_takes_are_in_the_journal_when_the_program_is_killed(
    launch: Launcher, handed: Handed, check: Checker, database_url: str
) -> None:
    """Given a single writer suspended during its start, fetched rows are safe, and the next start stores them."""
    program = launch(database=database_url, symbols=FIFTY, writers=1, commit_timeout=120)
    wait_for(program.writers, "a writer process")
    (writer,) = program.writers()
    writer.suspend()
    program.hears("cycle 1 finished")
    until = handed.now()
    wait_for(
        lambda: _keys(handed, until) <= {key for key, _ in rows_in_journal(program.journal)},
        "every quote in the journal",
    )
    program.kill()
    writer.kill()
    assert len(_keys(handed, until)) >= 50

    again = running(launch, database_url)
    assert again.stops() == 143
    verdict = check.verdict(database_url, until)
    assert verdict.clean, str(verdict)
    assert verdict.in_journal == 0


def _keys(handed: Handed, until: int) -> set[Key]:
    return {(quote.symbol, quote.quote_time) for quote in handed.quotes(until)}


@pytest.mark.thorough
def test_a_killed_program_takes_its_server_with_it(launch: Launcher) -> None:
    """The embedded server, which no program is left to stop, shuts itself down cleanly."""
    program = launch(database=None, symbols="AAPL", interval=1)
    program.hears("cycle 1 finished")
    family = program.family()
    assert [process for process in family if process.name().startswith("postgres")]
    program.kill()
    wait_for(lambda: not any(map(runs, family)), "the end of everything it had started")
    assert not (program.market_folder / "pgdata" / "postmaster.pid").exists()


@pytest.mark.thorough
def test_a_second_program_on_the_data_folder_is_refused_while_the_first_runs(
    launch: Launcher, check: Checker, database_url: str
) -> None:
    one = running(launch, database_url)
    two = launch(database=database_url, symbols=FIFTY)
    assert two.ends() == 2
    assert "show it with sp500tui attach" in two.said()
    continues(one, database_url)
    one.kill()
    three = running(launch, database_url)
    assert three.stops() == 143
    verdict = check.verdict(database_url)
    assert verdict.wrong <= {"lost"}, str(verdict)
    assert verdict.in_journal == 0


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGHUP", 143)])
def test_one_signal_drains(
    launch: Launcher, check: Checker, database_url: str, number: str, code: int
) -> None:
    """Other signals drain like SIGTERM, with which most tests here end their program."""
    program = running(launch, database_url)
    family = program.family()
    assert program.stops(signal.Signals[number]) == code
    have_ended(family)
    assert program.report()["outcome"] == "interrupted"
    verdict = check.verdict(database_url)
    assert verdict.clean, str(verdict)
    assert verdict.in_journal == 0


@pytest.mark.thorough
def test_a_second_signal_spools_and_the_next_start_stores(
    launch: Launcher, check: Checker, database_url: str
) -> None:
    program = running(launch, database_url, interval=0.5)
    for writer in program.writers():
        writer.suspend()
    wait_for(lambda: rows_in_journal(program.journal), "a batch in the journal")
    family = program.family()
    program.send(signal.SIGINT)
    program.hears("stop again to spool")
    program.send(signal.SIGINT)
    assert program.ends(10) == 130
    have_ended(family)
    quotes = program.report()["quotes"]
    assert quotes["spooled"] > 0
    assert quotes["queued"] + quotes["in_flight"] == 0
    verdict = check.verdict(database_url)
    assert verdict.clean, str(verdict)
    assert verdict.in_journal > 0

    again = running(launch, database_url)
    ends_clean(again, check, database_url)


@pytest.mark.thorough
def test_a_third_signal_kills_at_once(launch: Launcher, check: Checker, database_url: str) -> None:
    program = running(launch, database_url)
    for writer in program.writers():
        writer.suspend()
    wait_for(lambda: rows_in_journal(program.journal), "a batch in the journal")
    family = program.family()
    for words in ("stop again to spool", "stop again to kill", "killed"):
        program.send(signal.SIGINT)
        program.hears(words)
    assert program.ends(5) == 130
    have_ended(family)
    assert check.verdict(database_url).in_journal > 0


@pytest.mark.thorough
def test_a_signal_to_the_whole_group_drains_too(launch: Launcher, check: Checker, database_url: str) -> None:
    """Like a terminal's Ctrl-C, which reaches every process of the program."""
    program = running(launch, database_url)
    os.killpg(program.process.pid, signal.SIGINT)
    assert program.ends() == 130
    verdict = check.verdict(database_url)
    assert verdict.clean, str(verdict)


@pytest.mark.thorough
def test_the_reader_of_its_output_exits(launch: Launcher, check: Checker, database_url: str) -> None:
    """`sp500tui --no-ui --json | head -c 0` continues and ends like any other run."""
    program = launch(database=database_url, symbols=FIFTY, stdout=subprocess.PIPE)
    assert program.process.stdout is not None
    program.process.stdout.close()
    program.hears("cycle 2 finished")
    assert program.stops() == 143
    assert check.verdict(database_url).clean
    assert "Traceback" not in program.said()
    assert "BrokenPipe" not in program.said()
