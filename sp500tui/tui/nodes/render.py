"""Rendering of a cluster's nodes: one line each with the columns that fit, and the details of one node."""

from __future__ import annotations

from textwrap import wrap

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Snapshot, StageSnapshot
from sp500tui.tui.render.cluster_labels import (
    alive_nodes,
    node_state,
    role_label,
    short_name,
    stage_of,
    tail,
)
from sp500tui.tui.render.formats import clean, count, fit, milliseconds, plural, rate, short_span, span
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.render.lines import Line, Role, Span, cut, joined, longest_that_fits

_POOL_WIDTH, _NARROW_POOL_WIDTH, _WIDE_POOL_WIDTH = 12, 7, 24
_STATE_WIDTH, _NARROW_STATE_WIDTH = 18, 16
_POOLS = {StageName.PRICE: "price", StageName.CONVERTER: "convert", StageName.WRITER: "write"}
_COLUMNS = (("role", 9, 92), ("version", 9, 102), ("up", 7, 110), ("group", 12, 127))
"""Name, width and the panel width from which a column is shown."""
_WIDE_PANEL = 164
"""Minimum panel width at which the latency of a pool is shown."""
_NARROW_PANEL = 72
"""Panel width below which a pool has no rate, so that the names are not cut."""
_TITLE_WIDTH = max(map(len, STAGE_TITLES.values())) + 1
"""Cells of a stage's title in the details."""


def _shown(width: int) -> list[tuple[str, int]]:
    """The optional columns that fit a panel of `width` cells."""
    return [(name, room) for name, room, least in _COLUMNS if width >= least]


def _pool_width(width: int) -> int:
    if width < _NARROW_PANEL:
        return _NARROW_POOL_WIDTH
    return _WIDE_POOL_WIDTH if width >= _WIDE_PANEL else _POOL_WIDTH


def _state_width(width: int) -> int:
    return _NARROW_STATE_WIDTH if width < _NARROW_PANEL else _STATE_WIDTH


def _name_width(width: int) -> int:
    """Cells left by the other columns, so that long host names are cut only where necessary."""
    others = 2 + _state_width(width) + 1 + len(_POOLS) * (_pool_width(width) + 1)
    others += sum(room + 1 for _, room in _shown(width))
    return max(8, min(40, width - others))


def nodes_heading(width: int, selected: StageName) -> Line:
    """The column titles; the target of the scaling keys is marked."""
    spans = [
        Span("  " + fit("node", _name_width(width)) + " " + fit("state", _state_width(width)), Role.LABEL)
    ]
    for stage, name in _POOLS.items():
        role = Role.SELECTED if stage is selected else Role.LABEL
        spans += [Span(" "), Span(fit(name, _pool_width(width)), role)]
    spans += [Span(" " + fit(name, room), Role.LABEL) for name, room in _shown(width)]
    return cut(spans, width)


def node_line(node: NodeSnapshot, width: int, *, current: bool = True) -> Line:
    """One node in exactly `width` cells.

    Args:
        node: The node.
        width: Cells of the line.
        current: Whether the broker can be reached; without it the nodes are shown as last seen.
    """
    sign, state, role = node_state(node, current=current)
    lost = node.health is Health.DOWN
    name = short_name(node.name) + (" (here)" if node.here else "")
    leader = node.scheduler and not lost
    spans = [
        Span("◆ " if leader else "  ", Role.ACCENT),
        Span(tail(name, _name_width(width)) + " ", Role.DIM if lost else Role.TITLE),
        Span(fit(f"{sign} {state}", _state_width(width)), role),
    ]
    for stage in _POOLS:
        text, pool_role = _pool_cell(stage_of(node, stage), lost=lost, panel=width)
        spans.append(Span(" " + fit(text, _pool_width(width)), pool_role))
    for name, room in _shown(width):
        text, cell_role = _cell(node, name)
        spans.append(Span(" " + fit(text, room), cell_role))
    return cut(spans, width)


