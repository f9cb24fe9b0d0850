"""The guarantees under hundreds of kills and under random faults; most of the tests run only with `--long`."""

from __future__ import annotations

import random

import pytest

from tests.faults.campaigns.kills import kill_programs, kill_servers, kill_writers
from tests.faults.campaigns.soak import soak
from tests.faults.checker import Handed
from tests.faults.rig.program import Launcher
from tests.support.postgres.server import TcpPostgres


@pytest.mark.soak
def test_two_hundred_writers_are_killed(
    launch: Launcher, handed: Handed, database_url: str, rng: random.Random
) -> None:
    campaign = kill_writers(launch, handed, database_url, rng, times=200)
    assert campaign.clean, str(campaign)


@pytest.mark.soak
def test_twenty_programs_are_killed(
    launch: Launcher, handed: Handed, database_url: str, rng: random.Random
) -> None:
    campaign = kill_programs(launch, handed, database_url, rng, times=20)
    assert campaign.clean, str(campaign)


@pytest.mark.soak
def test_ten_servers_are_killed(launch: Launcher, handed: Handed, rng: random.Random) -> None:
    campaign = kill_servers(launch, handed, rng, times=10)
    assert campaign.clean, str(campaign)


@pytest.mark.soak
def test_twenty_minutes_of_random_faults(
    launch: Launcher, handed: Handed, tcp_postgres: TcpPostgres, rng: random.Random
) -> None:
    report = soak(launch, handed, tcp_postgres, rng.randrange(1 << 30), 1200)
    assert report.clean, str(report)


@pytest.mark.thorough
def test_a_few_seconds_of_random_faults(launch: Launcher, handed: Handed, tcp_postgres: TcpPostgres) -> None:
    """Two or three runs, always with the same choices; the long soak uses any seed."""
    report = soak(launch, handed, tcp_postgres, seed=4, seconds=8)
    assert report.clean, str(report)
