"""Rendering of the demo controls: the faults and actions, their explanation, and the latest events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from logging import ERROR, WARNING
from textwrap import wrap

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot, WorkerState
from sp500tui.pipeline.core.timing.second_sample import BUSY_STATES
from sp500tui.tui.demo.faults import ACTIONS, FAULTS, OFF, DemoAction, FaultOption, strength_of
from sp500tui.tui.render.cluster_labels import stage_of
from sp500tui.tui.render.formats import clean, fit, format_time
from sp500tui.tui.render.lines import Line, Role, Span, cut

_TITLE_WIDTH = 23
_STATE_WIDTH = 5
_KIND_WIDTH = 16
_ROUTINE = (EventKind.CYCLE_STARTED, EventKind.CYCLE_FINISHED)
_WIDE = 50
"""Minimum width in cells at which a fault's strength is also shown as a bar."""
_NO_BREAK = "\N{NO-BREAK SPACE}"
"""Separates words that stay on one line, such as a number and its unit."""
_ENTRIES: tuple[FaultOption | DemoAction, ...] = (*FAULTS, *ACTIONS)
_NOT_ALIVE = (WorkerState.STARTING, WorkerState.BACKOFF, WorkerState.DRAINING, WorkerState.HUNG)


def entries() -> Sequence[FaultOption | DemoAction]:
    """The faults and the actions, in the order of the list."""
    return _ENTRIES


def control_lines(faults: Mapping[str, object] | None, width: int, run_key: str = "enter") -> list[Line]:
    """The faults with their state, then the actions.

    Args:
        faults: The market's current faults; None while they are not known.
        width: Cells of a line.
        run_key: The key that runs an action.
    """
    return [
        _action_line(entry, width, run_key)
        if isinstance(entry, DemoAction)
        else _fault_line(entry, faults, width)
        for entry in _ENTRIES
    ]


def _fault_line(option: FaultOption, faults: Mapping[str, object] | None, width: int) -> Line:
    title = Span(fit(option.title, _TITLE_WIDTH) + " ")
    if faults is None:
        return cut((Span("◌ ", Role.LABEL), title, Span("unknown", Role.LABEL)), width)
    index = strength_of(option, faults)
    if index == OFF:
        return cut((Span("○ ", Role.DIM), title, Span("off", Role.DIM)), width)
    label = "custom" if index is None else option.strengths[index].label
    if width < _WIDE:
        return cut((Span("● ", Role.WARN), title, Span(label, Role.WARN)), width)
    steps = "" if index is None else "▮" * index + "▯" * (len(option.strengths) - 1 - index)
    on = (Span("● ", Role.WARN), title, Span(fit("on", _STATE_WIDTH) + fit(steps, _STATE_WIDTH), Role.WARN))
    return cut((*on, Span(label)), width)


def _action_line(action: DemoAction, width: int, run_key: str) -> Line:
    return cut(
        (Span("▸ ", Role.ACCENT), Span(fit(action.title, _TITLE_WIDTH) + " "), Span(run_key, Role.LABEL)),
        width,
    )


def explanation_lines(
    entry: FaultOption | DemoAction,
    counts: Mapping[str, object] | None,
    width: int,
    height: int,
    changed: Sequence[str] = (),
) -> list[Line]:
    """The effect of an entry, what to watch for, and how often the fault was injected.

    Args:
        entry: The marked entry.
        counts: Number of times each fault was injected, by its name; None while they are not known.
        width: Cells of a line.
        height: Lines; the least important ones are left out if they do not fit.
        changed: What the faults that are on have changed.
    """
    about = _strengths_and_count(entry, counts)
    full = [
        *_paragraph(entry.what, width),
        cut((), width),
        cut((Span("watch", Role.ACCENT),), width),
        *_paragraph(entry.watch, width),
        cut((), width),
        *(line for text in about for line in _paragraph(text, width, Role.LABEL)),
    ]
    if changed and len(longer := [*full, *_changed(changed, width)]) <= height:
        return longer
    if len(full) <= height:
        return full
    short = [*_paragraph(entry.what, width, Role.LABEL), *_paragraph(entry.watch, width)]
    count_lines = [line for text in about[-1:] for line in _paragraph(text, width, Role.LABEL)]
    return _beginning([*short, *count_lines], width, height)


