"""The keys of the time bar."""

from __future__ import annotations

from textual.binding import Binding

_STEP = Binding.Group("Back and forth", compact=True)
_MINUTE = Binding.Group("One minute", compact=True)
_EVENT = Binding.Group("Event", compact=True)
_ERROR = Binding.Group("Error", compact=True)
_SPEED = Binding.Group("Speed", compact=True)

TIME_BINDINGS: list[Binding] = [
    Binding(
        "comma",
        "time_step(-1)",
        "Back in time",
        key_display=",",
        group=_STEP,
        id="time.back",
        show=False,
        tooltip="Go back in time; a live dashboard keeps the last 15 minutes while the pipeline goes on",
    ),
    Binding(
        "full_stop",
        "time_step(1)",
        "Forth in time",
        key_display=".",
        group=_STEP,
        id="time.forth",
        show=False,
        tooltip="Go forth in time",
    ),
    Binding(
        "ctrl+left",
        "time_minute(-1)",
        "A minute back",
        key_display="^←",
        group=_MINUTE,
        id="time.minute_back",
        show=False,
        tooltip="Go back one minute",
    ),
    Binding(
        "ctrl+right",
        "time_minute(1)",
        "A minute forth",
        key_display="^→",
        group=_MINUTE,
        id="time.minute_forth",
        show=False,
        tooltip="Go forth one minute",
    ),
    Binding(
        "left_curly_bracket",
        "time_event(-1)",
        "Previous event",
        key_display="{",
        group=_EVENT,
        id="time.previous_event",
        show=False,
        tooltip="Go back to the previous event that is not part of the routine",
    ),
    Binding(
        "right_curly_bracket",
        "time_event(1)",
        "Next event",
        key_display="}",
        group=_EVENT,
        id="time.next_event",
        show=False,
        tooltip="Go to the next event that is not part of the routine",
    ),
    Binding(
        "left_parenthesis",
        "time_error(-1)",
        "Previous error",
        key_display="(",
        group=_ERROR,
        id="time.previous_error",
        show=False,
        tooltip="Go back to the previous error, of an event or in the log",
    ),
    Binding(
        "right_parenthesis",
        "time_error(1)",
        "Next error",
        key_display=")",
        group=_ERROR,
        id="time.next_error",
        show=False,
        tooltip="Go to the next error, of an event or in the log",
    ),
    Binding(
        "end",
        "time_end",
        "Now",
        id="time.end",
        priority=True,
        show=False,
        tooltip="Return to the present, or go to the end of a recording; at the present it is a list's last row",
    ),
]
"""Keys of every dashboard."""

REPLAY_BINDINGS: list[Binding] = [
    Binding(
        "space",
        "time_play",
        "Play",
        id="replay.play",
        priority=True,
        tooltip="Play the recording, or pause it",
    ),
    Binding(
        "less_than_sign",
        "time_speed(-1)",
        "Slower",
        key_display="<",
        group=_SPEED,
        id="replay.slower",
        tooltip="Play more slowly",
    ),
    Binding(
        "greater_than_sign",
        "time_speed(1)",
        "Faster",
        key_display=">",
        group=_SPEED,
        id="replay.faster",
        tooltip="Play faster",
    ),
    Binding(
        "home",
        "time_begin",
        "Beginning",
        id="replay.begin",
        priority=True,
        show=False,
        tooltip="Go to the beginning of the recording",
    ),
]
"""Keys of a replay only."""
