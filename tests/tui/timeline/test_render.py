"""The timeline: what a cell shows, the rows that fit, the details, the shares and the axis."""

from __future__ import annotations

import re
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
from sp500tui.tui.render.lines import Line, Role
from sp500tui.tui.timeline.cells import Window, cells_of, combined, of_batch, totals
from sp500tui.tui.timeline.render import (
    NAME_WIDTH,
    SHARE_WIDTH,
    Guides,
    axis_line,
    cycle_columns,
    detail_lines,
    failure_before,
    held_back_text,
    legend_lines,
    lock_detail,
    lock_line,
    lock_text,
    mark_line,
    queue_line,
    row_line,
    share_text,
    shares,
    time_lines,
)
from sp500tui.tui.timeline.rows import Row, marked_row, rows_of, shown_rows
from sp500tui.tui.timeline.screen import ZOOMS
from sp500tui.tui.timeline.states import SIGNS, reason
from tests.support.tui.fake_pipeline import NOON
from tests.support.tui.timeline_spans import BUSY, DATABASE, IDLE, PRICE, REPORT, SOURCE, WRITER, many, worker

WINDOW = Window(100.0, 10.0, 10)


def text(line: Line) -> str:
    return "".join(span.text for span in line)


def row(spans: WorkerSpans, batch: int | None = None, guides: Guides = Guides()) -> str:  # noqa: B008
    shown = spans.spans if batch is None else of_batch(spans.spans, batch)
    only = Row(spans.name, spans.name, spans.stage, (spans,))
    return text(row_line(only, cells_of(shown, WINDOW), guides, marked=False))[NAME_WIDTH:]


