"""The keys of the time bar."""

from __future__ import annotations

from textual.binding import Binding

from sp500tui.tui.widgets.bindings import bind

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
"""Keys of every dashboard."""

REPLAY_BINDINGS: list[Binding] = [
    bind("replay.play", "time_play", "Play", priority=True),
    bind("replay.slower", "time_speed(-1)", "Slower", group=_SPEED),
    bind("replay.faster", "time_speed(1)", "Faster", group=_SPEED),
    bind("replay.begin", "time_begin", "Beginning", priority=True, show=False),
]
"""Keys of a replay only."""
