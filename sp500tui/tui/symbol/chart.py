"""The chart of a symbol: tabs for the time range, a line or candles with volume, and a mark to read them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive

from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.lines import Line, Role, Span, change_role, cut, longest_that_fits
from sp500tui.tui.symbol.candle_plot import CandlePlot, candle_lines, volume_lines, volume_rows
from sp500tui.tui.symbol.candle_series import CandleSeries, LiveCandles, reading, summary
from sp500tui.tui.symbol.chart_series import (
    ChartRange,
    head_line,
    line_reading,
    line_summary,
    samples_of,
    series_role,
    tab_at,
    traded_volumes,
)
from sp500tui.tui.symbol.plot import Plot, Sample, chart_lines
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.lines_widget import LinesWidget

if TYPE_CHECKING:
    from sp500tui.storage.reads import PricePoint

_TALL = 14
"""Minimum lines at which the chart has a separate line for the marked price or candle."""


@dataclass(frozen=True, slots=True)
class Day:
    """The day's change, which determines the chart's colour, and the previous close, drawn as a line."""

    change: str = ""
    """In percent, as printed."""
    previous_close: float | None = None
    """In the quoted currency."""
    rate: Decimal | None = None
    """Units of the second currency per unit of the quoted one."""

    def level(self, *, converted: bool) -> float | None:
        """The previous close in the currency shown."""
        if self.previous_close is None or not converted:
            return self.previous_close
        return None if self.rate is None else self.previous_close * float(self.rate)


class PriceChart(LinesWidget, can_focus=True):
    """Draws stored prices; posts a message to its screen to request another time range."""

    BINDING_GROUP_TITLE = "Chart"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("chart.span", "step_range(1)", "Range"),
        bind("chart.span_back", "step_range(-1)", "Previous range", show=False),
        bind("chart.back", "move_mark(-1)", "Earlier", show=False),
        bind("chart.on", "move_mark(1)", "Later", show=False),
    ]

    converted: reactive[bool] = reactive(False)
    """Whether the chart shows converted prices."""
    mark: reactive[int | None] = reactive[int | None](None)
    """Index of the marked price or candle."""
    day: reactive[Day] = reactive(Day())
    """The day's change and previous close of the current quote."""

    @dataclass
    class RangeSelected(Message):
        """Another time range was requested."""

        time_range: ChartRange

    @dataclass
    class Resized(Message):
        """The size of the chart has changed."""

    def __init__(self, currencies: tuple[str, str]) -> None:
        """Create an empty chart; `currencies` are the codes of the quoted and the converted price."""
        super().__init__(id="chart", classes="panel")
        self.currencies = currencies
        self.time_range = ChartRange.DAY
        self._points: Sequence[PricePoint] = ()
        self._samples: Sequence[Sample] = ()
        self._live: LiveCandles | None = None
        self._series: CandleSeries | None = None
        self._placeholder = ""
        self._since: float | None = None
        self._marked_at: float | None = None
        """Time of the mark, in seconds since 1970."""

    def show_line(
        self, time_range: ChartRange, points: Sequence[PricePoint], placeholder: str, since: datetime
    ) -> None:
        """Draw these points, oldest first, on an axis from `since`, or `placeholder` if there are none."""
        self._since = since.timestamp()
        self._select(time_range, placeholder)
        self._points, self._live = points, None
        self._draw()

    def show_candles(self, time_range: ChartRange, live: LiveCandles | None, placeholder: str) -> None:
        """Draw candles, or `placeholder` if there are none."""
        self._select(time_range, placeholder)
        self._points, self._live = (), live
        self._draw()

    def _select(self, time_range: ChartRange, placeholder: str) -> None:
        if time_range is not self.time_range:
            self.mark = None
        self.time_range, self._placeholder = time_range, placeholder

    @property
    def series(self) -> CandleSeries | None:
        """The candles drawn; None if there are none."""
        return self._series

    @property
    def length(self) -> int:
        """Number of prices or candles drawn."""
        return len(self._samples) if self._series is None else len(self._series.candles)

    def watch_converted(self) -> None:
        """Draw in the other currency."""
        self._draw()

    def watch_mark(self) -> None:
        """Draw the mark at its new position."""
        times = self._times()
        known = self.mark is not None and bool(times)
        self._marked_at = times[min(self.mark or 0, len(times) - 1)] if known else None
        self._draw()

    def _times(self) -> Sequence[float]:
        """The times of the prices or the starts of the candles drawn, in seconds since 1970."""
        if self._series is None:
            return [sample.at for sample in self._samples]
        return [candle.start.timestamp() for candle in self._series.candles]

    def _keep_mark(self) -> None:
        """Keep the mark at its time when other prices or candles are drawn."""
        times = self._times()
        if self.mark is not None and self._marked_at is not None and times:
            self.set_reactive(PriceChart.mark, max(0, bisect_right(times, self._marked_at) - 1))

    def watch_day(self) -> None:
        """Draw in the colour of the day's change."""
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        """Draw for the new size; the screen may read more or fewer candles."""
        self._draw()
        self.post_message(self.Resized())

    def action_step_range(self, direction: int) -> None:
        """Request a longer or shorter time range."""
        self.post_message(self.RangeSelected(self.time_range.step(direction)))

    def action_move_mark(self, steps: int) -> None:
        """Move the mark by a candle, or by a cell of the line; the first step back marks the newest one."""
        last = self.length - 1
        if last < 0:
            return
        if self.mark is None:
            self.mark = last if steps < 0 else None
            return
        target = min(self.mark, last) + steps
        plot = self._line_plot()
        if plot is not None:
            cell = plot.column(self._samples[min(self.mark, last)].at) // 2
            found = plot.nearest(self._samples, max(0, cell + steps))
            target = found if found != self.mark else target
        self.mark = None if target > last else max(0, target)

    def on_click(self, event: events.Click) -> None:
        """Select the tab under the pointer."""
        offset = event.get_content_offset(self)
        selected = tab_at(offset.x) if offset is not None and offset.y == 0 else None
        if selected is not None:
            self.post_message(self.RangeSelected(selected))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Mark the price or candle under the pointer."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < self._head:
            return
        line, candles = self._line_plot(), self._candle_plot()
        if line is not None and offset.x >= line.left:
            self.mark = line.nearest(self._samples, offset.x - line.left)
        elif candles is not None and offset.x >= candles.left:
            self.mark = candles.nearest(offset.x - candles.left)

    def on_leave(self) -> None:
        """Remove the mark."""
        self.mark = None

    @property
    def currency(self) -> str:
        """Code of the currency shown."""
        return self.currencies[self.converted]

    @property
    def _head(self) -> int:
        """Lines above the plot."""
        return 2 if self.size.height >= _TALL else 1

    @property
    def _level(self) -> float | None:
        return self.day.level(converted=self.converted)

    def _line_plot(self) -> Plot | None:
        height = self.size.height - self._head
        return Plot.of(
            self._samples,
            self.size.width,
            height - volume_rows(height),
            since=self._since,
            level=self._level,
        )

    def _candle_plot(self) -> CandlePlot | None:
        if self._series is None:
            return None
        return CandlePlot.of(self._series, self.size.width, self.size.height - self._head, self._level)

    def _draw(self) -> None:
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        self._samples = samples_of(self._points, converted=self.converted)
        rate = self.day.rate if self.converted else None
        self._series = None
        if self._live is not None and self._live.candles and (rate is not None or not self.converted):
            self._series = CandleSeries.of(self._live, self.currency, rate)
        self._keep_mark()
        if not self.length:
            unusable = self._live is not None and self._live.candles
            text = f"There is no rate to {self.currency} yet" if unusable else self._placeholder
            lines = [head_line(self.time_range, [], width), *wrapped(text, width)]
        else:
            lines = [*self._head_lines(width), *self._plot_lines(width, height - self._head)]
        self.show_lines(lines[:height])

    def _head_lines(self, width: int) -> list[Line]:
        """The tabs with a summary; the marked price or candle below them, or in the same line if only one fits."""
        mark = None if self.mark is None else min(self.mark, self.length - 1)
        if self._series is not None:
            overall = summary(self._series)
            read = reading(self._series, self.length - 1 if mark is None else mark)
        else:
            overall = line_summary(self._samples, self.currency)
            read = line_reading(self._samples, self.currency, self.length - 1 if mark is None else mark)
        if self._head == 2:
            return [head_line(self.time_range, overall, width), longest_that_fits(read, width)]
        if mark is None:
            return [head_line(self.time_range, overall, width)]
        return [longest_that_fits(read, width)]

    def _plot_lines(self, width: int, height: int) -> list[Line]:
        mark = None if self.mark is None else min(self.mark, self.length - 1)
        if self._series is not None:
            return candle_lines(self._series, width, height, mark, self._level)
        below = volume_rows(height)
        lines = chart_lines(
            self._samples,
            width,
            height - below,
            change_role(self.day.change) if self.day.change else series_role(self._samples),
            mark,
            since=self._since,
            level=self._level,
        )
        plot = self._line_plot()
        if plot is None:
            return lines
        volumes = traded_volumes(self._points, lambda at: plot.column(at) // 2, plot.width)
        return [*lines[:-2], *volume_lines(volumes, below, plot.left), *lines[-2:]]


def wrapped(text: str, width: int) -> list[Line]:
    """A text wrapped into lines of at most `width` cells, after a blank line."""
    rows = wrap(clean(text), max(20, width - 1))
    return [cut((), width), *(cut((Span(row, Role.LABEL),), width) for row in rows)]
