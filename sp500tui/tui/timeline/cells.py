"""The cells of the timeline: the time of one column, divided by the states of a worker or of a stage."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from math import ceil
from operator import attrgetter

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import NO_BATCHES, Span, SpanReport
from sp500tui.tui.timeline.rows import Row

_MOST = 0.5
_SOME = 0.1


class Strength(Enum):
    """How much of a cell's time was not idle."""

    MOST = "most"
    """At least half."""
    SOME = "some"
    """At least a tenth."""
    TRACE = "trace"
    """Less than a tenth, but more than nothing."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Window:
    """The time shown, in monotonic seconds of the pipeline, and the columns into which it is divided."""

    end: float
    seconds: float
    columns: int

    @classmethod
    def up_to(cls, now: float, seconds: float, columns: int) -> Window:
        """The window whose last column contains `now`.

        Columns begin at multiples of their length, so that cells keep their contents while they move.
        """
        length = seconds / max(1, columns)
        return cls(ceil(now / length) * length, seconds, columns)

    @property
    def begin(self) -> float:
        """The start of the first column."""
        return self.end - self.seconds

    @property
    def column_seconds(self) -> float:
        """The time of one column."""
        return self.seconds / max(1, self.columns)

    def without(self, columns: int) -> Window:
        """The window without a number of its first columns."""
        left = self.columns - columns
        return Window(self.end, left * self.column_seconds, left)

    def time_of(self, column: int) -> float:
        """The middle of a column."""
        return self.begin + (column + 0.5) * self.column_seconds

    def column_of(self, at: float) -> int | None:
        """The column of a time; None outside the window."""
        column = int((at - self.begin) // self.column_seconds)
        return column if 0 <= column < self.columns else None


@dataclass(slots=True)
class Cell:
    """The time of one column of one row."""

    seconds: dict[WorkerState, float] = field(default_factory=dict)
    """Seconds in each state."""
    longest: dict[WorkerState, tuple[float, Span]] = field(default_factory=dict)
    """The longest span of each state in the column, with its seconds in the column."""
    _look: tuple[WorkerState, Strength] | None = field(default=None, compare=False, repr=False)

    def add(self, span: Span, seconds: float) -> None:
        """Add a part of a span."""
        state = span.state
        self.seconds[state] = self.seconds.get(state, 0.0) + seconds
        known = self.longest.get(state)
        if known is None or seconds > known[0]:
            self.longest[state] = seconds, span
        self._look = None

    def add_all(self, other: Cell) -> None:
        """Add the time of the same column of another row."""
        for state, seconds in other.seconds.items():
            self.seconds[state] = self.seconds.get(state, 0.0) + seconds
        for state, longest in other.longest.items():
            known = self.longest.get(state)
            if known is None or longest[0] > known[0]:
                self.longest[state] = longest
        self._look = None

    @property
    def appearance(self) -> tuple[WorkerState, Strength]:
        """`state` and `strength`."""
        if self._look is None:
            self._look = _state(self.seconds), _strength(self.seconds)
        return self._look

    @property
    def state(self) -> WorkerState:
        """The state other than idle that took the most time; idle if there was none."""
        return self.appearance[0]

    @property
    def strength(self) -> Strength:
        """How much of the time was not idle, as a level."""
        return self.appearance[1]

    @property
    def span(self) -> Span:
        """The longest span of `state`."""
        return self.longest[self.state][1]

    def share(self, state: WorkerState) -> float:
        """The share of a state in the measured time, from 0 to 1."""
        return share_in(self.seconds, state)


def _state(seconds: Mapping[WorkerState, float]) -> WorkerState:
    active = [state for state in seconds if state is not WorkerState.IDLE]
    return max(active, key=seconds.__getitem__, default=WorkerState.IDLE)


def _strength(seconds: Mapping[WorkerState, float]) -> Strength:
    share = 1.0 - share_in(seconds, WorkerState.IDLE)
    if share >= _MOST:
        return Strength.MOST
    if share >= _SOME:
        return Strength.SOME
    return Strength.TRACE if len(seconds) > (WorkerState.IDLE in seconds) else Strength.NONE


Cells = Sequence[Cell | None]
"""A cell for each column; None where nothing was recorded."""


def share_in(seconds: Mapping[WorkerState, float], state: WorkerState) -> float:
    """The share of one state in the time of all states, from 0 to 1."""
    total = sum(seconds.values())
    return seconds.get(state, 0.0) / total if total else 0.0


def cells_of(spans: Sequence[Span], window: Window) -> list[Cell | None]:
    """The spans of one worker, in chronological order, divided into the columns of a window."""
    cells: list[Cell | None] = [None] * window.columns
    length, begin, last_column = window.column_seconds, window.begin, window.columns - 1
    for span in islice(spans, bisect_right(spans, begin, key=attrgetter("end")), None):
        if span.start >= window.end:
            break
        if span.end <= span.start:
            continue
        first = max(0, int((span.start - begin) // length))
        last = min(last_column, int((span.end - begin) // length))
        for column in range(first, last + 1):
            left = begin + column * length
            inside = min(span.end, left + length) - max(span.start, left)
            if inside > 0:
                cell = cells[column]
                if cell is None:
                    cell = cells[column] = Cell()
                cell.add(span, inside)
    return cells


def combined(rows: Sequence[Cells], columns: int) -> list[Cell | None]:
    """The cells of several workers as one row."""
    result: list[Cell | None] = [None] * columns
    for column in range(columns):
        for row in rows:
            part = row[column]
            if part is None:
                continue
            whole = result[column]
            if whole is None:
                whole = result[column] = Cell()
            whole.add_all(part)
    return result


def totals(cells: Cells) -> dict[WorkerState, float]:
    """The seconds of each state in all cells."""
    seconds: dict[WorkerState, float] = {}
    for cell in cells:
        for state, part in cell.seconds.items() if cell is not None else ():
            seconds[state] = seconds.get(state, 0.0) + part
    return seconds


def has_batch(span: Span, batch: int) -> bool:
    """Whether a span is part of a fetch batch."""
    return span.batches.first <= batch <= span.batches.last


def of_batch(spans: Iterable[Span], batch: int) -> list[Span]:
    """The spans, with those that are not part of a fetch batch as idle."""
    return [
        span
        if has_batch(span, batch) and span.state is not WorkerState.IDLE
        else Span(WorkerState.IDLE, span.start, span.end, NO_BATCHES)
        for span in spans
    ]


def row_cells(row: Row, window: Window, batch: int | None = None) -> Cells:
    """The cells of a row in a window; if a fetch batch is given, everything else is idle."""
    rows = [row.spans_of(worker) for worker in row.workers]
    found = [cells_of(spans if batch is None else of_batch(spans, batch), window) for spans in rows]
    return combined(found, window.columns) if row.is_heading else found[0]


class CellCache:
    """A cache of the complete columns of each row, which do not change while the window follows the present."""

    def __init__(self) -> None:
        self._view: tuple[float, int, int | None] | None = None
        """What the cells depend on."""
        self._rows: dict[str, tuple[int, list[Cell | None]]] = {}
        """The number of the first column, counted from zero of the clock, and the cells from there on."""

    def row_cells(self, row: Row, report: SpanReport, window: Window, batch: int | None = None) -> Cells:
        """Like the function `row_cells`, for a window created by `Window.up_to`.

        The span of a cell has the end that it had when the cell was created.
        """
        length = window.column_seconds
        if (view := (length, report.pid, batch)) != self._view:
            self._view, self._rows = view, {}
        first = round(window.begin / length)
        known_first, known = self._rows.get(row.key, (first, []))
        kept = known[first - known_first :] if first >= known_first else []
        rest = window.without(len(kept))
        cells = [*kept, *(row_cells(row, rest, batch) if rest.columns else ())]
        complete = int((row.settled(report.monotonic) - window.begin) // length)
        self._rows[row.key] = first, cells[: max(0, complete)]
        return cells


class WindowCache:
    """A cache of the cells of the rows in one window of one report, used while only the cursor moves."""

    def __init__(self) -> None:
        self._view: tuple[SpanReport, Window, int | None] | None = None
        """What the cells depend on."""
        self._rows: dict[str, Cells] = {}

    def row_cells(self, row: Row, report: SpanReport, window: Window, batch: int | None = None) -> Cells:
        """Like the function `row_cells`."""
        view = self._view
        # Reports are compared by identity: comparing all their spans takes as long as dividing them.
        if view is None or view[0] is not report or view[1:] != (window, batch):
            self._view, self._rows = (report, window, batch), {}
        cells = self._rows.get(row.key)
        if cells is None:
            cells = self._rows[row.key] = row_cells(row, window, batch)
        return cells
