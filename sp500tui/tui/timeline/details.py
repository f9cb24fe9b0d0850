"""Rendering of the details: the cell under the cursor, the shares of the marked row, and the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.shares import WINDOWS, Shares, lock_over, shares_over
from sp500tui.pipeline.core.timing.spans import CAPACITY, Span, SpanReport
from sp500tui.tui.render.formats import clean, fit, milliseconds, percent
from sp500tui.tui.render.lines import Line, Role, joined, longest_that_fits, width_of
from sp500tui.tui.render.lines import Span as Text
from sp500tui.tui.timeline.cells import Cell, Cells, Window, share_in, totals
from sp500tui.tui.timeline.row_lines import SHARE_WIDTH
from sp500tui.tui.timeline.rows import Row
from sp500tui.tui.timeline.states import SIGNS, reason

_LOCK_ROLES = {"free": Role.GOOD, "in use": Role.LABEL, "busy": Role.WARN}
_LOCK_SECONDS = 10
"""Seconds covered by the figures of the interpreter lock."""


# The cell under the cursor


def detail_lines(
    row: Row | None,
    cells: Cells,
    cursor: int,
    window: Window,
    now: float,
    failure: Callable[[str, Span], str] = lambda _name, _span: "",
    *,
    width: int,
) -> list[Line]:
    """The details of the cell under the cursor: the span and the reason, or the shares of a stage.

    `failure`: why a worker failed before a span in which it waits to be restarted; empty if unknown.
    """
    if row is None:
        return [(Text("Starting workers …", Role.LABEL),), ()]
    cell = cells[cursor] if 0 <= cursor < len(cells) else None
    if cell is None:
        return _blank_lines(row, window.time_of(cursor), width)
    if row.is_heading:
        shown = f"{_duration(window.seconds)} shown: "
        return [
            _largest_shares((Text(row.title, Role.TITLE),), "   ", cell.seconds, width),
            _largest_shares((), shown, totals(cells), width, Role.LABEL),
        ]
    failed = failure(row.workers[0].name, cell.span) if cell.span.state is WorkerState.BACKOFF else ""
    parts = [(Text(failed or reason(row.stage, cell.span, process=row.is_process)),)]
    if len(cell.seconds) > 1:
        parts.append((Text(f"this cell: {shares(cell.seconds)}", Role.LABEL),))
    return [_span_line(row, cell, now, width), longest_that_fits([joined(parts), parts[0]], width)]


def _blank_lines(row: Row, at: float, width: int) -> list[Line]:
    """Why a row is blank at a time, with its title if it fits."""
    title, why = Text(row.title, Role.TITLE), Text(_why_blank(row, at), Role.LABEL)
    one_line = (title, Text("   "), why)
    return [one_line, ()] if width_of(one_line) <= width else [(title,), (why,)]


def _span_line(row: Row, cell: Cell, now: float, width: int) -> Line:
    """The row, the state, the duration and age of the span, and the batches."""
    span, sign = cell.span, SIGNS[cell.state]
    first, last = span.batches
    batches = "" if not first else f"batch {first}" if first == last else f"batches {first} to {last}"
    lasted, age = f"for {_duration(span.end - span.start)}", f"{_duration(max(0.0, now - span.start))} ago"
    begin = [(Text(row.title, Role.TITLE),), (Text(_state_words(cell.state, row), sign.role),)]
    variants = [
        joined([*begin, *((Text(text),) for text in texts if text)], between)
        for texts, between in (
            ((lasted, age, batches), "   "),
            ((lasted, age, batches), "  "),
            ((lasted, batches.replace(" to ", "–")), "  "),
        )
    ]
    return longest_that_fits(variants, width)


def _largest_shares(
    begin: Line, title: str, seconds: Mapping[WorkerState, float], width: int, role: Role = Role.VALUE
) -> Line:
    """A title and the shares, without the smallest ones if not all fit."""
    parts = _share_parts(seconds)
    counts = range(len(parts), 0, -1)
    texts = (f"{title}{', '.join(parts[:count])}" for count in counts)
    return longest_that_fits([(*begin, Text(text, role)) for text in texts], width)


def shares(seconds: Mapping[WorkerState, float]) -> str:
    """The shares of all states, largest first: `source 62 %, idle 38 %`."""
    return ", ".join(_share_parts(seconds))


def _share_parts(seconds: Mapping[WorkerState, float]) -> list[str]:
    ordered = sorted(seconds, key=seconds.__getitem__, reverse=True)
    return [f"{SIGNS[state].legend} {percent(share_in(seconds, state))}" for state in ordered]


def _state_words(state: WorkerState, row: Row) -> str:
    """A state as in the legend, if that is more specific than its own name."""
    if row.is_process and state is WorkerState.DATABASE:
        return "committing"
    return SIGNS[state].legend if state is WorkerState.BACKOFF else str(state)


def failure_before(events: Sequence[PipelineEvent], report: SpanReport, name: str, span: Span) -> str:
    """The message of the failure before a span in which a worker waits; empty if the events have none."""
    messages = [
        event.message
        for event in events
        if event.kind is EventKind.WORKER_DIED
        and event.worker == name
        and abs(report.time_of(event.second, event.at) - span.start) <= 1.0
    ]
    return clean(messages[-1]) if messages else ""


def _why_blank(row: Row, at: float) -> str:
    """Why a row is blank at a time."""
    kept = [worker for worker in row.workers if worker.spans]
    if kept and at < min(worker.spans[0].start for worker in kept):
        if any(worker.overwritten for worker in kept):
            return f"older spans were overwritten: {CAPACITY:,} of each worker are kept"
        return "it had not started at this time"
    if kept and at >= max(worker.spans[-1].end for worker in kept):
        return "it has ended"
    return "there was no process at this time" if row.is_process else "nothing is recorded of this time"


def _duration(seconds: float) -> str:
    return milliseconds(seconds * 1000)


# The last seconds


def time_lines(row: Row, samples: Sequence[SecondSample], width: int) -> list[Line]:
    """The shares of a row over the last 1, 10 and 60 seconds: processor, wait for the interpreter lock, states.

    The smallest shares are left out if they do not fit.
    """
    if row.is_process:
        (worker_spans,) = row.workers
        found = [
            (seconds, shares_over(samples, seconds, row.stage, worker_spans.name)) for seconds in WINDOWS
        ]
        return [_longest_begin(_process_times(seconds, shares), width) for seconds, shares in found]
    worker = "" if row.is_heading else row.workers[0].name
    return [
        _longest_begin(_times(seconds, shares_over(samples, seconds, row.stage, worker)), width)
        for seconds in WINDOWS
    ]


def _times(seconds: int, found: Shares) -> list[Line]:
    parts: list[Line] = [(Text(f"last {seconds:>2} s", Role.LABEL),)]
    if not found.states:
        return [*parts, (Text("no worker", Role.LABEL),)]
    parts.append((Text("processor ", Role.LABEL), Text(percent(found.processor), Role.GOOD)))
    parts.append((Text("interpreter ~", Role.LABEL), Text(percent(found.interpreter), Role.WARN)))
    if found.process:
        parts.append((Text("processes ", Role.LABEL), Text(percent(found.process), Role.GOOD)))
    for state in sorted(found.states, key=found.states.__getitem__, reverse=True):
        sign = SIGNS[state]
        parts.append((Text(f"{sign.legend} ", Role.LABEL), Text(percent(found.states[state]), sign.role)))
    return parts


def _process_times(seconds: int, found: Shares) -> list[Line]:
    """The shares of a writer's process."""
    parts: list[Line] = [(Text(f"last {seconds:>2} s", Role.LABEL),)]
    if not found.states:
        return [*parts, (Text("no worker", Role.LABEL),)]
    parts.append((Text("processor ", Role.LABEL), Text(percent(found.process), Role.GOOD)))
    parts.append((Text("committing ", Role.LABEL), Text(percent(found.committing), Role.VALUE)))
    if found.process:
        parts.append((Text("of it PostgreSQL ~", Role.LABEL), Text(percent(found.server), Role.VALUE)))
    return parts


