"""The plot of candles: bodies and wicks in half lines above the volume, between a value axis and a time axis.

A candle that closed above its open has a hollow body, one that closed below it a filled one, so that the direction is
visible without colour.
"""

from __future__ import annotations

from calendar import month_abbr
from collections.abc import Sequence
from dataclasses import dataclass

from sp500tui.storage.history.candles import Candle
from sp500tui.storage.history.periods import ZONE, Period
from sp500tui.tui.render.formats import fit, short_count
from sp500tui.tui.render.lines import Line, Role, Span, cut
from sp500tui.tui.symbol.candle_series import CandleSeries, direction
from sp500tui.tui.symbol.plot import ValueAxis, is_near, value_axis

MAX_PITCH = 3
"""Maximum cells from one candle to the next."""
_LABEL_EVERY = 3
"""Lines per label of the value axis."""
_STEPS = (10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400)
"""Seconds between two labels within a day."""
_MIN_SIZE = (10, 2)
_NO_VOLUME = "no volume"
_UNIT = "shares"
"""Unit printed below the highest volume."""
_VOLUME_BLOCKS = " ▁▂▃▄▅▆▇█"
_FILLED = {"BB": "█", "B": "▀", "b": "▄"}
_HOLLOW = {"BB": "║", "B": "╨", "b": "╥"}
_FLAT = {"BB": "┼", "B": "─", "b": "─"}
_WICKS = {("W", "W"): "│", ("W", ""): "╵", ("", "W"): "╷"}
_Cell = tuple[str, Role]


