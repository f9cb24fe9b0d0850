"""The times of the stages: a table of the shares of all states of their workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import share_of
from sp500tui.tui.render.formats import fit, percent
from sp500tui.tui.render.labels import STAGE_TITLES, worker_state_label
from sp500tui.tui.render.lines import Line, Role, Span, cut

_STATES = (
    WorkerState.BUSY,
    WorkerState.SOURCE,
    WorkerState.LIMIT,
    WorkerState.RATE,
    WorkerState.JOURNAL,
    WorkerState.DATABASE,
    WorkerState.DATABASE_DOWN,
    WorkerState.BACKOFF,
    WorkerState.BLOCKED,
    WorkerState.PAUSED,
    WorkerState.IDLE,
)
"""The states with separate columns, from left to right."""
COLUMNS: Sequence[tuple[str, Sequence[WorkerState]]] = (
    *((worker_state_label(state), (state,)) for state in _STATES),
    ("other", tuple(state for state in WorkerState if state not in _STATES)),
)
"""Title and states of each column; those of the last one are short-lived."""
_NAME = max(map(len, STAGE_TITLES.values())) + 1
_CELLS = [max(len(title), len("100 %")) + 1 for title, _ in COLUMNS]
WIDTH = _NAME + sum(_CELLS)
"""Width of the table in cells."""


def titles_line(window: str, width: int) -> Line:
    """The titles of the columns, after the time that the shares cover: `last 60 s`."""
    titles = "".join(fit(title, cells, "right") for (title, _), cells in zip(COLUMNS, _CELLS, strict=True))
    return cut((Span(fit(window, _NAME) + titles, Role.LABEL),), width)


def stage_line(stage: StageName, seconds: Mapping[WorkerState, float], width: int) -> Line:
    """The shares of a stage, given the seconds that its workers spent in each state."""
    spans = [Span(fit(STAGE_TITLES[stage], _NAME), Role.TITLE)]
    for (_, states), cells in zip(COLUMNS, _CELLS, strict=True):
        share = share_of(seconds, states)
        spans.append(Span(fit(percent(share), cells, "right"), Role.VALUE if share else Role.DIM))
    return cut(spans, width)
