"""The rows of the timeline: what the cells show, and the share at their end."""

from __future__ import annotations

import pytest

from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Span, WorkerSpans
from sp500tui.tui.timeline.cells import cells_of, combined, of_batch, totals
from sp500tui.tui.timeline.row_lines import NAME_WIDTH, Guides, row_line, share_text
from sp500tui.tui.timeline.rows import Row
from tests.support.tui.timeline_spans import (
    BUSY,
    DATABASE,
    IDLE,
    PRICE,
    SOURCE,
    WINDOW,
    WRITER,
    text,
    worker,
)


def row(spans: WorkerSpans, batch: int | None = None, guides: Guides = Guides()) -> str:  # noqa: B008
    shown = spans.spans if batch is None else of_batch(spans.spans, batch)
    only = Row(spans.name, spans.name, spans.stage, (spans,))
    return text(row_line(only, cells_of(shown, WINDOW), guides, marked=False))[NAME_WIDTH:]


def test_a_bar_begins_with_its_letter_and_has_its_label_where_that_fits() -> None:
    assert row(PRICE)[2:5] == "S  "
    long = worker("writer-2", Span(DATABASE, 85.0, 100.0))
    assert row(long) == "Database  "


def test_a_burst_is_a_small_letter_or_a_low_mark_by_its_share_and_is_never_lost() -> None:
    # 5 % and 20 % of their cells
    assert row(PRICE)[8:] == "▁w"
    tiny = worker(
        "converter-1", Span(IDLE, 80.0, 95.5), Span(BUSY, 95.5, 95.5001), Span(IDLE, 95.5001, 100.0)
    )
    assert row(tiny) == "·····▁····"


def test_a_worker_that_is_busy_for_a_hundredth_of_the_time_looks_idle() -> None:
    spans: list[Span] = []
    for number in range(1000):
        start = 90.0 + number / 100
        spans += [Span(BUSY, start, start + 0.0001), Span(IDLE, start + 0.0001, start + 0.01)]
    assert row(worker("converter-1", *spans)) == "▁" * 10


def test_an_error_is_seen_however_short() -> None:
    short = worker("writer-1", Span(IDLE, 80.0, 95.5), Span(WorkerState.BACKOFF, 95.5, 95.51))
    assert row(short)[5] == "!"


def test_adjacent_requests_are_bars_of_their_own() -> None:
    two = worker("price-1", Span(SOURCE, 90.0, 94.0), Span(SOURCE, 94.0, 100.0))
    assert row(two) == "S   S     "


def test_the_time_before_the_first_span_is_empty() -> None:
    assert row(worker("price-2", Span(IDLE, 97.5, 100.0))) == "       ···"


def test_a_followed_batch_dims_the_rest() -> None:
    assert row(PRICE, batch=7) == "··S  ·····"
    assert row(WRITER, batch=7) == "······D   "
    assert row(WRITER, batch=9) == "··········"


def test_the_cursor_and_the_starts_of_cycles_are_lines_through_what_is_idle() -> None:
    assert row(WRITER, guides=Guides(1, {3, 7})) == "·│·┊··D   "


def test_a_stage_is_the_sum_of_its_workers() -> None:
    one, two = (
        cells_of((Span(SOURCE, 90.0, 100.0),), WINDOW),
        cells_of((Span(IDLE, 90.0, 100.0),), WINDOW),
    )
    both = combined([one, two], WINDOW.columns)
    assert totals(both) == {SOURCE: pytest.approx(10.0), IDLE: pytest.approx(10.0)}
    assert share_text(both).text == " S 50 %"
    assert share_text(two).text.strip() == ""
    assert share_text(cells_of((Span(IDLE, 90, 99.99), Span(BUSY, 99.99, 100)), WINDOW)).text == " W <1 %"
