"""The time bar: the time shown, on a line from beginning to end with marks for events and errors; its keys."""

from __future__ import annotations

from datetime import datetime

from textual.binding import Binding

from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.tui.render.formats import span
from sp500tui.tui.render.lines import Line, Role, Span, cut, width_of
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.lines_widget import LinesWidget

_SHORTEST = 8
"""Minimum cells of the line; a shorter one is left out."""
_STEP = Binding.Group("Back and forth", compact=True)
_MINUTE = Binding.Group("One minute", compact=True)
_EVENT = Binding.Group("Event", compact=True)
_ERROR = Binding.Group("Error", compact=True)
_SPEED = Binding.Group("Speed", compact=True)

TIME_BINDINGS: list[Binding] = [
    bind("time.back", "time_step(-1)", "Back in time", group=_STEP, show=False),
    bind("time.forth", "time_step(1)", "Forth in time", group=_STEP, show=False),
    bind("time.minute_back", "time_minute(-1)", "A minute back", group=_MINUTE, show=False),
    bind("time.minute_forth", "time_minute(1)", "A minute forth", group=_MINUTE, show=False),
    bind("time.previous_event", "time_event(-1)", "Previous event", group=_EVENT, show=False),
    bind("time.next_event", "time_event(1)", "Next event", group=_EVENT, show=False),
    bind("time.previous_error", "time_error(-1)", "Previous error", group=_ERROR, show=False),
    bind("time.next_error", "time_error(1)", "Next error", group=_ERROR, show=False),
    bind("time.end", "time_end", "Now", priority=True, show=False),
]
"""Keys in every dashboard."""

REPLAY_BINDINGS: list[Binding] = [
    bind("replay.play", "time_play", "Play", priority=True),
    bind("replay.slower", "time_speed(-1)", "Slower", group=_SPEED),
    bind("replay.faster", "time_speed(1)", "Faster", group=_SPEED),
    bind("replay.begin", "time_begin", "Beginning", priority=True, show=False),
]
"""Keys in a replay only."""


class TimeBar(LinesWidget):
    """One line above the keys, present only while a time other than the present is shown."""

    DEFAULT_CLASSES = "time-bar"

    def __init__(self, end_key: str) -> None:
        """`end_key`: the key that returns to the present."""
        super().__init__(id="time-bar")
        self._end_key = end_key
        self._marks: tuple[Recording, int, list[tuple[bool, bool]]] | None = None

    def show(self, replayed: ReplayedPipeline, *, is_replay: bool) -> None:
        """Show the time of a recording."""
        width = self.size.width
        if width <= 0:
            return
        left, right = _ends(replayed, "" if is_replay else self._end_key)
        cells = width - width_of(left) - width_of(right) - 4
        if cells < _SHORTEST:
            self.show_lines([cut((Span(" "), *left), width)])
            return
        line = _line(replayed, self._marks_of(replayed.recording, cells))
        self.show_lines([(Span(" "), *left, Span(" "), *line, Span(" "), *right, Span(" "))])

    def _marks_of(self, recording: Recording, cells: int) -> list[tuple[bool, bool]]:
        """The marks of the line; cached until the recording or the width changes."""
        if self._marks is None or self._marks[0] is not recording or self._marks[1] != cells:
            self._marks = recording, cells, recording.marks(cells)
        return self._marks[2]


def _ends(replayed: ReplayedPipeline, end_key: str) -> tuple[Line, Line]:
    """The texts before and after the line; a replay has no key that returns to the present."""
    playback = replayed.playback
    at = playback.at
    date = "" if end_key else f"{_local(at):%Y-%m-%d} "
    state = "▶" if playback.playing else "‖"
    left: Line = (
        Span(f"{state} ", Role.ACCENT),
        Span(f"{date}{_local(at):%H:%M:%S}", Role.SELECTED),
    )
    if end_key:
        return (
            (*left, Span(f" {span(playback.last - at)} ago", Role.WARN)),
            (Span(end_key, Role.ACCENT), Span(" now", Role.LABEL)),
        )
    speed = f" ×{playback.speed:g}"
    return (*left, Span(speed, Role.LABEL)), (Span(f"{_local(playback.last):%H:%M:%S}", Role.LABEL),)


def _line(replayed: ReplayedPipeline, marks: list[tuple[bool, bool]]) -> Line:
    """The line: a marker at the time shown, `!` at errors, `•` at events."""
    playback, cells = replayed.playback, len(marks)
    length = max(playback.last - playback.first, 1e-9)
    knob = min(cells - 1, int((playback.at - playback.first) / length * cells))
    spans: list[Span] = []
    for cell, (event, error) in enumerate(marks):
        past = Role.ACCENT if cell < knob else Role.DIM
        if cell == knob:
            spans.append(Span("◆", Role.TITLE))
        elif error:
            spans.append(Span("!", Role.BAD))
        elif event:
            spans.append(Span("•", Role.WARN))
        else:
            spans.append(Span("━" if cell < knob else "─", past))
    return tuple(spans)


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at).astimezone()
