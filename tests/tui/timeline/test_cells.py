"""The cells of the timeline: the time of a column by states."""

from __future__ import annotations

import pytest

from sp500tui.pipeline.core.timing.spans import Span
from sp500tui.tui.timeline.cells import Window, cells_of
from sp500tui.tui.timeline.details import (
    shares,
)
from tests.support.tui.timeline_spans import (
    BUSY,
    IDLE,
    SOURCE,
    WINDOW,
)


def test_the_state_that_took_most_of_the_active_time_names_a_cell() -> None:
    spans = (Span(BUSY, 90.0, 90.2), Span(SOURCE, 90.2, 90.7), Span(IDLE, 90.7, 91.0))
    (cell, *_) = cells_of(spans, WINDOW)
    assert cell is not None
    assert cell.state is SOURCE
    assert shares(cell.seconds) == "source 50 %, idle 30 %, working 20 %"


def test_cells_keep_their_contents_while_the_window_moves() -> None:
    spans = [
        Span(BUSY if number % 3 else IDLE, 80 + number / 7, 80 + (number + 1) / 7) for number in range(200)
    ]
    early, late = Window.up_to(100.0, 10.0, 40), Window.up_to(100.6, 10.0, 40)
    shift = round((late.end - early.end) / early.column_seconds)
    before, after = cells_of(spans, early), cells_of(spans, late)
    for column in range(shift, 39):
        first, second = before[column], after[column - shift]
        assert first is not None
        assert second is not None
        assert first.seconds == pytest.approx(second.seconds)
