"""The details of the timeline: the cell under the cursor, and the shares of the marked row."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import (
    LockSecond,
    QueueSecond,
    SecondSample,
    StageSecond,
    WorkerSecond,
)
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport, WorkerSpans
from sp500tui.tui.render.lines import Role
from sp500tui.tui.timeline.axis_lines import (
    lock_line,
    queue_line,
)
from sp500tui.tui.timeline.cells import Window, cells_of
from sp500tui.tui.timeline.details import (
    detail_lines,
    failure_before,
    lock_detail,
    lock_text,
    time_lines,
)
from sp500tui.tui.timeline.row_lines import NAME_WIDTH, SHARE_WIDTH
from sp500tui.tui.timeline.rows import Row, rows_of
from sp500tui.tui.timeline.states import SIGNS, reason
from tests.support.tui.fake_pipeline import NOON
from tests.support.tui.timeline_spans import (
    BUSY,
    DATABASE,
    IDLE,
    PRICE,
    REPORT,
    SOURCE,
    WINDOW,
    WRITER,
    text,
    worker,
)


def test_the_line_of_a_span_fits_into_60_columns() -> None:
    spans = WorkerSpans("writer-1", StageName.WRITER, 44, 2, (Span(DATABASE, 99.0, 99.6, Batches(180, 189)),))
    only = Row("writer-1", "writer-1", StageName.WRITER, (spans,))
    window = Window(100.0, 10.0, 60 - NAME_WIDTH)
    cells, cursor = cells_of(spans.spans, window), window.columns - 4
    (line, _) = detail_lines(only, cells, cursor, window, 100.0, width=60)
    assert text(line).rstrip() == "writer-1  waiting for database  for 600 ms  batches 180–189"


def test_every_state_of_every_stage_has_a_reason() -> None:
    with_source = {StageName.SCRAPER, StageName.PRICE, StageName.HISTORY}
    for state in SIGNS:
        for stage in with_source if state is SOURCE else StageName:
            assert reason(stage, Span(state, 0.0, 1.0))


class TestDetail:
    def detail(self, spans: WorkerSpans, column: int, kind: str = "") -> list[str]:
        rows = rows_of(SpanReport(NOON, 100.0, 1, (spans,)))
        found = next(each for each in rows if each.key == spans.name + kind)
        cells = cells_of(found.spans_of(spans), WINDOW)
        found_lines = detail_lines(found, cells, column, WINDOW, 100.0, width=200)
        return [text(line).rstrip() for line in found_lines]

    def test_the_span_under_the_cursor_has_its_duration_age_batch_and_reason(self) -> None:
        first, second = self.detail(PRICE, 3)
        assert first.split("   ") == ["price-1", "waiting for source", "for 3.0 s", "8.0 s ago", "batch 7"]
        assert second == "Yahoo Finance has not answered the request yet"
        assert "batches 6 to 8" in self.detail(WRITER, 9)[0]

    def test_a_cell_of_several_states_names_their_shares(self) -> None:
        assert self.detail(PRICE, 9)[1].endswith("this cell: idle 80 %, working 20 %")

    def test_a_process_is_described_as_such(self) -> None:
        first, second = self.detail(WRITER, 9, " process")
        assert first.startswith("process of writer-1   committing")
        assert second == "PostgreSQL has not confirmed the commit yet"
        killed = worker("writer-1", Span(WorkerState.BACKOFF, 90.0, 100.0))
        assert "there was no process at this time" in self.detail(killed, 3, " process")[0]

    def test_a_stage_has_the_shares_of_the_cell_and_of_the_window(self) -> None:
        heading = Row("price", "price ×2", StageName.PRICE, (PRICE, PRICE), is_heading=True)
        first, second = (
            text(line)
            for line in detail_lines(heading, cells_of(PRICE.spans, WINDOW), 3, WINDOW, 100.0, width=200)
        )
        assert first.rstrip() == "price workers   source 100 %"
        assert second.rstrip() == "10.0 s shown: idle 68 %, source 30 %, working 2 %"
        narrow = detail_lines(heading, cells_of(PRICE.spans, WINDOW), 3, WINDOW, 100.0, width=40)
        assert text(narrow[1]).rstrip() == "10.0 s shown: idle 68 %, source 30 %"

    def test_without_workers_or_spans_a_message_is_shown(self) -> None:
        assert "Starting workers" in text(detail_lines(None, (), 0, WINDOW, 100.0, width=200)[0])

    def test_a_worker_that_failed_has_the_message_of_its_failure(self) -> None:
        failed = worker("writer-2", Span(DATABASE, 90.0, 95.0), Span(WorkerState.BACKOFF, 95.0, 97.0))
        report = SpanReport(NOON, 100.0, 1, (failed,))
        at = NOON - timedelta(seconds=5)
        died = PipelineEvent(EventKind.WORKER_DIED, "writer-2 died: signal 9", 30, at, worker="writer-2")
        other = replace(died, message="writer-1 died: signal 11", worker="writer-1")
        long_ago = replace(died, message="writer-2 died: time-out", at=at - timedelta(seconds=60))
        found = failed.spans[1]
        assert failure_before([long_ago, died, other], report, "writer-2", found) == "writer-2 died: signal 9"
        assert failure_before([long_ago, other], report, "writer-2", found) == ""
        cells = cells_of(failed.spans, WINDOW)
        row = next(row for row in rows_of(report) if row.key == "writer-2")
        shown = detail_lines(
            row, cells, 6, WINDOW, 100.0, lambda name, _: f"{name} died: signal 9", width=200
        )
        assert text(shown[0]).split("   ")[:2] == ["writer-2", "error"]
        assert text(shown[1]).rstrip() == "writer-2 died: signal 9"
        assert text(detail_lines(row, cells, 6, WINDOW, 100.0, width=200)[1]).startswith(
            "it failed, and waits"
        )

    @pytest.mark.parametrize(
        ("spans", "overwritten", "words"),
        [
            ([Span(IDLE, 99.0, 100.0)], False, "it had not started at this time"),
            (
                [Span(IDLE, 99.0, 100.0)],
                True,
                "older spans were overwritten: 1,600 of each worker are kept",
            ),
            ([Span(IDLE, 80.0, 90.0)], False, "it has ended"),
            ([Span(IDLE, 80.0, 90.0), Span(IDLE, 98.0, 100.0)], False, "nothing is recorded of this time"),
            ([], False, "nothing is recorded of this time"),
        ],
    )
    def test_a_blank_cell_has_its_reason(self, spans: list[Span], overwritten: bool, words: str) -> None:
        found = replace(worker("price-2", *spans), overwritten=overwritten)
        assert words in self.detail(found, 0)[0]
        (process,) = rows_of(SpanReport(NOON, 100.0, 1, (found,)))
        cells = cells_of(process.spans_of(found), WINDOW)
        lines = [text(line) for line in detail_lines(process, cells, 0, WINDOW, 100.0, width=60)]
        assert words in lines[0] + lines[1]
        assert max(map(len, lines)) <= 60


class TestShares:
    SAMPLES = (
        SecondSample(
            1,
            NOON,
            (WorkerSecond("price-1", StageName.PRICE, {BUSY: 0.4, SOURCE: 0.6}, cpu=0.3),),
            (StageSecond(StageName.PRICE, {BUSY: 0.4, SOURCE: 0.6}),),
            (QueueSecond(QueueName.QUOTES, blocked=0.25),),
        ),
    )

    def test_the_marked_row_has_its_shares_over_three_windows(self) -> None:
        only = Row("price-1", "price-1", StageName.PRICE, (PRICE,))
        first, second, third = (text(line).rstrip() for line in time_lines(only, self.SAMPLES, 200))
        assert first == "last  1 s  processor 30 %  interpreter ~10 %  source 60 %  working 40 %"
        assert (second[:9], third[:9]) == ("last 10 s", "last 60 s")
        gone = Row("price-9", "price-9", StageName.PRICE, (replace(PRICE, name="price-9"),))
        assert text(time_lines(gone, self.SAMPLES, 200)[0]).rstrip() == "last  1 s  no worker"

    def test_without_room_the_smallest_shares_are_left_out_instead_of_cut(self) -> None:
        only = Row("price-1", "price-1", StageName.PRICE, (PRICE,))
        first = text(time_lines(only, self.SAMPLES, 60)[0]).rstrip()
        assert first == "last  1 s  processor 30 %  interpreter ~10 %  source 60 %"
        lock = LockSecond(20, held=0.62, wait=0.0012, longest=0.0051)
        (sentence,) = lock_detail([replace(self.SAMPLES[0], interpreter_lock=lock)], 80)
        assert text(sentence).rstrip().endswith("a thread waits for it 1.2 ms")

    def test_a_process_is_on_the_processor_or_waits_for_postgresql(self) -> None:
        row = Row("w", "w", StageName.WRITER, (WRITER,), is_process=True)
        assert text(time_lines(row, self.SAMPLES, 200)[0]).rstrip() == "last  1 s  no worker"
        seconds = {WorkerState.DATABASE: 0.6, IDLE: 0.4}
        writer = WorkerSecond(WRITER.name, StageName.WRITER, seconds, cpu=0.1, process_cpu=0.2)
        measured = (replace(self.SAMPLES[0], workers=(writer,)),)
        shown = "last  1 s  processor 20 %  committing 60 %  of it PostgreSQL ~40 %"
        assert text(time_lines(row, measured, 200)[0]).rstrip() == shown
        whole = Row("writer", "writer", StageName.WRITER, (WRITER,), is_heading=True)
        assert "processor 10 %" in text(time_lines(whole, measured, 200)[0])
        assert "processes 20 %" in text(time_lines(whole, measured, 200)[0])

    def test_the_interpreter_lock_has_a_row_and_a_sentence(self) -> None:
        assert lock_detail(self.SAMPLES, 200) == []
        lock = LockSecond(20, held=0.62, wait=0.0012, longest=0.0051)
        samples = [
            replace(self.SAMPLES[0], at=NOON - timedelta(seconds=age), interpreter_lock=lock)
            for age in (4, 3)
        ]
        line = lock_line(samples, REPORT, WINDOW)
        assert text(line).startswith("GIL held  62 % ")
        assert len(text(line)) == len(text(queue_line(QueueName.QUOTES, 9, samples, REPORT, WINDOW)))
        assert (lock_text(samples).text, lock_text(samples).role) == (" busy  ", Role.WARN)
        assert lock_text(self.SAMPLES).text == " " * SHARE_WIDTH
        (detail,) = lock_detail(samples, 200)
        assert text(detail).rstrip() == (
            "last 10 s  interpreter lock (GIL) busy  held 62 %  a thread waits for it 1.2 ms  at most 5.1 ms"
        )
