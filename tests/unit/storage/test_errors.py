"""What a SQLSTATE means for a batch."""

from __future__ import annotations

import pytest

from sp500tui.storage.errors import is_bad_row, is_outage, is_transient, may_be_bad_row


@pytest.mark.parametrize(
    "sqlstate",
    [None, "08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P03", "58030"],
)
def test_transient_errors(sqlstate: str | None) -> None:
    assert is_transient(sqlstate)
    assert not is_bad_row(sqlstate)


@pytest.mark.parametrize("sqlstate", ["22003", "22P02", "23502", "23505", "23514"])
def test_errors_caused_by_a_row(sqlstate: str) -> None:
    assert is_bad_row(sqlstate)
    assert not is_transient(sqlstate)


@pytest.mark.parametrize("sqlstate", ["42P01", "42501", "42703", "28P01", "3D000", "25001", "XX000"])
def test_permanent_errors(sqlstate: str) -> None:
    assert not is_bad_row(sqlstate)
    assert not is_transient(sqlstate)


@pytest.mark.parametrize(
    "sqlstate", ["P0001", "P0002", "P0004", "09000", "21000", "27000", "38000", "44000", "U1234"]
)
def test_errors_that_code_of_the_database_raises(sqlstate: str) -> None:
    assert may_be_bad_row(sqlstate)
    assert not is_bad_row(sqlstate)
    assert not is_transient(sqlstate)
    assert not is_outage(sqlstate)


@pytest.mark.parametrize(
    "sqlstate", [None, "08006", "40001", "42P01", "42501", "22003", "23505", "XX000", "25006"]
)
def test_other_errors_are_not_those_of_a_trigger(sqlstate: str | None) -> None:
    assert not may_be_bad_row(sqlstate)


@pytest.mark.parametrize(
    "sqlstate", [None, "08001", "08006", "25006", "53100", "53200", "57P01", "57P03", "58030"]
)
def test_outages(sqlstate: str | None) -> None:
    assert is_outage(sqlstate)


@pytest.mark.parametrize(
    "sqlstate", ["53300", "57014", "57P05", "40P01", "55P03", "42501", "28P01", "22021", "P0001"]
)
def test_errors_of_one_session_are_no_outage(sqlstate: str) -> None:
    assert not is_outage(sqlstate)
