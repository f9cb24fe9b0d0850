"""Rendering of the timeline: a row a worker, columns of time, and below them queues, events, axis and explanations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.shares import WINDOWS, Shares, held_back, lock_over, shares_over
from sp500tui.pipeline.core.timing.spans import CAPACITY, Span, SpanReport
from sp500tui.tui.render.event_marks import event_mark
from sp500tui.tui.render.formats import clean, fit, milliseconds
from sp500tui.tui.render.lines import Line, Role, cut, joined, longest_that_fits, width_of
from sp500tui.tui.render.lines import Span as Text
from sp500tui.tui.render.strips import Mark, depth_sign, event_strip
from sp500tui.tui.timeline.cells import Cell, Cells, Strength, Window, share_in, totals
from sp500tui.tui.timeline.rows import Row
from sp500tui.tui.timeline.states import SIGNS, reason

NAME_WIDTH = 15
"""Cells of the rows' labels, at the left."""
SHARE_WIDTH = 7
"""Cells of the shares at the right, where there is room for them."""
_TRACE, _CYCLE, _CURSOR, _NOTHING = "▁", "┊", "│", " "
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
_LABEL_COLUMNS = 10
_FREQUENT = (*list(SIGNS)[:7], WorkerState.IDLE)
"""The states of the legend in a window of 80 columns."""
_SHORT_WORDS = {"queue full": "full", "database": "db"}
"""Words of the legend in a narrower one."""
_LOCK_ROLES = {"free": Role.GOOD, "in use": Role.LABEL, "busy": Role.WARN}
_LOCK_SECONDS = 10
"""Seconds that the figures of the interpreter lock are of."""
_FULL = 0.9
"""Share of a queue's capacity from which it counts as full."""


@dataclass(frozen=True, slots=True)
class Guides:
    """Columns that are marked in every row."""

    cursor: int | None = None
    cycles: Collection[int] = ()
    """Those in which a cycle starts."""


def row_line(row: Row, cells: Cells, guides: Guides, *, marked: bool, folded: bool = False) -> Line:
    """The label and the cells of a row."""
    fold = ("▸ " if folded else "▾ ") if row.is_heading else ""
    role = Role.SELECTED if marked else Role.TITLE if row.is_heading else Role.LABEL
    return (
        Text(fit(fold + row.label, NAME_WIDTH - 1), role),
        Text(" "),
        *_texts(row, cells, guides, marked=marked),
    )


def _texts(row: Row, cells: Cells, guides: Guides, *, marked: bool) -> Iterator[Text]:
    """The cells of a row with the guides, neighbours of one role as one text."""
    characters, roles = _signs(cells, by_state=row.is_heading)
    for column in guides.cycles:
        if roles[column] is Role.DIM:
            characters[column] = _CYCLE
    cursor = guides.cursor
    if cursor is not None and marked:
        cell = cells[cursor]
        characters[cursor] = SIGNS[cell.state].letter if cell is not None else _NOTHING
        roles[cursor] = Role.SELECTED
    elif cursor is not None and roles[cursor] is Role.DIM:
        characters[cursor], roles[cursor] = _CURSOR, Role.ACCENT
    text = "".join(characters)
    column = 0
    for role, found in groupby(roles):
        length = len(tuple(found))
        yield Text(text[column : column + length], role)
        column += length


def _signs(cells: Cells, *, by_state: bool) -> tuple[list[str], list[Role]]:
    """The character and the role of each cell; a bar has its word if it is long enough."""
    characters = [_NOTHING] * len(cells)
    roles = [Role.DIM] * len(cells)
    column = 0
    while column < len(cells):
        cell = cells[column]
        length = 1
        if cell is not None:
            state, strength = cell.appearance
            sign = SIGNS[state]
            if strength is Strength.MOST:
                length = _bar_length(cells, column, cell, by_state=by_state)
                word = sign.word if length > len(sign.word) else sign.letter
                characters[column : column + len(word)] = word
                roles[column : column + length] = [sign.filled] * length
            else:
                characters[column], roles[column] = _weak_sign(sign.letter, strength), sign.role
        column += length
    return characters, roles


def _bar_length(cells: Cells, first: int, bar: Cell, *, by_state: bool) -> int:
    """The number of cells from `first` on that belong to the bar which begins there."""
    appearance, start = bar.appearance, bar.span.start
    for column in range(first + 1, len(cells)):
        cell = cells[column]
        if cell is None or cell.appearance != appearance or not (by_state or cell.span.start == start):
            return column - first
    return len(cells) - first


def _weak_sign(letter: str, strength: Strength) -> str:
    """The character of a cell that was idle for most of the time."""
    if strength is Strength.SOME or letter == SIGNS[WorkerState.BACKOFF].letter:
        return letter.lower()
    return _TRACE if strength is Strength.TRACE else letter


