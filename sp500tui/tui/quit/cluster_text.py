"""The quit dialog of a cluster node: this node stops, the cluster keeps running."""

from __future__ import annotations

from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.quit.shutdown import ShutdownStatus
from sp500tui.tui.render.cluster_labels import continues, is_viewer
from sp500tui.tui.render.formats import count, span
from sp500tui.tui.render.lines import Line, Role, Span

_NOW = {
    ShutdownLevel.DRAIN: "Leaving the cluster: this node finishes its current work.",
    ShutdownLevel.SPOOL: "Releasing: the rest goes back to the other nodes.",
    ShutdownLevel.KILL: "Killing the remaining workers; other nodes take over their work.",
}
_NEXT = {
    ShutdownLevel.DRAIN: "Press {key} again to release the rest and quit",
    ShutdownLevel.SPOOL: "Press {key} again to kill the workers and quit",
    ShutdownLevel.KILL: "Quitting",
}


def quit_lines(stopping: ShutdownStatus, snapshot: Snapshot, quit_key: str = "q") -> list[Line]:
    """The step in progress, what the cluster does without this node, the timeout, and what the next key does."""
    alive = sum(pool.alive for node in snapshot.nodes if node.here for pool in node.stages)
    limit = f" (timeout {span(stopping.deadline)})" if stopping.step is ShutdownLevel.DRAIN else ""
    now = "Quitting: this program only displays the cluster." if is_viewer(snapshot) else _NOW[stopping.step]
    return [
        (Span(now, Role.TITLE),),
        (Span(remaining_cluster_message(snapshot)),),
        (),
        (Span("Workers running: ", Role.LABEL), Span(count(alive))),
        (Span(f"for {span(max(1.0, stopping.seconds))}{limit}", Role.LABEL),),
        (),
        (Span(_NEXT[stopping.step].format(key=quit_key), Role.WARN),),
    ]


def remaining_cluster_message(snapshot: Snapshot) -> str:
    """The state of the cluster after this program has quit, as a sentence; empty outside a cluster."""
    words = continues(snapshot)
    return f"{words[:1].upper()}{words[1:]}." if words else ""
