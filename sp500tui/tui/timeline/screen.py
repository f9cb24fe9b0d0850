"""The timeline: what every worker did, on one time axis, live or frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.spans import SpanReport, WorkerSpans
from sp500tui.tui.render.lines import Line
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.render.titles import set_titles
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.timeline.render import (
    NAME_WIDTH,
    Window,
    axis_line,
    detail_line,
    legend_line,
    mark_line,
    queue_line,
    span_at,
    worker_line,
)

ZOOMS = (0.01, 0.05, 0.2, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)
"""Seconds of a screen."""
_DEFAULT_ZOOM = ZOOMS.index(10.0)
_KEPT = 120.0
"""Seconds that are read."""
_READ_EVERY = 0.5
_QUEUES = (QueueName.TICKERS, QueueName.QUOTES, QueueName.ROWS)
_FOOTER = 6
"""Lines below the workers: three queues, events, axis, legend."""
_MOVE = Binding.Group("Move", compact=True)
_ZOOM = Binding.Group("Zoom", compact=True)


@dataclass(frozen=True, slots=True)
class Recording:
    """What was read at one moment."""

    report: SpanReport
    samples: Sequence[SecondSample]
    events: Sequence[PipelineEvent]
    whole: bool = False
    """Whether everything that is kept was read, for a view that is frozen."""


class TimelineScreen(BaseScreen):
    """Workers by time; the queues, events and the span under the cursor below."""

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("timeline.tcss")]
    BINDING_GROUP_TITLE = "Timeline"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "freeze", "Freeze", id="timeline.freeze", tooltip="Stop or follow the present"),
        Binding("z", "zoom(-1)", "Zoom in", group=_ZOOM, id="timeline.zoom_in", tooltip="Show less time"),
        Binding("Z", "zoom(1)", "Zoom out", group=_ZOOM, id="timeline.zoom_out", tooltip="Show more time"),
        Binding(
            "up,k",
            "select(-1)",
            "Up",
            key_display="↑",
            group=_MOVE,
            id="timeline.up",
            tooltip="Previous worker",
        ),
        Binding(
            "down,j",
            "select(1)",
            "Down",
            key_display="↓",
            group=_MOVE,
            id="timeline.down",
            tooltip="Next worker",
        ),
        Binding(
            "left,h", "move(-1)", "Back", key_display="←", group=_MOVE, id="timeline.back", tooltip="Earlier"
        ),
        Binding("right,l", "move(1)", "On", key_display="→", group=_MOVE, id="timeline.on", tooltip="Later"),
        Binding(
            "f",
            "follow",
            "Follow batch",
            id="timeline.follow",
            tooltip="Dim all but the batch under the cursor",
        ),
    ]

    chart = getters.query_one("#timeline", LinesWidget)

    def __init__(self) -> None:
        super().__init__()
        self._recording: Recording | None = None
        self._failure = ""
        self._frozen = False
        self._zoom = _DEFAULT_ZOOM
        self._row = 0
        self._end: float | None = None
        """Right edge of the window while frozen, monotonic; None at the present."""
        self._column: int | None = None
        """Column of the cursor; None for the last one."""
        self.followed: int | None = None
        """The batch that is followed."""

    def compose_panels(self) -> ComposeResult:
        """The chart."""
        yield LinesWidget(id="timeline", classes="panel")

    def on_mount(self) -> None:
        """Read the spans regularly."""
        self.set_interval(_READ_EVERY, self._read)
        self._read()

    def _read(self) -> None:
        if not self._frozen:
            self._request(min(_KEPT, ZOOMS[self._zoom] + 2), whole=False)

    def _request(self, seconds: float, *, whole: bool) -> None:
        pipeline = self.dashboard.feed.pipeline
        if pipeline is not None:
            query = partial(_record, pipeline, seconds, whole=whole)
            self.run_worker(self._fetch(query), exclusive=True, group="spans", exit_on_error=False)

    @on(BaseScreen.QuerySucceeded)
    def keep(self, message: BaseScreen.QuerySucceeded) -> None:
        """Show what was read."""
        if isinstance(message.answer, Recording) and (message.answer.whole or not self._frozen):
            self._recording, self._failure = message.answer, ""
            self._draw()

    @on(BaseScreen.QueryFailed)
    def keep_failure(self, message: BaseScreen.QueryFailed) -> None:
        """Show why nothing could be read."""
        self._failure = message.reason
        self._draw()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._draw)

    # Drawing

    def _window(self, report: SpanReport) -> Window:
        columns = max(1, self.chart.size.width - NAME_WIDTH)
        return Window(report.monotonic if self._end is None else self._end, ZOOMS[self._zoom], columns)

    def _cursor(self, window: Window) -> int:
        return window.columns - 1 if self._column is None else min(self._column, window.columns - 1)

    def _marked(self, report: SpanReport) -> WorkerSpans | None:
        self._row = max(0, min(self._row, len(report.workers) - 1))
        return report.workers[self._row] if report.workers else None

    def _draw(self) -> None:
        recording = self._recording
        state = "frozen" if self._frozen else "live"
        followed = f", batch {self.followed}" if self.followed is not None else ""
        set_titles(self.chart, f"timeline ({state}, {ZOOMS[self._zoom]:g} s{followed})", self._failure)
        if recording is not None:
            self.chart.show_lines(self._lines(recording))

    def _lines(self, recording: Recording) -> list[Line]:
        report = recording.report
        window, marked = self._window(report), self._marked(report)
        cursor, (width, height) = self._cursor(window), self.chart.size
        room = max(1, height - _FOOTER - 1)
        top = max(0, min(self._row - room // 2, len(report.workers) - room))
        shown = report.workers[top : top + room]
        span = span_at(marked.spans, window, cursor) if marked is not None else None
        return [
            *(
                worker_line(each, window, marked=each is marked, cursor=cursor, batch=self.followed)
                for each in shown
            ),
            *(queue_line(name, recording.samples, report, window) for name in _QUEUES),
            mark_line(recording.events, report, window),
            axis_line(window, report.monotonic),
            detail_line(marked, span, report.monotonic, width),
            legend_line(width),
        ]

    # Actions

    def action_freeze(self) -> None:
        """Stop at this moment, or follow the present again."""
        if self._frozen:
            self._frozen, self._end, self._column = False, None, None
            self._read()
        else:
            self._freeze()
        self._draw()

    def _freeze(self) -> None:
        """Stop, and read all that is kept once, to pan and zoom in."""
        if not self._frozen:
            self._frozen = True
            self._request(_KEPT, whole=True)

    def action_zoom(self, direction: int) -> None:
        """Show less or more time around the right edge."""
        self._zoom = max(0, min(len(ZOOMS) - 1, self._zoom + direction))
        self._draw()

    def action_select(self, steps: int) -> None:
        """Mark another worker."""
        self._row += steps
        self._draw()

    def action_move(self, steps: int) -> None:
        """Move the cursor in time; at an edge the window moves. Freezes the view."""
        if self._recording is None:
            return
        self._freeze()
        report = self._recording.report
        window = self._window(report)
        column = self._cursor(window) + steps
        if not 0 <= column < window.columns:
            end = window.end + steps * window.seconds / 4
            self._end = max(report.monotonic - _KEPT + window.seconds, min(report.monotonic, end))
            column = max(0, min(window.columns - 1, column))
        self._column = column
        self._draw()

    def action_follow(self) -> None:
        """Follow the first batch of the span under the cursor, or none."""
        if self._recording is None:
            return
        report = self._recording.report
        window, marked = self._window(report), self._marked(report)
        span = span_at(marked.spans, window, self._cursor(window)) if marked is not None else None
        first = span.batches.first if span is not None else 0
        if self.followed is None and not first:
            self.notify("No batch under the cursor: move it to a span with one", severity="warning")
        self.followed = first if self.followed is None and first else None
        self._draw()


def _record(pipeline: PipelineControl, seconds: float, *, whole: bool) -> Recording:
    """Read spans, samples and events; runs on a background thread."""
    report = pipeline.spans(seconds)
    return Recording(report, pipeline.seconds_since(0)[1], pipeline.events_since(0)[1], whole)
