"""What a SQLSTATE means for a batch."""

from __future__ import annotations

import pytest

from sp500tui.storage.errors import is_bad_row, is_transient


@pytest.mark.parametrize(
    "sqlstate",
    [None, "08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P03", "58030"],
)
def test_transient_errors(sqlstate: str | None) -> None:
    assert is_transient(sqlstate)
    assert not is_bad_row(sqlstate)


@pytest.mark.parametrize("sqlstate", ["22003", "22P02", "23502", "23505", "23514", "P0001"])
def test_errors_caused_by_a_row(sqlstate: str) -> None:
    assert is_bad_row(sqlstate)
    assert not is_transient(sqlstate)


@pytest.mark.parametrize("sqlstate", ["42P01", "42501", "42703", "28P01", "3D000", "25001", "XX000"])
def test_permanent_errors(sqlstate: str) -> None:
    assert not is_bad_row(sqlstate)
    assert not is_transient(sqlstate)
