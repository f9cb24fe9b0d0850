"""The escalating shutdown, and how the quit dialog shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sp500tui.pipeline.api import PipelineControl, ShutdownLevel
from sp500tui.pipeline.api import escalate as next_step
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.pipeline.runtime.unattended_stop import KILL_LIMIT
from sp500tui.tui.render.cluster_labels import continues, is_viewer
from sp500tui.tui.render.formats import count, gauge, plural, span
from sp500tui.tui.render.labels import trouble
from sp500tui.tui.render.lines import Line, Role, Span, cut

_NOW = {
    ShutdownLevel.DRAIN: "Draining: storing everything already fetched.",
    ShutdownLevel.SPOOL: "Spooling: writing the rest to the journal for the next start.",
    ShutdownLevel.KILL: "Killing the remaining workers.",
}
_NEXT = {
    ShutdownLevel.DRAIN: "Press {key} again to spool the rest to disk and quit",
    ShutdownLevel.SPOOL: "Press {key} again to kill the workers and quit",
    ShutdownLevel.KILL: "Quitting",
}
_LEAVING = {
    ShutdownLevel.DRAIN: "Leaving the cluster: this node finishes its current work.",
    ShutdownLevel.SPOOL: "Releasing: the rest goes back to the other nodes.",
    ShutdownLevel.KILL: "Killing the remaining workers; other nodes take over their work.",
}
_NEXT_OF_NODE = {
    ShutdownLevel.DRAIN: "Press {key} again to release the rest and quit",
    ShutdownLevel.SPOOL: "Press {key} again to kill the workers and quit",
    ShutdownLevel.KILL: "Quitting",
}


@dataclass(frozen=True, slots=True)
class ShutdownStatus:
    """Progress of a shutdown."""

    step: ShutdownLevel
    seconds: float
    """Seconds since the first step."""
    deadline: float
    """Drain timeout in seconds."""
    before: int
    """Quotes that were not stored when the shutdown began."""


class ShutdownController:
    """Takes the steps of the shutdown: drain, spool, kill."""

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
        """Whether the time-out of the last step, killing, has passed."""
        return self._step is ShutdownLevel.KILL and self._clock() - self._last > KILL_LIMIT

    @property
    def status(self) -> ShutdownStatus:
        """The progress so far."""
        return ShutdownStatus(self._step, self._clock() - self._first, self._deadline, self._before)

    def escalate(self, pipeline: PipelineControl, snapshot: Snapshot) -> None:
        """Take the next step."""
        self._last = self._clock()
        if not self.escalated:
            self._first, self._before = self._last, _not_stored(snapshot)
        self._step = next_step(self._step)
        pipeline.stop(self._step)


def in_progress(snapshot: Snapshot) -> int:
    """Quotes that are queued or in flight."""
    return snapshot.ledger.queued + snapshot.ledger.in_flight


def _not_stored(snapshot: Snapshot) -> int:
    """Quotes that a drain still has to store: queued, in flight or spooled."""
    return in_progress(snapshot) + snapshot.ledger.spooled


def stopping_lines(
    stopping: ShutdownStatus, snapshot: Snapshot, width: int, quit_key: str = "q"
) -> list[Line]:
    """The current step, its progress and timeout, and what the next key does."""
    ledger = snapshot.ledger
    left = _not_stored(snapshot) if stopping.step is ShutdownLevel.DRAIN else in_progress(snapshot)
    share = 1.0 if not stopping.before else max(0.0, 1 - left / stopping.before)
    alive = sum(stage.alive for stage in snapshot.stages)
    bar = gauge(share, max(8, width - 8))
    limit = f" (timeout {span(stopping.deadline)})" if stopping.step is ShutdownLevel.DRAIN else ""
    wrong = trouble(snapshot)
    return [
        (Span(_NOW[stopping.step], Role.TITLE),),
        () if wrong is None else cut((Span(*wrong),), width),
        (Span(bar, Role.ACCENT), Span(f" {share * 100:3.0f} %")),
        (
            Span(plural(in_progress(snapshot), "quote")),
            Span(" in progress, ", Role.LABEL),
            Span(count(ledger.spooled)),
            Span(" in the journal, ", Role.LABEL),
            Span(count(ledger.stored)),
            Span(" stored", Role.LABEL),
        ),
        (
            Span("Workers running: ", Role.LABEL),
            Span(count(alive)),
            Span(f"   for {span(max(1.0, stopping.seconds))}{limit}", Role.LABEL),
        ),
        (),
        (Span(_NEXT[stopping.step].format(key=quit_key), Role.WARN),),
    ]


def unsaved_summary(snapshot: Snapshot) -> str:
    """The quotes that a finished run did not store, and where they are, in one line; empty if all are stored."""
    if snapshot.other_active_nodes:
        return ""
    ledger = snapshot.ledger
    parts = []
    if ledger.spooled:
        parts.append(f"{plural(ledger.spooled, 'quote')} in the journal, to be stored at the next start")
    if in_progress(snapshot):
        parts.append(f"{plural(in_progress(snapshot), 'quote')} not stored because the workers were killed")
    if ledger.dead:
        parts.append(
            f"{plural(ledger.dead, 'row')} rejected by the database (see sp500tui dead-letters list)"
        )
    if snapshot.missing:
        parts.append(f"{plural(len(snapshot.missing), 'symbol')} without a price in the last cycle")
    return "; ".join(parts)


def leaving_lines(stopping: ShutdownStatus, snapshot: Snapshot, quit_key: str = "q") -> list[Line]:
    """The current step, what the cluster does without this node, the timeout, and what the next key does."""
    alive = sum(pool.alive for node in snapshot.nodes if node.here for pool in node.stages)
    limit = f" (timeout {span(stopping.deadline)})" if stopping.step is ShutdownLevel.DRAIN else ""
    now = (
        "Quitting: this program only displays the cluster."
        if is_viewer(snapshot)
        else _LEAVING[stopping.step]
    )
    return [
        (Span(now, Role.TITLE),),
        (Span(remaining_cluster_message(snapshot)),),
        (),
        (Span("Workers running: ", Role.LABEL), Span(count(alive))),
        (Span(f"for {span(max(1.0, stopping.seconds))}{limit}", Role.LABEL),),
        (),
        (Span(_NEXT_OF_NODE[stopping.step].format(key=quit_key), Role.WARN),),
    ]


def remaining_cluster_message(snapshot: Snapshot) -> str:
    """The state of the cluster after this program has quit, as a sentence; empty outside a cluster."""
    words = continues(snapshot)
    return f"{words[:1].upper()}{words[1:]}." if words else ""
