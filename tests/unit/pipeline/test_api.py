"""The limits and decisions of the front ends' interface."""

from __future__ import annotations

import pytest

from sp500tui.pipeline.api import SHUTDOWN_MESSAGES, ShutdownLevel, clamp_workers, escalate, step_interval


def test_shutdown_has_three_levels_and_each_message_names_the_next() -> None:
    levels = [ShutdownLevel.NONE]
    for _ in range(4):
        levels.append(escalate(levels[-1]))
    assert levels == [
        ShutdownLevel.NONE,
        ShutdownLevel.DRAIN,
        ShutdownLevel.SPOOL,
        ShutdownLevel.KILL,
        ShutdownLevel.KILL,
    ]
    assert "stop again to spool" in SHUTDOWN_MESSAGES[ShutdownLevel.DRAIN]
    assert "stop again to kill" in SHUTDOWN_MESSAGES[ShutdownLevel.SPOOL]
    assert ShutdownLevel.KILL in SHUTDOWN_MESSAGES


@pytest.mark.parametrize(("requested", "size"), [(-1, 1), (0, 1), (1, 1), (64, 64), (65, 64)])
def test_a_pool_has_1_to_64_workers(requested: int, size: int) -> None:
    assert clamp_workers(size) == size
    assert clamp_workers(requested) == size


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
def test_an_interval_is_stepped_through_a_fixed_series(
    interval: float, direction: int, stepped: float
) -> None:
    assert step_interval(interval, direction) == stepped
