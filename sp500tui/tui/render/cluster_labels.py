"""Labels of a cluster: names, states and roles of its nodes, and what continues without this program."""

from __future__ import annotations

from collections.abc import Sequence

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Phase, Snapshot, StageSnapshot
from sp500tui.tui.render.formats import clean, plural, short_span
from sp500tui.tui.render.lines import Role

HOW_TO_JOIN = (
    "This program is not part of a cluster. To join one:",
    "  sp500tui --broker redis://HOST",
    "To add a node on any machine:",
    "  sp500tui worker --stages price=8 --broker redis://HOST",
)
"""Text of the nodes screen outside a cluster."""

_LEAVING = (Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED)
_RECENT_LOSS = 60.0
"""Seconds for which a lost node counts as a problem of the cluster."""


def short_name(node: str) -> str:
    """`host:pid` of a node id `host:pid:random`."""
    return clean(node.rpartition(":")[0] or node)


def tail(text: str, width: int) -> str:
    """The text in exactly `width` cells; long text is cut at its start, because node names differ at the end."""
    return text.ljust(width) if len(text) <= width else "…" + text[len(text) - width + 1 :] if width else ""


def leaving(node: NodeSnapshot) -> bool:
    """Whether a node is shutting down; its message then begins with the phase."""
    return node.health is Health.DEGRADED and node.message.partition(":")[0] in _LEAVING


def node_state(node: NodeSnapshot, *, current: bool = True) -> tuple[str, str, Role]:
    """Sign, text and role of a node's state; `current` is false while the broker cannot be reached."""
    if node.health is Health.DOWN:
        return "✗", f"LOST {short_span(node.heard)} ago", Role.BAD
    if not current and not node.here:
        return "◌", "unknown", Role.LABEL
    if leaving(node):
        return "▽", node.message.partition(":")[0], Role.WARN
    if node.health is Health.DEGRADED:
        return "!", "degraded", Role.WARN
    if node.health is Health.STARTING:
        return "◌", "joining", Role.LABEL
    return "●", f"seen {short_span(node.heard)} ago", Role.GOOD


def role_label(node: NodeSnapshot) -> tuple[str, Role]:
    """A node's role in scheduling the cycles: leader, standby or none."""
    if node.health is not Health.DOWN:
        if node.scheduler:
            return "◆ leader", Role.ACCENT
        if stage_of(node, StageName.SCRAPER) is not None:
            return "standby", Role.LABEL
    return "–", Role.DIM


def stage_of(node: NodeSnapshot, stage: StageName) -> StageSnapshot | None:
    """The node's pool of a stage; None if it does not run the stage."""
    return next((pool for pool in node.stages if pool.name is stage), None)


def alive_nodes(nodes: Sequence[NodeSnapshot]) -> list[NodeSnapshot]:
    """The nodes that are not lost."""
    return [node for node in nodes if node.health is not Health.DOWN]


def nodes_with(snapshot: Snapshot, stage: StageName) -> list[NodeSnapshot]:
    """The nodes that are not lost and run a stage."""
    return [node for node in alive_nodes(snapshot.nodes) if stage_of(node, stage) is not None]


def nodes_label(snapshot: Snapshot) -> tuple[str, Role]:
    """The number of nodes: `3 nodes`, or `2 of 3 nodes` while a lost one is listed."""
    alive, known = len(alive_nodes(snapshot.nodes)), len(snapshot.nodes)
    if alive < known:
        return f"{alive} of {plural(known, 'node')}", Role.WARN
    return plural(alive, "node"), Role.VALUE


def lost_label(snapshot: Snapshot) -> list[str]:
    """The recently lost nodes, one line each. Older losses are left out because other nodes have taken over."""
    return [
        f"node {short_name(node.name)} lost {short_span(node.heard)} ago"
        for node in snapshot.nodes
        if node.health is Health.DOWN and node.heard <= _RECENT_LOSS
    ]


def is_viewer(snapshot: Snapshot) -> bool:
    """Whether this program shows a cluster without running stages."""
    return any(node.here and not node.stages for node in snapshot.nodes)


def continues(snapshot: Snapshot) -> str:
    """The state of the cluster after this program ends; empty outside a cluster."""
    if not snapshot.broker:
        return ""
    others = snapshot.other_active_nodes
    if not others:
        return "no other node is running stages; the cluster is idle until one joins"
    return f"the cluster continues on {plural(others, 'other node')}"
