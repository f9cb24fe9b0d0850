"""The journeys of batches of quotes, read from the spans of the workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport, WorkerSpans
from sp500tui.pipeline.journeys import LEGS, WHOLE, Journey, Moment, journeys_of, leg_times, percentile

NOON = datetime(2026, 5, 14, 12, 0, tzinfo=UTC)
BUSY, IDLE, JOURNAL, DATABASE = WorkerState.BUSY, WorkerState.IDLE, WorkerState.JOURNAL, WorkerState.DATABASE
ONE, TWO, BOTH = Batches(1, 1), Batches(2, 2), Batches(1, 2)


def worker(name: str, *spans: Span) -> WorkerSpans:
    return WorkerSpans(name, StageName(name.partition("-")[0]), 1, 2, spans)


def request(batch: Batches, taken: float, sent: float, answered: float) -> tuple[Span, ...]:
    """The spans recorded by a price worker: waits for the cookie, for the limit, and for the response."""
    return (
        Span(BUSY, taken, taken, batch),
        Span(WorkerState.SOURCE, taken, taken, batch),
        Span(WorkerState.LIMIT, taken, sent, batch),
        Span(WorkerState.SOURCE, sent, answered, batch),
        Span(BUSY, answered, answered + 0.01, batch),
    )


def commit(batches: Batches, start: float, end: float, after: WorkerState = IDLE) -> tuple[Span, ...]:
    return (
        Span(BUSY, start, start + 0.1, batches),
        Span(JOURNAL, start + 0.1, start + 0.2, batches),
        Span(BUSY, start + 0.2, start + 0.25, batches),
        Span(DATABASE, start + 0.25, end, batches),
        Span(JOURNAL, end, end + 0.1, batches if after is IDLE else Batches()),
        Span(after, end + 0.1, end + 0.2),
    )


PRICE = worker("price-1", *request(ONE, 101.0, 101.5, 102.5), *request(TWO, 102.6, 102.6, 103.0))
CONVERTER = worker("converter-1", Span(BUSY, 103.0, 103.2, BOTH), Span(IDLE, 103.2, 110.0))
WRITER = worker("writer-1", *commit(BOTH, 104.0, 105.0))
STARTED = PipelineEvent(EventKind.CYCLE_STARTED, "cycle 3 started", 20, NOON - timedelta(seconds=10))
"""At 100.0 by the monotonic clock."""


def journeys(*workers: WorkerSpans, now: float = 110.0) -> dict[int, Journey]:
    return journeys_of(SpanReport(NOON, now, 1, workers), [STARTED] if now == 110.0 else [])


def test_every_moment_of_a_batch_is_found() -> None:
    found = journeys(PRICE, CONVERTER, WRITER)[1]
    assert [found.moments[moment] for moment in Moment] == pytest.approx(
        [100.0, 101.0, 101.5, 102.5, 103.2, 104.2, 104.25, 105.0]
    )
    assert found.is_complete
    assert found.total == pytest.approx(5.0)
    assert found.workers == {
        StageName.PRICE: "price-1",
        StageName.CONVERTER: "converter-1",
        StageName.WRITER: "writer-1",
    }


def test_the_legs_add_up_to_the_whole() -> None:
    found = journeys(PRICE, CONVERTER, WRITER)
    for journey in found.values():
        legs = list(journey.legs())
        assert [moment for moment, _, _ in legs] == list(LEGS)
        assert sum(end - start for _, start, end in legs) == pytest.approx(journey.total)


def test_a_request_that_waits_for_the_limit_is_not_sent() -> None:
    waiting = worker("price-1", *request(ONE, 101.0, 110.0, 112.0)[:3])
    assert Moment.SENT not in journeys(waiting)[1].moments


def test_what_has_not_happened_yet_is_not_known() -> None:
    # given a commit that has not ended when the report is taken
    open_commit = worker("writer-1", *commit(BOTH, 104.0, 105.0)[:4])
    found = journeys(PRICE, CONVERTER, open_commit, now=105.0)[1]
    assert Moment.TO_WRITER in found.moments
    assert Moment.COMMITTED not in found.moments
    assert not found.is_complete
    # and a request that is not answered
    asked = journeys(worker("price-1", *request(ONE, 101.0, 101.5, 102.5)[:4]), now=102.5)[1]
    assert set(asked.moments) == {Moment.TAKEN, Moment.SENT}
    assert asked.elapsed(110.0) == pytest.approx(9.0)


def test_a_commit_that_failed_is_none_and_the_next_one_counts() -> None:
    killed = worker(
        "writer-1",
        *commit(BOTH, 104.0, 105.0, WorkerState.BACKOFF)[:4],
        Span(WorkerState.BACKOFF, 105.0, 106.0),
    )
    assert Moment.COMMITTED not in journeys(PRICE, CONVERTER, killed)[1].moments
    second = worker("writer-2", *commit(BOTH, 106.0, 107.0))
    found = journeys(PRICE, CONVERTER, killed, second)[1]
    assert found.moments[Moment.COMMITTED] == pytest.approx(107.0)
    assert found.workers[StageName.WRITER] == "writer-2"


def test_a_batch_that_was_split_is_committed_with_its_last_part() -> None:
    late = worker("writer-2", *commit(ONE, 106.0, 107.0))
    found = journeys(PRICE, CONVERTER, WRITER, late)
    assert found[1].moments[Moment.COMMITTED] == pytest.approx(107.0)
    assert found[2].moments[Moment.COMMITTED] == pytest.approx(105.0)


def test_batches_of_another_run_of_numbers_are_left_alone() -> None:
    # given a writer that committed numbers 1 and 2 before these were requested
    earlier = worker("writer-1", *commit(BOTH, 90.0, 91.0))
    assert Moment.COMMITTED not in journeys(PRICE, earlier)[1].moments


def test_without_spans_there_are_no_journeys() -> None:
    assert journeys() == {}
    assert leg_times([]) == []


def test_percentiles_are_those_of_the_legs() -> None:
    found = list(journeys(PRICE, CONVERTER, WRITER).values())
    times = {each.name: each for each in leg_times(found)}
    assert list(times) == [*LEGS.values(), WHOLE]
    assert times["request"].count == 2
    assert (times["request"].p50, times["request"].p95) == pytest.approx((0.4, 1.0))


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.95, 95), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value
    assert percentile([7.0], share) == 7.0
