"""The legend of the timeline."""

from __future__ import annotations

import pytest

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.tui.timeline.states import SIGNS, legend_lines
from tests.support.tui.timeline_spans import (
    text,
)


def test_every_state_of_a_span_has_a_unique_sign() -> None:
    letters = [sign.letter.lower() for sign in SIGNS.values()]
    assert set(SIGNS) == set(WorkerState) - {WorkerState.DRAINING, WorkerState.HUNG}
    assert len(set(letters)) == len(letters)
    assert all(sign.letter in text(legend_lines(200, 2)[0]) for sign in SIGNS.values())


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_legend_has_the_frequent_states_at_every_width(width: int) -> None:
    (states,) = legend_lines(width, 1)
    assert len(text(states)) == width
    assert "…" not in text(states)
    assert "! error" in text(states)


def test_a_rare_state_on_the_screen_is_in_the_legend_of_a_narrow_window() -> None:
    rare = {WorkerState.STARTING, WorkerState.BACKOFF, WorkerState.DATABASE}
    for width in (60, 80):
        (states,) = legend_lines(width, 1, rare)
        for words in ("+ starting", "! error", "D d"):
            assert words in text(states), width
        assert "…" not in text(states)