def _pool_cell(pool: StageSnapshot | None, *, lost: bool, panel: int) -> tuple[str, Role]:
    """Running and configured workers, and rate and latency if the panel is wide enough."""
    if pool is None:
        return "–", Role.DIM
    if lost:
        return f"had {pool.alive}", Role.DIM
    workers = f"{pool.alive}/{pool.size}"
    text = f"{workers} {'paused' if pool.paused else rate(pool.rate)}"
    if panel < _NARROW_PANEL:
        text = f"{workers} ‖" if pool.paused else workers
    elif panel >= _WIDE_PANEL:
        text += f"  p95 {milliseconds(pool.latency.p95)}"
    return text, Role.WARN if pool.paused or pool.alive != pool.size else Role.VALUE


def _cell(node: NodeSnapshot, name: str) -> tuple[str, Role]:
    if name == "role":
        return role_label(node)
    if name == "version":
        return clean(node.version), Role.LABEL
    if name == "up":
        return short_span(node.uptime), Role.LABEL
    return clean(node.fetch_group), Role.LABEL


def nodes_title(snapshot: Snapshot) -> str:
    """The panel's title, with the numbers of alive and lost nodes."""
    alive = len(alive_nodes(snapshot.nodes))
    lost = len(snapshot.nodes) - alive
    state = (
        f"{alive} alive" if snapshot.broker_health is not Health.DOWN else f"{alive} before the broker failed"
    )
    return f"nodes · {state}" + (f", {lost} lost" if lost else "")


def details_lines(node: NodeSnapshot, width: int, *, current: bool = True) -> list[Line]:
    """The details of a node: state, identity and pools.

    Args:
        node: The node.
        width: Cells of a line.
        current: Whether the broker can be reached; without it the node is shown as last seen.
    """
    sign, state, role = node_state(node, current=current)
    status = (Span(f"{sign} {state}", role),)
    message = [
        (Span(line, Role.WARN if node.health is Health.DEGRADED else Role.VALUE),)
        for line in wrap(clean(node.message), max(width, 10))
    ]
    about = [joined([status, *_activity(node)]), joined(_identity(node))]
    pools = [_pool_line(pool, width) for pool in node.stages] if node.health is not Health.DOWN else []
    watching: list[Line] = []
    if not node.stages:
        watching = [(Span("viewer: runs no stages and holds no work", Role.LABEL),)]
    return [cut(line, width) for line in (about[0], *message, about[1], *pools, *watching)]


def _activity(node: NodeSnapshot) -> list[Line]:
    """The node's role in scheduling, and its uptime."""
    scheduling, role = role_label(node)
    leader: Line = () if scheduling == "–" else (Span(scheduling, role),)
    up = "was up " if node.health is Health.DOWN else "up "
    return [leader, (Span(up, Role.LABEL), Span(span(node.uptime)))]


def _identity(node: NodeSnapshot) -> list[Line]:
    """The node's version, fetch group and id."""
    return [
        (Span("version ", Role.LABEL), Span(clean(node.version))),
        (Span("fetch group ", Role.LABEL), Span(clean(node.fetch_group) or "–")),
        (Span("id ", Role.LABEL), Span(clean(node.name))),
    ]


def _pool_line(pool: StageSnapshot, width: int) -> Line:
    """Workers, throughput and failures of one pool."""
    title = Span(f"{STAGE_TITLES[pool.name]:<{_TITLE_WIDTH}}", Role.TITLE)
    alive = f"{pool.alive} of {pool.size}"
    state = Span(f"{alive:<9}", Role.VALUE if pool.alive == pool.size else Role.WARN)
    activity = Span("‖ paused", Role.WARN) if pool.paused else Span(f"{pool.busy:>2} busy ", Role.LABEL)
    columns: list[Line] = [
        (Span(fit(rate(pool.rate), 7)),),
        (Span("p95 ", Role.LABEL), Span(fit(milliseconds(pool.latency.p95), 7))),
        (Span(f"{count(pool.items):>9}"), Span(" done", Role.LABEL)),
        (Span(f"{count(pool.failed):>3}"), Span(" failed", Role.LABEL)),
        (Span(plural(pool.restarts, "restart"), Role.WARN if pool.restarts else Role.LABEL),),
    ]
    variants = [columns[:number] for number in range(len(columns), 0, -1)]
    return longest_that_fits([joined([(title, state, activity), *shown]) for shown in variants], width)


def details_title(node: NodeSnapshot | None) -> str:
    """The panel's title, with the node's name."""
    if node is None:
        return "node"
    return f"node · {short_name(node.name)}" + (" (this program)" if node.here else "")
