"""The timeline: what a cell shows, the cursor, zooming, freezing, and following a batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import QueueSecond, SecondSample
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport, WorkerSpans
from sp500tui.tui.render.lines import Line
from sp500tui.tui.timeline.render import (
    STATES,
    Window,
    axis_line,
    detail_line,
    mark_line,
    queue_line,
    span_at,
    worker_line,
)
from sp500tui.tui.timeline.screen import ZOOMS, TimelineScreen
from tests.support.tui.fake_pipeline import NOON, FakePipeline
from tests.tui.conftest import Drive, Driven, notes

IDLE, BUSY, SOURCE = WorkerState.IDLE, WorkerState.BUSY, WorkerState.SOURCE
DATABASE = WorkerState.DATABASE
WINDOW = Window(100.0, 10.0, 10)


def worker(name: str, stage: StageName, *spans: Span) -> WorkerSpans:
    return WorkerSpans(name, stage, 1, 2, spans)


PRICE = worker(
    "price-1",
    StageName.PRICE,
    Span(IDLE, 80.0, 92.0),
    Span(SOURCE, 92.0, 95.0, Batches(7, 7)),
    Span(IDLE, 95.0, 98.0),
    Span(BUSY, 98.0, 98.05, Batches(8, 8)),
    Span(IDLE, 98.05, 100.0),
)
WRITER = worker(
    "writer-1", StageName.WRITER, Span(IDLE, 80.0, 96.0), Span(DATABASE, 96.0, 100.0, Batches(6, 8))
)
REPORT = SpanReport(NOON, 100.0, 1, (PRICE, WRITER))


def text(line: Line) -> str:
    return "".join(span.text for span in line)


def row(spans: WorkerSpans, batch: int | None = None) -> str:
    return text(worker_line(spans, WINDOW, marked=False, cursor=None, batch=batch))[13:]


class TestCells:
    def test_each_column_has_the_letter_of_its_state(self) -> None:
        assert row(WRITER) == "······DDDD"

    def test_a_short_burst_is_seen_whatever_the_zoom(self) -> None:
        assert row(PRICE) == "··SSS···W·"

    def test_the_time_before_the_first_span_is_empty(self) -> None:
        assert row(worker("price-2", StageName.PRICE, Span(IDLE, 97.5, 100.0))) == "       ···"

    def test_a_followed_batch_dims_the_rest(self) -> None:
        assert row(PRICE, batch=7) == "··SSS·····"
        assert row(WRITER, batch=7) == "······DDDD"
        assert row(WRITER, batch=9) == "··········"

    def test_every_state_of_a_span_has_a_letter_of_its_own(self) -> None:
        letters = [letter for letter, _ in STATES.values()]
        assert set(STATES) == set(WorkerState) - {WorkerState.DRAINING, WorkerState.HUNG}
        assert len(set(letters)) == len(letters)


def test_the_span_under_the_cursor_is_described() -> None:
    span = span_at(PRICE.spans, WINDOW, 3)
    described = text(detail_line(PRICE, span, 100.0, 90))
    assert described.split("   ")[:5] == [
        "price-1",
        "waiting for source",
        "3,000.0 ms",
        "8.00 s ago",
        "batch 7",
    ]
    assert "batches 6 to 8" in text(detail_line(WRITER, span_at(WRITER.spans, WINDOW, 9), 100.0, 90))
    assert text(detail_line(PRICE, None, 100.0, 20)).strip() == "no span here"
    assert span_at(PRICE.spans, WINDOW, 10) is None


def test_queues_and_events_are_on_the_same_axis() -> None:
    samples = [
        SecondSample(age, NOON - timedelta(seconds=age), queues=(QueueSecond(QueueName.ROWS, 1.0, depth),))
        for age, depth in ((4, 100), (3, 50))
    ]
    assert text(queue_line(QueueName.ROWS, samples, REPORT, WINDOW)) == "rows 100           █▄  "
    events = [
        PipelineEvent(EventKind.CYCLE_STARTED, "", 20, NOON - timedelta(seconds=9.5)),
        PipelineEvent(EventKind.WORKER_DIED, "", 20, NOON - timedelta(seconds=0.5)),
        PipelineEvent(EventKind.PHASE, "", 20, NOON - timedelta(seconds=5)),
        PipelineEvent(EventKind.CYCLE_STARTED, "", 20, NOON - timedelta(seconds=60)),
    ]
    assert text(mark_line(events, REPORT, WINDOW)) == "events       c        ✗"
    assert "-10 s" in text(axis_line(WINDOW, 100.0))


class Fake(FakePipeline):
    """A pipeline with the spans of two workers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []
        self.failure = ""

    def spans(self, seconds: float) -> SpanReport:
        self.asked.append(seconds)
        if self.failure:
            raise Sp500tuiError(self.failure)
        return REPORT


@asynccontextmanager
async def opened(drive: Drive, fake: Fake, **more: Any) -> AsyncIterator[tuple[Driven, TimelineScreen]]:
    async with drive(fake, **{"size": (120, 30), **more}) as driven:
        await driven.press("5")
        screen = driven.app.screen
        assert isinstance(screen, TimelineScreen)
        yield driven, screen


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (200, 60)])
async def test_workers_queues_and_the_legend_are_shown(drive: Drive, size: tuple[int, int]) -> None:
    async with opened(drive, Fake(), size=size) as (driven, _):
        await driven.until(lambda: "SSSS" in driven.text() and "DDDD" in driven.text())
        for name in ("price-1", "writer-1", "tickers 0", "W working", "timeline (live, 10 s)"):
            assert name in driven.text()


async def test_the_cursor_freezes_the_view_and_names_the_span(drive: Drive) -> None:
    fake = Fake()
    async with opened(drive, fake) as (driven, _):
        await driven.until(lambda: "DDDD" in driven.text())
        await driven.press("down", "left")
        await driven.until(lambda: "frozen" in driven.text() and "batches 6 to 8" in driven.text())
        await driven.until(lambda: 120.0 in fake.asked, "all that is kept")
        await driven.press("space")
        await driven.until(lambda: "live" in driven.text())


async def test_zooming_changes_the_time_of_the_screen_within_its_limits(drive: Drive) -> None:
    async with opened(drive, Fake()) as (driven, _):
        await driven.until(lambda: "DDDD" in driven.text())
        await driven.press("z")
        await driven.until(lambda: "(live, 5 s)" in driven.text())
        await driven.press(*["z"] * len(ZOOMS))
        await driven.until(lambda: "(live, 0.01 s)" in driven.text())
        await driven.press(*["Z"] * len(ZOOMS))
        await driven.until(lambda: "(live, 120 s)" in driven.text())


async def test_f_follows_the_batch_under_the_cursor_and_ends_it(drive: Drive) -> None:
    async with opened(drive, Fake()) as (driven, screen):
        await driven.until(lambda: "DDDD" in driven.text())
        await driven.press("f")
        await driven.until(lambda: "No batch under the cursor" in notes(driven.app))
        await driven.press("down", "f")
        await driven.until(lambda: "batch 6" in driven.text() and "SSS" not in driven.text())
        assert screen.followed == 6
        await driven.press("f")
        await driven.until(lambda: "SSS" in driven.text())


async def test_a_failure_is_shown_in_the_border(drive: Drive) -> None:
    fake = Fake()
    fake.failure = "the pipeline does not answer"
    async with opened(drive, fake) as (driven, _):
        await driven.until(lambda: "the pipeline does not answer" in driven.text())
