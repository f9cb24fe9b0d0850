"""The series of the last seconds: aligned at the newest one, blank where nothing was measured."""

from __future__ import annotations

import logging

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.timing.second_sample import SECONDS_KEPT
from sp500tui.tui.recent_seconds import RecentSeconds
from tests.support.tui.fake_pipeline import NOON
from tests.support.tui.past_seconds import past_seconds, sample, worker_second


def of(*seconds: int) -> RecentSeconds:
    """These seconds: `price-1` is half busy in each, and its queue holds as many items as its number."""
    recent = RecentSeconds()
    for second in seconds:
        worker = worker_second("price-1", StageName.PRICE, 0.5)
        recent.extend([sample(second, [worker], {QueueName.TICKERS: second}, journal=second)])
    return recent


def test_a_history_without_samples_is_empty() -> None:
    recent = RecentSeconds()
    assert (recent.second, recent.stage(StageName.PRICE), recent.worker("price-1")) == (0, (), ())
    assert (recent.queue(QueueName.ROWS), recent.journal(), recent.events()) == ((), (), [])


def test_every_series_ends_with_the_newest_second() -> None:
    recent = of(1, 2, 3)
    assert recent.second == 3
    assert recent.queue(QueueName.TICKERS) == [1, 2, 3]
    assert recent.journal() == [1, 2, 3]
    assert [each and each.busy for each in recent.stage(StageName.PRICE)] == [0.5] * 3
    assert [each and each.busy for each in recent.worker("price-1")] == [0.5] * 3


def test_seconds_without_a_sample_leave_a_gap() -> None:
    recent = of(1, 4)
    assert recent.queue(QueueName.TICKERS) == [1, None, None, 4]
    assert recent.worker("price-1")[1:3] == [None, None]


def test_samples_that_are_known_already_change_nothing() -> None:
    recent = of(1, 2)
    recent.extend([sample(1), sample(2)])
    assert recent.queue(QueueName.TICKERS) == [1, 2]


def test_a_worker_begins_with_its_first_second_and_is_forgotten_after_its_last() -> None:
    recent = of(1)
    recent.extend([sample(2, [worker_second("price-2", StageName.PRICE, 1.0)])])
    assert len(recent.worker("price-2")) == 1
    assert recent.worker("price-1")[-1] is None
    recent.extend([sample(second) for second in range(3, 3 + SECONDS_KEPT)])
    assert recent.worker("price-1") == ()


def test_a_pause_of_hours_takes_no_longer_than_the_seconds_kept() -> None:
    recent = of(1, 2)
    recent.extend([sample(50_000, [worker_second("price-1", StageName.PRICE, 0.1)])])
    assert len(recent.queue(QueueName.TICKERS)) <= 2 * SECONDS_KEPT
    assert recent.queue(QueueName.TICKERS) == [0]
    assert len(recent.worker("price-1")) == 1


def test_an_hour_of_samples_stays_bounded() -> None:
    recent = RecentSeconds()
    recent.extend(past_seconds(3_600))
    assert SECONDS_KEPT <= len(recent.stage(StageName.PRICE)) < 2 * SECONDS_KEPT
    assert SECONDS_KEPT <= len(recent.journal()) < 2 * SECONDS_KEPT


@pytest.mark.parametrize("later", [0, 5, SECONDS_KEPT])
def test_events_are_as_old_as_their_second_and_are_dropped_with_it(later: int) -> None:
    recent = RecentSeconds()
    event = PipelineEvent(EventKind.DATABASE_DOWN, "away", logging.ERROR, NOON)
    recent.extend([sample(7, events=(event,)), *(sample(7 + n) for n in range(1, later + 1))])
    assert recent.events() == ([] if later >= SECONDS_KEPT else [(later, event)])


def test_a_stage_without_workers_has_no_activity() -> None:
    recent = RecentSeconds()
    recent.extend([sample(1, [worker_second("price-1", StageName.PRICE, 0.5)])])
    assert recent.stage(StageName.WRITER) == ()
