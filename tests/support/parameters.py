"""Parameters of which every run uses the first ones, and thorough runs all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet


def rest_thorough(values: Iterable[object], keep: int = 1) -> list[ParameterSet]:
    """Values for `pytest.mark.parametrize`: those after the first `keep` are `thorough`.

    A tuple has the values for several names.
    """
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=[pytest.mark.thorough] if number >= keep else [],
        )
        for number, value in enumerate(values)
    ]


def sizes(*values: tuple[int, int], keep: int = 2) -> list[ParameterSet]:
    """Columns and lines of terminals for one name: every run uses the first `keep`, usually the two extremes."""
    return rest_thorough([(size,) for size in values], keep)
