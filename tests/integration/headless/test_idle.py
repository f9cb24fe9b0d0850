"""Between two cycles the threads of a program sleep until they are notified."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.cost.idle import SHARE_OF_A_CORE, WAKE_UPS, Use, idle_program, measure

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts by /proc"),
    pytest.mark.thorough,
]

SECONDS = 10.0


def test_between_cycles_the_program_uses_next_to_nothing() -> None:
    # The work after the first cycle takes a moment: the quietest of three periods counts.
    stretches: list[Use] = []
    with idle_program() as pid:
        for _ in range(3):
            stretches.append(measure([pid], SECONDS))
            if stretches[-1].cpu <= SHARE_OF_A_CORE and stretches[-1].wake_ups <= WAKE_UPS:
                break
    assert min(use.cpu for use in stretches) <= SHARE_OF_A_CORE, stretches
    assert min(use.wake_ups for use in stretches) <= WAKE_UPS, stretches
