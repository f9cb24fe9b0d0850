"""The recent past of a pipeline as a trace in Chrome's JSON format, which Perfetto (ui.perfetto.dev) opens.

Format: "Trace Event Format" of Chromium. Times are microseconds from the start of the trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO, Any

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.second_sample import SecondSample
from sp500tui.pipeline.core.timing.spans import Span, SpanReport, WorkerSpans, process_spans

TraceEvent = Mapping[str, Any]

_MICROSECONDS = 1_000_000
_WRITER_PROCESS_THREAD = 1
"""Track of a writer process, derived from the thread that waits for it."""
_OMITTED_EVENTS = frozenset({EventKind.WORKER_STARTED, EventKind.WORKER_LEFT})


MAX_SECONDS = 180.0
"""Maximum length of a trace in seconds; less is kept of workers that change their state often."""


class _Axis:
    """The time axis of the trace, which begins `seconds` before the report was taken."""

    def __init__(self, report: SpanReport, seconds: float) -> None:
        self._begin = report.monotonic - seconds
        self._report = report
        self.end = seconds * _MICROSECONDS

    def of(self, monotonic: float) -> float:
        """A monotonic time of the pipeline in microseconds, within the trace."""
        return min(max(0.0, (monotonic - self._begin) * _MICROSECONDS), self.end)

    def of_second(self, second: int, at: datetime) -> float:
        """A wall-clock time in a numbered second, in microseconds; it may be outside the trace."""
        return (self._report.time_of(second, at) - self._begin) * _MICROSECONDS


def chrome_trace(
    report: SpanReport,
    seconds: float,
    samples: Sequence[SecondSample] = (),
    events: Sequence[PipelineEvent] = (),
) -> dict[str, Any]:
    """The last `seconds` of a pipeline as a trace.

    Every worker is a thread of the pipeline's process, whose spans do not overlap; each writer process is a separate
    process, busy while its commit is awaited. Fetch batches are asynchronous events across the workers, queue depths
    are counters, and starts of cycles, failures and scalings are marks.

    Args:
        report: as returned by `PipelineControl.spans`.
        seconds: length of the trace, up to the time of the report.
        samples: as returned by `PipelineControl.seconds_since`, for the queues.
        events: as returned by `PipelineControl.events_since`.
    """
    axis = _Axis(report, seconds)
    trace = [
        *_names(report),
        *(event for worker in report.workers for event in _worker_events(worker, report.pid, axis)),
        *_batch_events(report, axis),
        *_depth_events(samples, report.pid, axis),
        *_marks(events, report.pid, axis),
    ]
    return {
        "traceEvents": trace,
        "displayTimeUnit": "ms",
        "otherData": {
            "taken_at": report.taken_at.isoformat(),
            "seconds": seconds,
            "by_second": report.by_second,
            "incomplete": [worker.name for worker in report.workers if worker.overwritten],
        },
    }


def write_trace(trace: Mapping[str, Any], file: IO[bytes]) -> int:
    """Write a trace as JSON; returns the number of bytes."""
    return file.write(json.dumps(trace, separators=(",", ":")).encode())


def thread_of(worker: WorkerSpans) -> int:
    """The track of a worker: its own number, because the id of a thread that has ended is unknown."""
    number = int(worker.name.rpartition("-")[2])
    return 1000 * (1 + list(StageName).index(worker.stage)) + number


def _metadata(what: str, pid: int, tid: int, **arguments: object) -> TraceEvent:
    return {"name": what, "ph": "M", "pid": pid, "tid": tid, "ts": 0, "args": arguments}


def _names(report: SpanReport) -> Iterator[TraceEvent]:
    yield _metadata("process_name", report.pid, 0, name="sp500tui")
    yield _metadata("process_sort_index", report.pid, 0, sort_index=0)
    for worker in report.workers:
        track = thread_of(worker)
        yield _metadata("thread_name", report.pid, track, name=worker.name)
        yield _metadata("thread_sort_index", report.pid, track, sort_index=track)
        for pid in _processes(worker, report.pid):
            yield _metadata("process_name", pid, 0, name=f"{worker.name} (process)")
            yield _metadata("process_sort_index", pid, 0, sort_index=track)
            yield _metadata("thread_name", pid, _WRITER_PROCESS_THREAD, name="commits")


def _processes(worker: WorkerSpans, parent: int) -> Iterable[int]:
    """The processes of a writer during its spans, oldest first; there are several if one died."""
    pids = dict.fromkeys(worker.process_at(span.start) for span in worker.spans)
    return [pid for pid in pids if pid != parent]


def _worker_events(worker: WorkerSpans, pid: int, axis: _Axis) -> Iterator[TraceEvent]:
    """The spans of a worker on its track; commits on the tracks of its processes too."""
    for span in worker.spans:
        yield from _span_event(span, str(span.state), pid, thread_of(worker), axis)
    if not _processes(worker, pid):
        return
    for span in process_spans(worker):
        if span.state is WorkerState.DATABASE:
            process = worker.process_at(span.start)
            yield from _span_event(span, "commit", process, _WRITER_PROCESS_THREAD, axis)


def _span_event(span: Span, name: str, pid: int, tid: int, axis: _Axis) -> Iterator[TraceEvent]:
    """A span on a track; nothing if it is entirely outside the trace."""
    start, end = axis.of(span.start), axis.of(span.end)
    if end <= start:
        return
    event = {"name": name, "cat": "state", "ph": "X", "ts": start, "dur": end - start, "pid": pid, "tid": tid}
    if span.batches.first:
        event["args"] = {"first_batch": span.batches.first, "last_batch": span.batches.last}
    yield event


def _batch_events(report: SpanReport, axis: _Axis) -> Iterator[TraceEvent]:
    """Each fetch batch from its first to its last span, and within it its time in each stage."""
    times: dict[int, dict[StageName, tuple[float, float]]] = {}
    for worker in report.workers:
        for span in worker.spans:
            if not span.batches.first:
                continue
            start, end = axis.of(span.start), axis.of(span.end)
            for number in range(span.batches.first, span.batches.last + 1):
                stages = times.setdefault(number, {})
                begun, ended = stages.get(worker.stage, (start, end))
                stages[worker.stage] = (min(begun, start), max(ended, end))
    for number, stages in sorted(times.items()):
        begin = min(start for start, _ in stages.values())
        end = max(end for _, end in stages.values())
        yield from _pair(f"batch {number}", "batch", number, begin, end, report.pid)
        for stage, (start, stop) in stages.items():
            yield from _pair(f"{stage}", f"batch {stage}", number, start, stop, report.pid)


def _pair(name: str, category: str, number: int, start: float, end: float, pid: int) -> Iterable[TraceEvent]:
    common = {"name": name, "cat": category, "id": number, "pid": pid, "tid": 0}
    return {**common, "ph": "b", "ts": start}, {**common, "ph": "e", "ts": end}


def _depth_events(samples: Sequence[SecondSample], pid: int, axis: _Axis) -> Iterator[TraceEvent]:
    for sample in samples:
        at = axis.of_second(sample.second, sample.at)
        if not 0 <= at <= axis.end:
            continue
        for queue in sample.queues:
            depth = {"mean": round(queue.mean_ready, 3), "max": queue.max_ready}
            yield {"name": f"{queue.name} queue", "ph": "C", "ts": at, "pid": pid, "tid": 0, "args": depth}


def _marks(events: Sequence[PipelineEvent], pid: int, axis: _Axis) -> Iterator[TraceEvent]:
    for event in events:
        at = axis.of_second(event.second, event.at)
        if event.kind in _OMITTED_EVENTS or not 0 <= at <= axis.end:
            continue
        yield {
            "name": str(event.kind),
            "cat": "event",
            "ph": "i",
            "s": "p",
            "ts": at,
            "pid": pid,
            "tid": 0,
            "args": {"message": event.message},
        }
