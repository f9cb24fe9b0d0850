"""Leaving a cluster as the dashboard tells it: this node ends, the cluster's run does not."""

from __future__ import annotations

from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.quit.shutdown import ShutdownStatus
from sp500tui.tui.render.cluster_labels import continues, is_viewer
from sp500tui.tui.render.formats import plural, span
from sp500tui.tui.render.lines import Line, Role, Span

_NOW = {
    ShutdownLevel.DRAIN: "Leaving the cluster: this node finishes what it has in hand.",
    ShutdownLevel.SPOOL: "Handing back: the rest goes to the other nodes.",
    ShutdownLevel.KILL: "Killing what is left here; the other nodes take it over.",
}
_NEXT = {
    ShutdownLevel.DRAIN: "q again hands the rest back and leaves",
    ShutdownLevel.SPOOL: "q again kills the workers and leaves",
    ShutdownLevel.KILL: "leaving",
}


def quit_lines(stopping: ShutdownStatus, snapshot: Snapshot) -> list[Line]:
    """What is being done, what goes on without this node, how long it may take, and what the next key does."""
    alive = sum(pool.alive for node in snapshot.nodes if node.here for pool in node.stages)
    limit = f" of at most {span(stopping.deadline)}" if stopping.step is ShutdownLevel.DRAIN else ""
    now = "Leaving: this program only watches." if is_viewer(snapshot) else _NOW[stopping.step]
    return [
        (Span(now, Role.TITLE),),
        (Span(remaining_cluster_message(snapshot)),),
        (),
        (Span("still there ", Role.LABEL), Span(plural(alive, "worker"))),
        (Span(f"{span(max(1.0, stopping.seconds))}{limit}", Role.LABEL),),
        (),
        (Span(_NEXT[stopping.step], Role.WARN), Span("   esc hides this note", Role.LABEL)),
    ]


def remaining_cluster_message(snapshot: Snapshot) -> str:
    """What goes on once this program has ended, as a sentence; empty where it runs alone."""
    words = continues(snapshot)
    return f"{words[:1].upper()}{words[1:]}." if words else ""
