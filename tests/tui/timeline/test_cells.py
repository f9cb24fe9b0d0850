"""The cells of the timeline: the time of a column by states."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import NO_BATCHES, Batches, Span, SpanReport, WorkerSpans
from sp500tui.tui.render.lines import Line
from sp500tui.tui.timeline.cells import CellCache, Cells, Window, WindowCache, cells_of, row_cells
from sp500tui.tui.timeline.details import shares
from sp500tui.tui.timeline.row_lines import Guides, row_line, share_text
from sp500tui.tui.timeline.rows import Row, rows_of
from sp500tui.tui.timeline.states import SIGNS
from tests.support.parameters import rest_thorough
from tests.support.tui.fake_pipeline import NOON
from tests.support.tui.timeline_spans import BUSY, IDLE, SOURCE, WINDOW


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


BEGIN, END = 1000.0, 1060.0
WORKERS = ("price-1", "price-2", "converter-1", "writer-1", "writer-2")
_STATES = [*SIGNS]
_COMMITS = [WorkerState.BUSY, WorkerState.JOURNAL, WorkerState.DATABASE]


def history(rng: random.Random, name: str) -> WorkerSpans:
    """What a worker does from `BEGIN` to `END`, with pauses in which it does not exist."""
    spans: list[Span] = []
    at, mean = BEGIN + rng.random(), rng.choice([0.01, 0.2, 3.0])
    batches = NO_BATCHES
    while at < END:
        if rng.random() < 0.2:
            first = rng.randrange(50)
            batches = Batches(first, first + rng.randrange(3)) if first else NO_BATCHES
        end = at + rng.expovariate(1 / mean)
        states = _COMMITS if name.startswith("writer") and rng.random() < 0.8 else _STATES
        spans.append(Span(rng.choice(states), at, end, batches))
        at = end + (rng.expovariate(1.0) if rng.random() < 0.02 else 0.0)
    return WorkerSpans(name, StageName(name.partition("-")[0]), 7, 8, tuple(spans))


def seen_at(now: float, worker: WorkerSpans) -> WorkerSpans:
    """The history of a worker as it is known at a time: the span that lasts ends then."""
    spans = (span for span in worker.spans if span.start < now)
    return replace(worker, spans=tuple(span._replace(end=min(span.end, now)) for span in spans))


def last_seconds(worker: WorkerSpans, begin: float) -> WorkerSpans:
    return replace(worker, spans=tuple(span for span in worker.spans if span.end > begin))


def drawn(row: Row, cells: Cells) -> Line:
    guides = Guides(len(cells) // 3, {len(cells) // 2})
    return (*row_line(row, cells, guides, marked=False), share_text(cells))


@pytest.mark.parametrize("seed", rest_thorough(range(12), 4))
def test_cached_cells_equal_those_computed_from_all_spans(seed: int) -> None:
    # given workers with random histories, of which the last seconds are read at random times
    rng = random.Random(seed)
    workers = [history(rng, name) for name in WORKERS]
    cache = CellCache()
    now, seconds, columns, batch = BEGIN, 10.0, rng.choice([1, 7, 98]), None
    while (now := now + rng.choice([0.0, 0.01, 0.9, 1.0, 1.1, 1.0, 30.0]) * rng.random() * 2) < END:
        if rng.random() < 0.1:
            seconds, columns = rng.choice([0.2, 5.0, 10.0, 20.0]), rng.choice([1, 40, 98, 200])
            batch = rng.choice([None, None, rng.randrange(50)])
        known = [worker for each in workers if (worker := seen_at(now, each)).spans]
        window = Window.up_to(now, seconds, columns)
        whole = SpanReport(NOON, now, 1, tuple(known))
        read = replace(whole, workers=tuple(last_seconds(each, now - seconds - 2) for each in known))
        # when they are drawn with the cells that were kept, and from everything that is known
        for row, same in zip(rows_of(read), rows_of(whole), strict=True):
            kept, made = cache.row_cells(row, read, window, batch), row_cells(same, window, batch)
            # then both have the same appearance
            assert len(kept) == columns
            assert drawn(row, kept) == drawn(same, made), (row.key, now, window)


def test_the_cells_of_another_pipeline_are_not_kept() -> None:
    first = WorkerSpans("price-1", StageName.PRICE, 1, 2, (Span(WorkerState.SOURCE, 80.0, 100.0),))
    second = replace(first, spans=(Span(WorkerState.BUSY, 100.0, 101.0),))
    cache = CellCache()
    for pid, worker, now in ((1, first, 100.0), (2, second, 101.0)):
        report = SpanReport(NOON, now, pid, (worker,))
        (row,) = rows_of(report)
        cells = cache.row_cells(row, report, Window.up_to(now, 10.0, 10))
    assert [cell and cell.state for cell in cells] == [None] * 9 + [WorkerState.BUSY]


def test_the_cells_of_a_window_are_kept_until_the_window_the_report_or_the_batch_changes() -> None:
    # given two reports of the same spans
    spans = (Span(WorkerState.SOURCE, 95.0, 97.0, Batches(3, 3)), Span(WorkerState.BUSY, 97.0, 100.0))
    worker = WorkerSpans("price-1", StageName.PRICE, 1, 2, spans)
    first, second = SpanReport(NOON, 100.0, 1, (worker,)), SpanReport(NOON, 100.0, 1, (worker,))
    window, earlier = Window(100.0, 10.0, 10), Window(99.0, 10.0, 10)
    cache = WindowCache()
    (row,) = rows_of(first)
    seen = cache.row_cells(row, first, window)
    # when the same is drawn again, then the cells are the same objects
    assert cache.row_cells(row, first, window) is seen
    # and otherwise they are made from the spans
    for report, view, batch in ((second, window, None), (first, earlier, None), (first, window, 3)):
        cells = cache.row_cells(row, report, view, batch)
        assert cells is not seen
        assert cells == row_cells(row, view, batch)
