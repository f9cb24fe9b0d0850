"""Whether a run is healthy and whether it is ready, each with the reason if it is not."""

from __future__ import annotations

from sp500tui.pipeline.core.snapshot import Health, Phase, Snapshot

STALLED_AFTER = 30.0
"""Seconds without progress of the supervisor after which a run counts as hung. Its longest ordinary step takes 1 s, but
while it starts it may wait for a broker or a demo market."""
_SUPERVISED = (Phase.RUNNING, Phase.PAUSED, Phase.DRAINING, Phase.SPOOLING)


def unhealthy(snapshot: Snapshot, stalled: float) -> str:
    """Why the run is unhealthy, in one line; empty if it is healthy. `stalled`: seconds without progress."""
    if snapshot.phase is Phase.FAILED:
        return f"the run failed: {snapshot.failure}"
    if snapshot.phase in _SUPERVISED and stalled > STALLED_AFTER:
        return f"the supervisor has made no progress for {stalled:.0f} s"
    parts = (
        ("database", snapshot.database.health, snapshot.database.message),
        ("journal", snapshot.journal.health, snapshot.journal.message),
        ("source", snapshot.sources.health, snapshot.sources.message),
        ("broker", snapshot.broker_health, snapshot.broker_message),
    )
    reasons = [f"{name}: {message or 'down'}" for name, health, message in parts if health is Health.DOWN]
    return "; ".join(reasons)


def not_ready(snapshot: Snapshot) -> str:
    """Why the run is not collecting prices, in one line; empty if it is."""
    if snapshot.phase not in (Phase.RUNNING, Phase.PAUSED):
        return snapshot.failure or f"the pipeline is {snapshot.phase}"
    if snapshot.database.health in (Health.STARTING, Health.DOWN):
        return snapshot.database.message or "the database is not open"
    if not snapshot.constituents.count and snapshot.constituents.health in (Health.STARTING, Health.DOWN):
        return snapshot.constituents.message or "there is no list of constituents"
    return ""