def _beginning(lines: Sequence[Line], width: int, height: int) -> list[Line]:
    """The lines that fit; an ellipsis ends the last one if more follow."""
    if len(lines) <= height or height <= 0:
        return list(lines[: max(0, height)])
    words = "".join(span.text for span in lines[height - 1]).rstrip()
    # Part of a word could be read as a different word.
    whole = words if len(words) <= width - 2 else words[: max(0, width - 1)].rpartition(" ")[0]
    last = cut((Span(f"{whole} …", lines[height - 1][0].role),), width)
    return [*lines[: height - 1], last]


def _changed(parts: Sequence[str], width: int) -> list[Line]:
    heading = cut((Span("changed by the faults that are on", Role.ACCENT),), width)
    return [cut((), width), heading, *(cut((Span(part, Role.WARN),), width) for part in parts)]


def _strengths_and_count(entry: FaultOption | DemoAction, counts: Mapping[str, object] | None) -> list[str]:
    """The strengths of a fault, and how often it was injected."""
    if isinstance(entry, DemoAction):
        return []
    strengths = (
        f"{digit}: {strength.label}".replace(" ", _NO_BREAK) for digit, strength in enumerate(entry.strengths)
    )
    texts = ["strengths: " + ", ".join(strengths)]
    if entry.counter and counts is not None:
        number = counts.get(entry.counter, 0)
        texts.append(f"injected {number} {'time' if number == 1 else 'times'} since the start")
    return texts


def _paragraph(text: str, width: int, role: Role = Role.VALUE) -> list[Line]:
    lines = wrap(text, max(width, 10))
    return [cut((Span(line.replace(_NO_BREAK, " "), role),), width) for line in lines]


def effect_text(parts: Sequence[str], width: int) -> str:
    """The effects of the faults, as many parts as fit in `width` cells."""
    text = ""
    for part in parts:
        longer = f"{text} · {part}" if text else part
        if len(longer) > width:
            break
        text = longer
    return text


def warning_lines(warning: str, width: int) -> list[Line]:
    """The reason why the market's state is unknown and a blank line; no lines without a reason."""
    return [*_paragraph(f"! {warning}", width, Role.WARN), cut((), width)] if warning else []


def event_lines(events: Iterable[PipelineEvent], now: datetime, width: int, height: int) -> list[Line]:
    """The latest events, newest first: time, kind and message; without cycles, which the status bar shows."""
    shown = [event for event in events if event.kind not in _ROUTINE]
    newest = shown[-height:][::-1] if height > 0 else []
    if not newest:
        return [cut((Span("no events yet", Role.LABEL),), width)]
    return [
        cut(
            (
                Span(fit(format_time(event.at, now), 9), Role.LABEL),
                Span(fit(str(event.kind), _KIND_WIDTH) + " ", _event_role(event)),
                Span(clean(event.message)),
            ),
            width,
        )
        for event in newest
    ]


def _event_role(event: PipelineEvent) -> Role:
    return Role.BAD if event.level >= ERROR else Role.WARN if event.level >= WARNING else Role.LABEL


def no_market_reason(snapshot: Snapshot) -> str:
    """Why this cluster node has no demo market; empty if it has one or will start one."""
    here = next((node for node in snapshot.nodes if node.here), None)
    if here is None or any(stage_of(here, stage) for stage in (StageName.SCRAPER, StageName.PRICE)):
        return ""
    return "This node runs no fetch stage. Inject faults on a node that does."


def writer_to_kill(snapshot: Snapshot) -> str | None:
    """The writer to kill on this node, preferably a busy one; None without writers."""
    here = next((node.name for node in snapshot.nodes if node.here), "")
    writers = [
        worker
        for worker in snapshot.workers
        if worker.stage is StageName.WRITER and worker.state not in _NOT_ALIVE and worker.node == here
    ]
    busy = [worker for worker in writers if worker.state in BUSY_STATES]
    return (busy or writers)[0].name if writers else None