def lock_detail(samples: Sequence[SecondSample], width: int) -> list[Line]:
    """The interpreter lock over the last ten seconds in a sentence; empty on an interpreter without it."""
    lock = lock_over(samples, _LOCK_SECONDS)
    if lock is None:
        return []
    role = _LOCK_ROLES[lock.word]
    parts = [
        (Text(f"last {_LOCK_SECONDS} s", Role.LABEL),),
        (Text("interpreter lock (GIL) ", Role.LABEL), Text(lock.word, role)),
        (Text("held ", Role.LABEL), Text(percent(lock.held), role)),
        (Text("a thread waits for it ", Role.LABEL), Text(milliseconds(lock.wait_ms))),
        (Text("at most ", Role.LABEL), Text(milliseconds(lock.longest_ms))),
    ]
    return [_longest_begin(parts, width)]


def lock_text(samples: Sequence[SecondSample]) -> Text:
    """The use of the interpreter lock in the last ten seconds, in a word: ` in use`."""
    lock = lock_over(samples, _LOCK_SECONDS)
    word = lock.word if lock is not None else ""
    return Text(fit(f" {word}", SHARE_WIDTH), _LOCK_ROLES.get(word, Role.LABEL))


def _longest_begin(parts: Sequence[Line], width: int) -> Line:
    """As many of the first parts as fit."""
    return longest_that_fits([joined(parts[:count], "  ") for count in range(len(parts), 0, -1)], width)
