"""The price chart as lines: a braille curve between a value axis and a time axis, and a mark to read it by."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from sp500tui.tui.render.formats import fit
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.symbol.braille import BrailleCanvas
from sp500tui.tui.symbol.chart_scale import ValueAxis, time_ticks, value_axis

_LABEL_EVERY = 3
"""Lines of the chart for one label of the value axis."""
_TIME_LABEL = 12
"""Cells for one label of the time axis."""
_GAP = 12
"""So many times the usual distance of two trades is a hole that no line is drawn across."""
_SMALLEST = (20, 3)
"""Cells of the plot below which only words make sense."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of the curve."""

    at: float
    """Seconds since 1970."""
    value: float


@dataclass(frozen=True, slots=True)
class Plot:
    """Where the curve lies in a chart of a given size."""

    left: int
    """Cells before the plot: the value axis."""
    width: int
    height: int
    start: float
    end: float
    axis: ValueAxis

    @classmethod
    def of(cls, samples: Sequence[Sample], width: int, height: int) -> Plot | None:
        """The layout of a chart of `width` times `height` cells; None where there is no room or nothing to draw."""
        rows = height - 2
        if not samples or rows < _SMALLEST[1]:
            return None
        values = [sample.value for sample in samples]
        axis = value_axis(min(values), max(values), max(2, rows // _LABEL_EVERY))
        left = axis.width + 2
        if width - left < _SMALLEST[0]:
            return None
        start, end = samples[0].at, samples[-1].at
        return cls(left, width - left, rows, start, max(end, start + 1.0), axis)

    def column(self, at: float) -> int:
        """The dot column of a moment."""
        return round((at - self.start) / (self.end - self.start) * (2 * self.width - 1))

    def row(self, value: float) -> int:
        """The dot row of a value, from the top."""
        share = (self.axis.high - value) / (self.axis.high - self.axis.low)
        return round(share * (4 * self.height - 1))

    def nearest(self, samples: Sequence[Sample], cell: int) -> int:
        """Index of the sample nearest to a cell of the plot."""
        at = self.start + (cell * 2 + 0.5) / max(1, 2 * self.width - 1) * (self.end - self.start)
        after = bisect_left(samples, at, key=lambda sample: sample.at)
        if after in (0, len(samples)):
            return max(0, min(after, len(samples) - 1))
        return after if samples[after].at - at < at - samples[after - 1].at else after - 1


def chart_lines(
    samples: Sequence[Sample], width: int, height: int, role: Role, mark: int | None = None
) -> list[Line]:
    """The chart in exactly `height` lines of `width` cells, oldest sample at the left.

    Args:
        samples: Ordered by time.
        width: Terminal cells.
        height: Lines; the last two are the time axis.
        role: Look of the curve.
        mark: Index of the sample that a vertical line goes through.
    """
    plot = Plot.of(samples, width, height)
    if plot is None:
        words = "too small for a chart" if samples else ""
        return [cut((Span(words, Role.LABEL),), width) for _ in range(min(1, height))]
    canvas = _curve(samples, plot)
    marked = None if mark is None else plot.column(samples[mark].at) // 2
    labels = {plot.row(tick) // 4: plot.axis.label(tick) for tick in plot.axis.ticks}
    lines = [
        (*_axis_cell(labels.get(row), plot), *_plot_row(canvas.text(row), role, marked, ruled=row in labels))
        for row in range(plot.height)
    ]
    return [*lines, *_time_axis(plot)]


def _axis_cell(label: str | None, plot: Plot) -> Line:
    if label is None:
        return (Span(" " * (plot.left - 1), Role.LABEL), Span("│", Role.DIM))
    return (Span(fit(label, plot.left - 2, "right") + " ", Role.LABEL), Span("┤", Role.DIM))


def _plot_row(text: str, role: Role, marked: int | None, *, ruled: bool) -> Line:
    """A row of the curve; the mark and the thin rules show where no dot is."""
    spans: list[Span] = []
    for place, character in enumerate(text):
        if character != " ":
            piece = Span(character, Role.TITLE if place == marked else role)
        elif place == marked:
            piece = Span("│", Role.TITLE)
        else:
            piece = Span("┈" if ruled else " ", Role.DIM)
        if spans and spans[-1].role is piece.role:
            spans[-1] = Span(spans[-1].text + piece.text, piece.role)
        else:
            spans.append(piece)
    return tuple(spans)


def _curve(samples: Sequence[Sample], plot: Plot) -> BrailleCanvas:
    canvas = BrailleCanvas(plot.width, plot.height)
    distances = [later.at - earlier.at for earlier, later in pairwise(samples)]
    hole = max(_GAP * median(distances), 3 * (plot.end - plot.start) / plot.width) if distances else 0.0
    last: tuple[int, int, float] | None = None
    for sample in samples:
        x, y = plot.column(sample.at), plot.row(sample.value)
        if last is None or sample.at - last[2] > hole:
            canvas.dot(x, y)
        else:
            canvas.line(last[0], last[1], x, y)
        last = (x, y, sample.at)
    return canvas


def _time_axis(plot: Plot) -> list[Line]:
    """The axis with a stroke at every label, and the labels under it."""
    rule = ["─"] * plot.width
    labels = [" "] * plot.width
    free = 0
    for format_time, label in time_ticks(plot.start, plot.end, max(1, plot.width // _TIME_LABEL)):
        place = plot.column(format_time) // 2
        rule[place] = "┬"
        begin = min(max(place - len(label) // 2, 0), plot.width - len(label))
        if begin >= free:
            labels[begin : begin + len(label)] = label
            free = begin + len(label) + 2
    margin = " " * (plot.left - 1)
    return [
        (Span(margin, Role.LABEL), Span("└" + "".join(rule), Role.DIM)),
        (Span(margin + " " + "".join(labels), Role.LABEL),),
    ]
