"""The series of the last seconds: aligned at the newest one, blank where nothing was measured."""

from __future__ import annotations

import logging

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.timing.second_sample import SECONDS_KEPT
from sp500tui.tui.history import History
from tests.support.tui.fake_pipeline import NOON
from tests.support.tui.past_seconds import past_seconds, sample, worker_second


def of(*seconds: int) -> History:
    """A history of `price-1` being half busy in these seconds, and its queue holding their numbers."""
    history = History()
    for second in seconds:
        worker = worker_second("price-1", StageName.PRICE, 0.5)
        history.extend([sample(second, [worker], {QueueName.TICKERS: second}, journal=second)])
    return history


def test_a_history_without_samples_is_empty() -> None:
    history = History()
    assert (history.second, history.stage(StageName.PRICE), history.worker("price-1")) == (0, (), ())
    assert (history.queue(QueueName.ROWS), history.journal(), history.events()) == ((), (), [])


def test_every_series_ends_with_the_newest_second() -> None:
    history = of(1, 2, 3)
    assert history.second == 3
    assert history.queue(QueueName.TICKERS) == [1, 2, 3]
    assert history.journal() == [1, 2, 3]
    assert [each and each.busy for each in history.stage(StageName.PRICE)] == [0.5] * 3
    assert [each and each.busy for each in history.worker("price-1")] == [0.5] * 3


def test_seconds_without_a_sample_leave_a_gap() -> None:
    history = of(1, 4)
    assert history.queue(QueueName.TICKERS) == [1, None, None, 4]
    assert history.worker("price-1")[1:3] == [None, None]


def test_samples_that_are_known_already_change_nothing() -> None:
    history = of(1, 2)
    history.extend([sample(1), sample(2)])
    assert history.queue(QueueName.TICKERS) == [1, 2]


def test_a_worker_begins_with_its_first_second_and_is_forgotten_after_its_last() -> None:
    history = of(1)
    history.extend([sample(2, [worker_second("price-2", StageName.PRICE, 1.0)])])
    assert len(history.worker("price-2")) == 1
    assert history.worker("price-1")[-1] is None
    history.extend([sample(second) for second in range(3, 3 + SECONDS_KEPT)])
    assert history.worker("price-1") == ()


def test_a_pause_of_hours_costs_no_more_than_what_is_kept() -> None:
    history = of(1, 2)
    history.extend([sample(50_000, [worker_second("price-1", StageName.PRICE, 0.1)])])
    assert len(history.queue(QueueName.TICKERS)) <= 2 * SECONDS_KEPT
    assert history.queue(QueueName.TICKERS) == [0]
    assert len(history.worker("price-1")) == 1


def test_an_hour_of_samples_stays_bounded() -> None:
    history = History()
    history.extend(past_seconds(3_600))
    assert SECONDS_KEPT <= len(history.stage(StageName.PRICE)) < 2 * SECONDS_KEPT
    assert SECONDS_KEPT <= len(history.journal()) < 2 * SECONDS_KEPT


@pytest.mark.parametrize("later", [0, 5, SECONDS_KEPT])
def test_events_are_as_old_as_their_second_and_are_dropped_with_it(later: int) -> None:
    history = History()
    event = PipelineEvent(EventKind.DATABASE_DOWN, "away", logging.ERROR, NOON)
    history.extend([sample(7, events=(event,)), *(sample(7 + n) for n in range(1, later + 1))])
    assert history.events() == ([] if later >= SECONDS_KEPT else [(later, event)])


def test_a_stage_without_workers_has_no_activity() -> None:
    history = History()
    history.extend([sample(1, [worker_second("price-1", StageName.PRICE, 0.5)])])
    assert history.stage(StageName.WRITER) == ()