class TestCells:
    def test_a_bar_begins_with_its_letter_and_has_its_label_where_that_fits(self) -> None:
        assert row(PRICE)[2:5] == "S  "
        long = worker("writer-2", Span(DATABASE, 85.0, 100.0))
        assert row(long) == "Database  "

    def test_a_burst_is_a_small_letter_or_a_low_mark_by_its_share_and_is_never_lost(self) -> None:
        # 5 % and 20 % of their cells
        assert row(PRICE)[8:] == "▁w"
        tiny = worker(
            "converter-1", Span(IDLE, 80.0, 95.5), Span(BUSY, 95.5, 95.5001), Span(IDLE, 95.5001, 100.0)
        )
        assert row(tiny) == "·····▁····"

    def test_a_worker_that_is_busy_for_a_hundredth_of_the_time_looks_idle(self) -> None:
        spans: list[Span] = []
        for number in range(1000):
            start = 90.0 + number / 100
            spans += [Span(BUSY, start, start + 0.0001), Span(IDLE, start + 0.0001, start + 0.01)]
        assert row(worker("converter-1", *spans)) == "▁" * 10

    def test_the_state_that_took_most_of_the_active_time_names_a_cell(self) -> None:
        spans = (Span(BUSY, 90.0, 90.2), Span(SOURCE, 90.2, 90.7), Span(IDLE, 90.7, 91.0))
        (cell, *_) = cells_of(spans, WINDOW)
        assert cell is not None
        assert cell.state is SOURCE
        assert shares(cell.seconds) == "source 50 %, idle 30 %, working 20 %"

    def test_an_error_is_seen_however_short(self) -> None:
        short = worker("writer-1", Span(IDLE, 80.0, 95.5), Span(WorkerState.BACKOFF, 95.5, 95.51))
        assert row(short)[5] == "!"

    def test_adjacent_requests_are_bars_of_their_own(self) -> None:
        two = worker("price-1", Span(SOURCE, 90.0, 94.0), Span(SOURCE, 94.0, 100.0))
        assert row(two) == "S   S     "

    def test_the_time_before_the_first_span_is_empty(self) -> None:
        assert row(worker("price-2", Span(IDLE, 97.5, 100.0))) == "       ···"

    def test_a_followed_batch_dims_the_rest(self) -> None:
        assert row(PRICE, batch=7) == "··S  ·····"
        assert row(WRITER, batch=7) == "······D   "
        assert row(WRITER, batch=9) == "··········"

    def test_the_cursor_and_the_starts_of_cycles_are_lines_through_what_is_idle(self) -> None:
        assert row(WRITER, guides=Guides(1, {3, 7})) == "·│·┊··D   "

    def test_every_state_of_a_span_has_a_sign_of_its_own(self) -> None:
        letters = [sign.letter.lower() for sign in SIGNS.values()]
        assert set(SIGNS) == set(WorkerState) - {WorkerState.DRAINING, WorkerState.HUNG}
        assert len(set(letters)) == len(letters)
        assert all(sign.letter in text(legend_lines(200, 2)[0]) for sign in SIGNS.values())

    @pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
    def test_the_legend_has_the_frequent_states_at_every_width(self, width: int) -> None:
        (states,) = legend_lines(width, 1)
        assert len(text(states)) == width
        assert "…" not in text(states)
        assert "! error" in text(states)

    def test_a_rare_state_on_the_screen_is_in_the_legend_of_a_narrow_window(self) -> None:
        rare = {WorkerState.STARTING, WorkerState.BACKOFF, WorkerState.DATABASE}
        for width in (60, 80):
            (states,) = legend_lines(width, 1, rare)
            for words in ("+ starting", "! error", "D d"):
                assert words in text(states), width
            assert "…" not in text(states)

    def test_what_happened_keeps_its_words_beside_the_start_of_a_cycle(self) -> None:
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

    def test_the_line_of_a_span_fits_into_60_columns(self) -> None:
        spans = WorkerSpans(
            "writer-1", StageName.WRITER, 44, 2, (Span(DATABASE, 99.0, 99.6, Batches(180, 189)),)
        )
        only = Row("writer-1", "writer-1", StageName.WRITER, (spans,))
        window = Window(100.0, 10.0, 60 - NAME_WIDTH)
        cells, cursor = cells_of(spans.spans, window), window.columns - 4
        (line, _) = detail_lines(only, cells, cursor, window, 100.0, width=60)
        assert text(line).rstrip() == "writer-1  waiting for database  for 600 ms  batches 180–189"

    def test_every_state_of_every_stage_has_a_reason(self) -> None:
        with_source = {StageName.SCRAPER, StageName.PRICE, StageName.HISTORY}
        for state in SIGNS:
            for stage in with_source if state is SOURCE else StageName:
                assert reason(stage, Span(state, 0.0, 1.0))

    def test_a_stage_is_the_sum_of_its_workers(self) -> None:
        one, two = (
            cells_of((Span(SOURCE, 90.0, 100.0),), WINDOW),
            cells_of((Span(IDLE, 90.0, 100.0),), WINDOW),
        )
        both = combined([one, two], WINDOW.columns)
        assert totals(both) == {SOURCE: pytest.approx(10.0), IDLE: pytest.approx(10.0)}
        assert share_text(both).text == " S 50 %"
        assert share_text(two).text.strip() == ""
        assert share_text(cells_of((Span(IDLE, 90, 99.99), Span(BUSY, 99.99, 100)), WINDOW)).text == " W <1 %"

    def test_cells_keep_their_contents_while_the_window_moves(self) -> None:
        spans = [
            Span(BUSY if number % 3 else IDLE, 80 + number / 7, 80 + (number + 1) / 7)
            for number in range(200)
        ]
        early, late = Window.up_to(100.0, 10.0, 40), Window.up_to(100.6, 10.0, 40)
        shift = round((late.end - early.end) / early.column_seconds)
        before, after = cells_of(spans, early), cells_of(spans, late)
        for column in range(shift, 39):
            first, second = before[column], after[column - shift]
            assert first is not None
            assert second is not None
            assert first.seconds == pytest.approx(second.seconds)


