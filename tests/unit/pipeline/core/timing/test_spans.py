"""Rings of spans: the spans kept, dropped by a reader, and recorded by workers."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.config.settings import MAX_WORKERS
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import (
    NO_BATCHES,
    RING_BYTES,
    Batches,
    ProcessUse,
    Span,
    SpanRing,
    SpanRings,
    WorkerSpans,
    batches_of,
    spans_of_seconds,
)
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.core.worker_pool import WorkerPool
from tests.support.pipeline.rows import row
from tests.support.tui.fake_pipeline import NOON, second_sample
from tests.support.waiting import Wait

MEMORY_LIMIT = 16 << 20
"""Bytes of all rings together."""


def filled(ring: SpanRing, spans: int) -> SpanRing:
    """A ring to which one span a second was added."""
    for number in range(spans):
        ring.record(WorkerState.BUSY, number, number + 1, Batches(number, number))
    return ring


class TestRing:
    def test_spans_are_kept_with_their_times_and_batches(self) -> None:
        ring = SpanRing(10)
        ring.record(WorkerState.IDLE, 1.0, 2.5)
        ring.record(WorkerState.DATABASE, 2.5, 2.75, Batches(3, 7))
        assert ring.since(0.0) == (
            [
                Span(WorkerState.IDLE, 1.0, 2.5, NO_BATCHES),
                Span(WorkerState.DATABASE, 2.5, 2.75, Batches(3, 7)),
            ],
            False,
        )

    @pytest.mark.parametrize("spans", [0, 1, 9, 10, 11, 57])
    def test_the_oldest_are_overwritten(self, spans: int) -> None:
        found, overwritten = filled(SpanRing(10), spans).since(-1.0)
        # The slot of the oldest span may be partly written at any moment.
        assert [span.start for span in found] == list(range(max(0, spans - 9), spans))
        assert overwritten == (spans > 9)

    def test_only_the_requested_time_is_read(self) -> None:
        found, overwritten = filled(SpanRing(10), 57).since(54.5)
        assert [span.start for span in found] == [54.0, 55.0, 56.0]
        assert not overwritten

    @given(
        start=st.floats(0, 2.0**32),
        length=st.floats(0, 1000),
        first=st.integers(0, 2**53),
        state=st.sampled_from(WorkerState),
    )
    def test_a_span_is_read_as_it_was_recorded(
        self, start: float, length: float, first: int, state: WorkerState
    ) -> None:
        end = start + max(length, 1e-5)
        batches = Batches(first, first)
        ring = SpanRing(10)
        ring.record(state, start, end, batches)
        assert ring.since(start) == ([Span(state, start, end, batches)], False)

    def test_a_reader_never_sees_a_span_that_is_being_overwritten(self) -> None:
        # given a small ring that a thread writes without a pause
        ring, ending = SpanRing(8), threading.Event()

        def write() -> None:
            number = 0
            while not ending.is_set():
                number += 1
                ring.record(WorkerState.BUSY, number, number + 1, Batches(number, number))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(3_000):
                # when it is read at the same time
                found, _ = ring.since(0.0)
                # then every span is complete, and they are consecutive
                for span in found:
                    assert (span.end, span.batches.last) == (span.start + 1, span.start)
                assert all(after.start == before.end for before, after in pairwise(found))
        finally:
            ending.set()
            writer.join()

    def test_all_rings_together_fit_into_the_memory(self) -> None:
        pools_with_scaled_workers = sum(stage is not StageName.SCRAPER for stage in StageName)
        workers = pools_with_scaled_workers * MAX_WORKERS + len(("scraper-1", "bar-writer-1"))
        assert RING_BYTES * workers <= MEMORY_LIMIT


class TestRings:
    def test_a_successor_continues_the_ring_of_its_name(self) -> None:
        rings = SpanRings()
        assert rings.ring("price-1") is rings.ring("price-1")

    def test_the_successor_of_a_hung_worker_has_a_separate_ring(self) -> None:
        rings = SpanRings()
        hung = rings.ring("price-1")
        fresh = rings.ring("price-1", fresh=True)
        assert fresh is not hung
        assert rings.ring("price-1") is fresh

    def test_workers_are_in_the_order_of_their_numbers(self) -> None:
        rings = SpanRings()
        for name in ("price-10", "price-2", "price-1"):
            rings.ring(name)
        assert list(rings.by_name()) == ["price-1", "price-2", "price-10"]

    def test_the_last_processes_of_a_writer_are_kept(self) -> None:
        ring = SpanRing()
        for pid in range(100):
            ring.use_process(pid, 1000 + pid)
        assert ring.processes == tuple(ProcessUse(pid, 1000 + pid) for pid in range(36, 100))

    def test_a_writer_had_the_process_that_was_started_before(self) -> None:
        two = (ProcessUse(5.0, 41), ProcessUse(8.0, 42))
        writer = WorkerSpans("writer-1", StageName.WRITER, 42, 1, (), processes=two)
        assert [writer.process_at(time) for time in (1.0, 5.0, 7.9, 8.0, 99.0)] == [41, 41, 41, 42, 42]
        assert replace(writer, processes=()).process_at(1.0) == 42


def test_the_batches_of_quotes_are_their_range() -> None:
    assert batches_of([]) == NO_BATCHES
    assert batches_of([row(1)]) == NO_BATCHES
    items = [replace(row(number), batch=batch) for number, batch in enumerate((7, 0, 5))]
    assert batches_of(items) == Batches(5, 7)


class _Steps:
    """A task that passes through the states of a request once, then ends the worker."""

    def __init__(self, worker: Worker, may_end: threading.Event) -> None:
        self._worker = worker
        self._may_end = may_end

    def run_once(self) -> None:
        worker = self._worker
        worker.use_process(41)
        worker.use_process(None)
        worker.use_process(42)
        worker.start_work("5 symbols", Batches(4, 4))
        worker.switch(WorkerState.SOURCE)
        worker.hand_over("5 quotes")
        worker.start_work("more of the same lease")
        worker.set_state(WorkerState.IDLE)
        self._may_end.wait(10)
        worker.stopping.set()

    def close(self) -> None:
        pass


def test_a_worker_records_its_states_without_a_gap(eventually: Wait) -> None:
    # given a worker that went through the states of a request
    may_end = threading.Event()
    pool = WorkerPool(
        StageName.PRICE, lambda worker: _Steps(worker, may_end), 1, listener=lambda _event: None
    )
    pool.start()
    (worker,) = pool.workers
    eventually(lambda: worker.snapshot().state is WorkerState.IDLE)

    # when its spans are read while it runs
    now = worker.open_span(0.0).start + 100
    (found,) = pool.worker_spans(0.0, now)

    # then each begins where the last one ended, and those of the lease have its batch
    assert [(span.state, span.batches.first) for span in found.spans] == [
        (WorkerState.STARTING, 0),
        (WorkerState.BUSY, 4),
        (WorkerState.SOURCE, 4),
        (WorkerState.BUSY, 4),
        (WorkerState.IDLE, 0),
    ]
    assert all(after.start == before.end for before, after in pairwise(found.spans))
    assert found.spans[-1].end == now
    assert (found.name, found.thread) == ("price-1", worker.thread.native_id)

    # and its processes are known
    assert (found.pid, [use.pid for use in found.processes]) == (42, [41, 42])

    # and they are kept when it has ended
    may_end.set()
    assert pool.join(60)
    (ended,) = pool.worker_spans(0.0, now)
    assert [span.state for span in ended.spans][-1] is WorkerState.IDLE
    assert ended.spans[-1].end < now
    assert ended.processes == found.processes


class TestSpansOfSeconds:
    def test_every_second_has_the_shares_of_its_sample(self) -> None:
        samples = [
            second_sample(7),
            second_sample(8, price={WorkerState.BUSY: 0.2, WorkerState.SOURCE: 0.8}),
        ]
        report = spans_of_seconds(samples, NOON)
        (worker,) = report.workers
        assert worker.name == "price-1"
        assert report.by_second
        for second, sample in zip((7.0, 8.0), samples, strict=True):
            spans = [span for span in worker.spans if second <= span.start < second + 1]
            assert {span.state: pytest.approx(span.end - span.start) for span in spans} == dict(
                sample.workers[0].seconds
            )
        assert report.monotonic == 9.0
        assert report.time_of(8, NOON) == pytest.approx(8.0)

    def test_a_worker_that_ended_and_one_that_began_leave_gaps(self) -> None:
        begun = replace(second_sample(9).workers[0], name="price-2")
        samples = [second_sample(7), replace(second_sample(9), workers=(begun,))]
        one, two = spans_of_seconds(samples, NOON).workers
        assert (one.spans[-1].end, two.spans[0].start) == (8.0, 9.0)

    def test_without_samples_there_are_no_spans(self) -> None:
        assert spans_of_seconds((), NOON).workers == ()
