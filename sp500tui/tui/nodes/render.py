"""The nodes of a cluster as lines: one a node, its columns chosen by the width at hand."""

from __future__ import annotations

from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Snapshot, StageName, StageSnapshot
from sp500tui.tui.render.cluster_labels import (
    alive_nodes,
    cycles_label,
    node_state,
    short_name,
    stage_of,
    tail,
)
from sp500tui.tui.render.formats import clean, fit, milliseconds, rate, short_span
from sp500tui.tui.render.lines import Line, Role, Span, cut

_STATE, _POOL, _ROOMY_POOL = 18, 12, 24
_POOLS = {StageName.PRICE: "price", StageName.CONVERTER: "convert", StageName.WRITER: "write"}
_COLUMNS = (("cycles", 9, 92), ("version", 9, 102), ("up", 7, 110), ("group", 12, 127))
"""Name, width and the panel width from which a column is shown."""
_ROOMY = 164
"""Panel width from which a pool's latency is shown as well."""


def _shown(width: int) -> list[tuple[str, int]]:
    """The columns behind the stages that a panel of `width` cells has room for."""
    return [(name, room) for name, room, least in _COLUMNS if width >= least]


def _pool_width(width: int) -> int:
    return _ROOMY_POOL if width >= _ROOMY else _POOL


def _name_width(width: int) -> int:
    """What the other columns leave, so that long host names stay whole where they can."""
    others = 2 + _STATE + 1 + len(_POOLS) * (_pool_width(width) + 1)
    others += sum(room + 1 for _, room in _shown(width))
    return max(8, min(40, width - others))


def nodes_heading(width: int, selected: StageName) -> Line:
    """The names of the columns; the stage that the scaling keys act on is marked."""
    spans = [Span("  " + fit("node", _name_width(width)) + " " + fit("state", _STATE), Role.LABEL)]
    for stage, name in _POOLS.items():
        role = Role.SELECTED if stage is selected else Role.LABEL
        spans += [Span(" "), Span(fit(name, _pool_width(width)), role)]
    spans += [Span(" " + fit(name, room), Role.LABEL) for name, room in _shown(width)]
    return cut(spans, width)


def node_line(node: NodeSnapshot, width: int, *, current: bool = True) -> Line:
    """One node in exactly `width` cells, as it is or, without `current`, as it was last heard."""
    sign, words, role = node_state(node, current=current)
    lost = node.health is Health.DOWN
    name = short_name(node.name) + (" (here)" if node.here else "")
    starts = node.scheduler and not lost
    spans = [
        Span("◆ " if starts else "  ", Role.ACCENT),
        Span(tail(name, _name_width(width)) + " ", Role.DIM if lost else Role.TITLE),
        Span(fit(f"{sign} {words}", _STATE), role),
    ]
    for stage in _POOLS:
        text, pool_role = _pool_cell(stage_of(node, stage), lost=lost, roomy=width >= _ROOMY)
        spans.append(Span(" " + fit(text, _pool_width(width)), pool_role))
    for name, room in _shown(width):
        text, cell_role = _cell(node, name)
        spans.append(Span(" " + fit(text, room), cell_role))
    return cut(spans, width)


def _pool_cell(pool: StageSnapshot | None, *, lost: bool, roomy: bool) -> tuple[str, Role]:
    """Workers there of those wanted, and what they do a second."""
    if pool is None:
        return "–", Role.DIM
    if lost:
        return f"had {pool.alive}", Role.DIM
    words = f"{pool.alive}/{pool.size} {'paused' if pool.paused else rate(pool.rate)}"
    if roomy:
        words += f"  p95 {milliseconds(pool.latency.p95)}"
    return words, Role.WARN if pool.paused or pool.alive != pool.size else Role.VALUE


def _cell(node: NodeSnapshot, name: str) -> tuple[str, Role]:
    if name == "cycles":
        return cycles_label(node)
    if name == "version":
        return clean(node.version), Role.LABEL
    if name == "up":
        return short_span(node.uptime), Role.LABEL
    return clean(node.fetch_group), Role.LABEL


def nodes_title(snapshot: Snapshot) -> str:
    """How many nodes there are, and how many of them are lost; without the broker as far as it was known."""
    there = len(alive_nodes(snapshot.nodes))
    lost = len(snapshot.nodes) - there
    heard = (
        f"{there} heard" if snapshot.broker_health is not Health.DOWN else f"{there} before the broker went"
    )
    return f"nodes · {heard}" + (f", {lost} lost" if lost else "")
