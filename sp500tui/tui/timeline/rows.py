"""The rows of the timeline: stages, workers and writer processes, and the selection of those that fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.timing.spans import Span, SpanReport, WorkerSpans, process_spans


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a worker, the process of a writer, or all workers of a stage together."""

    key: str
    """Unique: `price-3`, `writer-1 process`, `price`."""
    label: str
    stage: StageName
    workers: tuple[WorkerSpans, ...]
    """One worker, or those of the stage."""
    is_heading: bool = False
    is_process: bool = False

    @property
    def title(self) -> str:
        """The full name of the row."""
        if self.is_heading:
            return f"{self.stage} workers"
        (worker,) = self.workers
        return f"process of {worker.name}" if self.is_process else worker.name

    def answers_to(self, key: str) -> bool:
        """Whether the row has a key. The row of a stage with a single worker also has the worker's key."""
        return key in (self.key, str(self.stage))

    def spans_of(self, worker: WorkerSpans) -> Sequence[Span]:
        """The spans of one of its workers that the row shows."""
        return process_spans(worker) if self.is_process else worker.spans

    def settled(self, now: float) -> float:
        """The time before which the row no longer changes.

        What a process did with its batches is known once its thread has other ones: until then a commit may follow.
        """
        if not self.is_process:
            return now
        (worker,) = self.workers
        spans = worker.spans
        return next((span.end for span in reversed(spans) if span.batches != spans[-1].batches), 0.0)


def rows_of(report: SpanReport) -> list[Row]:
    """All rows, in the order of the data flow: a heading for each stage with several rows, then its workers."""
    rows: list[Row] = []
    for stage, found in groupby(report.workers, key=lambda worker: worker.stage):
        workers = tuple(found)
        members: list[Row] = []
        for worker in workers:
            members.append(Row(worker.name, f" {worker.name}", stage, (worker,)))
            if stage is StageName.WRITER and not report.by_second:
                label = f"  pid {worker.pid}" if worker.pid != report.pid else "  no process"
                members.append(Row(f"{worker.name} process", label, stage, (worker,), is_process=True))
        if len(members) == 1:
            rows.append(Row(members[0].key, workers[0].name, stage, workers))
        else:
            rows += [Row(str(stage), f"{stage} ×{len(workers)}", stage, workers, is_heading=True), *members]
    return rows


def shown_rows(rows: Sequence[Row], marked: str, room: int) -> list[Row]:
    """The rows that fit into `room` lines.

    If not all of them fit, the stage of the marked row is expanded first, and the others are reduced to their
    headings. If that stage does not fit either, the rows around the marked one are shown.
    """
    if len(rows) <= room:
        return list(rows)
    at = next((number for number, row in enumerate(rows) if row.key == marked), 0)
    stages = [list(found) for _, found in groupby(rows, key=lambda row: row.stage)]
    left = room - len(stages)
    if left <= 0:
        first = max(0, min(at - room // 2, len(rows) - room))
        return list(rows[first : first + room])
    shown: dict[StageName, list[Row]] = {}
    for head, *others in sorted(stages, key=lambda found: (rows[at] not in found, len(found))):
        is_marked = rows[at] is head or rows[at] in others
        fits = len(others) if len(others) <= left else left if is_marked else 0
        index = others.index(rows[at]) if rows[at] in others else 0
        shown[head.stage] = [head, *_around(others, index, fits)]
        left -= fits
    return [row for members in stages for row in shown[members[0].stage]]


def _around(rows: Sequence[Row], index: int, number: int) -> Sequence[Row]:
    """`number` rows, the one at `index` about in the middle; the first one is no process without its thread."""
    first = max(0, min(index - number // 2, len(rows) - number))
    if number > 1 and rows[first].is_process:
        # Start later if the marked row allows it, otherwise with fewer rows, so that the marked one is shown.
        at_end = first + number == len(rows)
        first += -1 if index == first or (at_end and index < len(rows) - 1) else 1
    return rows[first : first + number]


def marked_row(rows: Sequence[Row], key: str, number: int) -> int:
    """The index of the marked row: the one with the key, or the row now in its place if it is gone."""
    for at, row in enumerate(rows):
        if row.answers_to(key):
            return at
    return max(0, min(number, len(rows) - 1))