def _merged(cells: Iterable[Text]) -> list[Text]:
    """Neighbours of one role as one text."""
    merged: list[Text] = []
    for cell in cells:
        if merged and merged[-1].role is cell.role:
            merged[-1] = Text(merged[-1].text + cell.text, cell.role)
        else:
            merged.append(cell)
    return merged


def share_text(cells: Cells) -> Text:
    """The state other than idle that took most of the window, with its share: ` S 62 %`."""
    seconds = totals(cells)
    active = [state for state in seconds if state is not WorkerState.IDLE]
    state = max(active, key=seconds.__getitem__, default=None)
    if state is None:
        return Text(" " * SHARE_WIDTH, Role.DIM)
    percent = share_in(seconds, state) * 100
    number = "<1" if percent < 0.5 else f"{percent:.0f}"
    return Text(f" {SIGNS[state].letter}{number:>3} %", SIGNS[state].role)


def shares(seconds: Mapping[WorkerState, float]) -> str:
    """The shares of all states, largest first: `source 62 %, idle 38 %`."""
    return ", ".join(_share_parts(seconds))


def _share_parts(seconds: Mapping[WorkerState, float]) -> list[str]:
    ordered = sorted(seconds, key=seconds.__getitem__, reverse=True)
    return [f"{SIGNS[state].legend} {_percent(share_in(seconds, state))}" for state in ordered]


def _largest_shares(
    begin: Line, title: str, seconds: Mapping[WorkerState, float], width: int, role: Role = Role.VALUE
) -> Line:
    """The shares behind a title, without the smallest ones where there is no room for all."""
    parts = _share_parts(seconds)
    counts = range(len(parts), 0, -1)
    texts = (f"{title}{', '.join(parts[:count])}" for count in counts)
    return longest_that_fits([(*begin, Text(text, role)) for text in texts], width)


# Below the workers


def axis_line(window: Window, now: float, *, newest: str = "now", with_shares: bool = False) -> Line:
    """Ages at round distances: `╷−2 s`, and `newest` where the age is zero; the title of the shares behind it."""
    cells = [" "] * window.columns
    length = window.column_seconds
    step = _label_distance(now - window.begin, length)
    age = max(0.0, ceil((now - window.end) / step - 1e-6) * step)
    while age <= now - window.begin:
        column = window.column_of(now - age - length * 1e-6)
        label = _age_label(age, step) if age else f"╷{newest}"
        if column is not None and age == 0:
            column = max(0, min(column, window.columns - len(label)))
        # Part of an age would be another one.
        if column is not None and (age == 0 or column + len(label) <= window.columns):
            for at, character in enumerate(label[: window.columns - column], column):
                if cells[at] == " ":
                    cells[at] = character
        age = round(age + step, 6)
    title = fit("share", SHARE_WIDTH, "right") if with_shares else ""
    return (Text(fit("", NAME_WIDTH)), Text("".join(cells) + title, Role.LABEL))


def _label_distance(oldest: float, length: float) -> float:
    """The seconds between two labels of the axis that leave a blank between them; `length` is that of a column."""
    for step in _STEPS:
        if step / length >= max(_LABEL_COLUMNS, len(_age_label(oldest, step)) + 1):
            return step
    return _STEPS[-1]


def _age_label(age: float, step: float) -> str:
    """An age with the decimals that distinguish it from the next label."""
    if step < 0.1 and age < 1:
        return f"╷−{age * 1000:.0f} ms"
    decimals = next(places for places in range(4) if step >= 10.0**-places)
    return f"╷−{age:.{decimals}f} s"


def cycle_columns(events: Sequence[PipelineEvent], report: SpanReport, window: Window) -> set[int]:
    """The columns in which a cycle starts."""
    starts = [event for event in events if event.kind is EventKind.CYCLE_STARTED]
    columns = {window.column_of(report.time_of(event.second, event.at)) for event in starts}
    return {column for column in columns if column is not None}


def mark_line(events: Sequence[PipelineEvent], report: SpanReport, window: Window) -> Line:
    """Starts of cycles, failures, kills and scalings, with as many words as there is room for."""
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
    # The start of a cycle is visible in the rows too: it makes room for the words of what happened before it.
    marks += [
        cycle for cycle in cycles if not any(0 < mark.ago - cycle.ago < len(mark.label) + 3 for mark in marks)
    ]
    return (Text(fit("events", NAME_WIDTH), Role.LABEL), *event_strip(marks, window.columns))


def queue_line(
    name: QueueName, capacity: int, samples: Sequence[SecondSample], report: SpanReport, window: Window
) -> Line:
    """The highest depth of a queue in each second, and the highest of them; amber where the queue is full."""
    # Recordings that are older than a queue do not have it.
    found = [(each, queue.max_ready) for each in samples for queue in each.queues if queue.name is name]
    depths = _by_second(found, report, window)
    peak = max((depth for depth in depths if depth is not None), default=0)
    label = f"{name} {peak:>{NAME_WIDTH - 2 - len(name)},.0f}"
    return (Text(fit(label, NAME_WIDTH), Role.LABEL), *_bars(depths, capacity))


