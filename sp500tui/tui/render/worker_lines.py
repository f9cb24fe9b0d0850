"""Rendering of workers: one line each with the columns that fit, and the details of one worker."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from sp500tui.pipeline.core.snapshot import StageName, WorkerSnapshot, WorkerState
from sp500tui.tui.render.cluster_labels import short_name, tail
from sp500tui.tui.render.formats import (
    clean,
    condensed,
    count,
    fit,
    milliseconds,
    plural,
    rate,
    short_span,
    sparkline,
)
from sp500tui.tui.render.labels import WORKER_SIGNS, worker_state_label
from sp500tui.tui.render.lines import Line, Role, Span, cut, longest_that_fits

_ERROR_WIDTH = 24
_STATE_WIDTH = 12
_COLUMNS = (
    ("rate", 7, 0),
    ("trend", 5, 46),
    ("p95", 7, 58),
    ("restarts", 8, 80),
    ("pid", 8, 86),
    ("trend 30 s", 14, 106),
    ("last error", _ERROR_WIDTH, 124),
)
"""Name, width and the panel width from which a column is shown, by importance."""
_ORDER = ("rate", "trend", "trend 30 s", "p95", "restarts", "pid", "last error")
_NODE_WIDTH, _NARROW_NODE_WIDTH, _WIDE_PANEL = 20, 10, 70
"""Largest width of the node column, in a panel of at least `_WIDE_PANEL` cells and in a narrower one."""
_QUIET = (WorkerState.IDLE, WorkerState.PAUSED)


def shown_columns(width: int) -> list[tuple[str, int]]:
    """The optional columns that fit a panel of `width` cells."""
    chosen = {name: room for name, room, least in _COLUMNS if width >= least}
    if "trend 30 s" in chosen:
        del chosen["trend"]
    return [(name, chosen[name]) for name in _ORDER if name in chosen]


def _widths(width: int, names: int, nodes: int) -> tuple[list[tuple[str, int]], int]:
    """The optional columns, and the cells left for the task."""
    node = nodes + 1 if nodes else 0
    extra = shown_columns(width - node)
    room = width - names - 1 - node - _STATE_WIDTH - 1 - sum(cells + 1 for _, cells in extra)
    return extra, max(0, room)


def node_width(workers: Sequence[WorkerSnapshot], width: int) -> int:
    """Cells of the node column in a panel of `width` cells; 0 outside a cluster."""
    longest = max((len(short_name(worker.node)) for worker in workers), default=0)
    return min(longest, _NARROW_NODE_WIDTH if width < _WIDE_PANEL else _NODE_WIDTH)


def name_width(workers: Sequence[WorkerSnapshot]) -> int:
    """Cells of the name column."""
    return min(16, max((len(worker.name) for worker in workers), default=8))


def header_line(width: int, names: int, nodes: int = 0) -> Line:
    """The column titles."""
    extra, room = _widths(width, names, nodes)
    cells = [fit("worker", names), fit("node", nodes), fit("state", _STATE_WIDTH), fit("task", room)]
    cells += [fit(_heading(name), cells_, _align(name)) for name, cells_ in extra]
    return cut((Span(" ".join(cell for cell in cells if cell), Role.LABEL),), width)


def _heading(name: str) -> str:
    return "30 s" if name.startswith("trend") else name


def _align(name: str) -> str:
    return "left" if name in {"last error", "trend", "trend 30 s"} else "right"


def empty_line(width: int, *, starting: bool) -> Line:
    """The line of a list without workers, while the pipeline is `starting` and after its end."""
    text = "Starting workers …" if starting else "no workers left"
    return cut((Span(text, Role.LABEL),), width)


def worker_line(worker: WorkerSnapshot, width: int, names: int, *, nodes: int = 0) -> Line:
    """One worker in exactly `width` cells, `names` of them for its name and `nodes` for its node."""
    extra, room = _widths(width, names, nodes)
    sign, role = WORKER_SIGNS[worker.state]
    if role is Role.GOOD and worker.retry_in is not None:
        role = Role.WARN
    node = [Span(tail(short_name(worker.node), nodes) + " ", Role.LABEL)] if nodes else []
    spans = [
        Span(fit(clean(worker.name), names) + " ", Role.TITLE),
        *node,
        Span(fit(f"{sign} {worker_state_label(worker.state)}", _STATE_WIDTH) + " ", role),
    ]
    if room:
        task = _task(worker, with_error=all(name != "last error" for name, _ in extra))
        spans.append(Span(fit(task, room), Role.LABEL if worker.state in _QUIET else Role.VALUE))
    for name, cells in extra:
        text, cell_role = _cell(worker, name, cells)
        spans.append(Span(" " + fit(text, cells, _align(name)), cell_role))
    return cut(spans, width)


def _task(worker: WorkerSnapshot, *, with_error: bool) -> str:
    """The worker's task, after the countdown to its restart or its next attempt."""
    task = clean(worker.doing)
    if worker.retry_in is not None:
        backing_off = worker.state is WorkerState.BACKOFF
        note = task or (clean(worker.last_error) if with_error else "")
        return f"{'' if backing_off else 'retry '}in {short_span(worker.retry_in)}" + (
            f": {note}" if note else ""
        )
    elapsed = short_span(worker.state_seconds)
    if worker.state is WorkerState.BLOCKED:
        return f"queue full for {elapsed}" + (f": {task}" if task else "")
    if worker.state in (WorkerState.DRAINING, WorkerState.HUNG):
        return f"{task or 'current batch'}, for {elapsed}"
    return task


