"""What shares the time axis with the rows of the timeline: queues, events and the axis."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.timing.second_sample import QueueSecond, SecondSample, StageSecond
from sp500tui.tui.render.lines import Role
from sp500tui.tui.timeline.axis_lines import (
    axis_line,
    cycle_columns,
    held_back_text,
    mark_line,
    queue_line,
)
from sp500tui.tui.timeline.cells import Window
from sp500tui.tui.timeline.row_lines import NAME_WIDTH, SHARE_WIDTH
from sp500tui.tui.timeline.screen import ZOOMS
from tests.support.tui.fake_pipeline import NOON
from tests.support.tui.timeline_spans import BUSY, REPORT, SOURCE, WINDOW, text


def test_an_event_keeps_its_words_next_to_the_start_of_a_cycle() -> None:
    events = [
        PipelineEvent(kind, message, 20, NOON - timedelta(seconds=ago), worker="writer-2")
        for kind, message, ago in (
            (EventKind.WORKER_DIED, "writer-2 died", 6.0),
            (EventKind.CYCLE_STARTED, "cycle 7 started: 503 symbols", 5.0),
            (EventKind.CYCLE_STARTED, "cycle 8 started: 503 symbols", 2.0),
        )
    ]
    marks = text(mark_line(events, REPORT, Window(100.0, 10.0, 60)))
    assert "✗ writer-2 died" in marks
    assert "▾ cycle 8" in marks
    assert "cycle 7" not in marks


def test_a_queue_has_the_share_for_which_it_held_its_producers_back() -> None:
    stages = (StageSecond(StageName.PRICE, {BUSY: 0.4, SOURCE: 0.6}),)
    sample = SecondSample(1, NOON, stages=stages, queues=(QueueSecond(QueueName.QUOTES, blocked=0.25),))
    assert held_back_text([sample], QueueName.QUOTES).text == " B 25 %"
    assert held_back_text([sample], QueueName.ROWS).text == "       "
    everything = [replace(sample, queues=(QueueSecond(QueueName.QUOTES, blocked=1.0),))]
    assert len(held_back_text(everything, QueueName.QUOTES).text) == SHARE_WIDTH


SAMPLES = tuple(
    SecondSample(0, NOON - timedelta(seconds=age), queues=(QueueSecond(QueueName.ROWS, 1.0, depth),))
    for age, depth in ((4, 100), (3, 25))
)


def test_queues_have_their_depth_as_a_share_of_the_capacity_and_are_amber_when_full() -> None:
    line = queue_line(QueueName.ROWS, 100, SAMPLES, REPORT, WINDOW)
    assert text(line) == "rows       100 " + "      █▅  "
    assert [span.role for span in line if span.text == "█"] == [Role.WARN]


def test_cycles_failures_and_scalings_are_marked() -> None:
    events = [
        PipelineEvent(
            EventKind.CYCLE_STARTED, "cycle 3 started: 503 symbols", 20, NOON - timedelta(seconds=9.5)
        ),
        PipelineEvent(EventKind.WORKER_DIED, "", 20, NOON - timedelta(seconds=0.5), worker="writer-1"),
        PipelineEvent(EventKind.PHASE, "", 20, NOON - timedelta(seconds=5)),
        PipelineEvent(EventKind.CYCLE_STARTED, "cycle 1 started", 20, NOON - timedelta(seconds=60)),
    ]
    assert text(mark_line(events, REPORT, WINDOW))[NAME_WIDTH:] == "▾ cycle  ✗"
    assert cycle_columns(events, REPORT, WINDOW) == {0}


def test_a_wall_clock_that_was_set_moves_nothing_by_more_than_its_second() -> None:
    report = replace(REPORT, second=500)
    event = PipelineEvent(
        EventKind.WORKER_DIED, "", 20, NOON - timedelta(hours=3), worker="writer-1", second=498
    )
    assert "✗" in text(mark_line([event], report, WINDOW))


@pytest.mark.parametrize("seconds", ZOOMS)
@pytest.mark.parametrize("columns", [44, 98, 178])
def test_the_axis_has_ages_at_round_distances_and_the_present(seconds: float, columns: int) -> None:
    window = Window.up_to(100.0, seconds, columns)
    axis = text(axis_line(window, 100.0))
    assert len(axis) == NAME_WIDTH + columns
    assert "╷now" in axis
    assert axis.count("╷−") >= 1
    assert ("ms" in axis) == (seconds <= 0.2)


@pytest.mark.parametrize(("seconds", "label"), [(0.2, "−100.1 s"), (2.0, "−100.5 s"), (10.0, "−105 s")])
def test_labels_of_a_time_long_ago_differ_and_do_not_touch(seconds: float, label: str) -> None:
    window = Window(0.0, seconds, 44)
    axis = text(axis_line(window, 100.0))[NAME_WIDTH:].rstrip()
    labels = axis.split("╷")[1:]
    assert label in axis
    assert len({each.strip() for each in labels}) == len(labels)
    assert all(each.endswith(" ") for each in labels[:-1])


@pytest.mark.parametrize("end", [97.1, 97.5, 97.9, 98.0, 98.2, 98.5])
def test_no_age_is_cut_at_the_right_edge(end: float) -> None:
    axis = text(axis_line(Window(end, 10.0, 98), 100.0))
    assert re.findall("╷[^╷]*", axis) == re.findall(r"╷−\d+ s *", axis)


@pytest.mark.parametrize("columns", range(6))
def test_the_axis_fits_into_few_columns(columns: int) -> None:
    for seconds in ZOOMS:
        axis = text(axis_line(Window.up_to(100.0, seconds, columns), 100.0))
        assert len(axis) == NAME_WIDTH + columns
