"""The journey of every batch of quotes from the start of its cycle to its commit, from the workers' spans.

The quotes of one request share their moments, so nothing is recorded for a quote: its batch number leads to the spans
in which the request was made, its quotes converted and its rows committed. Converters and writers take several batches
at once; if the quotes of a batch were split, the moments are those of the last ones.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import groupby
from math import ceil

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport, WorkerSpans


class Moment(IntEnum):
    """The moments of a quote, in the order of time."""

    CYCLE = 0
    """The start of its cycle."""
    TAKEN = 1
    """A price worker took its ticker from the queue."""
    SENT = 2
    """The request limit admitted the request, and it was sent."""
    ANSWERED = 3
    CONVERTED = 4
    """Its row was put on the rows queue."""
    JOURNALLED = 5
    """Its row is on disk."""
    TO_WRITER = 6
    """Its batch was sent to the writer's process."""
    COMMITTED = 7


LEGS: Mapping[Moment, str] = {
    Moment.TAKEN: "tickers queue",
    Moment.SENT: "request limit",
    Moment.ANSWERED: "request",
    Moment.CONVERTED: "conversion",
    Moment.JOURNALLED: "rows queue and journal",
    Moment.TO_WRITER: "waiting for a writer",
    Moment.COMMITTED: "commit",
}
"""The name of the leg that ends at each moment."""


WHOLE = "cycle start to commit"
"""The name of all legs together."""


@dataclass(slots=True)
class Journey:
    """The moments of one batch, as seconds of the pipeline's monotonic clock, as far as they are known."""

    batch: int
    moments: dict[Moment, float] = field(default_factory=dict)
    workers: dict[StageName, str] = field(default_factory=dict)
    """The workers that processed it: the last one of each stage."""

    @property
    def begin(self) -> float:
        """The first known moment."""
        return min(self.moments.values())

    @property
    def total(self) -> float:
        """Seconds between the first and the last known moment."""
        return max(self.moments.values()) - self.begin

    def elapsed(self, now: float) -> float:
        """Seconds from its first known moment to its commit, or to `now` if it is not committed."""
        return self.total if Moment.COMMITTED in self.moments else max(self.total, now - self.begin)

    @property
    def is_complete(self) -> bool:
        """Whether it is committed and all its spans since the request are known."""
        return Moment.COMMITTED in self.moments and Moment.TAKEN in self.moments

    def legs(self) -> Iterator[tuple[Moment, float, float]]:
        """Each known leg: the moment at its end, its start and its end; a leg without a start begins at the one before.

        Moments out of order belong to quotes that overtook each other; their leg has no duration.
        """
        at = self.begin
        for moment in LEGS:
            if moment in self.moments:
                end = max(at, self.moments[moment])
                yield moment, at, end
                at = end


def journeys_of(report: SpanReport, events: Sequence[PipelineEvent]) -> dict[int, Journey]:
    """The batches of this program's price workers whose request is in the report, by their numbers."""
    found: dict[int, Journey] = {}
    for worker in report.workers:
        if worker.stage is StageName.PRICE:
            _add_requests(worker, report, found)
    for worker in report.workers:
        if worker.stage is StageName.CONVERTER:
            _add_conversions(worker, report, found)
        elif worker.stage is StageName.WRITER:
            _add_commits(worker, report, found)
    starts = sorted(
        report.time_of(event.second, event.at) for event in events if event.kind is EventKind.CYCLE_STARTED
    )
    for journey in found.values():
        index = bisect_right(starts, journey.moments[Moment.TAKEN])
        if index:
            journey.moments[Moment.CYCLE] = starts[index - 1]
    return found


def _is_open(span: Span, report: SpanReport) -> bool:
    """Whether a span had not ended when the report was taken."""
    return span.end >= report.monotonic


def _by_batches(worker: WorkerSpans) -> Iterator[tuple[Batches, list[Span], WorkerState | None]]:
    """Successive spans of the same batches, with the state that follows them."""
    groups = [(key, list(spans)) for key, spans in groupby(worker.spans, key=lambda span: span.batches)]
    for number, (batches, spans) in enumerate(groups):
        following = groups[number + 1][1][0].state if number + 1 < len(groups) else None
        if batches.first:
            yield batches, spans, following


def _add_requests(worker: WorkerSpans, report: SpanReport, found: dict[int, Journey]) -> None:
    for batches, spans, _ in _by_batches(worker):
        journey = Journey(batches.first, {Moment.TAKEN: spans[0].start}, {StageName.PRICE: worker.name})
        found[batches.first] = journey
        # The moment before the request limit is checked belongs to the source too: another thread may fetch the cookie.
        limit = next((at for at, span in enumerate(spans) if span.state is WorkerState.LIMIT), 0)
        requests = [span for span in spans[limit:] if span.state is WorkerState.SOURCE]
        if requests:
            journey.moments[Moment.SENT] = requests[0].start
            if not _is_open(requests[-1], report):
                journey.moments[Moment.ANSWERED] = requests[-1].end


def _add_conversions(worker: WorkerSpans, report: SpanReport, found: Mapping[int, Journey]) -> None:
    for batches, spans, _ in _by_batches(worker):
        if not _is_open(spans[-1], report):
            _set(found, batches, {Moment.CONVERTED: spans[-1].end}, worker)


def _add_commits(worker: WorkerSpans, report: SpanReport, found: Mapping[int, Journey]) -> None:
    for batches, spans, following in _by_batches(worker):
        commits = [number for number, span in enumerate(spans) if span.state is WorkerState.DATABASE]
        before = spans[: commits[0]] if commits else spans
        journals = [span for span in before if span.state is WorkerState.JOURNAL]
        moments: dict[Moment, float] = {}
        if journals and not _is_open(journals[-1], report):
            moments[Moment.JOURNALLED] = journals[-1].end
        if commits:
            moments[Moment.TO_WRITER] = spans[commits[0]].start
            last = spans[commits[-1]]
            failed = following in (WorkerState.BACKOFF, WorkerState.DATABASE_DOWN)
            if not failed and not _is_open(last, report):
                moments[Moment.COMMITTED] = last.end
        _set(found, batches, moments, worker)


def _set(
    found: Mapping[int, Journey], batches: Batches, moments: Mapping[Moment, float], worker: WorkerSpans
) -> None:
    """Add moments to all journeys of some batches if they are later than the known ones."""
    for number in range(batches.first, batches.last + 1):
        journey = found.get(number)
        # Numbers in the range with a later request belong to other quotes.
        if journey is None or any(at < journey.moments[Moment.TAKEN] for at in moments.values()):
            continue
        for moment, at in moments.items():
            journey.moments[moment] = max(at, journey.moments.get(moment, at))
            journey.workers[worker.stage] = worker.name


@dataclass(frozen=True, slots=True)
class LegTimes:
    """How long a leg took, in seconds, over some batches."""

    name: str
    p50: float
    p95: float
    count: int


def leg_times(journeys: Sequence[Journey]) -> list[LegTimes]:
    """The percentiles of every leg over these journeys, then those of the whole journey; without legs not seen."""
    seconds: dict[str, list[float]] = {}
    for journey in journeys:
        for moment, start, end in journey.legs():
            if Moment(moment - 1) in journey.moments:
                seconds.setdefault(LEGS[moment], []).append(end - start)
        seconds.setdefault(WHOLE, []).append(journey.total)
    names = [*LEGS.values(), WHOLE]
    return [
        LegTimes(name, percentile(seconds[name], 0.5), percentile(seconds[name], 0.95), len(seconds[name]))
        for name in names
        if name in seconds
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
