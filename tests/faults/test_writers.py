"""Guarantee: if a writer dies or hangs, no row is lost or duplicated, and the others continue."""

from __future__ import annotations

import random

import psutil
import pytest

from tests.faults.campaigns.kills import kill_writers
from tests.faults.checker import Checker, Handed, rows_in_journal
from tests.faults.rig.program import Launcher, wait_for
from tests.faults.rig.steps import BROKEN, FIFTY, continues, ends_clean, running


@pytest.mark.thorough
def test_idle_writers_are_killed(launch: Launcher, check: Checker, database_url: str) -> None:
    program = launch(database=database_url, symbols=FIFTY, interval=1)
    program.hears("cycle 1 finished")
    wait_for(lambda: len(program.writers()) == 2, "two writers")
    first = program.writers()
    for writer in first:
        writer.kill()
    continues(program, database_url)
    assert not set(first) & set(program.writers())
    assert "ended by signal 9" in program.said()
    ends_clean(program, check, database_url)


@pytest.mark.thorough
def test_writers_are_killed_at_random_under_load(
    launch: Launcher, handed: Handed, database_url: str, rng: random.Random
) -> None:
    campaign = kill_writers(launch, handed, database_url, rng, times=12)
    assert campaign.clean, str(campaign)
    assert campaign.verdict.in_journal == 0
    assert launch.programs[0].report()["workers"]["writer"]["restarts"] >= 6


def test_a_writer_is_killed_while_it_holds_a_batch(
    launch: Launcher, check: Checker, database_url: str
) -> None:
    """Given a writer suspended while it works, when it is killed, another writes its batch."""
    program = running(launch, database_url, writers=1)
    (writer,) = program.writers()
    writer.suspend()
    wait_for(lambda: rows_in_journal(program.journal), "a batch in the journal")
    writer.kill()
    continues(program, database_url)
    ends_clean(program, check, database_url)


@pytest.mark.thorough
def test_a_writer_that_hangs_is_replaced(launch: Launcher, check: Checker, database_url: str) -> None:
    program = running(launch, database_url, writers=1, commit_timeout=1)
    (writer,) = program.writers()
    writer.suspend()
    program.hears("did not answer in time")
    continues(program, database_url)
    assert not psutil.pid_exists(writer.pid)
    ends_clean(program, check, database_url)


@pytest.mark.thorough
def test_writers_that_answer_garbage_are_replaced(
    launch: Launcher, check: Checker, database_url: str
) -> None:
    """Given responses that are truncated or not frames, other processes send the rows again."""
    program = running(launch, database_url, command=(BROKEN, "frames"), interval=0.5)
    wait_for(lambda: program.said().count("sent an invalid answer") >= 3, "three replaced writers")
    continues(program, database_url)
    ends_clean(program, check, database_url)
