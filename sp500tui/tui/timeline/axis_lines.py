"""Rendering of the lines on the time axis below the rows: queues, interpreter lock, events, and the axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.shares import held_back
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.tui.render.event_marks import event_mark
from sp500tui.tui.render.formats import fit, percent
from sp500tui.tui.render.lines import Line, Role
from sp500tui.tui.render.lines import Span as Text
from sp500tui.tui.render.strips import Mark, depth_sign, event_strip
from sp500tui.tui.timeline.cells import Window
from sp500tui.tui.timeline.row_lines import NAME_WIDTH, SHARE_WIDTH
from sp500tui.tui.timeline.states import SIGNS

_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
_LABEL_COLUMNS = 10
_FULL = 0.9
"""Minimum share of a queue's capacity at which it counts as full."""


def queue_line(
    name: QueueName, capacity: int, samples: Sequence[SecondSample], report: SpanReport, window: Window
) -> Line:
    """The maximum depth of a queue in each second and overall; amber where the queue is full."""
    # Recordings made before a queue was introduced do not have it.
    found = [(each, queue.max_ready) for each in samples for queue in each.queues if queue.name is name]
    depths = _by_second(found, report, window)
    peak = max((depth for depth in depths if depth is not None), default=0)
    label = f"{name} {peak:>{NAME_WIDTH - 2 - len(name)},.0f}"
    return (Text(fit(label, NAME_WIDTH), Role.LABEL), *_bars(depths, capacity))


def held_back_text(samples: Sequence[SecondSample], queue: QueueName) -> Text:
    """The share of the seconds shown in which the producers of a queue waited for room in it: ` B 61 %`."""
    share = held_back(samples, queue)
    if not share:
        return Text(" " * SHARE_WIDTH, Role.DIM)
    sign = SIGNS[WorkerState.BLOCKED]
    return Text(f" {sign.letter}{percent(share):>{SHARE_WIDTH - 2}}", sign.role)


def lock_line(samples: Sequence[SecondSample], report: SpanReport, window: Window) -> Line:
    """The share of each second in which the interpreter lock was held, and the mean; amber where nearly always."""
    shown = [(each, each.interpreter_lock.held if each.interpreter_lock else 0.0) for each in samples]
    held = _by_second(shown, report, window)
    known = [share for share in held if share is not None]
    mean = 100 * sum(known) / len(known) if known else 0.0
    return (Text(fit(f"GIL held {mean:>3.0f} %", NAME_WIDTH), Role.LABEL), *_bars(held, 1.0))


def _by_second(
    values: Sequence[tuple[SecondSample, float]], report: SpanReport, window: Window
) -> list[float | None]:
    """The maximum of the seconds in each column."""
    found: list[float | None] = [None] * window.columns
    length = window.column_seconds
    for sample, value in values:
        begin = report.time_of(sample.second, sample.at)
        first = max(0, round((begin - window.begin) / length))
        last = min(window.columns, round((begin + 1 - window.begin) / length))
        for column in range(first, last):
            found[column] = max(value, found[column] or 0.0)
    return found


def _bars(values: Sequence[float | None], full: float) -> list[Text]:
    return _merged(
        Text(" ")
        if value is None
        else Text(depth_sign(value, full), Role.WARN if value >= _FULL * full > 0 else Role.ACCENT)
        for value in values
    )


def _merged(cells: Iterable[Text]) -> list[Text]:
    """Adjacent cells of one role as one text."""
    merged: list[Text] = []
    for cell in cells:
        if merged and merged[-1].role is cell.role:
            merged[-1] = Text(merged[-1].text + cell.text, cell.role)
        else:
            merged.append(cell)
    return merged


def cycle_columns(events: Sequence[PipelineEvent], report: SpanReport, window: Window) -> set[int]:
    """The columns in which a cycle starts."""
    starts = [event for event in events if event.kind is EventKind.CYCLE_STARTED]
    columns = {window.column_of(report.time_of(event.second, event.at)) for event in starts}
    return {column for column in columns if column is not None}


def mark_line(events: Sequence[PipelineEvent], report: SpanReport, window: Window) -> Line:
    """Starts of cycles, failures, kills and scalings, with as many words as fit."""
    marks: list[Mark] = []
    cycles: list[Mark] = []
    for event in events:
        column = window.column_of(report.time_of(event.second, event.at))
        if column is None:
            continue
        ago = window.columns - 1 - column
        if event.kind is EventKind.CYCLE_STARTED:
            cycles.append(Mark(ago, "▾", event.message.partition(" started")[0], Role.LABEL))
        elif (mark := event_mark(event, ago)) is not None:
            marks.append(mark)
    # The start of a cycle is visible in the rows too, so its words give way to those of the previous event.
    marks += [
        cycle for cycle in cycles if not any(0 < mark.ago - cycle.ago < len(mark.label) + 3 for mark in marks)
    ]
    return (Text(fit("events", NAME_WIDTH), Role.LABEL), *event_strip(marks, window.columns))


def axis_line(window: Window, now: float, *, newest: str = "now", with_shares: bool = False) -> Line:
    """Ages at round distances: `╷−2 s`, and `newest` at age zero; then the title of the shares."""
    cells = [" "] * window.columns
    length = window.column_seconds
    step = _label_distance(now - window.begin, length)
    age = max(0.0, ceil((now - window.end) / step - 1e-6) * step)
    while age <= now - window.begin:
        column = window.column_of(now - age - length * 1e-6)
        label = _age_label(age, step) if age else f"╷{newest}"
        if column is not None and age == 0:
            column = max(0, min(column, window.columns - len(label)))
        # Part of an age could be read as a different age.
        if column is not None and (age == 0 or column + len(label) <= window.columns):
            for at, character in enumerate(label[: window.columns - column], column):
                if cells[at] == " ":
                    cells[at] = character
        age = round(age + step, 6)
    title = fit("share", SHARE_WIDTH, "right") if with_shares else ""
    return (Text(fit("", NAME_WIDTH)), Text("".join(cells) + title, Role.LABEL))


def _label_distance(oldest: float, length: float) -> float:
    """The seconds between two labels of the axis so that they do not touch; `length` is that of a column."""
    for step in _STEPS:
        if step / length >= max(_LABEL_COLUMNS, len(_age_label(oldest, step)) + 1):
            return step
    return _STEPS[-1]


def _age_label(age: float, step: float) -> str:
    """An age with enough decimals to distinguish it from the next label."""
    if step < 0.1 and age < 1:
        return f"╷−{age * 1000:.0f} ms"
    decimals = next(places for places in range(4) if step >= 10.0**-places)
    return f"╷−{age:.{decimals}f} s"
