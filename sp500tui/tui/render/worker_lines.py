"""Rendering of workers: one line each with the columns that fit, and the details of one worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerSnapshot, WorkerState
from sp500tui.tui.render.cluster_labels import short_name, tail
from sp500tui.tui.render.formats import clean, count, fit, milliseconds, plural, rate, short_span
from sp500tui.tui.render.labels import WORKER_SIGNS, worker_state_label
from sp500tui.tui.render.lines import Line, Role, Span, cut, longest_that_fits
from sp500tui.tui.render.strips import time_axis

_ERROR_WIDTH = 24
_STATE_WIDTH, _TIME_WIDTH = 10, 8
_LONGEST_STRIP = 60
_SHORTEST_STRIP = 3
"""Cells that its heading, `now`, needs."""
_COLUMNS = (
    ("rate", 7, 62),
    ("p95 10 s", 8, 70),
    ("restarts", 9, 96),
    ("pid", 8, 106),
    ("last error", _ERROR_WIDTH, 134),
)
"""Name, width and the panel width from which a column is shown, in their order."""
_AFTER_STRIP = ("restarts", "pid")
"""The columns that are shown only if the strip keeps its full length."""
_LEAST_TASK = 12
"""Minimum cells of the task column next to a strip."""
_NODE_WIDTH, _NARROW_NODE_WIDTH, _WIDE_PANEL = 20, 10, 70
"""Maximum width of the node column, in a panel of at least `_WIDE_PANEL` cells and in a narrower one."""
_QUIET = (WorkerState.IDLE, WorkerState.PAUSED)


@dataclass(frozen=True, slots=True)
class WorkerColumns:
    """The cells of each column; the strip and the task share those left by the others, and may have none."""

    names: int
    nodes: int
    strip: int
    task: int
    figures: tuple[tuple[str, int], ...]


def worker_columns(width: int, names: int, *, nodes: int = 0, strips: bool = True) -> WorkerColumns:
    """The columns of a panel of `width` cells, `names` of them for the names and `nodes` for the nodes."""
    room = width - (nodes + 1 if nodes else 0)
    rest = room - names - 1 - _STATE_WIDTH - _TIME_WIDTH - 3
    figures: list[tuple[str, int]] = []
    for name, cells, least in _COLUMNS:
        kept = _LONGEST_STRIP if strips and name in _AFTER_STRIP else 0
        if room >= least and rest - cells - 1 >= kept:
            figures.append((name, cells))
            rest -= cells + 1
    strip = min(_LONGEST_STRIP, rest) if strips and rest >= _SHORTEST_STRIP else 0
    task = max(0, rest - strip - 1 if strip else rest)
    return WorkerColumns(names, nodes, strip, 0 if strip and task < _LEAST_TASK else task, tuple(figures))


def node_width(workers: Sequence[WorkerSnapshot], width: int) -> int:
    """Cells of the node column in a panel of `width` cells; 0 outside a cluster."""
    longest = max((len(short_name(worker.node)) for worker in workers), default=0)
    return min(longest, _NARROW_NODE_WIDTH if width < _WIDE_PANEL else _NODE_WIDTH)


def name_width(workers: Sequence[WorkerSnapshot]) -> int:
    """Cells of the name column."""
    return min(16, max((len(worker.name) for worker in workers), default=8))


def header_line(columns: WorkerColumns, width: int) -> Line:
    """The column titles."""
    cells = [fit("worker", columns.names), fit("node", columns.nodes), fit("state", _STATE_WIDTH)]
    cells += [
        fit("for", _TIME_WIDTH, "right") + " ",
        time_axis(columns.strip),
        fit("task", columns.task),
    ]
    cells += [fit(name, room, _align(name)) for name, room in columns.figures]
    return cut((Span(" ".join(cell for cell in cells if cell), Role.LABEL),), width)


def _align(name: str) -> str:
    return "left" if name == "last error" else "right"


def empty_line(width: int, *, starting: bool, in_cluster: bool = False) -> Line:
    """The line shown in place of workers, while the pipeline is `starting` and after its end."""
    text = "no node runs workers" if in_cluster else "Starting workers …" if starting else "no workers left"
    return cut((Span(text, Role.LABEL),), width)


def worker_line(worker: WorkerSnapshot, columns: WorkerColumns, width: int, strip: Line = ()) -> Line:
    """One worker in exactly `width` cells: its state, the time in it, and the strip of its last seconds."""
    sign, role = WORKER_SIGNS[worker.state]
    if role is Role.GOOD and worker.retry_in is not None:
        sign, role = WORKER_SIGNS[WorkerState.RATE]
    spans = [Span(fit(clean(worker.name), columns.names) + " ", Role.TITLE)]
    if columns.nodes:
        spans.append(Span(tail(short_name(worker.node), columns.nodes) + " ", Role.LABEL))
    spans += [
        Span(fit(f"{sign} {worker_state_label(worker.state)}", _STATE_WIDTH), role),
        Span(fit(_time(worker), _TIME_WIDTH + 1, "right") + "  ", role if worker.retry_in else Role.LABEL),
    ]
    if columns.strip:
        spans += cut(strip, columns.strip)
    if columns.task:
        gap = " " if columns.strip else ""
        task = _task(worker, with_error=all(name != "last error" for name, _ in columns.figures))
        spans.append(
            Span(gap + fit(task, columns.task), Role.LABEL if worker.state in _QUIET else Role.VALUE)
        )
    for name, cells in columns.figures:
        text, cell_role = _cell(worker, name)
        spans.append(Span(" " + fit(text, cells, _align(name)), cell_role))
    return cut(spans, width)


def _time(worker: WorkerSnapshot) -> str:
    """Seconds in the state, or until the next attempt."""
    if worker.retry_in is not None:
        return f"in {short_span(worker.retry_in)}"
    return short_span(worker.state_seconds)


def _task(worker: WorkerSnapshot, *, with_error: bool) -> str:
    """What the worker processes or waits for; the reason if it is being restarted."""
    reason = worker.last_error if worker.state is WorkerState.BACKOFF and with_error else ""
    return clean(worker.doing or reason)


def _cell(worker: WorkerSnapshot, name: str) -> tuple[str, Role]:
    """The text and role of one cell."""
    if name == "rate":
        return rate(worker.rate_10), Role.VALUE if worker.rate_10 > 0 else Role.DIM
    if name == "p95 10 s":
        return milliseconds(worker.latency.p95), Role.VALUE if worker.latency.p95 is not None else Role.DIM
    if name == "restarts":
        return count(worker.restarts), Role.WARN if worker.restarts else Role.DIM
    if name == "pid":
        return str(worker.pid) if worker.stage is StageName.WRITER else f"t{worker.thread}", Role.LABEL
    return clean(worker.last_error) or "none", Role.WARN if worker.last_error else Role.DIM


def detail_lines(worker: WorkerSnapshot, width: int, lines: int) -> list[Line]:
    """The details without columns in a narrow panel, in `lines` lines: process, latencies and the whole last error."""
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
    task = Span(f" · {clean(worker.doing)}" if worker.doing else "", Role.LABEL)
    wrapped = wrap(text, max(width - 2, 1), max_lines=lines - 1, placeholder="…")
    below = [cut((Span(f"  {line}", role),), width) for line in wrapped]
    return [
        longest_that_fits(
            [
                (head, restarts, Span(percentiles, Role.LABEL), task),
                (head, restarts, task),
                (head, task),
                (head, restarts),
                (head,),
            ],
            width,
        ),
        *below,
        *[cut((), width)] * (lines - 1 - len(below)),
    ]


def title(stage_title: str | None, shown: int) -> str:
    """The panel's title: the workers listed, and their number."""
    return f"workers · {stage_title or 'all'} · {shown}"
