"""The decisions behind what a face may ask for."""

from __future__ import annotations

import pytest

from sp500tui.pipeline.api import SHUTDOWN_MESSAGES, ShutdownLevel, clamp_workers, escalate, step_interval


def test_the_stop_ladder_has_three_steps_and_each_says_what_comes() -> None:
    steps = [ShutdownLevel.NONE]
    for _ in range(4):
        steps.append(escalate(steps[-1]))
    assert steps == [
        ShutdownLevel.NONE,
        ShutdownLevel.DRAIN,
        ShutdownLevel.SPOOL,
        ShutdownLevel.KILL,
        ShutdownLevel.KILL,
    ]
    assert "once more spools" in SHUTDOWN_MESSAGES[ShutdownLevel.DRAIN]
    assert "once more kills" in SHUTDOWN_MESSAGES[ShutdownLevel.SPOOL]
    assert ShutdownLevel.KILL in SHUTDOWN_MESSAGES


@pytest.mark.parametrize(("wish", "size"), [(-1, 1), (0, 1), (1, 1), (64, 64), (65, 64)])
def test_a_pool_has_1_to_64_workers(wish: int, size: int) -> None:
    assert clamp_workers(size) == size
    assert clamp_workers(wish) == size


@pytest.mark.parametrize(
    ("interval", "direction", "stepped"),
    [
        (15, 1, 30),
        (15, -1, 10),
        (0.2, -1, 0.2),
        (0.3, -1, 0.2),
        (86_400, 1, 86_400),
        (100_000, -1, 86_400),
        (7, 1, 10),
        (7, -1, 5),
    ],
)
def test_the_usual_intervals_follow_each_other(interval: float, direction: int, stepped: float) -> None:
    assert step_interval(interval, direction) == stepped
