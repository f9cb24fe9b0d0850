"""The trace of a pipeline: nesting, ids, units and names as required by the Trace Event Format."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import QueueSecond, SecondSample
from sp500tui.pipeline.core.timing.spans import Batches, ProcessUse, Span, SpanReport, WorkerSpans
from sp500tui.pipeline.trace import chrome_trace, write_trace

NOON = datetime(2026, 5, 14, 12, 0, tzinfo=UTC)
PARENT, CHILD = 100, 200
IDLE, BUSY, SOURCE, DATABASE = WorkerState.IDLE, WorkerState.BUSY, WorkerState.SOURCE, WorkerState.DATABASE


def report() -> SpanReport:
    """Two price workers, a converter and a writer; batches 1 and 2 are committed together."""
    one, two, both = Batches(1, 1), Batches(2, 2), Batches(1, 2)
    return SpanReport(
        NOON,
        1000.0,
        PARENT,
        (
            WorkerSpans(
                "price-1",
                StageName.PRICE,
                PARENT,
                11,
                (Span(IDLE, 985.0, 991.0), Span(SOURCE, 991.0, 992.0, one), Span(IDLE, 992.0, 1000.0)),
            ),
            WorkerSpans(
                "price-2",
                StageName.PRICE,
                PARENT,
                12,
                (Span(SOURCE, 991.5, 993.0, two), Span(IDLE, 993.0, 1000.0)),
                overwritten=True,
            ),
            WorkerSpans("converter-1", StageName.CONVERTER, PARENT, 13, (Span(BUSY, 993.0, 993.001, both),)),
            WorkerSpans(
                "writer-1",
                StageName.WRITER,
                CHILD,
                14,
                (
                    Span(BUSY, 993.5, 993.6, both),
                    Span(DATABASE, 993.6, 994.0, both),
                    Span(IDLE, 994.0, 1000.0),
                ),
            ),
        ),
    )


def trace(seconds: float = 10.0) -> list[dict[str, Any]]:
    samples = [
        SecondSample(1, NOON - timedelta(seconds=age), queues=(QueueSecond(QueueName.ROWS, 2.5, 7),))
        for age in (60, 5)
    ]
    events = [
        PipelineEvent(EventKind.CYCLE_STARTED, "cycle 3", 20, NOON - timedelta(seconds=9)),
        PipelineEvent(EventKind.WORKER_DIED, "writer-1 died", 30, NOON - timedelta(seconds=1)),
        PipelineEvent(EventKind.CYCLE_STARTED, "cycle 2", 20, NOON - timedelta(seconds=30)),
        PipelineEvent(EventKind.WORKER_LEFT, "price-3 left", 10, NOON),
    ]
    found: list[dict[str, Any]] = chrome_trace(report(), seconds, samples, events)["traceEvents"]
    return found


def of(phase: str) -> list[dict[str, Any]]:
    return [event for event in trace() if event["ph"] == phase]


def test_every_event_has_what_the_format_requires() -> None:
    for event in json.loads(json.dumps(trace())):
        assert event["ph"] in "MXbeCi"
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert 0 <= event["ts"] <= 10_000_000


def test_times_are_microseconds_from_the_start_of_the_trace() -> None:
    (first, *_) = [event for event in of("X") if event["name"] == "waiting for source"]
    assert (first["ts"], first["dur"]) == (pytest.approx(1_000_000), pytest.approx(1_000_000))


def test_the_spans_of_a_track_do_not_overlap() -> None:
    tracks = defaultdict(list)
    for event in of("X"):
        assert event["dur"] > 0
        tracks[event["pid"], event["tid"]].append(event)
    assert len(tracks) == 5
    for spans in tracks.values():
        for before, after in pairwise(sorted(spans, key=lambda event: event["ts"])):
            assert before["ts"] + before["dur"] <= after["ts"] + 0.01


def test_a_span_that_began_before_the_trace_is_cut() -> None:
    (first, *_) = [event for event in of("X") if event["tid"] == 2001]
    assert (first["name"], first["ts"], first["dur"]) == ("idle", 0.0, pytest.approx(1_000_000))


def test_threads_and_processes_have_names_and_a_writer_process_its_commits() -> None:
    names = {
        (event["pid"], event["tid"]): event["args"]["name"] for event in of("M") if "name" in event["args"]
    }
    assert names[PARENT, 0] == "sp500tui"
    assert names[PARENT, 2001] == "price-1"
    assert names[PARENT, 4001] == "writer-1"
    assert names[CHILD, 0] == "writer-1 (process)"
    assert {(event["pid"], event["tid"]) for event in of("X")} <= set(names)
    (commit,) = [event for event in of("X") if event["pid"] == CHILD]
    assert (commit["name"], commit["dur"]) == ("commit", pytest.approx(400_000))
    assert commit["args"] == {"first_batch": 1, "last_batch": 2}


def test_the_commits_of_a_killed_writer_are_those_of_each_process() -> None:
    # given a writer whose process was killed after a commit, and which was then removed
    (*_, writer) = report().workers
    spans = (*writer.spans[:2], Span(IDLE, 994.0, 996.0), Span(DATABASE, 996.0, 996.5, Batches(3, 3)))
    uses = (ProcessUse(900.0, CHILD), ProcessUse(995.0, CHILD + 1))
    removed = replace(writer, pid=PARENT, spans=spans, processes=(ProcessUse(800.0, CHILD - 1), *uses))
    found = chrome_trace(replace(report(), workers=(removed,)), 10.0, (), ())["traceEvents"]
    # then each commit is on the track of the process that made it, and no other process is named
    commits = [
        (event["pid"], event["ts"]) for event in found if event["ph"] == "X" and event["name"] == "commit"
    ]
    assert commits == [(CHILD, pytest.approx(3_600_000)), (CHILD + 1, pytest.approx(6_000_000))]
    named = [event["pid"] for event in found if event["name"] == "process_name"]
    assert named == [PARENT, CHILD, CHILD + 1]


def test_batches_begin_and_end_once_with_their_number_as_id() -> None:
    opened = [(event["cat"], event["id"], event["ts"]) for event in of("b")]
    closed = {(event["cat"], event["id"]): event["ts"] for event in of("e")}
    assert len(opened) == len({key[:2] for key in opened}) == len(closed)
    assert all(closed[category, number] >= start for category, number, start in opened)
    batch = {
        number: (start, closed["batch", number]) for category, number, start in opened if category == "batch"
    }
    assert batch == {
        1: (pytest.approx(1_000_000), pytest.approx(4_000_000)),
        2: (pytest.approx(1_500_000), pytest.approx(4_000_000)),
    }
    stages = {category for category, number, _ in opened if number == 2}
    assert stages == {"batch", "batch price", "batch converter", "batch writer"}


def test_queue_depths_are_counters_and_events_are_marks_within_the_trace() -> None:
    (depth,) = of("C")
    assert (depth["name"], depth["args"]) == ("rows queue", {"mean": 2.5, "max": 7})
    assert depth["ts"] == pytest.approx(5_000_000)
    marks = [(event["name"], event["args"]["message"], event["s"]) for event in of("i")]
    assert marks == [("cycle started", "cycle 3", "p"), ("worker died", "writer-1 died", "p")]


def test_workers_with_overwritten_spans_are_named() -> None:
    assert chrome_trace(report(), 10.0)["otherData"]["incomplete"] == ["price-2"]


def test_a_trace_is_written_as_json() -> None:
    file = io.BytesIO()
    size = write_trace(chrome_trace(report(), 10.0), file)
    assert size == len(file.getvalue())
    assert json.loads(file.getvalue())["displayTimeUnit"] == "ms"
