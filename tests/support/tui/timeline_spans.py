"""A report of the spans of a few workers, for the timeline."""

from __future__ import annotations

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport, WorkerSpans
from sp500tui.tui.render.lines import Line
from sp500tui.tui.timeline.cells import Window
from tests.support.tui.fake_pipeline import NOON

IDLE, BUSY, SOURCE = WorkerState.IDLE, WorkerState.BUSY, WorkerState.SOURCE
DATABASE = WorkerState.DATABASE


def worker(name: str, *spans: Span, pid: int = 1) -> WorkerSpans:
    return WorkerSpans(name, StageName(name.partition("-")[0]), pid, 2, spans)


PRICE = worker(
    "price-1",
    Span(IDLE, 80.0, 92.0),
    Span(SOURCE, 92.0, 95.0, Batches(7, 7)),
    Span(IDLE, 95.0, 98.0),
    Span(BUSY, 98.0, 98.05, Batches(8, 8)),
    Span(IDLE, 98.05, 99.0),
    Span(BUSY, 99.0, 99.2, Batches(8, 8)),
    Span(IDLE, 99.2, 100.0),
)
WRITER = worker("writer-1", Span(IDLE, 80.0, 96.0), Span(DATABASE, 96.0, 100.0, Batches(6, 8)), pid=44)
REPORT = SpanReport(NOON, 100.0, 1, (PRICE, WRITER))
WINDOW = Window(100.0, 10.0, 10)


def many(**sizes: int) -> SpanReport:
    """A report of a number of workers of each stage."""
    workers = (
        worker(f"{stage}-{n + 1}", Span(IDLE, 80.0, 100.0)) for stage in sizes for n in range(sizes[stage])
    )
    return SpanReport(NOON, 100.0, 1, tuple(workers))


def text(line: Line) -> str:
    """A line without its roles."""
    return "".join(span.text for span in line)
