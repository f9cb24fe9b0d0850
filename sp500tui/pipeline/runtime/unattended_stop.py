"""Stopping a run without a front end that watches it: each step of the stop ladder gets its time, then the next."""

from __future__ import annotations

import time
from typing import Protocol

from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.runtime.stop_signals import StopSignals

KILL_LIMIT = 2.0
"""Seconds a run may take to end by itself after it was killed."""
SPOOL_LIMIT = 10.0
"""Seconds that writing the rest to disk may take."""


class Stoppable(Protocol):
    """What is needed of `PipelineControl`."""

    def stop(self, step: ShutdownLevel) -> None:
        """See `PipelineControl.stop`."""

    def join(self, timeout: float | None = None) -> bool:
        """See `PipelineControl.join`."""


def stop_unattended(
    run: Stoppable, drain_timeout: float, signals: StopSignals, reached: ShutdownLevel = ShutdownLevel.NONE
) -> bool:
    """Climb the stop ladder until the run has ended; False when it did not end even after it was killed.

    Every signal that arrives meanwhile takes the next step at once.

    Args:
        run: May have ended already, then this returns at once.
        drain_timeout: Seconds before what is left is spooled.
        signals: Entered.
        reached: The step that was taken already; it has had its time if it was the last.
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
    """Wait for the end; False once the time is over or a signal has arrived."""
    deadline = time.monotonic() + limit
    while not run.join(0):
        left = deadline - time.monotonic()
        if left <= 0 or signals.take() is not None:
            return False
        signals.sleep(left)
    return True
