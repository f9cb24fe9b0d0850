"""The rows of the timeline: which there are, and which fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport
from sp500tui.tui.timeline.rows import marked_row, rows_of, shown_rows
from tests.support.tui.fake_pipeline import NOON
from tests.support.tui.timeline_spans import (
    BUSY,
    DATABASE,
    IDLE,
    many,
    worker,
)


def test_a_stage_of_several_rows_has_a_heading_and_a_writer_its_process() -> None:
    rows = rows_of(many(scraper=1, price=2, writer=1))
    assert [each.key for each in rows] == [
        "scraper-1",
        "price",
        "price-1",
        "price-2",
        "writer",
        "writer-1",
        "writer-1 process",
    ]


def test_the_process_commits_although_its_thread_prepares_the_next_batch() -> None:
    both = Batches(6, 8)
    thread = worker(
        "writer-1",
        Span(BUSY, 90.0, 91.0, both),
        Span(DATABASE, 91.0, 92.0, both),
        Span(WorkerState.JOURNAL, 92.0, 93.0, both),
        Span(DATABASE, 93.0, 95.0, both),
        Span(WorkerState.BACKOFF, 95.0, 97.0),
        Span(WorkerState.STARTING, 97.0, 100.0),
    )
    (process,) = [each for each in rows_of(SpanReport(NOON, 100.0, 1, (thread,))) if each.is_process]
    assert [(span.state, span.start, span.end) for span in process.spans_of(thread)] == [
        (IDLE, 90.0, 91.0),
        (DATABASE, 91.0, 95.0),
        (WorkerState.STARTING, 97.0, 100.0),
    ]


@pytest.mark.parametrize("room", range(1, 30))
@pytest.mark.parametrize("marked", ["scraper-1", "price-11", "converter", "writer-2 process"])
def test_the_marked_row_is_always_shown_and_stages_before_workers(room: int, marked: str) -> None:
    rows = rows_of(many(scraper=1, price=12, converter=2, writer=2))
    shown = [each.key for each in shown_rows(rows, marked, room)]
    assert marked in shown
    assert len(shown) <= room
    if room >= 5:
        assert {"scraper-1", "price", "converter", "writer"} <= set(shown)
    assert shown == [each.key for each in rows if each.key in shown]


@pytest.mark.parametrize("marked", ["writer-1", "writer-1 process", "writer-2", "writer-2 process"])
@pytest.mark.parametrize("room", [4, 5, 6])
def test_no_process_is_shown_without_its_writer(room: int, marked: str) -> None:
    report = many(scraper=1, writer=2)
    writers = tuple(replace(each, pid=44) for each in report.workers)
    shown = [row.key for row in shown_rows(rows_of(replace(report, workers=writers)), marked, room)]
    assert marked in shown
    processes = [key for key in shown if key.endswith(" process")]
    assert all(key.removesuffix(" process") in shown for key in processes)


def test_the_mark_of_a_worker_that_exited_moves_to_the_next() -> None:
    rows = rows_of(many(price=3))
    assert rows[marked_row(rows, "price-2", 2)].key == "price-2"
    assert rows[marked_row(rows, "price-9", 9)].key == "price-3"
    assert rows[marked_row(rows, "price-9", 1)].key == "price-1"


def test_a_marked_stage_with_one_worker_left_is_the_row_of_that_worker() -> None:
    rows = rows_of(many(scraper=1, price=1, converter=2))
    assert rows[marked_row(rows, "price", 3)].key == "price-1"
    assert rows[marked_row(rows, "converter", 0)].is_heading