def candles_that_fit(width: int) -> int:
    """Number of candles that fit a chart of this width, with a blank between two candles."""
    return max(10, (width - 10) // 2)


def volume_rows(height: int) -> int:
    """Lines of the volume in a chart of this height, excluding the lines above the plot."""
    return next((rows for least, rows in ((26, 5), (18, 4), (13, 3), (9, 2), (6, 1)) if height >= least), 0)


@dataclass(frozen=True, slots=True)
class CandlePlot:
    """Position and scale of the candles in a chart of a given size."""

    left: int
    """Cells left of the plot, for the value axis."""
    width: int
    rows: int
    """Lines of the prices."""
    volume_rows: int
    pitch: int
    """Cells from one candle to the next."""
    first: int
    """Index of the first candle drawn; all newer ones are drawn too."""
    number: int
    axis: ValueAxis
    most_volume: int

    @classmethod
    def of(
        cls, series: CandleSeries, width: int, height: int, level: float | None = None
    ) -> CandlePlot | None:
        """The plot in a chart of `width` times `height` cells; None if it is too small or there are no candles.

        `level` is a value that the axis includes if it is near enough, such as the previous close.
        """
        below = volume_rows(height)
        rows = height - 2 - below
        if not series.candles or rows < _MIN_SIZE[1]:
            return None
        room = width - 8
        if room < _MIN_SIZE[0]:
            return None
        shown = series.candles[-room:]
        low, high = float(min(each.low for each in shown)), float(max(each.high for each in shown))
        if level is not None and is_near(level, low, high):
            low, high = min(low, level), max(high, level)
        axis = value_axis(low, high, max(2, rows // _LABEL_EVERY))
        most = max((each.volume or 0 for each in shown), default=0)
        left = max(axis.width, len(short_count(most)), len(_UNIT) if below > 1 and most else 0) + 2
        room = width - left
        if room < _MIN_SIZE[0]:
            return None
        number = min(len(series.candles), room)
        pitch = max(1, min(MAX_PITCH, room // number))
        return cls(left, room, rows, below, pitch, len(series.candles) - number, number, axis, most)

    def column(self, index: int) -> int:
        """The cell of a candle, counted from the left of the plot; the newest one is at the right."""
        return self.width - (self.first + self.number - index) * self.pitch + (self.pitch - 1) // 2

    def nearest(self, cell: int) -> int:
        """Index of the candle nearest to a cell of the plot."""
        place = (cell - (self.width - self.number * self.pitch)) // self.pitch
        return self.first + max(0, min(place, self.number - 1))

    def half_row(self, value: float) -> int:
        """The half line of a value, counted from the top."""
        share = (self.axis.high - value) / (self.axis.high - self.axis.low)
        return max(0, min(2 * self.rows - 1, round(share * (2 * self.rows - 1))))


def candle_lines(
    series: CandleSeries, width: int, height: int, mark: int | None = None, level: float | None = None
) -> list[Line]:
    """The chart in exactly `height` lines of `width` cells, with the newest candle at the right.

    Args:
        series: What is drawn.
        width: Terminal cells.
        height: Lines; the last two are the time axis, those above them the volume.
        mark: Index of the candle marked by a vertical line.
        level: A value drawn as a dashed line if it is on the axis: the previous close.
    """
    plot = CandlePlot.of(series, width, height, level)
    if plot is None:
        text = "too small for a chart" if series.candles else ""
        blank = cut((), width)
        return [cut((Span(text, Role.LABEL),), width), *[blank] * (height - 1)][:height]
    labels = {plot.half_row(tick) // 2: plot.axis.label(tick) for tick in plot.axis.ticks}
    grid: list[list[_Cell]] = [
        [("┈" if row in labels else " ", Role.DIM) for _ in range(plot.width)] for row in range(plot.rows)
    ]
    if level is not None and plot.axis.low <= level <= plot.axis.high:
        grid[plot.half_row(level) // 2] = [("╌", Role.ACCENT)] * plot.width
    volumes = [[(" ", Role.DIM)] * plot.width for _ in range(plot.volume_rows)]
    if mark is not None and mark >= plot.first:
        for cells in (*grid, *volumes):
            cells[plot.column(mark)] = ("┊", Role.TITLE)
    for index in range(plot.first, plot.first + plot.number):
        role = Role.TITLE if index == mark else direction(series.candles[index])
        _draw_candle(grid, plot, index, series.candles[index], role)
        _draw_volume(volumes, plot, index, series.candles[index].volume, role)
    lines = [_line(_axis_cell(labels.get(row), plot), cells) for row, cells in enumerate(grid)]
    if volumes and not plot.most_volume:
        volumes[0][1 : 1 + len(_NO_VOLUME)] = [(sign, Role.LABEL) for sign in _NO_VOLUME]
    beside = [short_count(plot.most_volume), _UNIT] if plot.most_volume else []
    lines += [
        _line(_axis_cell(beside[row] if row < len(beside) else None, plot, tick=False), cells)
        for row, cells in enumerate(volumes)
    ]
    return [*lines, *_time_axis(series, plot)]


def _draw_candle(grid: list[list[_Cell]], plot: CandlePlot, index: int, candle: Candle, role: Role) -> None:
    first, last = float(candle.open), float(candle.close)
    top, bottom = plot.half_row(float(candle.high)), plot.half_row(float(candle.low))
    body = plot.half_row(max(first, last)), plot.half_row(min(first, last))
    signs = _FLAT if first == last else _HOLLOW if last > first else _FILLED
    column = plot.column(index)
    for row in range(top // 2, bottom // 2 + 1):
        halves = [
            "B" if body[0] <= half <= body[1] else "W" if top <= half <= bottom else ""
            for half in (2 * row, 2 * row + 1)
        ]
        if halves == ["B", "B"]:
            sign = signs["BB"]
        elif halves[0] == "B":
            sign = signs["B"]
        elif halves[1] == "B":
            sign = signs["b"]
        else:
            sign = _WICKS[halves[0], halves[1]]
        if signs is _FLAT and "B" in halves and "W" in halves:
            sign = _FLAT["BB"]
        grid[row][column] = (sign, role)


def _draw_volume(
    rows: list[list[_Cell]], plot: CandlePlot, index: int, volume: int | None, role: Role
) -> None:
    if not volume or not plot.most_volume:
        return
    eighths = max(1, round(volume / plot.most_volume * 8 * len(rows)))
    left = plot.column(index) - (plot.pitch - 1) // 2
    for number, cells in enumerate(reversed(rows)):
        block = _VOLUME_BLOCKS[max(0, min(8, eighths - 8 * number))]
        if block != " ":
            for cell in range(left, left + max(1, plot.pitch - 1)):
                cells[cell] = (block, role)


def volume_lines(volumes: Sequence[int], rows: int, left: int) -> list[Line]:
    """The volume below a line of prices: a column for each cell to the right of the axis."""
    most = max(volumes, default=0)
    beside = [short_count(most), _UNIT] if most else []
    lines: list[Line] = []
    for row in range(rows):
        number = rows - 1 - row
        blocks = "".join(
            _VOLUME_BLOCKS[max(0, min(8, max(1, round(each / most * 8 * rows)) - 8 * number))]
            if each
            else " "
            for each in volumes
        )
        if row == 0 and not most:
            blocks = fit(f" {_NO_VOLUME}", len(volumes))
        label = beside[row] if row < len(beside) else ""
        lines.append(
            (
                Span(fit(label, left - 2, "right") + " ", Role.LABEL),
                Span("│", Role.DIM),
                Span(blocks, Role.LABEL),
            )
        )
    return lines


def _axis_cell(label: str | None, plot: CandlePlot, *, tick: bool = True) -> list[_Cell]:
    text = fit(label or "", plot.left - 2, "right") + " "
    return [*((sign, Role.LABEL) for sign in text), ("┤" if label is not None and tick else "│", Role.DIM)]


def _line(axis: list[_Cell], cells: Sequence[_Cell]) -> Line:
    """The cells as spans of one role each."""
    spans: list[Span] = []
    for sign, role in (*axis, *cells):
        if spans and spans[-1].role is role:
            spans[-1] = Span(spans[-1].text + sign, role)
        else:
            spans.append(Span(sign, role))
    return tuple(spans)


def _time_axis(series: CandleSeries, plot: CandlePlot) -> list[Line]:
    """The axis with a tick at every label, `S` at splits and `D` at payments, and the labels below it."""
    rule: list[_Cell] = [("─", Role.DIM)] * plot.width
    labels = [" "] * plot.width
    free = 0
    for index, label in time_labels(series, plot.first, plot.first + plot.number, max(2, plot.width // 10)):
        column = plot.column(index)
        begin = min(max(column - len(label) // 2, 0), plot.width - len(label))
        if begin >= free and begin >= 0:
            rule[column] = ("┬", Role.DIM)
            labels[begin : begin + len(label)] = label
            free = begin + len(label) + 2
    for index in range(plot.first, plot.first + plot.number):
        actions = series.actions_of(index)
        if actions:
            rule[plot.column(index)] = (
                "S" if any(each.factor != 1 for each in actions) else "D",
                Role.ACCENT,
            )
    margin: list[_Cell] = [(" ", Role.LABEL)] * (plot.left - 1)
    return [
        _line([*margin, ("└", Role.DIM)], rule),
        (Span(" " * plot.left + "".join(labels), Role.LABEL),),
    ]


def time_labels(series: CandleSeries, start: int, end: int, most: int) -> list[tuple[int, str]]:
    """The candles at which a new year, month, day or round time begins, each with its label; about `most`.

    The unit is the coarsest one of which at least three begin.
    """
    keys = [_calendar(series.stored.period, series.candles[index]) for index in range(start, end)]
    unit = next((unit for unit in range(3) if len({key[: unit + 1] for key in keys}) >= 3), 3)
    if unit == 3 and series.stored.period.unit != "second":
        unit = 2
    step = next((step for step in _STEPS if len({_rounded(key, step) for key in keys}) <= most), _STEPS[-1])
    marks = [_rounded(key, step) if unit == 3 else key[: unit + 1] for key in keys]
    found: list[tuple[int, str]] = []
    for place, (key, mark) in enumerate(zip(keys, marks, strict=True)):
        if place and mark == marks[place - 1]:
            continue
        # The coarsest part that changed: a new year is labelled as such among months.
        changed = unit
        if place:
            changed = next((part for part in range(unit) if keys[place - 1][part] != key[part]), unit)
        elif unit == 3 and key[3] % step:
            # The first candle begins within a step.
            continue
        found.append((start + place, _label(key, changed)))
    return found


def _calendar(period: Period, candle: Candle) -> tuple[int, int, int, int]:
    """Year, month, day and second of the day in local time; for daily candles the date at the exchange."""
    local = candle.start.astimezone(None if period.unit == "second" else ZONE)
    return local.year, local.month, local.day, local.hour * 3600 + local.minute * 60 + local.second


def _rounded(key: tuple[int, int, int, int], step: int) -> tuple[int, ...]:
    return (*key[:3], key[3] // step)


def _label(key: tuple[int, int, int, int], changed: int) -> str:
    year, month, day, second = key
    clock = f"{second // 3600:02}:{second // 60 % 60:02}" + (f":{second % 60:02}" if second % 60 else "")
    return (str(year), month_abbr[month], f"{month_abbr[month]} {day}", clock)[changed]
