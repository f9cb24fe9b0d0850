"""The legend of the timeline: the letters of the states, and what the other signs mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.tui.render.lines import Line, Role, joined, longest_that_fits
from sp500tui.tui.render.lines import Span as Text
from sp500tui.tui.timeline.states import CYCLE, SIGNS, TRACE

_FREQUENT = (*list(SIGNS)[:7], WorkerState.IDLE)
"""The states of the legend in a window of 80 columns."""
_SHORT_WORDS = {"queue full": "full", "database": "db"}
"""Words of the legend in a narrower one."""


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
        (Text(TRACE, SIGNS[WorkerState.SOURCE].role), Text(" less", Role.LABEL)),
        (Text(CYCLE, Role.DIM), Text(" a cycle starts", Role.LABEL)),
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
