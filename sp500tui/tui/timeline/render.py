"""Rendering of the timeline: a row a worker, columns of time, the letter of a state in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.spans import Span, SpanReport, WorkerSpans
from sp500tui.tui.render.formats import fit
from sp500tui.tui.render.lines import Line, Role, cut, joined
from sp500tui.tui.render.lines import Span as Text

NAME_WIDTH = 13
"""Cells of the workers' names, at the left."""
STATES: Mapping[WorkerState, tuple[str, Role]] = {
    WorkerState.IDLE: ("·", Role.DIM),
    WorkerState.BUSY: ("W", Role.GOOD),
    WorkerState.SOURCE: ("S", Role.ACCENT),
    WorkerState.LIMIT: ("L", Role.WARN),
    WorkerState.BLOCKED: ("B", Role.WARN),
    WorkerState.RATE: ("R", Role.WARN),
    WorkerState.JOURNAL: ("J", Role.TITLE),
    WorkerState.DATABASE: ("D", Role.VALUE),
    WorkerState.DATABASE_DOWN: ("d", Role.BAD),
    WorkerState.BACKOFF: ("!", Role.BAD),
    WorkerState.PAUSED: ("P", Role.LABEL),
    WorkerState.STARTING: ("s", Role.LABEL),
}
"""Letter and role of each state that a span can have."""
_LEGEND: tuple[tuple[WorkerState, str], ...] = (
    (WorkerState.BUSY, "working"),
    (WorkerState.SOURCE, "source"),
    (WorkerState.LIMIT, "request limit"),
    (WorkerState.BLOCKED, "queue full"),
    (WorkerState.JOURNAL, "journal"),
    (WorkerState.DATABASE, "database"),
    (WorkerState.DATABASE_DOWN, "database down"),
    (WorkerState.BACKOFF, "after an error"),
    (WorkerState.IDLE, "idle"),
)
_MARKS: Mapping[EventKind, tuple[str, Role]] = {
    EventKind.CYCLE_STARTED: ("c", Role.LABEL),
    EventKind.SCALED: ("±", Role.ACCENT),
    EventKind.WORKER_DIED: ("✗", Role.BAD),
    EventKind.WORKER_HUNG: ("✗", Role.BAD),
    EventKind.SOURCE_FAILED: ("!", Role.BAD),
    EventKind.DATABASE_DOWN: ("!", Role.BAD),
}
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is shown, as monotonic seconds of the pipeline, and the columns it is divided into."""

    end: float
    seconds: float
    columns: int

    @property
    def begin(self) -> float:
        """The start of the first column."""
        return self.end - self.seconds

    @property
    def column_seconds(self) -> float:
        """The time of one column."""
        return self.seconds / max(1, self.columns)

    def time_of(self, column: int) -> float:
        """The middle of a column."""
        return self.begin + (column + 0.5) * self.column_seconds

    def column_of(self, at: float) -> int | None:
        """The column of a time; None outside the window."""
        column = int((at - self.begin) // self.column_seconds)
        return column if 0 <= column < self.columns else None


def chosen_spans(spans: Sequence[Span], window: Window) -> list[Span | None]:
    """The span that each column shows: the longest in it that is not idle, or an idle one, or none."""
    weights: list[tuple[bool, float]] = [(False, 0.0)] * window.columns
    chosen: list[Span | None] = [None] * window.columns
    for span in spans:
        if span.end <= window.begin or span.start >= window.end:
            continue
        first = max(0, int((span.start - window.begin) // window.column_seconds))
        last = min(window.columns - 1, int((span.end - window.begin) // window.column_seconds))
        for column in range(first, last + 1):
            left = window.begin + column * window.column_seconds
            inside = min(span.end, left + window.column_seconds) - max(span.start, left)
            weight = (span.state is not WorkerState.IDLE, inside)
            if inside > 0 and weight > weights[column]:
                weights[column], chosen[column] = weight, span
    return chosen


def span_at(spans: Sequence[Span], window: Window, column: int) -> Span | None:
    """The span that a column shows."""
    return chosen_spans(spans, window)[column] if 0 <= column < window.columns else None


def worker_line(
    worker: WorkerSpans, window: Window, *, marked: bool, cursor: int | None, batch: int | None
) -> Line:
    """The row of one worker; with `batch`, everything that has no part in that batch is dimmed."""
    cells = [
        _cell(span, column == cursor and marked, batch)
        for column, span in enumerate(chosen_spans(worker.spans, window))
    ]
    name = Text(fit(worker.name, NAME_WIDTH), Role.SELECTED if marked else Role.LABEL)
    return (name, *_merged(cells))


def _cell(span: Span | None, at_cursor: bool, batch: int | None) -> Text:
    if span is None:
        return Text(" ", Role.SELECTED if at_cursor else Role.DIM)
    letter, role = STATES.get(span.state, ("?", Role.LABEL))
    if at_cursor:
        return Text(letter, Role.SELECTED)
    has_part = batch is None or span.batches.first <= batch <= span.batches.last
    return Text(letter if has_part else "·", role if has_part else Role.DIM)


def _merged(cells: Sequence[Text]) -> list[Text]:
    """Neighbours of one role as one text."""
    merged: list[Text] = []
    for cell in cells:
        if merged and merged[-1].role is cell.role:
            merged[-1] = Text(merged[-1].text + cell.text, cell.role)
        else:
            merged.append(cell)
    return merged


def axis_line(window: Window, now: float) -> Line:
    """The ages of some columns: `-30 s`, `now`."""
    text = ""
    for column in range(0, window.columns, 12):
        age = now - (window.begin + column * window.column_seconds)
        text += fit(f"-{age:.2f} s" if window.seconds < 5 else f"-{age:.0f} s", 12)
    return cut(
        (Text(fit("", NAME_WIDTH)), Text(text[: window.columns], Role.LABEL)), NAME_WIDTH + window.columns
    )


def mark_line(events: Sequence[PipelineEvent], report: SpanReport, window: Window) -> Line:
    """Starts of cycles, failures and scalings."""
    cells = [Text(" ", Role.DIM)] * window.columns
    for event in events:
        mark = _MARKS.get(event.kind)
        column = window.column_of(_monotonic(report, (report.taken_at - event.at).total_seconds()))
        if mark is not None and column is not None and cells[column].role is not Role.BAD:
            cells[column] = Text(*mark)
    return (Text(fit("events", NAME_WIDTH), Role.LABEL), *_merged(cells))


def _monotonic(report: SpanReport, age: float) -> float:
    return report.monotonic - age


def queue_line(name: QueueName, samples: Sequence[SecondSample], report: SpanReport, window: Window) -> Line:
    """The highest depth of a queue in each second, as bars relative to the highest one shown."""
    depths: list[int | None] = [None] * window.columns
    for sample in samples:
        begin = _monotonic(report, (report.taken_at - sample.at).total_seconds())
        highest = sample.queue(name).max_ready
        for column in range(window.columns):
            if begin <= window.time_of(column) < begin + 1:
                depths[column] = highest
    peak = max((depth for depth in depths if depth is not None), default=0)
    bars = "".join(" " if not depth else _BARS[max(1, round(depth / peak * 8))] for depth in depths)
    return (Text(fit(f"{name} {peak:,}", NAME_WIDTH), Role.LABEL), Text(bars, Role.ACCENT))


def legend_line(width: int) -> Line:
    """The letters of the states."""
    parts = [
        (Text(STATES[state][0], STATES[state][1]), Text(f" {label}", Role.LABEL)) for state, label in _LEGEND
    ]
    return cut(joined(parts, "  "), width)


def detail_line(worker: WorkerSpans | None, span: Span | None, now: float, width: int) -> Line:
    """The span under the cursor: worker, state, duration, age and batches."""
    if worker is None or span is None:
        return cut((Text("no span here", Role.LABEL),), width)
    first, last = span.batches
    batches = "" if not first else f"batch {first}" if first == last else f"batches {first} to {last}"
    texts = (f"{(span.end - span.start) * 1000:,.1f} ms", f"{now - span.start:.2f} s ago", batches)
    rest = tuple(Text(f"   {text}") for text in texts if text)
    return cut((Text(worker.name, Role.TITLE), Text(f"   {span.state}", STATES[span.state][1]), *rest), width)
