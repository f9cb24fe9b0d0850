"""The effects of the faults: figures of the pipeline before the faults and now, as text."""

from __future__ import annotations

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.pipeline.monitoring.verdict import cycle_seconds
from sp500tui.tui.render.formats import plural

_CHANGED = 1.2
"""Minimum factor by which the duration of a cycle has to change to be shown."""


def effects(before: Snapshot | None, now: Snapshot) -> list[str]:
    """The differences from `before`, the most important first; nothing without a snapshot from before the faults.

    Each part is a figure with both values, `price p95 47 → 2,400 ms`, or the number of occurrences since.
    """
    if before is None:
        return []
    parts = [_p95(before, now), _cycle(before, now), _limit(before, now), *_counts(before, now)]
    return [part for part in parts if part]


def _p95(before: Snapshot, now: Snapshot) -> str:
    old, (new, sign) = before.stage(StageName.PRICE).latency.p95, _longest_fetch(now)
    return "" if old is None or new is None else f"price p95 {old:,.0f} → {sign}{new:,.0f} ms"


def _longest_fetch(now: Snapshot) -> tuple[float | None, str]:
    """The p95 in milliseconds, or `>` and the whole seconds of a request in progress that has taken longer."""
    stage = now.stage(StageName.PRICE)
    so_far = int(stage.oldest_work or 0.0) * 1000.0
    if so_far > (stage.latency.p95 or 0.0):
        return so_far, ">"
    return stage.latency.p95, ""


def _cycle(before: Snapshot, now: Snapshot) -> str:
    old, new = cycle_seconds(before), cycle_seconds(now)
    if old is None or new is None or new < _CHANGED * old:
        return ""
    return f"cycle {old:.1f} → {new:.1f} s"


def _limit(before: Snapshot, now: Snapshot) -> str:
    old, new = before.sources.rate_limit, now.sources.rate_limit
    return f"limit {old:.3g} → {new:.3g}/s" if new < old else ""


def _counts(before: Snapshot, now: Snapshot) -> list[str]:
    failed = now.sources.failed + now.sources.throttled - before.sources.failed - before.sources.throttled
    rows = now.journal.rows - before.journal.rows
    restarts = sum(stage.restarts for stage in now.stages) - sum(stage.restarts for stage in before.stages)
    return [
        text
        for number, text in (
            (failed, f"{failed:,} failed"),
            (len(now.missing), f"{len(now.missing):,} missing"),
            (rows, f"{plural(rows, 'row')} in the journal"),
            (restarts, plural(restarts, "restart")),
        )
        if number > 0
    ]