def _cell(worker: WorkerSnapshot, name: str, cells: int) -> tuple[str, Role]:
    """The text and role of one cell."""
    if name == "rate":
        return rate(worker.rate_10), Role.VALUE if worker.rate_10 > 0 else Role.DIM
    if name.startswith("trend"):
        return sparkline(condensed(worker.history, cells), cells), Role.ACCENT if any(
            worker.history
        ) else Role.DIM
    if name == "p95":
        return milliseconds(worker.latency.p95), Role.VALUE if worker.latency.p95 is not None else Role.DIM
    if name == "restarts":
        return count(worker.restarts), Role.WARN if worker.restarts else Role.DIM
    if name == "pid":
        return str(worker.pid) if worker.stage is StageName.WRITER else f"t{worker.thread}", Role.LABEL
    return clean(worker.last_error) or "none", Role.WARN if worker.last_error else Role.DIM


def detail_lines(worker: WorkerSnapshot, width: int, lines: int) -> list[Line]:
    """What a narrow panel has no columns for, in `lines` lines: process, latencies and the whole last error."""
    error = clean(worker.last_error)
    text, role = (f"last error: {error}", Role.WARN) if error else ("no errors", Role.LABEL)
    place = (
        f"pid {worker.pid}"
        if worker.stage is StageName.WRITER
        else f"thread {worker.thread} of pid {worker.pid}"
    )
    head = Span(f"↳ {place}", Role.LABEL)
    if lines == 1:
        return [cut((head, Span(" · ", Role.LABEL), Span(text, role)), width)]
    restarts = Span(f" · {plural(worker.restarts, 'restart')}", Role.WARN if worker.restarts else Role.LABEL)
    latency = worker.latency
    percentiles = " · " + "  ".join(
        f"{name} {milliseconds(value)}"
        for name, value in (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99))
    )
    wrapped = wrap(text, max(width - 2, 1), max_lines=lines - 1, placeholder="…")
    below = [cut((Span(f"  {line}", role),), width) for line in wrapped]
    return [
        longest_that_fits(
            [(head, restarts, Span(percentiles, Role.LABEL)), (head, restarts), (head,)], width
        ),
        *below,
        *[cut((), width)] * (lines - 1 - len(below)),
    ]


def title(stage_title: str | None) -> str:
    """The panel's title, with the stage it is limited to."""
    return f"workers · {stage_title or 'all stages'}"
