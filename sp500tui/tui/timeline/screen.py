"""The timeline: what every worker did, on one time axis, live or frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.worker import Worker

from sp500tui.errors import Sp500tuiError
from sp500tui.output_file import output_file
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.snapshot import QueueSnapshot, Snapshot, WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.spans import SpanReport
from sp500tui.pipeline.trace import chrome_trace, write_trace
from sp500tui.tui.render.formats import clean, plural
from sp500tui.tui.render.lines import Line, cut
from sp500tui.tui.shell.background import run_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.timeline.axis_lines import (
    axis_line,
    cycle_columns,
    held_back_text,
    lock_line,
    mark_line,
    queue_line,
)
from sp500tui.tui.timeline.cells import CellCache, Cells, Window, WindowCache
from sp500tui.tui.timeline.details import detail_lines, failure_before, lock_detail, lock_text, time_lines
from sp500tui.tui.timeline.row_lines import NAME_WIDTH, SHARE_WIDTH, Guides, row_line, share_text
from sp500tui.tui.timeline.rows import Row, marked_row, rows_of, shown_rows
from sp500tui.tui.timeline.states import legend_lines
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

ZOOMS = (0.01, 0.05, 0.2, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)
"""Seconds shown on a screen."""
_DEFAULT_ZOOM = ZOOMS.index(10.0)
_KEPT = 120.0
"""Seconds read."""
TRACE_SECONDS = 60.0
"""Length of the trace of a live view."""
_READ_EVERY = 1.0
"""Seconds between two reads: drawing takes some 15 ms of processor time with 17 workers in 120 columns."""
_SHARES_FROM = 100
"""Minimum width in columns at which the share of each row is shown."""
_DETAIL_LINES = 2
_BY_SECOND = ("recorded by the second: the order within a second is not known", "recorded by the second")
"""The note that a recording lacks single spans, from long to short."""
_QUEUES_FROM, _LOCK_FROM, _LEGEND_FROM = 15, 19, 24
"""Minimum heights in lines at which queues, interpreter lock, and the second legend line are shown."""
_MOVE = Binding.Group("Move", compact=True)
_ZOOM = Binding.Group("Zoom", compact=True)


@dataclass(frozen=True, slots=True)
class Recording:
    """The spans, samples and events of one read."""

    report: SpanReport
    samples: Sequence[SecondSample]
    events: Sequence[PipelineEvent]
    whole: bool = False
    """Whether everything kept was read, for a frozen view."""

    def trace(self, seconds: float) -> dict[str, Any]:
        """The last seconds as a trace."""
        return chrome_trace(self.report, seconds, self.samples, self.events)


@dataclass(frozen=True, slots=True)
class TraceWritten:
    """A trace was written to a file."""

    file: Path
    events: int


class TimelineScreen(BaseScreen):
    """Workers by time; the queues, events and the span under the cursor below."""

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("timeline.tcss")]
    BINDING_GROUP_TITLE = "Timeline"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("timeline.freeze", "freeze", "Freeze"),
        bind("timeline.zoom_in", "zoom(-1)", "Zoom in", group=_ZOOM),
        bind("timeline.zoom_out", "zoom(1)", "Zoom out", group=_ZOOM),
        bind("timeline.up", "select(-1)", "Up", group=_MOVE),
        bind("timeline.down", "select(1)", "Down", group=_MOVE),
        bind("timeline.back", "move(-1)", "Back", group=_MOVE),
        bind("timeline.on", "move(1)", "On", group=_MOVE),
        bind("timeline.follow", "follow", "Follow batch"),
        bind("timeline.trace", "write_trace", "Write trace"),
    ]

    chart = getters.query_one("#timeline", LinesWidget)

    def __init__(self) -> None:
        super().__init__()
        self._recording: Recording | None = None
        self._frozen = False
        self._zoom = _DEFAULT_ZOOM
        self._marked = "price-1"
        """Key of the marked row."""
        self._row: int | None = None
        """Index of the marked row, used if the row is gone; None before it was shown."""
        self._folded = ""
        """Note on the number of rows that fit, if not all do."""
        self._end: float | None = None
        """Right edge of the window while frozen, monotonic; None at the newest read."""
        self._at: float | None = None
        """Time of the cursor, monotonic; None in the last column."""
        self.followed: int | None = None
        """The batch that is followed."""
        self._reading: Worker[None] | None = None
        self._drawn, self._still = CellCache(), WindowCache()

    def compose_panels(self) -> ComposeResult:
        """The chart."""
        yield LinesWidget(id="timeline", classes="panel")

    def on_mount(self) -> None:
        """Read the spans regularly."""
        self.set_interval(_READ_EVERY, self._read)
        self._read()

    def show_snapshot(self, snapshot: Snapshot) -> None:  # noqa: ARG002  # the spans are read on their own
        """Read at once if the time shown has changed, as it can with every snapshot of a recording."""
        if self._is_recorded and (self._reading is None or self._reading.is_finished):
            self._read()

    @property
    def _is_recorded(self) -> bool:
        """Whether a recording is shown, which has only the shares of each second."""
        return self._recording is not None and self._recording.report.by_second

    def _read(self) -> None:
        if not self._frozen:
            self._request(min(_KEPT, ZOOMS[self._zoom] + 2), whole=False)

    def _request(self, seconds: float, *, whole: bool) -> None:
        pipeline = self.dashboard.feed.pipeline
        if pipeline is not None:
            query = partial(_record, pipeline, seconds, whole=whole)
            self._reading = self.run_worker(
                partial(self._fetch, query), exclusive=True, group="spans", exit_on_error=False
            )

    def show_answer(self, answer: object) -> None:
        """Show what was read."""
        if isinstance(answer, Recording) and (answer.whole or not self._frozen):
            self._recording, self.failure = answer, ""
            self.draw_panels()

    def forget_answers(self) -> None:
        """Unfreeze the view and stop following a batch, because both belong to the previous time.

        The last result is drawn until the next read, so that the chart does not flicker with each step in time.
        """
        self.followed = None
        self._follow()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.draw_panels)

    @property
    def is_complete(self) -> bool:
        """Whether a frozen view has everything kept."""
        return self._recording is not None and self._recording.whole

    # Drawing

    def _window(self, report: SpanReport) -> Window:
        columns = max(1, self.chart.size.width - NAME_WIDTH - SHARE_WIDTH * self._with_shares)
        if self._end is None:
            return Window.up_to(report.monotonic, ZOOMS[self._zoom], columns)
        return Window(self._end, ZOOMS[self._zoom], columns)

    @property
    def _with_shares(self) -> bool:
        return self.chart.size.width >= _SHARES_FROM

    def _cursor(self, window: Window) -> int:
        column = None if self._at is None else window.column_of(self._at)
        if column is not None:
            return column
        return 0 if self._at is not None and self._at < window.begin else window.columns - 1

    def _mark(self, rows: Sequence[Row]) -> Row | None:
        """The marked row; if it is gone, another one, with a message."""
        if not rows:
            return None
        wanted, was_shown = self._marked, self._row is not None
        self._row = marked_row(rows, wanted, self._row or 0)
        row = rows[self._row]
        self._marked = row.key
        if was_shown and not row.answers_to(wanted):
            self.show_message(f"{wanted} is gone; {row.title} is marked now")
        return row

    def _cells(self, row: Row, report: SpanReport, window: Window) -> Cells:
        # The cells of the marked row refer to its spans, which have to be those of this report.
        if self._frozen or report.by_second or row.key == self._marked:
            return self._still.row_cells(row, report, window, self.followed)
        return self._drawn.row_cells(row, report, window, self.followed)

    def draw_panels(self) -> None:
        """Draw what was read, or the error."""
        recording = self._recording
        if recording is not None:
            width = self.chart.size.width
            self.chart.show_lines([cut(line, width) for line in self._lines(recording)])
        title, *shorter = [self._title(words) for words in (_BY_SECOND if self._is_recorded else ("",))]
        set_titles(self.chart, title, self.failure, shorter=shorter)

    def _title(self, by_second: str) -> str:
        """The title; `by_second` is the note that a recording lacks single spans."""
        states = ["frozen" if self._frozen else "" if self._is_recorded else "live"]
        states += [f"{ZOOMS[self._zoom]:g} s", f"batch {self.followed}" if self.followed is not None else ""]
        return f"timeline ({', '.join(filter(None, [*states, by_second]))}){self._folded}"

    def _lines(self, recording: Recording) -> list[Line]:
        report, (width, height) = recording.report, self.chart.size
        window, rows = self._window(report), rows_of(report)
        marked, guides = self._mark(rows), self._guides(recording, window)
        below = self._lines_below(recording, window)
        legend_height = 1 + (height >= _LEGEND_FROM)
        room = max(1, height - len(below) - _DETAIL_LINES - legend_height)
        lines: list[Line] = []
        under_cursor: Cells = ()
        present: set[WorkerState] = set()
        shown = shown_rows(rows, self._marked, room)
        hidden = len(rows) - len(shown)
        self._folded = f" · {len(shown)} of {plural(len(rows), 'row')}" if hidden else ""
        for number, row in enumerate(shown):
            cells = self._cells(row, report, window)
            present.update(cell.state for cell in cells if cell is not None)
            if row is marked:
                under_cursor = cells
            folded = number + 1 == len(shown) or shown[number + 1].stage is not row.stage
            line = row_line(row, cells, guides, marked=row is marked, folded=folded)
            lines.append((*line, share_text(cells)) if self._with_shares else line)
        times = time_lines(marked, recording.samples, width) if marked is not None else []
        left = room - len(lines)
        lock = lock_detail(recording.samples, width) if left >= len(times) + 1 else []
        times = [*lock, *times] if left >= len(times) else []
        space: list[Line] = [()] * min(3, left - len(times))
        failure = partial(failure_before, recording.events, report)
        cursor = self._cursor(window)
        detail = detail_lines(marked, under_cursor, cursor, window, report.monotonic, failure, width=width)
        legend = legend_lines(width, legend_height, present)
        return [*lines, *space[:1], *below, *space[1:2], *detail, *times, *space[2:], *legend]

    def _guides(self, recording: Recording, window: Window) -> Guides:
        return Guides(self._cursor(window), cycle_columns(recording.events, recording.report, window))

    def _lines_below(self, recording: Recording, window: Window) -> list[Line]:
        """Queues, events and the axis."""
        report, snapshot = recording.report, self.dashboard.snapshot
        queues = [
            queue
            for queue in snapshot.queues
            if self.chart.size.height >= _QUEUES_FROM
            and (queue.name is not QueueName.HISTORY or snapshot.has_history)
        ]
        return [
            *(self._queue_line(each, recording, window) for each in queues),
            *(self._lock_line(recording, window) if self.chart.size.height >= _LOCK_FROM else ()),
            mark_line(recording.events, report, window),
            axis_line(
                window,
                report.monotonic,
                newest="0 s" if report.by_second else "now",
                with_shares=self._with_shares,
            ),
        ]

    def _queue_line(self, queue: QueueSnapshot, recording: Recording, window: Window) -> Line:
        report = recording.report
        line = queue_line(queue.name, queue.capacity, recording.samples, report, window)
        if not self._with_shares:
            return line
        shown = [
            sample
            for sample in recording.samples
            if window.begin - 1 < report.time_of(sample.second, sample.at) < window.end
        ]
        return (*line, held_back_text(shown, queue.name))

    def _lock_line(self, recording: Recording, window: Window) -> list[Line]:
        """The interpreter lock; nothing if there is none, or if a recording does not have it."""
        samples = recording.samples
        if not any(sample.interpreter_lock is not None for sample in samples):
            return []
        line = lock_line(samples, recording.report, window)
        return [(*line, lock_text(samples)) if self._with_shares else line]

    # Actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to follow a batch only with single spans: a recording has only the seconds in each state."""
        if action == "follow":
            return self.replayed is None
        return super().check_action(action, parameters)

    def action_freeze(self) -> None:
        """Freeze the view, or follow the present again."""
        if self._frozen:
            self._follow()
        else:
            self._freeze()
        self.draw_panels()

    def _follow(self) -> None:
        """Show the present, or the time of a recording."""
        self._frozen, self._end, self._at = False, None, None
        self._read()

    def _freeze(self) -> None:
        """Freeze the window shown, and read everything kept once, to pan and zoom in it."""
        if not self._frozen:
            if self._recording is not None:
                self._end = self._window(self._recording.report).end
            self._frozen = True
            self._request(_KEPT, whole=True)

    def action_zoom(self, direction: int) -> None:
        """Show less or more time; the cursor of a frozen view keeps its position."""
        recording, zoom = self._recording, max(0, min(len(ZOOMS) - 1, self._zoom + direction))
        if recording is not None and self._frozen:
            window = self._window(recording.report)
            at = window.end if self._at is None else self._at
            self._show_until(at + (window.end - at) * ZOOMS[zoom] / window.seconds, recording.report, zoom)
        self._zoom = zoom
        self.draw_panels()

    def _show_until(self, end: float, report: SpanReport, zoom: int) -> None:
        """Move the right edge of a frozen view within the time that was read."""
        earliest = report.monotonic - _KEPT + ZOOMS[zoom]
        self._end = None if end >= report.monotonic else max(earliest, end)

    def action_select(self, steps: int) -> None:
        """Mark another row."""
        rows = rows_of(self._recording.report) if self._recording is not None else []
        marked = self._mark(rows)
        if marked is not None:
            self._row = max(0, min(rows.index(marked) + steps, len(rows) - 1))
            self._marked = rows[self._row].key
        self.draw_panels()

    def action_move(self, steps: int) -> None:
        """Move the cursor in time, and the window at its edges. Freezes the view."""
        if self._recording is None:
            return
        self._freeze()
        report = self._recording.report
        window = self._window(report)
        at = window.time_of(self._cursor(window) + steps)
        if window.column_of(at) is None:
            self._show_until(window.end + steps * window.seconds / 4, report, self._zoom)
            window = self._window(report)
        first, last = window.time_of(0), window.time_of(window.columns - 1)
        self._at = max(first, min(last, at))
        self.draw_panels()

    def move_to(self, row: str, age: float) -> None:
        """Freeze the view with the cursor in a row, `age` seconds before the present."""
        if self._recording is not None:
            self._freeze()
            self._marked, self._at = row, self._recording.report.monotonic - age
            self.draw_panels()

    def action_follow(self) -> None:
        """Follow the first batch of the span under the cursor, or stop following."""
        if self._recording is None:
            return
        report = self._recording.report
        window, marked = self._window(report), self._mark(rows_of(report))
        cell = self._cells(marked, report, window)[self._cursor(window)] if marked is not None else None
        first = cell.span.batches.first if cell is not None else 0
        if self.followed is None and not first:
            self.notify("No batch under the cursor: move it to a span with one", severity="warning")
        self.followed = first if self.followed is None and first else None
        self.draw_panels()

    async def _fetch_trace(self, query: Callable[[], TraceWritten]) -> None:
        """Write a trace on a background thread, and show its path or the error."""
        try:
            written = await run_in_background("trace", query)
        except Sp500tuiError as error:
            self.show_message(clean(str(error)))
        else:
            events = plural(written.events, "event")
            self.show_message(clean(f"trace: {events} written to {written.file}; open it at ui.perfetto.dev"))

    def action_write_trace(self) -> None:
        """Write a trace to the export folder."""
        pipeline = self.dashboard.feed.pipeline
        if pipeline is None:
            self.show_message("The pipeline is still starting")
            return
        file = self.dashboard.export_folder / f"sp500tui-trace-{self.dashboard.clock():%Y%m%d-%H%M%S}.json"
        frozen = self._recording if self.is_complete else None
        query = partial(_write_trace, frozen, pipeline, file)
        self.run_worker(self._fetch_trace(query), group="trace", exit_on_error=False)


def _record(pipeline: PipelineControl, seconds: float, *, whole: bool) -> Recording:
    """Read spans, samples and events; runs on a background thread."""
    report = pipeline.spans(seconds)
    return Recording(report, pipeline.seconds_since(0)[1], pipeline.events_since(0)[1], whole)


def _write_trace(recording: Recording | None, pipeline: PipelineControl, file: Path) -> TraceWritten:
    """Write a frozen recording, or the pipeline's last minute; runs on a background thread.

    Raises:
        Sp500tuiError: as `output_file`.
    """
    shown = _record(pipeline, TRACE_SECONDS, whole=False) if recording is None else recording
    trace = shown.trace(TRACE_SECONDS if recording is None else _KEPT)
    with output_file(file) as opened:
        write_trace(trace, opened)
    return TraceWritten(file, len(trace["traceEvents"]))
