"""Everything about one node of a cluster in lines: itself, what became of its work, and its pools."""

from __future__ import annotations

from textwrap import wrap

from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, StageSnapshot
from sp500tui.tui.render.cluster_labels import cycles_label, node_state, short_name
from sp500tui.tui.render.formats import clean, count, fit, milliseconds, plural, rate, span
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.render.lines import Line, Role, Span, cut, joined, longest_that_fits

_LABEL = Role.LABEL
_TITLE = 14


def node_lines(node: NodeSnapshot, width: int, *, current: bool = True) -> list[Line]:
    """What is known of a node, the most telling first.

    Args:
        node: The marked one.
        width: Cells of a line.
        current: Whether nodes can be heard at present; without it they are shown as they were last heard.
    """
    sign, words, role = node_state(node, current=current)
    state = (Span(f"{sign} {words}", role),)
    message = [
        (Span(line, Role.WARN if node.health is Health.DEGRADED else Role.VALUE),)
        for line in wrap(clean(node.message), max(width, 10))
    ]
    about = [joined([state, *_present(node)]), joined(_identity(node))]
    pools = [_pool_line(pool, width) for pool in node.stages] if node.health is not Health.DOWN else []
    watching: list[Line] = []
    if not node.stages:
        watching = [(Span("watches only: it runs no stage and holds no work", _LABEL),)]
    return [cut(line, width) for line in (about[0], *message, about[1], *pools, *watching)]


def _present(node: NodeSnapshot) -> list[Line]:
    """What it does for the cycles, and since when it is there."""
    cycles, role = cycles_label(node)
    starts: Line = () if cycles == "–" else (Span(f"{cycles} {_cycles_object(node)}", role),)
    up = "was up " if node.health is Health.DOWN else "up "
    return [starts, (Span(up, _LABEL), Span(span(node.uptime)))]


def _identity(node: NodeSnapshot) -> list[Line]:
    """What tells it from the others."""
    return [
        (Span("version ", _LABEL), Span(clean(node.version))),
        (Span("fetch group ", _LABEL), Span(clean(node.fetch_group) or "–")),
        (Span("id ", _LABEL), Span(clean(node.name))),
    ]


def _cycles_object(node: NodeSnapshot) -> str:
    return "the cycles" if node.scheduler else "to start the cycles"


def _pool_line(pool: StageSnapshot, width: int) -> Line:
    """Workers, work and trouble of one pool."""
    title = Span(f"{STAGE_TITLES[pool.name]:<{_TITLE}}", Role.TITLE)
    there = f"{pool.alive} of {pool.size}"
    state = Span(f"{there:<9}", Role.VALUE if pool.alive == pool.size else Role.WARN)
    doing = Span("‖ paused", Role.WARN) if pool.paused else Span(f"{pool.busy:>2} busy ", _LABEL)
    figures: list[Line] = [
        (Span(fit(rate(pool.rate), 7)),),
        (Span("p95 ", _LABEL), Span(fit(milliseconds(pool.latency.p95), 7))),
        (Span(f"{count(pool.items):>9}"), Span(" done", _LABEL)),
        (Span(f"{count(pool.failed):>3}"), Span(" failed", _LABEL)),
        (Span(plural(pool.restarts, "restart"), Role.WARN if pool.restarts else _LABEL),),
    ]
    variants = [figures[:number] for number in range(len(figures), 0, -1)]
    return longest_that_fits([joined([(title, state, doing), *shown]) for shown in variants], width)


def details_title(node: NodeSnapshot | None) -> str:
    """The panel's title: which node it tells of."""
    if node is None:
        return "node"
    return f"node · {short_name(node.name)}" + (", this program" if node.here else "")