def lock_line(samples: Sequence[SecondSample], report: SpanReport, window: Window) -> Line:
    """The share of each second for which the interpreter lock was held, and their mean; amber where nearly always."""
    shown = [(each, each.interpreter_lock.held if each.interpreter_lock else 0.0) for each in samples]
    held = _by_second(shown, report, window)
    known = [share for share in held if share is not None]
    mean = 100 * sum(known) / len(known) if known else 0.0
    return (Text(fit(f"GIL held {mean:>3.0f} %", NAME_WIDTH), Role.LABEL), *_bars(held, 1.0))


def lock_text(samples: Sequence[SecondSample]) -> Text:
    """What the interpreter lock is in the last ten seconds, in a word: ` in use`."""
    lock = lock_over(samples, _LOCK_SECONDS)
    word = lock.word if lock is not None else ""
    return Text(fit(f" {word}", SHARE_WIDTH), _LOCK_ROLES.get(word, Role.LABEL))


def lock_detail(samples: Sequence[SecondSample], width: int) -> list[Line]:
    """The interpreter lock over the last ten seconds in a sentence; nothing on an interpreter without it."""
    lock = lock_over(samples, _LOCK_SECONDS)
    if lock is None:
        return []
    role = _LOCK_ROLES[lock.word]
    parts = [
        (Text(f"last {_LOCK_SECONDS} s", Role.LABEL),),
        (Text("interpreter lock (GIL) ", Role.LABEL), Text(lock.word, role)),
        (Text("held ", Role.LABEL), Text(_percent(lock.held), role)),
        (Text("a thread waits for it ", Role.LABEL), Text(milliseconds(lock.wait_ms))),
        (Text("at most ", Role.LABEL), Text(milliseconds(lock.longest_ms))),
    ]
    return [_longest_begin(parts, width)]


def _longest_begin(parts: Sequence[Line], width: int) -> Line:
    """As many of the parts as fit, the first ones."""
    return longest_that_fits([joined(parts[:count], "  ") for count in range(len(parts), 0, -1)], width)


def _by_second(
    values: Sequence[tuple[SecondSample, float]], report: SpanReport, window: Window
) -> list[float | None]:
    """The highest value of the seconds in each column."""
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


def legend_lines(width: int, lines: int, present: Collection[WorkerState] = ()) -> list[Line]:
    """The letters of the states; with two lines also what small letters and other signs mean.

    Where there is no room for all, those in `present` and the frequent ones come before the others.
    """
    states = longest_that_fits(list(_legends(present)), width)
    if lines < 2:
        return [states]
    explained = (
        (Text("S", SIGNS[WorkerState.SOURCE].filled), Text(" at least half of the cell's time", Role.LABEL)),
        (Text("s", SIGNS[WorkerState.SOURCE].role), Text(" at least a tenth", Role.LABEL)),
        (Text(_TRACE, SIGNS[WorkerState.SOURCE].role), Text(" less", Role.LABEL)),
        (Text(_CYCLE, Role.DIM), Text(" a cycle starts", Role.LABEL)),
        (Text("▁▄█", Role.ACCENT), Text(" 1, 25, 100 % full or held", Role.LABEL)),
    )
    return [states, longest_that_fits([joined(explained[:count], "  ") for count in (5, 4, 3)], width)]


def _legends(present: Collection[WorkerState]) -> Iterator[Line]:
    """The states from all of them to those in `present`, which are the last to be left out."""
    needed = [state for state in SIGNS if state in _FREQUENT or state in present]
    rare = [state for state in SIGNS if state not in needed]
    for count in range(len(rare), -1, -1):
        yield _legend({*needed, *rare[:count]}, {}, "  ")
        yield _legend({*needed, *rare[:count]}, {}, " ")
    dropped = [state for state in reversed(needed) if state not in present]
    for count in range(len(dropped) + 1):
        yield _legend({*needed} - {*dropped[:count]}, _SHORT_WORDS, " ")


