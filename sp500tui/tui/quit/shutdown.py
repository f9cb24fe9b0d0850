"""The stop ladder as the dashboard shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sp500tui.pipeline.api import PipelineControl, ShutdownLevel, escalate
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.pipeline.runtime.unattended_stop import KILL_LIMIT
from sp500tui.tui.render.formats import count, gauge, plural, span
from sp500tui.tui.render.labels import trouble
from sp500tui.tui.render.lines import Line, Role, Span, cut

_NOW = {
    ShutdownLevel.DRAIN: "Draining: everything fetched is being stored.",
    ShutdownLevel.SPOOL: "Spooling: the rest goes to the journal for the next start.",
    ShutdownLevel.KILL: "Killing what is left.",
}
_NEXT = {
    ShutdownLevel.DRAIN: "q again spools the rest to disk and leaves",
    ShutdownLevel.SPOOL: "q again kills the workers and leaves",
    ShutdownLevel.KILL: "leaving",
}


@dataclass(frozen=True, slots=True)
class ShutdownStatus:
    """How far the stop ladder was climbed."""

    step: ShutdownLevel
    seconds: float
    """Since the first step."""
    deadline: float
    """Seconds a drain may take in all."""
    before: int
    """Quotes that were not stored when the first step was taken."""


class ShutdownController:
    """The steps taken so far."""

    def __init__(self, drain_timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._deadline = drain_timeout
        self._clock = clock
        self._step = ShutdownLevel.NONE
        self._first = self._last = 0.0
        self._before = 0

    @property
    def step(self) -> ShutdownLevel:
        """The last step taken."""
        return self._step

    @property
    def escalated(self) -> bool:
        """Whether any step was taken."""
        return self._step is not ShutdownLevel.NONE

    @property
    def is_expired(self) -> bool:
        """Whether the last step was taken long enough ago to leave without waiting for its effect."""
        return self._step is ShutdownLevel.KILL and self._clock() - self._last > KILL_LIMIT

    @property
    def stopping(self) -> ShutdownStatus:
        """How far it is, to be shown."""
        return ShutdownStatus(self._step, self._clock() - self._first, self._deadline, self._before)

    def escalate_shutdown(self, pipeline: PipelineControl, snapshot: Snapshot) -> None:
        """Take the next step."""
        self._last = self._clock()
        if not self.escalated:
            self._first, self._before = self._last, _not_stored(snapshot)
        self._step = escalate(self._step)
        pipeline.stop(self._step)


def on_their_way(snapshot: Snapshot) -> int:
    """Quotes that are neither stored nor given up."""
    return snapshot.ledger.queued + snapshot.ledger.in_flight


def _not_stored(snapshot: Snapshot) -> int:
    """Quotes that a drain has still to store: those on their way and those put aside in the journal."""
    return on_their_way(snapshot) + snapshot.ledger.spooled


def stopping_lines(stopping: ShutdownStatus, snapshot: Snapshot, width: int) -> list[Line]:
    """What is being done, how far it is, how long it may take, and what the next key does."""
    ledger = snapshot.ledger
    left = _not_stored(snapshot) if stopping.step is ShutdownLevel.DRAIN else on_their_way(snapshot)
    share = 1.0 if not stopping.before else max(0.0, 1 - left / stopping.before)
    alive = sum(stage.alive for stage in snapshot.stages)
    bar = gauge(share, max(8, width - 8))
    limit = f" of at most {span(stopping.deadline)}" if stopping.step is ShutdownLevel.DRAIN else ""
    wrong = trouble(snapshot)
    return [
        (Span(_NOW[stopping.step], Role.TITLE),),
        () if wrong is None else cut((Span(*wrong),), width),
        (Span(bar, Role.ACCENT), Span(f" {share * 100:3.0f} %")),
        (
            Span("on their way ", Role.LABEL),
            Span(plural(on_their_way(snapshot), "quote")),
            Span("   in the journal ", Role.LABEL),
            Span(count(ledger.spooled)),
            Span("   stored ", Role.LABEL),
            Span(count(ledger.stored)),
        ),
        (
            Span("still there ", Role.LABEL),
            Span(plural(alive, "worker")),
            Span(f"   {span(max(1.0, stopping.seconds))}{limit}", Role.LABEL),
        ),
        (),
        (Span(_NEXT[stopping.step], Role.WARN), Span("   esc hides this note", Role.LABEL)),
    ]


def remainder(snapshot: Snapshot) -> str:
    """What a finished run did not store and where it is, for a line on the terminal; empty when nothing is left."""
    if snapshot.other_active_nodes:
        return ""
    ledger = snapshot.ledger
    parts = []
    if ledger.spooled:
        parts.append(f"{plural(ledger.spooled, 'quote')} in the journal, which the next start stores")
    if on_their_way(snapshot):
        parts.append(f"{plural(on_their_way(snapshot), 'quote')} not stored when the workers were killed")
    if ledger.dead:
        parts.append(f"{plural(ledger.dead, 'row')} refused by the database, see sp500tui dead-letters list")
    if snapshot.missing:
        parts.append(f"{plural(len(snapshot.missing), 'symbol')} without a price in the last cycle")
    return "; ".join(parts)
