"""The demo controls as lines: the list of faults, the words about the marked one, and the last events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from logging import ERROR, WARNING
from textwrap import wrap

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import Snapshot, StageName, WorkerState
from sp500tui.tui.demo.faults import ACTIONS, FAULTS, OFF, DemoAction, FaultOption, strength_of
from sp500tui.tui.render.cluster_labels import stage_of
from sp500tui.tui.render.formats import clean, fit, format_time
from sp500tui.tui.render.lines import Line, Role, Span, cut

_TITLE = 23
_STATE = 5
_KIND = 16
_ROUTINE = (EventKind.CYCLE_STARTED, EventKind.CYCLE_FINISHED)
_ROOMY = 50
"""Cells from which on a fault's strength is drawn beside its words."""
_ENTRIES: tuple[FaultOption | DemoAction, ...] = (*FAULTS, *ACTIONS)
_ALIVE = (WorkerState.BUSY, WorkerState.IDLE, WorkerState.BLOCKED, WorkerState.WAITING, WorkerState.PAUSED)


def entries() -> Sequence[FaultOption | DemoAction]:
    """What the list shows, in its order."""
    return _ENTRIES


def control_lines(faults: Mapping[str, object] | None, width: int) -> list[Line]:
    """The faults with their state in words, then what can be done once.

    Args:
        faults: What goes wrong at present; None while it is not known.
        width: Cells of a line.
    """
    return [
        _act_line(entry, width) if isinstance(entry, DemoAction) else _fault_line(entry, faults, width)
        for entry in _ENTRIES
    ]


def _fault_line(choice: FaultOption, faults: Mapping[str, object] | None, width: int) -> Line:
    title = Span(fit(choice.title, _TITLE) + " ")
    if faults is None:
        return cut((Span("◌ ", Role.LABEL), title, Span("unknown", Role.LABEL)), width)
    index = strength_of(choice, faults)
    if index == OFF:
        return cut((Span("○ ", Role.DIM), title, Span("off", Role.DIM)), width)
    words = "otherwise" if index is None else choice.strengths[index].words
    if width < _ROOMY:
        return cut((Span("● ", Role.WARN), title, Span(words, Role.WARN)), width)
    steps = "" if index is None else "▮" * index + "▯" * (len(choice.strengths) - 1 - index)
    on = (Span("● ", Role.WARN), title, Span(fit("on", _STATE) + fit(steps, _STATE), Role.WARN))
    return cut((*on, Span(words)), width)


def _act_line(act: DemoAction, width: int) -> Line:
    return cut(
        (Span("▸ ", Role.ACCENT), Span(fit(act.title, _TITLE) + " "), Span("enter", Role.LABEL)), width
    )


def explanation_lines(
    entry: FaultOption | DemoAction, happened: Mapping[str, object] | None, width: int, height: int
) -> list[Line]:
    """What an entry does, what to watch for, and how often it happened since the market's start.

    Args:
        entry: The marked one.
        happened: How often each fault happened, by its name; None while it is not known.
        width: Cells of a line.
        height: Lines; where they are few the least important words are left out.
    """
    about = _counted(entry, happened)
    roomy = [
        *_paragraph(entry.what, width),
        cut((), width),
        cut((Span("watch", Role.ACCENT),), width),
        *_paragraph(entry.watch, width),
        cut((), width),
        *(line for words in about for line in _paragraph(words, width, Role.LABEL)),
    ]
    if len(roomy) <= height:
        return roomy
    tight = [*_paragraph(entry.what, width, Role.LABEL), *_paragraph(entry.watch, width)]
    happened_lines = [line for words in about[-1:] for line in _paragraph(words, width, Role.LABEL)]
    return [*tight, *happened_lines][:height]


def _counted(entry: FaultOption | DemoAction, happened: Mapping[str, object] | None) -> list[str]:
    """The strengths of a fault, and how often it happened."""
    if isinstance(entry, DemoAction):
        return []
    words = ["strengths: " + ", ".join(strength.words for strength in entry.strengths)]
    if entry.counted and happened is not None:
        words.append(f"happened {happened.get(entry.counted, 0)} times since the start")
    return words


def _paragraph(text: str, width: int, role: Role = Role.VALUE) -> list[Line]:
    return [cut((Span(line, role),), width) for line in wrap(text, max(width, 10))]


def trouble_lines(trouble: str, width: int) -> list[Line]:
    """Why the market's state is not known, above everything else; nothing where it is."""
    return [*_paragraph(f"! {trouble}", width, Role.WARN), cut((), width)] if trouble else []


def event_lines(events: Iterable[PipelineEvent], now: datetime, width: int, height: int) -> list[Line]:
    """The newest events, newest first: time, kind and words; the cycles are the status bar's affair."""
    telling = [event for event in events if event.kind not in _ROUTINE]
    newest = telling[-height:][::-1] if height > 0 else []
    if not newest:
        return [cut((Span("nothing has happened yet", Role.LABEL),), width)]
    return [
        cut(
            (
                Span(fit(format_time(event.at, now), 9), Role.LABEL),
                Span(fit(str(event.kind), _KIND) + " ", _event_role(event)),
                Span(clean(event.message)),
            ),
            width,
        )
        for event in newest
    ]


def _event_role(event: PipelineEvent) -> Role:
    return Role.BAD if event.level >= ERROR else Role.WARN if event.level >= WARNING else Role.LABEL


def no_market(snapshot: Snapshot) -> str:
    """Why this node of a cluster has no demo market; empty where it has one or soon will."""
    here = next((node for node in snapshot.nodes if node.here), None)
    if here is None or any(stage_of(here, stage) for stage in (StageName.SCRAPER, StageName.PRICE)):
        return ""
    return "this node fetches nothing and has no demo market: faults are set where prices are fetched"


def writer_to_kill(snapshot: Snapshot) -> str | None:
    """The name of the writer whose death shows most: one of this node that is busy, else any that is there."""
    here = next((node.name for node in snapshot.nodes if node.here), "")
    writers = [
        worker
        for worker in snapshot.workers
        if worker.stage is StageName.WRITER and worker.state in _ALIVE and worker.node == here
    ]
    busy = [worker for worker in writers if worker.state is WorkerState.BUSY]
    return (busy or writers)[0].name if writers else None
