"""The plot of a price series: a braille line between a value axis and a time axis, with round labels."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

from sp500tui.tui.render.formats import fit
from sp500tui.tui.render.lines import Line, Role, Span, cut

_LABEL_EVERY = 3
"""Lines per label of the value axis."""
_LEAST_LABELS = 2
"""Minimum labels of the value axis."""
_LEAST_LABEL = 6
"""Minimum cells of a value label, so that the volume's number and unit fit below."""
_TIME_LABEL = 12
"""Cells per label of the time axis."""
_GAP_FACTOR = 12
"""Samples further apart than this multiple of their median distance are not connected."""
_MIN_SIZE = (20, 3)
"""Smallest plot in cells; below it a text is shown."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200),
    *(86_400, 172_800, 604_800, 2_592_000, 7_776_000, 31_536_000),
)
"""Seconds between two labels of the time axis."""
_MIN_SPREAD = 0.001
"""Minimum range of the value axis relative to the price, so that a constant price is drawn as a line."""
_LEVEL_REACH = 0.05
"""Distance from the values, relative to the highest one, within which a level always extends the axis."""
_MAX_DECIMALS = 17
"""Maximum decimals of a label."""
_DAY = 86_400
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of the dot in each row and column of a cell."""
_BLANK = 0x2800


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of the series."""

    at: float
    """Seconds since 1970."""
    value: float


@dataclass(frozen=True, slots=True)
class Plot:
    """Position and scale of the plot in a chart of a given size."""

    left: int
    """Cells left of the plot, for the value axis."""
    width: int
    height: int
    start: float
    end: float
    axis: ValueAxis

    @classmethod
    def of(
        cls,
        samples: Sequence[Sample],
        width: int,
        height: int,
        *,
        since: float | None = None,
        level: float | None = None,
    ) -> Plot | None:
        """The plot of a chart of `width` times `height` cells; None if it is too small or there are no samples.

        Args:
            samples: Ordered by time.
            width: Terminal cells.
            height: Lines.
            since: Start of the time axis, by default the first sample.
            level: A value that the value axis includes if it is near enough, such as the previous close.
        """
        rows = height - 2
        if not samples or rows < _MIN_SIZE[1]:
            return None
        values = [sample.value for sample in samples]
        if level is not None and is_near(level, min(values), max(values)):
            values.append(level)
        axis = value_axis(min(values), max(values), max(2, rows // _LABEL_EVERY))
        left = max(axis.width, _LEAST_LABEL) + 2
        if width - left < _MIN_SIZE[0]:
            return None
        start, end = samples[0].at if since is None else min(since, samples[0].at), samples[-1].at
        return cls(left, width - left, rows, start, max(end, start + 1.0), axis)

    def column(self, at: float) -> int:
        """The dot column of a time."""
        return round((at - self.start) / (self.end - self.start) * (2 * self.width - 1))

    def row(self, value: float) -> int:
        """The dot row of a value, counted from the top."""
        share = (self.axis.high - value) / (self.axis.high - self.axis.low)
        return round(share * (4 * self.height - 1))

    def nearest(self, samples: Sequence[Sample], cell: int) -> int:
        """Index of the sample nearest to a column of cells."""
        at = self.start + (cell * 2 + 0.5) / max(1, 2 * self.width - 1) * (self.end - self.start)
        after = bisect_left(samples, at, key=lambda sample: sample.at)
        if after in (0, len(samples)):
            return max(0, min(after, len(samples) - 1))
        return after if samples[after].at - at < at - samples[after - 1].at else after - 1


def is_near(level: float, low: float, high: float) -> bool:
    """Whether an axis of values from `low` to `high` can include a level without flattening them to a line."""
    reach = max(high - low, high * _LEVEL_REACH)
    return low - reach <= level <= high + reach


def chart_lines(
    samples: Sequence[Sample],
    width: int,
    height: int,
    role: Role,
    mark: int | None = None,
    *,
    since: float | None = None,
    level: float | None = None,
) -> list[Line]:
    """The chart in exactly `height` lines of `width` cells, with the oldest sample at the left.

    Args:
        samples: Ordered by time.
        width: Terminal cells.
        height: Lines; the last two are the time axis.
        role: Role of the plotted line.
        mark: Index of the sample marked by a vertical line.
        since: Start of the time axis, by default the first sample.
        level: A value drawn as a dashed line if it is on the axis: the previous close.
    """
    plot = Plot.of(samples, width, height, since=since, level=level)
    if plot is None:
        text = "too small for a chart" if samples else ""
        return [cut((Span(text, Role.LABEL),), width) for _ in range(min(1, height))]
    canvas = _draw(samples, plot)
    marked = None if mark is None else plot.column(samples[mark].at) // 2
    labels = {plot.row(tick) // 4: plot.axis.label(tick) for tick in plot.axis.ticks}
    grids = dict.fromkeys(labels, Span("┈", Role.DIM))
    if level is not None and plot.axis.low <= level <= plot.axis.high:
        grids[plot.row(level) // 4] = Span("╌", Role.ACCENT)
    blank = Span(" ", Role.DIM)
    lines = [
        (
            *_axis_cell(labels.get(row), plot),
            *_plot_row(canvas.text(row), role, marked, grids.get(row, blank)),
        )
        for row in range(plot.height)
    ]
    return [*lines, *_time_axis(plot)]


def _axis_cell(label: str | None, plot: Plot) -> Line:
    if label is None:
        return (Span(" " * (plot.left - 1), Role.LABEL), Span("│", Role.DIM))
    return (Span(fit(label, plot.left - 2, "right") + " ", Role.LABEL), Span("┤", Role.DIM))


def _plot_row(text: str, role: Role, marked: int | None, grid: Span) -> Line:
    """One line of the plot; the mark and the grid line show where there are no dots."""
    spans: list[Span] = []
    for column, character in enumerate(text):
        if character != " ":
            piece = Span(character, Role.TITLE if column == marked else role)
        elif column == marked:
            piece = Span("│", Role.TITLE)
        else:
            piece = grid
        if spans and spans[-1].role is piece.role:
            spans[-1] = Span(spans[-1].text + piece.text, piece.role)
        else:
            spans.append(piece)
    return tuple(spans)


def _draw(samples: Sequence[Sample], plot: Plot) -> BrailleCanvas:
    canvas = BrailleCanvas(plot.width, plot.height)
    distances = [later.at - earlier.at for earlier, later in pairwise(samples)]
    gap = max(_GAP_FACTOR * median(distances), 3 * (plot.end - plot.start) / plot.width) if distances else 0.0
    last: tuple[int, int, float] | None = None
    for sample in samples:
        x, y = plot.column(sample.at), plot.row(sample.value)
        if last is None or sample.at - last[2] > gap:
            canvas.dot(x, y)
        else:
            canvas.line(last[0], last[1], x, y)
        last = (x, y, sample.at)
    return canvas


def _time_axis(plot: Plot) -> list[Line]:
    """The axis with a tick at every label, and the labels below it."""
    rule = ["─"] * plot.width
    labels = [" "] * plot.width
    free = 0
    for time, label in time_ticks(plot.start, plot.end, max(1, plot.width // _TIME_LABEL)):
        column = plot.column(time) // 2
        rule[column] = "┬"
        begin = min(max(column - len(label) // 2, 0), plot.width - len(label))
        if begin >= free:
            labels[begin : begin + len(label)] = label
            free = begin + len(label) + 2
    margin = " " * (plot.left - 1)
    return [
        (Span(margin, Role.LABEL), Span("└" + "".join(rule), Role.DIM)),
        (Span(margin + " " + "".join(labels), Role.LABEL),),
    ]


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """The range of the value axis and its ticks."""

    low: float
    high: float
    ticks: Sequence[float]
    decimals: int

    def label(self, value: float) -> str:
        """A value with the decimals that distinguish the ticks."""
        return f"{value:,.{self.decimals}f}"

    @property
    def width(self) -> int:
        """Cells of the widest label."""
        return max((len(self.label(tick)) for tick in self.ticks), default=0)


def value_axis(low: float, high: float, most: int) -> ValueAxis:
    """An axis from a little below `low` to a little above `high`, with at most `most` (two or more) round labels."""
    least = max(abs(high), abs(low), 1e-12) * _MIN_SPREAD
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    margin = (high - low) * 0.04
    low, high = low - margin, high + margin
    rough = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    widest = next(number for number, factor in enumerate(_STEPS) if factor * power >= rough * 0.999)
    factors = (*_STEPS[widest::-1], *(factor / 10 for factor in _STEPS[-2::-1]))
    # A single label would not show the scale.
    step, ticks = next(
        (factor * power, ticks)
        for factor in factors
        if len(ticks := _multiples(factor * power, low, high)) >= _LEAST_LABELS
    )
    return ValueAxis(low, high, ticks, _decimals(step))


def _multiples(step: float, low: float, high: float) -> list[float]:
    """The multiples of a step from `low` to `high`."""
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decimals(step: float) -> int:
    """Decimals of a step: 5 has none, 0.25 two; one decimal is shown as two, as in prices."""
    needed = next(
        (places for places in range(_MAX_DECIMALS) if abs(round(step, places) - step) < step * 1e-6),
        _MAX_DECIMALS,
    )
    return needed if needed != 1 else 2


def time_ticks(start: float, end: float, most: int) -> list[tuple[float, str]]:
    """Round local times from `start` to `end` (seconds since 1970), at most `most`, each with its label."""
    span = end - start
    if span <= 0 or most < 1:
        return []
    step = next((step for step in _TIME_STEPS if span / step <= most), _TIME_STEPS[-1])
    shift = _utc_offset(start)
    number = math.ceil((start + shift) / step)
    ticks: list[tuple[float, str]] = []
    while (time := number * step - shift) <= end and len(ticks) < most:
        ticks.append((time, _time_label(time, step)))
        number += 1
    return ticks


def _utc_offset(time: float) -> float:
    """Seconds that local time is ahead of UTC."""
    offset = datetime.fromtimestamp(time, UTC).astimezone().utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _time_label(time: float, step: int) -> str:
    local = datetime.fromtimestamp(time, UTC).astimezone()
    if step < 60:
        return f"{local:%H:%M:%S}"
    if step < _DAY and (local.hour or local.minute):
        return f"{local:%H:%M}"
    return f"{local:%b} {local.day}" if step < 31_536_000 else f"{local:%Y}"


class BrailleCanvas:
    """A canvas of braille dots, two across and four down in every terminal cell."""

    def __init__(self, width: int, height: int) -> None:
        """Create an empty canvas of `width` times `height` terminal cells."""
        self.dots_across = 2 * width
        self.dots_down = 4 * height
        self._cells = [[0] * width for _ in range(height)]

    def dot(self, x: int, y: int) -> None:
        """Set the dot at `x` from the left and `y` from the top; dots outside the canvas are ignored."""
        if 0 <= x < self.dots_across and 0 <= y < self.dots_down:
            self._cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """Set the dots from one point to another."""
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            self.dot(x0 + round((x1 - x0) * step / steps), y0 + round((y1 - y0) * step / steps))

    def text(self, row: int) -> str:
        """A row of cells; cells without a dot are blanks."""
        return "".join(chr(_BLANK | bits) if bits else " " for bits in self._cells[row])
