"""A cluster in words: what its nodes are called and do, how many are there, and what goes on without this program."""

from __future__ import annotations

from collections.abc import Sequence

from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Phase, Snapshot, StageName, StageSnapshot
from sp500tui.tui.render.formats import clean, plural, short_span
from sp500tui.tui.render.lines import Role

HOW_TO_JOIN = (
    "This program runs alone. To join a cluster: sp500tui --broker redis://HOST",
    "One node more, on any machine: sp500tui worker --stages price=8 --broker redis://HOST",
)
"""What the screen of the nodes says where there are none."""

_LEAVING = (Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED)
_FRESH = 60.0
"""Seconds that a loss counts as a trouble of the cluster."""


def short_name(node: str) -> str:
    """`host:pid` of `host:pid:random`, which tells a person's nodes apart."""
    return clean(node.rpartition(":")[0] or node)


def tail(text: str, width: int) -> str:
    """The text in exactly `width` cells; what is too long loses its front, for names end in what tells them apart."""
    return text.ljust(width) if len(text) <= width else "…" + text[len(text) - width + 1 :] if width else ""


def leaving(node: NodeSnapshot) -> bool:
    """Whether a node is about to go; its message then begins with the phase it is in."""
    return node.health is Health.DEGRADED and node.message.partition(":")[0] in _LEAVING


def node_state(node: NodeSnapshot, *, current: bool = True) -> tuple[str, str, Role]:
    """Sign, words and role of what a node does; without `current` nobody can be heard at present."""
    if node.health is Health.DOWN:
        return "✗", f"LOST {short_span(node.heard)} ago", Role.BAD
    if not current and not node.here:
        return "◌", "not heard now", Role.LABEL
    if leaving(node):
        return "▽", node.message.partition(":")[0], Role.WARN
    if node.health is Health.DEGRADED:
        return "!", "degraded", Role.WARN
    if node.health is Health.STARTING:
        return "◌", "joining", Role.LABEL
    return "●", f"heard {short_span(node.heard)} ago", Role.GOOD


def cycles_label(node: NodeSnapshot) -> tuple[str, Role]:
    """What a node has to do with starting the cycles."""
    if node.health is not Health.DOWN:
        if node.scheduler:
            return "◆ starts", Role.ACCENT
        if stage_of(node, StageName.SCRAPER) is not None:
            return "stands by", Role.LABEL
    return "–", Role.DIM


def stage_of(node: NodeSnapshot, stage: StageName) -> StageSnapshot | None:
    """The node's pool of that stage; None where it does not run it."""
    return next((pool for pool in node.stages if pool.name is stage), None)


def alive_nodes(nodes: Sequence[NodeSnapshot]) -> list[NodeSnapshot]:
    """The nodes that are heard."""
    return [node for node in nodes if node.health is not Health.DOWN]


def nodes_with(snapshot: Snapshot, stage: StageName) -> list[NodeSnapshot]:
    """The nodes that are heard and run a stage."""
    return [node for node in alive_nodes(snapshot.nodes) if stage_of(node, stage) is not None]


def nodes_label(snapshot: Snapshot) -> tuple[str, Role]:
    """How many nodes there are: `3 nodes`, or `2 of 3 nodes` while a lost one is remembered."""
    there, known = len(alive_nodes(snapshot.nodes)), len(snapshot.nodes)
    if there < known:
        return f"{there} of {plural(known, 'node')}", Role.WARN
    return plural(there, "node"), Role.VALUE


def lost_label(snapshot: Snapshot) -> list[str]:
    """The nodes lost a moment ago, one line a node; later ones are an everyday matter, since others do their work."""
    return [
        f"node {short_name(node.name)} lost {short_span(node.heard)} ago"
        for node in snapshot.nodes
        if node.health is Health.DOWN and node.heard <= _FRESH
    ]


def is_viewer(snapshot: Snapshot) -> bool:
    """Whether this program shows a cluster without working for it."""
    return any(node.here and not node.stages for node in snapshot.nodes)


def continues(snapshot: Snapshot) -> str:
    """What happens without this program; empty where it runs alone."""
    if not snapshot.broker:
        return ""
    others = snapshot.other_active_nodes
    if not others:
        return "no other node works: the cluster stands still until one joins"
    verb = "works" if others == 1 else "work"
    return f"the cluster goes on: {plural(others, 'other node')} {verb}"