class TestRows:
    def test_a_stage_of_several_rows_has_a_heading_and_a_writer_its_process(self) -> None:
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

    def test_the_process_commits_although_its_thread_prepares_the_next_batch(self) -> None:
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
    def test_the_marked_row_is_always_shown_and_stages_before_workers(self, room: int, marked: str) -> None:
        rows = rows_of(many(scraper=1, price=12, converter=2, writer=2))
        shown = [each.key for each in shown_rows(rows, marked, room)]
        assert marked in shown
        assert len(shown) <= room
        if room >= 5:
            assert {"scraper-1", "price", "converter", "writer"} <= set(shown)
        assert shown == [each.key for each in rows if each.key in shown]

    @pytest.mark.parametrize("marked", ["writer-1", "writer-1 process", "writer-2", "writer-2 process"])
    @pytest.mark.parametrize("room", [4, 5, 6])
    def test_no_process_is_shown_without_its_writer(self, room: int, marked: str) -> None:
        report = many(scraper=1, writer=2)
        writers = tuple(replace(each, pid=44) for each in report.workers)
        shown = [row.key for row in shown_rows(rows_of(replace(report, workers=writers)), marked, room)]
        assert marked in shown
        processes = [key for key in shown if key.endswith(" process")]
        assert all(key.removesuffix(" process") in shown for key in processes)

    def test_the_mark_of_a_worker_that_exited_moves_to_the_next(self) -> None:
        rows = rows_of(many(price=3))
        assert rows[marked_row(rows, "price-2", 2)].key == "price-2"
        assert rows[marked_row(rows, "price-9", 9)].key == "price-3"
        assert rows[marked_row(rows, "price-9", 1)].key == "price-1"

    def test_a_marked_stage_with_one_worker_left_is_the_row_of_that_worker(self) -> None:
        rows = rows_of(many(scraper=1, price=1, converter=2))
        assert rows[marked_row(rows, "price", 3)].key == "price-1"
        assert rows[marked_row(rows, "converter", 0)].is_heading


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

    def test_a_queue_has_the_share_for_which_it_held_its_producers_back(self) -> None:
        assert held_back_text(self.SAMPLES, QueueName.QUOTES).text == " B 25 %"
        assert held_back_text(self.SAMPLES, QueueName.ROWS).text == "       "
        everything = (replace(self.SAMPLES[0], queues=(QueueSecond(QueueName.QUOTES, blocked=1.0),)),)
        assert len(held_back_text(everything, QueueName.QUOTES).text) == SHARE_WIDTH


class TestAxis:
    SAMPLES = tuple(
        SecondSample(0, NOON - timedelta(seconds=age), queues=(QueueSecond(QueueName.ROWS, 1.0, depth),))
        for age, depth in ((4, 100), (3, 25))
    )

    def test_queues_have_their_depth_as_a_share_of_the_capacity_and_are_amber_when_full(self) -> None:
        line = queue_line(QueueName.ROWS, 100, self.SAMPLES, REPORT, WINDOW)
        assert text(line) == "rows       100 " + "      █▅  "
        assert [span.role for span in line if span.text == "█"] == [Role.WARN]

    def test_cycles_failures_and_scalings_are_marked(self) -> None:
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

    def test_a_wall_clock_that_was_set_moves_nothing_by_more_than_its_second(self) -> None:
        report = replace(REPORT, second=500)
        event = PipelineEvent(
            EventKind.WORKER_DIED, "", 20, NOON - timedelta(hours=3), worker="writer-1", second=498
        )
        assert "✗" in text(mark_line([event], report, WINDOW))

    @pytest.mark.parametrize("seconds", ZOOMS)
    @pytest.mark.parametrize("columns", [44, 98, 178])
    def test_the_axis_has_ages_at_round_distances_and_the_present(self, seconds: float, columns: int) -> None:
        window = Window.up_to(100.0, seconds, columns)
        axis = text(axis_line(window, 100.0))
        assert len(axis) == NAME_WIDTH + columns
        assert "╷now" in axis
        assert axis.count("╷−") >= 1
        assert ("ms" in axis) == (seconds <= 0.2)

    @pytest.mark.parametrize(("seconds", "label"), [(0.2, "−100.1 s"), (2.0, "−100.5 s"), (10.0, "−105 s")])
    def test_labels_of_a_time_long_ago_differ_and_do_not_touch(self, seconds: float, label: str) -> None:
        window = Window(0.0, seconds, 44)
        axis = text(axis_line(window, 100.0))[NAME_WIDTH:].rstrip()
        labels = axis.split("╷")[1:]
        assert label in axis
        assert len({each.strip() for each in labels}) == len(labels)
        assert all(each.endswith(" ") for each in labels[:-1])

    @pytest.mark.parametrize("end", [97.1, 97.5, 97.9, 98.0, 98.2, 98.5])
    def test_no_age_is_cut_at_the_right_edge(self, end: float) -> None:
        axis = text(axis_line(Window(end, 10.0, 98), 100.0))
        assert re.findall("╷[^╷]*", axis) == re.findall(r"╷−\d+ s *", axis)

    @pytest.mark.parametrize("columns", range(6))
    def test_the_axis_fits_into_few_columns(self, columns: int) -> None:
        for seconds in ZOOMS:
            axis = text(axis_line(Window.up_to(100.0, seconds, columns), 100.0))
            assert len(axis) == NAME_WIDTH + columns
