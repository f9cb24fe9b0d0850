"""Promise: scaling at random under load loses nothing and leaves no thread, process, connection or file behind."""

from __future__ import annotations

import os
import random
import threading

import psutil
import psycopg
import pytest

from sp500tui.pipeline.snapshot import StageName
from tests.faults.checker import Checker
from tests.faults.engine import Engine, EngineStarter
from tests.faults.program import pause, wait_for

POOLS = (StageName.PRICE, StageName.CONVERTER, StageName.WRITER)


def held() -> tuple[int, int, int]:
    """Threads, child processes and descriptors of this process."""
    me = psutil.Process()
    return threading.active_count(), len(me.children()), me.num_fds()


def connections(url: str) -> int:
    """Connections of the program to the database."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name LIKE 'sp500tui%' AND datname = current_database()"
        ).fetchone()
    assert found is not None
    return int(found[0])


def scale_at_random(run: Engine, dice: random.Random, times: int, most: int) -> None:
    for _ in range(times):
        run.pipeline.scale(dice.choice(POOLS), dice.randint(1, most))
        pause(dice.uniform(0.0, 0.2))


def back_to_one(run: Engine) -> None:
    """One worker in every pool, and nobody else left."""
    for pool in POOLS:
        run.pipeline.scale(pool, 1)
    run.waits_for(lambda s: all(stage.alive == 1 for stage in s.stages), "one worker in every pool")


@pytest.mark.thorough
def test_scaling_at_random_under_load(
    engine: EngineStarter, check: Checker, database_url: str, dice: random.Random
) -> None:
    run = engine(
        database_url, interval=0.2, writers=1, price_workers=1, converters=1, batch_size=5, write_batch=5
    )
    run.stores(20)
    back_to_one(run)
    wait_for(lambda: connections(database_url) == 2, "one writer's connection and the keeper's")
    before = held()

    scale_at_random(run, dice, times=40, most=8)
    back_to_one(run)

    wait_for(lambda: connections(database_url) == 2, "the connections of the writers that left")
    wait_for(lambda: held()[:2] == before[:2], f"threads and processes as before: {before}")
    wait_for(lambda: held()[2] <= before[2] + 2, f"descriptors as before: {before}")
    run.ends()
    verdict = check.verdict(database_url)
    assert verdict.clean, str(verdict)


@pytest.mark.soak
def test_ten_minutes_of_faults_and_scaling(
    engine: EngineStarter, check: Checker, database_url: str, dice: random.Random
) -> None:
    """Random faults and random scaling: descriptors, threads, connections and memory stay flat."""
    minutes = float(os.environ.get("SP500TUI_TEST_SOAK_MINUTES", "10"))
    run = engine(database_url, interval=1.0)
    run.stores(50)
    back_to_one(run)
    samples: list[tuple[int, int, int, int, int]] = []
    while len(samples) < max(2, minutes * 3):
        scale_at_random(run, dice, times=10, most=6)
        for worker in run.snapshot().workers:
            if worker.stage is StageName.WRITER and dice.random() < 0.5:
                run.pipeline.kill_worker(worker.name)
        engine.market.set_faults(**dice.choice([{"server_error": 0.3}, {"drop": 0.2}, {"latency": 0.2}, {}]))
        pause(15)
        engine.market.clear_faults()
        back_to_one(run)
        run.stores(10)
        memory = psutil.Process().memory_info().rss >> 20
        samples.append((*held(), connections(database_url), memory))
    run.ends()
    verdict = check.verdict(database_url)
    assert verdict.clean, str(verdict)
    first, last = samples[1], samples[-1]
    assert all(late <= early + 2 for early, late in zip(first[:4], last[:4], strict=True)), samples
    assert last[4] <= first[4] * 1.2 + 20, samples
