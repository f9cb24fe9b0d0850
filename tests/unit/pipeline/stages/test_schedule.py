"""The schedule of the cycles, as tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sp500tui.pipeline.stages.schedule import (
    WARM_UP,
    CycleSchedule,
    Plan,
    ScheduleAction,
    idle_time,
    next_action,
)
from tests.support.waiting import FakeClock


@pytest.mark.parametrize(
    ("plan", "now", "number", "running", "asked", "move"),
    [
        (Plan(), 0, 0, False, False, ScheduleAction.START),
        (Plan(), 5, 1, False, False, ScheduleAction.WAIT),
        (Plan(), 5, 1, False, True, ScheduleAction.START),
        (Plan(), 10, 1, False, False, ScheduleAction.START),
        (Plan(), 10, 1, True, False, ScheduleAction.SKIP),
        (Plan(), 9, 1, True, True, ScheduleAction.WAIT),
        (Plan(cycles=1), 5, 1, True, False, ScheduleAction.WAIT),
        (Plan(cycles=1), 5, 1, False, False, ScheduleAction.END),
        (Plan(cycles=2), 10, 1, False, False, ScheduleAction.START),
        (Plan(duration=5), 4.9, 1, False, False, ScheduleAction.WAIT),
        (Plan(duration=5), 5, 1, True, False, ScheduleAction.END),
        (Plan(cycles=9, duration=5), 6, 1, False, True, ScheduleAction.END),
    ],
)
def test_the_next_action(
    plan: Plan, now: float, number: int, running: bool, asked: bool, move: ScheduleAction
) -> None:
    due = 10.0 if number else 0.0
    assert (
        next_action(plan, now=now, started=0.0, due=due, number=number, running=running, requested=asked)
        is move
    )


def test_the_end_of_a_cycle_has_its_number_although_the_next_one_begins_at_once() -> None:
    # given a scraper that begins the next cycle as soon as one has ended
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), 10, clock)
    cycles.begin(503)
    clock.now += 2

    def begin_next() -> None:
        if not cycles.running:
            cycles.begin(503)

    cycles.subscribe(begin_next)
    # when a cycle ends, then it is the one that has ended
    assert cycles.finish() == (1, 2)
    assert cycles.number == 2


def test_the_interval_is_exact_although_each_cycle_starts_slightly_late() -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), 10, clock)
    cycles.begin(503)
    cycles.finish()
    clock.now = 110.3
    assert cycles.begin(503) == 2
    clock.now += 2
    assert cycles.finish().seconds == 2
    clock.now = 119.9
    assert cycles.next_action() is ScheduleAction.WAIT
    clock.now = 120.0
    assert cycles.next_action() is ScheduleAction.START


def test_a_requested_cycle_restarts_the_interval() -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), 10, clock)
    cycles.begin(1)
    assert not cycles.request(), "one is under way"
    cycles.finish()
    clock.now += 4
    assert cycles.request()
    assert cycles.next_action() is ScheduleAction.START
    cycles.begin(1)
    cycles.finish()
    assert cycles.snapshot(0, stopping=False).next_in == 10


def test_starts_due_during_a_cycle_are_counted_and_not_made_up_for() -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), 10, clock)
    cycles.mark_ready()
    cycles.begin(1)
    clock.now += 35
    assert cycles.next_action() is ScheduleAction.SKIP
    assert cycles.next_action() is ScheduleAction.WAIT
    assert cycles.snapshot(1, stopping=False).skipped == 3
    assert cycles.finish().seconds == 35
    clock.now += 5
    assert cycles.next_action() is ScheduleAction.START
    cycles.begin(1)
    assert cycles.snapshot(1, stopping=False).skipped == 0, "this one is in time"


def test_a_slow_start_of_the_program_skips_nothing() -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), 10, clock)
    clock.now += 6
    cycles.begin(1)
    clock.now += 5
    assert cycles.next_action() is ScheduleAction.WAIT
    assert cycles.finish().seconds == 5
    assert cycles.snapshot(0, stopping=False).next_in == 5, "the rhythm counts from the first cycle"


@pytest.mark.parametrize("interval", [0.2, 0.5, 2.0])
def test_the_first_cycle_is_not_held_to_the_interval_while_it_opens_connections(interval: float) -> None:
    # given a first cycle whose price workers start for 20 s
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), interval, clock)
    cycles.begin(503)
    clock.now += 20
    assert cycles.next_action() is ScheduleAction.WAIT
    assert cycles.idle_time() == math.inf, "nothing is due until they are ready"
    # when they are ready and open their connections
    cycles.mark_ready()
    clock.now += 3
    assert cycles.next_action() is ScheduleAction.WAIT
    assert cycles.idle_time() == WARM_UP - 3
    assert cycles.snapshot(100, stopping=False).warming_up
    cycles.finish()
    # then no start was skipped, its duration is not used as an estimate, and the second one starts at once
    seen = cycles.snapshot(0, stopping=False)
    assert (seen.warming_up, seen.skipped, seen.seconds, seen.last_seconds) == (True, 0, 23, None)
    assert cycles.next_action() is ScheduleAction.START
    cycles.begin(503)
    seen = cycles.snapshot(503, stopping=False)
    assert (seen.warming_up, seen.last_seconds) == (False, None)
    clock.now += interval + 0.1
    assert cycles.next_action() is ScheduleAction.SKIP
    cycles.finish()
    assert cycles.snapshot(0, stopping=False).last_seconds == pytest.approx(interval + 0.1)


def test_a_first_cycle_that_does_not_end_is_late_after_the_warm_up() -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), 2, clock)
    cycles.mark_ready()
    cycles.begin(503)
    clock.now += WARM_UP
    assert cycles.next_action() is ScheduleAction.SKIP
    seen = cycles.snapshot(503, stopping=False)
    assert (seen.warming_up, seen.skipped) == (False, 2)
    cycles.mark_ready()
    assert not cycles.snapshot(503, stopping=False).warming_up, "they are ready once"


def test_after_a_long_pause_only_one_cycle_starts() -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), 10, clock)
    cycles.begin(1)
    cycles.finish()
    clock.now += 1000
    assert cycles.next_action() is ScheduleAction.START
    cycles.begin(1)
    cycles.finish()
    assert cycles.next_action() is ScheduleAction.WAIT


@pytest.mark.parametrize(("interval", "next_in"), [(60, 57), (5, 2), (1, 0)])
def test_a_new_interval_counts_from_the_last_start(interval: float, next_in: float) -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(), 10, clock)
    cycles.begin(1)
    cycles.finish()
    clock.now += 3
    cycles.set_interval(interval)
    assert cycles.interval == interval
    assert cycles.snapshot(0, stopping=False).next_in == next_in


def test_a_new_interval_before_the_first_cycle_does_not_delay_it() -> None:
    cycles = CycleSchedule(Plan(), 10, FakeClock())
    cycles.set_interval(60)
    assert cycles.next_action() is ScheduleAction.START


def test_the_snapshot_has_progress_and_the_next_start() -> None:
    clock = FakeClock()
    cycles = CycleSchedule(Plan(cycles=1), 10, clock)
    assert cycles.snapshot(0, stopping=False).number == 0
    cycles.begin(503)
    clock.now += 1.5
    seen = cycles.snapshot(100, stopping=False)
    assert (seen.done, seen.total, seen.running, seen.seconds) == (403, 503, True, 1.5)
    assert seen.next_in is None, "it was the last"
    cycles.finish()
    seen = cycles.snapshot(0, stopping=True)
    assert (seen.done, seen.running, seen.number, seen.next_in) == (503, False, 1, None)
    assert (cycles.running, cycles.number) == (False, 1)


def test_more_outstanding_than_total_symbols_counts_as_none_done() -> None:
    cycles = CycleSchedule(Plan(), 10, FakeClock())
    cycles.begin(5)
    assert cycles.snapshot(9, stopping=False).done == 0


@given(
    plan=st.builds(
        Plan,
        st.one_of(st.none(), st.integers(1, 3)),
        st.one_of(st.none(), st.floats(0.1, 100)),
    ),
    now=st.floats(0, 100),
    due=st.floats(0, 100),
    number=st.integers(0, 4),
    running=st.booleans(),
    share=st.floats(0, 0.99),
)
def test_a_sleeping_scheduler_misses_no_action(
    plan: Plan, now: float, due: float, number: int, running: bool, share: float
) -> None:
    # Given a schedule whose next start is later
    def move_at(tick: float) -> ScheduleAction:
        return next_action(
            plan, now=tick, started=0.0, due=due, number=number, running=running, requested=False
        )

    assume(move_at(now) is ScheduleAction.WAIT)

    # When the scheduler sleeps for the idle time
    seconds = idle_time(plan, now=now, started=0.0, due=due, number=number)

    # Then there was nothing to do until then, and there is something to do afterwards
    assert move_at(now + min(seconds, 1e6) * share) is ScheduleAction.WAIT
    if seconds < math.inf:
        assert move_at(now + seconds + 1e-6) is not ScheduleAction.WAIT
