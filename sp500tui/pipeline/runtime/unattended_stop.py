"""Escalating shutdown without a front end: each shutdown level has a time limit, after which the next one follows."""

from __future__ import annotations

import time
from typing import Protocol

from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.runtime.stop_signals import StopSignals

KILL_LIMIT = 2.0
"""Seconds a run may take to end after it was killed."""
SPOOL_LIMIT = 10.0
"""Seconds spooling may take."""


class Stoppable(Protocol):
    """The part of `PipelineControl` used here."""

    def stop(self, level: ShutdownLevel) -> None:
        """See `PipelineControl.stop`."""

    def join(self, timeout: float | None = None) -> bool:
        """See `PipelineControl.join`."""


def stop_unattended(
    run: Stoppable, drain_timeout: float, signals: StopSignals, reached: ShutdownLevel = ShutdownLevel.NONE
) -> bool:
    """Escalate the shutdown until the run has ended; False when it did not end even after `KILL`.

    Every signal that arrives escalates it immediately.

    Args:
        run: it may have ended already.
        drain_timeout: seconds before the remaining rows are spooled.
        signals: inside its `with` block.
        reached: the current shutdown level; at `KILL`, its time limit has already passed.
    """
    limits = {
        ShutdownLevel.DRAIN: drain_timeout + KILL_LIMIT,
        ShutdownLevel.SPOOL: SPOOL_LIMIT,
        ShutdownLevel.KILL: KILL_LIMIT,
    }
    if run.join(0):
        return True
    signals.wake_after(run.join)
    for step, limit in limits.items():
        if step < reached:
            continue
        if step is not reached:
            run.stop(step)
        elif step is ShutdownLevel.KILL:
            break
        if _ends(run, limit, signals):
            return True
    return run.join(0)


def _ends(run: Stoppable, limit: float, signals: StopSignals) -> bool:
    """Wait for the end of the run; False after `limit` seconds or when a signal arrives."""
    deadline = time.monotonic() + limit
    while not run.join(0):
        left = deadline - time.monotonic()
        if left <= 0 or signals.take() is not None:
            return False
        signals.sleep(left)
    return True
