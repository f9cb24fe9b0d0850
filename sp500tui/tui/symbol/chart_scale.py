"""Round numbers and round times for the axes of a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200),
    *(86_400, 172_800, 604_800, 2_592_000, 7_776_000, 31_536_000),
)
"""Seconds between two labels."""
_LEAST_SPREAD = 0.001
"""Share of the price that the axis spans at least, so that a standing price is a line and not an empty picture."""
_MAX_SCALE = 17
"""Decimals of the finest label."""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """The range of the values, a little wider than they are, and where its labels stand."""

    low: float
    high: float
    ticks: Sequence[float]
    decimals: int

    def label(self, value: float) -> str:
        """A value with as many decimals as its neighbours need."""
        return f"{value:,.{self.decimals}f}"

    @property
    def width(self) -> int:
        """Cells of the widest label."""
        return max((len(self.label(tick)) for tick in self.ticks), default=0)


def value_axis(low: float, high: float, most: int) -> ValueAxis:
    """An axis from `low` to `high` with at most `most` (two or more) labels on round numbers."""
    least = max(abs(high), abs(low), 1e-12) * _LEAST_SPREAD
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    margin = (high - low) * 0.04
    low, high = low - margin, high + margin
    rough = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in _STEPS if factor * power >= rough * 0.999)
    first = math.ceil(low / step)
    ticks = [number * step for number in range(first, math.floor(high / step) + 1)]
    return ValueAxis(low, high, ticks, _decimals(step))


def _decimals(step: float) -> int:
    """Decimals that a step needs: 2.5 needs one, 0.25 two; prices have two unless they are finer."""
    needed = next(
        (places for places in range(_MAX_SCALE) if abs(round(step, places) - step) < step * 1e-6), _MAX_SCALE
    )
    return needed if needed != 1 else 2


def time_ticks(start: float, end: float, most: int) -> list[tuple[float, str]]:
    """Round local times from `start` to `end` (seconds since 1970), at most `most`, each with its label."""
    span = end - start
    if span <= 0 or most < 1:
        return []
    step = next((step for step in _TIME_STEPS if span / step <= most), _TIME_STEPS[-1])
    shift = _offset(start)
    number = math.ceil((start + shift) / step)
    ticks: list[tuple[float, str]] = []
    while (format_time := number * step - shift) <= end and len(ticks) < most:
        ticks.append((format_time, _time_label(format_time, step)))
        number += 1
    return ticks


def _offset(format_time: float) -> float:
    """Seconds that local time is ahead of UTC."""
    offset = datetime.fromtimestamp(format_time, UTC).astimezone().utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _time_label(format_time: float, step: int) -> str:
    local = datetime.fromtimestamp(format_time, UTC).astimezone()
    if step < 60:
        return f"{local:%H:%M:%S}"
    if step < _DAY and (local.hour or local.minute):
        return f"{local:%H:%M}"
    return f"{local:%b} {local.day}" if step < 31_536_000 else f"{local:%Y}"
