"""The health of the database: overlapping attempts, and one report for the beginning and the end of an outage."""

from __future__ import annotations

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from tests.support.waiting import FakeClock


class Database:
    """The health of a database at a clock that the test moves, and the kinds of the events reported."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events: list[PipelineEvent] = []
        self.health = DatabaseHealth(self.events.append, lambda: 1.0, self.clock)
        self.health.record_success()

    def after(self, seconds: float) -> float:
        """Advance the clock; returns the new time."""
        self.clock.now += seconds
        return self.clock.now

    def is_down(self) -> bool:
        return self.health.down

    @property
    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]


@pytest.fixture
def database() -> Database:
    return Database()


def test_an_outage_is_reported_with_its_duration(database: Database) -> None:
    database.health.record_failure("connection refused", "08006", database.after(1.0))
    for _ in range(5):
        database.health.record_failure("connection refused", "08006", database.after(1.0))
    database.health.record_success(database.after(1.0))
    assert database.kinds == [EventKind.DATABASE_DOWN, EventKind.DATABASE_BACK]
    assert database.events[1].seconds == pytest.approx(6.0)


def test_a_commit_that_began_before_the_failure_does_not_end_the_outage(database: Database) -> None:
    # given two writers that commit when the server is stopped
    began = database.after(1.0)
    database.after(0.1)
    database.health.record_failure("terminating connection", "57P01", began)
    # when the commit of the second one still succeeds, and its next one fails
    database.after(0.01)
    database.health.record_success(began)
    assert database.is_down()
    assert database.health.retry_in is not None
    database.health.record_failure("connection refused", "08006", database.after(0.2))
    database.health.record_success(database.after(3.0))
    # then it is one outage
    assert database.kinds == [EventKind.DATABASE_DOWN, EventKind.DATABASE_BACK]


def test_an_attempt_that_failed_before_the_recovery_does_not_begin_another_outage(
    database: Database,
) -> None:
    # given an outage during which two writers connect
    database.health.record_failure("connection refused", "08006", database.after(1.0))
    began = database.after(0.5)
    # when one succeeds and the other, which began earlier, fails later
    database.health.record_success(database.after(0.5))
    database.after(0.5)
    database.health.record_failure("the database system is starting up", "57P03", began)
    # then the database stays up, and the next failure is a new outage
    assert not database.is_down()
    assert database.kinds == [EventKind.DATABASE_DOWN, EventKind.DATABASE_BACK]
    database.health.record_failure("connection refused", "08006", database.after(1.0))
    assert database.is_down()
    assert database.kinds[2:] == [EventKind.DATABASE_DOWN]


def test_an_attempt_of_unknown_begin_counts(database: Database) -> None:
    database.health.record_failure("full", "53100")
    assert database.is_down()
    database.health.record_success()
    assert not database.is_down()


def test_an_outage_at_the_start_of_the_program_is_reported() -> None:
    clock, events = FakeClock(), list[PipelineEvent]()
    health = DatabaseHealth(events.append, lambda: 1.0, clock)
    health.record_failure("connection refused", "08006", clock.now)
    assert [event.kind for event in events] == [EventKind.DATABASE_DOWN]


@pytest.mark.parametrize(
    ("failures", "jitter", "pause"), [(1, 1.0, 0.2), (1, 0.0, 0.1), (2, 1.0, 0.4), (99, 1.0, 2.0)]
)
def test_the_pause_between_attempts_doubles_up_to_two_seconds(
    failures: int, jitter: float, pause: float
) -> None:
    health = DatabaseHealth(lambda _event: None, lambda: jitter, FakeClock())
    for _ in range(failures):
        health.record_failure("connection refused", "08006")
    assert health.retry_in == pytest.approx(pause)
