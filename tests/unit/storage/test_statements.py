"""Which failures of a statement are retried immediately, and how often."""

from __future__ import annotations

import psycopg
import pytest

from sp500tui.storage.statements import with_retry


class Statement:
    """Fails with these errors, one a call, and then succeeds."""

    def __init__(self, *errors: psycopg.Error) -> None:
        self.errors = list(errors)
        self.pauses: list[float] = []

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def run(self) -> str:
        return with_retry(self, self.pauses.append)


def test_a_statement_that_works_is_sent_once() -> None:
    statement = Statement()
    assert statement.run() == "done"
    assert statement.pauses == []


@pytest.mark.parametrize("error", [psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected])
def test_a_serialization_failure_is_retried_after_short_delays(error: type[psycopg.Error]) -> None:
    statement = Statement(*(error() for _ in range(5)))
    assert statement.run() == "done"
    assert len(statement.pauses) == 5
    assert all(0 <= pause <= 0.02 * 2**attempt for attempt, pause in enumerate(statement.pauses))


def test_the_sixth_failure_is_raised() -> None:
    statement = Statement(*(psycopg.errors.SerializationFailure() for _ in range(6)))
    with pytest.raises(psycopg.errors.SerializationFailure):
        statement.run()


@pytest.mark.parametrize("error", [psycopg.errors.UniqueViolation(), psycopg.OperationalError("cut")])
def test_any_other_failure_is_raised_at_once(error: psycopg.Error) -> None:
    statement = Statement(error)
    with pytest.raises(type(error)):
        statement.run()
    assert statement.pauses == []