def _legend(states: Collection[WorkerState], words: Mapping[str, str], between: str) -> Line:
    return joined(
        [
            (Text(sign.letter, sign.filled), Text(f" {words.get(sign.legend, sign.legend)}", Role.LABEL))
            for state, sign in SIGNS.items()
            if state in states
        ],
        between,
    )


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
    """What the cell under the cursor is: the span and the reason, or the shares of a stage.

    `failure`: why a worker failed before a span in which it waits to start again; empty if unknown.
    """
    cell = cells[cursor] if 0 <= cursor < len(cells) else None
    if row is None:
        return [(Text("Starting workers …", Role.LABEL),), ()]
    title = Text(row.title, Role.TITLE)
    if cell is None:
        why = Text(_why_blank(row, window.time_of(cursor)), Role.LABEL)
        one_line = (title, Text("   "), why)
        return [one_line, ()] if width_of(one_line) <= width else [(title,), (why,)]
    if row.is_heading:
        shown = f"{_duration(window.seconds)} shown: "
        return [
            _largest_shares((title,), "   ", cell.seconds, width),
            _largest_shares((), shown, totals(cells), width, Role.LABEL),
        ]
    span, sign = cell.span, SIGNS[cell.state]
    first, last = span.batches
    batches = "" if not first else f"batch {first}" if first == last else f"batches {first} to {last}"
    lasted, age = (
        f"for {_duration(span.end - span.start)}",
        f"{_duration(max(0.0, now - span.start))} ago",
    )
    failed = failure(row.workers[0].name, span) if span.state is WorkerState.BACKOFF else ""
    parts = [(Text(failed or reason(row.stage, span, process=row.is_process)),)]
    if len(cell.seconds) > 1:
        parts.append((Text(f"this cell: {shares(cell.seconds)}", Role.LABEL),))
    state = _state_words(cell.state, row)
    variants = [
        joined([(title,), (Text(state, sign.role),), *((Text(text),) for text in texts if text)], between)
        for texts, between in (
            ((lasted, age, batches), "   "),
            ((lasted, age, batches), "  "),
            ((lasted, batches.replace(" to ", "–")), "  "),
        )
    ]
    return [longest_that_fits(variants, width), longest_that_fits([joined(parts), parts[0]], width)]


def _state_words(state: WorkerState, row: Row) -> str:
    """A state as the legend has it, where its own word says less."""
    if row.is_process and state is WorkerState.DATABASE:
        return "committing"
    return SIGNS[state].legend if state is WorkerState.BACKOFF else str(state)


def failure_before(events: Sequence[PipelineEvent], report: SpanReport, name: str, span: Span) -> str:
    """The message of the failure after which a worker waits in a span; empty if there is none among the events."""
    messages = [
        event.message
        for event in events
        if event.kind is EventKind.WORKER_DIED
        and event.worker == name
        and abs(report.time_of(event.second, event.at) - span.start) <= 1.0
    ]
    return clean(messages[-1]) if messages else ""


def _why_blank(row: Row, at: float) -> str:
    """Why a row has nothing at a time."""
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


def cut_all(lines: Sequence[Line], width: int) -> list[Line]:
    """The lines in exactly `width` cells."""
    return [cut(line, width) for line in lines]


def time_lines(row: Row, samples: Sequence[SecondSample], width: int) -> list[Line]:
    """The shares of a row over the last 1, 10 and 60 seconds: on the processor, waiting for the interpreter, states.

    The smallest shares are left out where there is no room for them.
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
    parts.append((Text("processor ", Role.LABEL), Text(_percent(found.processor), Role.GOOD)))
    parts.append((Text("interpreter ~", Role.LABEL), Text(_percent(found.interpreter), Role.WARN)))
    if found.process:
        parts.append((Text("processes ", Role.LABEL), Text(_percent(found.process), Role.GOOD)))
    for state in sorted(found.states, key=found.states.__getitem__, reverse=True):
        sign = SIGNS[state]
        parts.append((Text(f"{sign.legend} ", Role.LABEL), Text(_percent(found.states[state]), sign.role)))
    return parts


def _process_times(seconds: int, found: Shares) -> list[Line]:
    """The shares of a writer's process."""
    parts: list[Line] = [(Text(f"last {seconds:>2} s", Role.LABEL),)]
    if not found.states:
        return [*parts, (Text("no worker", Role.LABEL),)]
    parts.append((Text("processor ", Role.LABEL), Text(_percent(found.process), Role.GOOD)))
    parts.append((Text("committing ", Role.LABEL), Text(_percent(found.committing), Role.VALUE)))
    if found.process:
        parts.append((Text("of it PostgreSQL ~", Role.LABEL), Text(_percent(found.server), Role.VALUE)))
    return parts


def held_back_text(samples: Sequence[SecondSample], queue: QueueName) -> Text:
    """How long the workers that fill a queue waited for room in it, as a share of the seconds shown: ` B 61 %`."""
    share = held_back(samples, queue)
    if not share:
        return Text(" " * SHARE_WIDTH, Role.DIM)
    sign = SIGNS[WorkerState.BLOCKED]
    return Text(f" {sign.letter}{_percent(share):>{SHARE_WIDTH - 2}}", sign.role)


def _percent(share: float) -> str:
    return "0 %" if not share else "<1 %" if share < 0.005 else f"{share * 100:.0f} %"
