"""The promises at length: hundreds of kills. `--long` runs them; `python -m tests.faults` prints the table."""

from __future__ import annotations

import random

import pytest

from tests.faults.campaigns import kill_programs, kill_servers, kill_writers
from tests.faults.checker import Handed
from tests.faults.program import Launcher

pytestmark = pytest.mark.soak


def test_two_hundred_writers_are_killed(
    launch: Launcher, handed: Handed, database_url: str, rng: random.Random
) -> None:
    campaign = kill_writers(launch, handed, database_url, rng, times=200)
    assert campaign.clean, str(campaign)


def test_twenty_programs_are_killed(
    launch: Launcher, handed: Handed, database_url: str, rng: random.Random
) -> None:
    campaign = kill_programs(launch, handed, database_url, rng, times=20)
    assert campaign.clean, str(campaign)


def test_ten_servers_are_killed(launch: Launcher, handed: Handed, rng: random.Random) -> None:
    campaign = kill_servers(launch, handed, rng, times=10)
    assert campaign.clean, str(campaign)
