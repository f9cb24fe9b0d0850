"""Guarantee: random faults and scaling under load lose no row and leak no thread, process or file."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
import psycopg
import pytest

from sp500tui.pipeline.core.names import StageName
from tests.faults.checker import Checker
from tests.faults.rig.engine import Engine, EngineStarter
from tests.faults.rig.program import pause, wait_for

POOLS = (StageName.PRICE, StageName.CONVERTER, StageName.WRITER)
FAULTS: tuple[Mapping[str, float], ...] = ({"server_error": 0.3}, {"drop": 0.2}, {"latency": 0.2}, {})


@dataclass(frozen=True, slots=True)
class Held:
    """Threads, children, connections and files of this process, which runs the pipeline."""

    threads: int
    processes: int
    descriptors: int
    connections: int
    """Connections to the database."""
    memory: int
    """Resident size in MiB."""

    @classmethod
    def now(cls, url: str) -> Held:
        # A price worker's connections to the market are closed when its thread's objects are collected.
        gc.collect()
        me = psutil.Process()
        memory = int(me.memory_info().rss) >> 20
        return cls(threading.active_count(), len(me.children()), me.num_fds(), connections(url), memory)

    def is_no_more_than(self, other: Held) -> bool:
        """Whether nothing was leaked; two descriptors may be those of a log or of a request in progress."""
        return (
            self.threads <= other.threads
            and self.processes <= other.processes
            and self.descriptors <= other.descriptors + 2
            and self.connections <= other.connections
        )


def connections(url: str) -> int:
    """Connections of the program to the database."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name LIKE 'sp500tui%' AND datname = current_database()"
        ).fetchone()
    assert found is not None
    return int(found[0])


def scale_at_random(run: Engine, rng: random.Random, times: int, most: int) -> None:
    for _ in range(times):
        run.pipeline.scale(rng.choice(POOLS), rng.randint(1, most))
        pause(rng.uniform(0.0, 0.2))


def kill_writers_at_random(run: Engine, rng: random.Random) -> None:
    for worker in run.snapshot().workers:
        if worker.stage is StageName.WRITER and rng.random() < 0.5:
            run.pipeline.kill_worker(worker.name)


def back_to_one(run: Engine, url: str) -> Held:
    """Scale every pool to one worker and wait until the others have ended; returns the resources held then."""
    for pool in POOLS:
        run.pipeline.scale(pool, 1)
    run.waits_for(lambda s: all(s.stage(pool).alive == 1 for pool in POOLS), "one worker in every pool")
    run.stores(10)
    wait_for(lambda: connections(url) == 2, "one writer's connection and the monitor's")
    return Held.now(url)


def soak(
    engine: EngineStarter,
    check: Checker,
    url: str,
    rng: random.Random,
    *,
    rounds: int,
    seconds: float,
    most: int,
) -> None:
    """Repeat scaling, kills and market faults for `seconds`; the resources held must not grow."""
    run = engine(url, interval=0.2, writers=1, price_workers=1, converters=1, batch_size=5, write_batch=5)
    held = []
    for _ in range(1 + rounds):
        scale_at_random(run, rng, times=8, most=most)
        kill_writers_at_random(run, rng)
        engine.market.set_faults(**rng.choice(FAULTS))
        pause(seconds)
        engine.market.clear_faults()
        held.append(back_to_one(run, url))
        sys.stdout.write(f"{held[-1]}\n")
    # After the first round, everything that is loaded once has been loaded.
    first = held[0]
    wait_for(lambda: Held.now(url).is_no_more_than(first), f"no more than after the first round: {held}")
    assert held[-1].memory <= first.memory * 1.2 + 20, held
    run.ends()
    verdict = check.verdict(url)
    assert verdict.clean, str(verdict)


@pytest.mark.thorough
def test_some_rounds_of_faults_and_scaling(
    engine: EngineStarter, check: Checker, database_url: str, rng: random.Random
) -> None:
    soak(engine, check, database_url, rng, rounds=2, seconds=0.5, most=4)


@pytest.mark.soak
def test_ten_minutes_of_faults_and_scaling(
    engine: EngineStarter, check: Checker, database_url: str, rng: random.Random
) -> None:
    minutes = float(os.environ.get("SP500TUI_TEST_SOAK_MINUTES", "10"))
    soak(engine, check, database_url, rng, rounds=round(minutes * 3), seconds=15, most=8)
